"""Declare the R2 buckets, for how long they keep what, and the logs that Cloudflare pushes into one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.settings import Settings
    from infra.shapes import Logpush
    from infra.stack import Stack

DAY: Final = 86_400
"""Seconds."""
FIELDS: Final = ["Event", "EventTimestampMs", "EventType", "Exceptions", "Logs", "Outcome", "ScriptName"]
"""Of the dataset workers_trace_events (developers.cloudflare.com/logs, log fields)."""


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
                    # Sorted: the CLI hands on mappings by key, `twin apply` as they are written.
                    rules=[_kept(prefix, days) for prefix, days in sorted(bucket.keep_days.items())],
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


def declare_logpush(
    name: str, *, settings: Settings, logpush: Logpush, buckets: Mapping[str, pulumi.Input[str]]
) -> cloudflare.LogpushJob:
    """Declare the job. Its destination holds the bucket's keys, and is a secret as a whole."""
    key_id = settings.require("EMS_LOGPUSH_ACCESS_KEY_ID", "the id of a key that may write the bucket of logs")
    key = settings.require("EMS_LOGPUSH_SECRET_ACCESS_KEY", "the secret of that key")
    account = settings.stack.account
    where: pulumi.Output[str] = pulumi.Output.all(buckets[logpush.bucket], key_id, key).apply(
        lambda found: _destination(logpush.prefix, account, *found)
    )
    return cloudflare.LogpushJob(
        name,
        account_id=account,
        name=name,
        dataset="workers_trace_events",
        destination_conf=where,  # a secret, as its keys are
        enabled=True,
        output_options={"field_names": FIELDS},
    )


def _destination(prefix: str, account: str, bucket: str, key_id: str, key: str) -> str:
    keys = urlencode(
        {"account-id": account, "access-key-id": key_id, "secret-access-key": key}, quote_via=quote, safe=""
    )
    return f"r2://{bucket}/{prefix}/{{DATE}}?{keys}"
