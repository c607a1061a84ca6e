"""Keep who is told of what, and where logs go: stored and read back; the twin sends nothing by itself yet.

Codes and texts of refusals are not confirmed against the provider.
"""

from __future__ import annotations

from twin.cloudflare.collection import Collection, Rows
from twin.cloudflare.errors import ApiError, Json, required

SECRET = ("secret",)


def build_webhook(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked destination."""
    required(sent, "name", "url")
    if not str(sent["url"]).startswith(("https://", "http://")):
        raise ApiError(400, 17102, "url must be an address")
    return {"type": "generic", "secret": None} | sent


def without_secret(row: Json) -> Json:
    """Return a destination as it is read back: the secret never is."""
    return {key: value for key, value in row.items() if key not in SECRET}


def only_id(row: Json) -> Json:
    """Return what alerting answers to a write."""
    return {"id": row["id"]}


def build_policy(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked policy; what is not sent is left out, as an addition would be a difference for the provider."""
    required(sent, "name", "alert_type", "mechanisms")
    return {"enabled": True} | sent


def build_job(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked Logpush job."""
    required(sent, "destination_conf")
    return {"dataset": "workers_trace_events", "enabled": False, "last_complete": None, "last_error": None} | sent


WEBHOOKS = Collection(
    kind="webhook destination",
    path="/accounts/{account}/alerting/v3/destinations/webhooks",
    key="webhooks",
    gone=(17103, "webhook not found"),
    build=build_webhook,
    shown=without_secret,
    told=only_id,
)
POLICIES = Collection(
    kind="notification policy",
    path="/accounts/{account}/alerting/v3/policies",
    key="policies",
    gone=(17104, "policy not found"),
    build=build_policy,
    told=only_id,
)
JOBS = Collection(
    kind="logpush job",
    path="/accounts/{account}/logpush/jobs",
    key="logpush",
    gone=(1002, "job not found"),
    build=build_job,
    next_id=lambda rows: max(map(int, rows), default=0) + 1,  # a whole number: the provider process dies of a text
)
ROUTES = (*WEBHOOKS.routes(), *POLICIES.routes(), *JOBS.routes())
