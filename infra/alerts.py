"""Declare whom Cloudflare itself tells of what it sees: a health check from outside, policies, a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from infra.stack import Stack


class Notifications(pulumi.ComponentResource):
    """Policies that tell the on-call role by mail, and a webhook where there is one."""

    def __init__(self, name: str, *, stack: Stack, zone_id: pulumi.Input[str]) -> None:
        """Declare it below `name`."""
        super().__init__("ems-ops:infra:Notifications", name)
        alerts, options = stack.alerts, pulumi.ResourceOptions(parent=self)
        if alerts.health_check_seconds:
            cloudflare.Healthcheck(
                f"{name}-health",
                zone_id=zone_id,
                name=stack.api.name,
                address=stack.api.host,
                type="HTTPS",
                interval=alerts.health_check_seconds,
                http_config={
                    "method": "GET",
                    "path": stack.api.health.path,
                    "port": 443,
                    "expected_codes": ["200"],
                    "expected_body": stack.api.health.status,
                },
                opts=options,
            )
        webhooks = []
        if alerts.webhook:
            destination = cloudflare.NotificationPolicyWebhooks(
                f"{name}-webhook",
                account_id=stack.account,
                name=stack.product.name,
                url=alerts.webhook,
                opts=options,
            )
            webhooks.append(cloudflare.NotificationPolicyMechanismsWebhookArgs(id=destination.id))
        mechanisms = cloudflare.NotificationPolicyMechanismsArgs(
            emails=[cloudflare.NotificationPolicyMechanismsEmailArgs(id=stack.contacts.on_call)],
            webhooks=webhooks or None,
        )
        for policy in alerts.policies:
            narrowed = cloudflare.NotificationPolicyFiltersArgs(new_healths=list(policy.new_health))
            cloudflare.NotificationPolicy(
                f"{name}-{policy.name}",
                account_id=stack.account,
                name=f"{stack.product.name} {policy.name}",
                alert_type=policy.alert_type,
                enabled=True,
                filters=narrowed if policy.new_health else None,
                mechanisms=mechanisms,
                opts=options,
            )
        self.register_outputs({})
