"""Declare where Cloudflare pushes the logs of the Worker: every invocation, with what it logged and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pulumi
import pulumi_cloudflare as cloudflare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.settings import Settings
    from infra.shapes import Logpush

FIELDS = ["Event", "EventTimestampMs", "EventType", "Exceptions", "Logs", "Outcome", "ScriptName", "ScriptVersion"]
"""Of the dataset workers_trace_events (developers.cloudflare.com/logs, log fields)."""


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
