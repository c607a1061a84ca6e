"""Declare what guards the zone: settings, firewall rules, rate limits, and what the edge may cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from infra.surroundings import Protection


class ZoneProtection(pulumi.ComponentResource):
    """One ruleset for each phase that has rules, and the zone's settings."""

    def __init__(self, name: str, *, zone_id: pulumi.Input[str], protection: Protection) -> None:
        """Declare it below `name`."""
        super().__init__("ems-ops:infra:ZoneProtection", name)
        self._name = name
        self._zone_id = zone_id
        for setting, value in protection.settings.items():
            cloudflare.ZoneSetting(
                f"{name}-{setting}",
                zone_id=zone_id,
                setting_id=setting,
                value=value,
                opts=pulumi.ResourceOptions(parent=self),
            )
        guards = [_rule(rule.name, rule.expression, rule.action) for rule in protection.firewall]
        self._declare("firewall", "http_request_firewall_custom", guards)
        limits = [
            _rule(
                limit.name,
                limit.expression,
                "block",
                ratelimit={
                    "characteristics": ["cf.colo.id", "ip.src"],
                    "period": limit.period_seconds,
                    "requests_per_period": limit.requests,
                    "mitigation_timeout": limit.block_seconds,
                },
            )
            for limit in protection.rate_limits
        ]
        self._declare("rate-limits", "http_ratelimit", limits)
        caches = [
            _rule(
                cache.name,
                cache.expression,
                "set_cache_settings",
                action_parameters={
                    "cache": True,
                    "edge_ttl": {"mode": "override_origin", "default": cache.seconds},
                },
            )
            for cache in protection.cache
        ]
        self._declare("cache", "http_request_cache_settings", caches)
        self.register_outputs({})

    def _declare(self, suffix: str, phase: str, rules: list[cloudflare.RulesetRuleArgs]) -> None:
        """Declare the ruleset of a phase. Without rules there is none: a zone has one for each phase at most."""
        if rules:
            cloudflare.Ruleset(
                f"{self._name}-{suffix}",
                zone_id=self._zone_id,
                kind="zone",
                name=suffix,
                phase=phase,
                rules=rules,
                opts=pulumi.ResourceOptions(parent=self),
            )


def _rule(name: str, expression: str, action: str, **more: Any) -> cloudflare.RulesetRuleArgs:  # noqa: ANN401 - the SDK's
    # `ref` keeps a rule's identity when others come and go; without it each change would make all of them anew.
    return cloudflare.RulesetRuleArgs(
        action=action, expression=expression, description=name, enabled=True, ref=name, **more
    )
