"""Declare the R2 buckets for backups and logs, and for how long they keep what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from infra.stack import Stack

DAY = 86_400
"""Seconds."""


class Buckets(pulumi.ComponentResource):
    """Every bucket of the stack file: protected, as its content cannot be made again. `names` are what can be bound."""

    def __init__(self, name: str, *, stack: Stack) -> None:
        """Declare them below `name`."""
        super().__init__("ems-ops:infra:Buckets", name)
        self.names: dict[str, pulumi.Output[str]] = {}
        for bucket in stack.buckets:
            declared = cloudflare.R2Bucket(
                f"{name}-{bucket.name}",
                account_id=stack.account,
                name=bucket.name,
                storage_class="Standard",
                opts=pulumi.ResourceOptions(parent=self, protect=True),
            )
            self.names[bucket.name] = declared.name
            if bucket.keep_days:
                cloudflare.R2BucketLifecycle(
                    f"{name}-{bucket.name}-retention",
                    account_id=stack.account,
                    bucket_name=declared.name,
                    rules=[_kept(prefix, days) for prefix, days in bucket.keep_days.items()],
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({})


def _kept(prefix: str, days: int) -> cloudflare.R2BucketLifecycleRuleArgs:
    """Return the rule that deletes what has this prefix and is older."""
    age = cloudflare.R2BucketLifecycleRuleDeleteObjectsTransitionConditionArgs(type="Age", max_age=days * DAY)
    return cloudflare.R2BucketLifecycleRuleArgs(
        id=prefix.rstrip("/") or "all",
        enabled=True,
        conditions=cloudflare.R2BucketLifecycleRuleConditionsArgs(prefix=prefix),
        delete_objects_transition=cloudflare.R2BucketLifecycleRuleDeleteObjectsTransitionArgs(condition=age),
    )
