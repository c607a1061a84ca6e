"""Declare whom Cloudflare itself tells of what it sees: a health check from outside, policies, a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from infra.settings import Settings
    from infra.shapes import Policy


class Notifications(pulumi.ComponentResource):
    """Policies that tell the on-call role by mail, and a webhook where there is one."""

    def __init__(self, name: str, *, settings: Settings, zone_id: pulumi.Input[str]) -> None:
        """Declare it below `name`."""
        super().__init__("ems-ops:infra:Notifications", name)
        self._name = name
        self._settings = settings
        self._stack = stack = settings.stack
        self._options = pulumi.ResourceOptions(parent=self)
        seconds = stack.alerts.health_check_seconds
        check = self._declare_health_check(zone_id, seconds) if seconds else None
        mechanisms = self._mechanisms()
        for policy in stack.alerts.policies:
            cloudflare.NotificationPolicy(
                f"{name}-{policy.name}",
                account_id=stack.account,
                name=f"{stack.product.name} {policy.name}",
                alert_type=policy.alert_type,
                enabled=True,
                filters=_narrowed(policy, check),
                mechanisms=mechanisms,
                opts=self._options,
            )
        self.register_outputs({})

    def _declare_health_check(self, zone_id: pulumi.Input[str], seconds: int) -> cloudflare.Healthcheck:
        """Declare the look from outside at the health contract."""
        api = self._stack.api
        return cloudflare.Healthcheck(
            f"{self._name}-health",
            zone_id=zone_id,
            name=api.name,
            address=api.host,
            type="HTTPS",
            interval=seconds,
            http_config={
                "method": "GET",
                "path": api.health.path,
                "port": 443,
                "expected_codes": ["200"],
                "expected_body": api.health.status,
            },
            opts=self._options,
        )

    def _mechanisms(self) -> cloudflare.NotificationPolicyMechanismsArgs:
        """Return who is told: the on-call role by mail, and the webhook where there is one."""
        webhooks = []
        alerts = self._stack.alerts
        if alerts.webhook:
            known_by = "what the webhook's receiver knows us by"
            destination = cloudflare.NotificationPolicyWebhooks(
                f"{self._name}-webhook",
                account_id=self._stack.account,
                name=self._stack.product.name,
                url=alerts.webhook,
                secret=self._settings.require("EMS_WEBHOOK_SECRET", known_by) if alerts.webhook_secret else None,
                opts=self._options,
            )
            webhooks.append(cloudflare.NotificationPolicyMechanismsWebhookArgs(id=destination.id))
        return cloudflare.NotificationPolicyMechanismsArgs(
            emails=[cloudflare.NotificationPolicyMechanismsEmailArgs(id=self._stack.contacts.on_call)],
            webhooks=webhooks or None,
        )


def _narrowed(policy: Policy, check: cloudflare.Healthcheck | None) -> cloudflare.NotificationPolicyFiltersArgs | None:
    """Return the filter of a policy. Of health checks it reads `status`, and that only beside the check's id."""
    wanted = list(policy.new_health)
    if not wanted:
        return None
    if policy.alert_type != "health_check_status_notification":
        return cloudflare.NotificationPolicyFiltersArgs(new_healths=wanted)
    return cloudflare.NotificationPolicyFiltersArgs(statuses=wanted, health_check_ids=[check.id]) if check else None
