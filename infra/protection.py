"""Declare what guards the zone: settings, firewall rules, rate limits, and what the edge may cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from infra.shapes import CacheRule, FirewallRule, Protection, RateLimit

MANAGED: Final = "efb7b8c949ac4650a09736fc376e9aee"
"""The id of Cloudflare's Managed Ruleset, the same in every zone (developers.cloudflare.com/waf/managed-rules)."""


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
        if protection.dnssec:
            signed = pulumi.ResourceOptions(parent=self)
            cloudflare.ZoneDnssec(f"{name}-dnssec", zone_id=zone_id, status="active", opts=signed)
        self._declare("managed", "http_request_firewall_managed", [_known_attacks()] if protection.managed else [])
        self._declare("firewall", "http_request_firewall_custom", [_guard(rule) for rule in protection.firewall])
        self._declare("rate-limits", "http_ratelimit", [_limit(rule) for rule in protection.rate_limits])
        self._declare("cache", "http_request_cache_settings", [_kept(rule) for rule in protection.cache])
        self.register_outputs({})

    def _declare(self, suffix: str, phase: str, rules: list[cloudflare.RulesetRuleArgs]) -> None:
        """Declare the ruleset of a phase. Without rules there is none: a zone has one for each phase at most."""
        if rules:
            cloudflare.Ruleset(
                f"{self._name}-{suffix}",
                zone_id=self._zone_id,
                kind="zone",
                name="default",  # as the dashboard calls the one of a phase; another name would make a new one
                phase=phase,
                rules=rules,
                opts=pulumi.ResourceOptions(parent=self),
            )


def _known_attacks() -> cloudflare.RulesetRuleArgs:
    which = cloudflare.RulesetRuleActionParametersArgs(id=MANAGED)
    return cloudflare.RulesetRuleArgs(
        action="execute",
        expression="true",
        description="managed",
        enabled=True,
        ref="managed",
        action_parameters=which,
    )


def _guard(rule: FirewallRule) -> cloudflare.RulesetRuleArgs:
    return _rule(rule, rule.action)


def _limit(rule: RateLimit) -> cloudflare.RulesetRuleArgs:
    rate = cloudflare.RulesetRuleRatelimitArgs(
        characteristics=["cf.colo.id", "ip.src"],
        period=rule.period_seconds,
        requests_per_period=rule.requests,
        mitigation_timeout=rule.block_seconds,
    )
    return _rule(rule, "block", ratelimit=rate)


def _kept(rule: CacheRule) -> cloudflare.RulesetRuleArgs:
    ttl = cloudflare.RulesetRuleActionParametersEdgeTtlArgs(mode="override_origin", default=rule.seconds)
    how = cloudflare.RulesetRuleActionParametersArgs(cache=True, edge_ttl=ttl)
    return _rule(rule, "set_cache_settings", action_parameters=how)


def _rule(
    rule: FirewallRule | RateLimit | CacheRule,
    action: str,
    *,
    ratelimit: cloudflare.RulesetRuleRatelimitArgs | None = None,
    action_parameters: cloudflare.RulesetRuleActionParametersArgs | None = None,
) -> cloudflare.RulesetRuleArgs:
    return cloudflare.RulesetRuleArgs(
        action=action,
        expression=rule.expression,
        description=rule.name,
        enabled=True,
        ref=rule.name,  # a rule's identity when others come and go; without it each change would make all anew
        ratelimit=ratelimit,
        action_parameters=action_parameters,
    )
