"""Show what was sent, what could be, to whom, and keep silences. Shapes: official SDK 5.9.0, read 2026-11-28."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from twin.cloudflare.alerting.policies import ALERTING, POLICIES
from twin.cloudflare.errors import ApiError, Json, ok, page, read_any, required, shaped
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

SENT: dict[str, Json] = {
    "Health Checks": {
        "type": "health_check_status_notification",
        "display_name": "Health Check status notification",
        "description": "A health check changes to healthy or unhealthy.",
        "filter_options": [
            {"Key": "health_check_id", "ComparisonOperator": "==", "Optional": True},
            {
                "Key": "status",
                "ComparisonOperator": "==",
                "Optional": True,
                "AvailableValues": ["Healthy", "Unhealthy"],
            },
        ],
    },
    "Pages": {
        "type": "pages_event_alert",
        "display_name": "Project updates",
        "description": "A deployment of a project starts, succeeds or fails.",
        "filter_options": [
            {"Key": "project_id", "ComparisonOperator": "==", "Optional": True},
            {"Key": "environment", "ComparisonOperator": "==", "Optional": True},
            {"Key": "event", "ComparisonOperator": "==", "Optional": True},
        ],
    },
}
"""By product, what happens on the twin and is told of."""

PLAIN = "API documentation"
CHECKED = "2026-11-28"
NO_SILENCE = (17105, "silence not found")


async def listing(request: web.Request) -> web.Response:
    """List what was sent, newest first: since, before, paging."""
    rows: list[Json] = store_of(request).data.get("notifications", [])[::-1]
    since, before = request.query.get("since"), request.query.get("before")
    for text in (since, before):
        instant(text or "2026-01-01T00:00:00Z")
    if since:
        rows = [row for row in rows if instant(row["sent"]) >= instant(since)]
    if before:
        rows = [row for row in rows if instant(row["sent"]) < instant(before)]
    part, info = page(request, rows, per_page=25, most=1000)
    return ok(part, info=info)


def instant(text: str) -> datetime:
    """Return an RFC 3339 time; 400 for anything else."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = datetime.min  # noqa: DTZ901 - refused at once
    if when.tzinfo is None:
        raise ApiError(400, 17001, f"{text!r} is no RFC 3339 time")
    return when


async def available(_: web.Request) -> web.Response:
    """List the alert types that the twin sees happen, by product."""
    return ok({product: [alert] for product, alert in SENT.items()})


async def eligible(_: web.Request) -> web.Response:
    """Say by which ways the account can be told: mail (a file of the twin) and webhooks on loopback."""
    ways = {"email": True, "pagerduty": False, "webhook": True}
    key = {"email": "email", "pagerduty": "pagerduty", "webhook": "webhooks"}
    return ok({key[way]: [{"eligible": can, "ready": can, "type": way}] for way, can in ways.items()})


def silences(request: web.Request) -> dict[str, Json]:
    """Return the silences by id."""
    rows: dict[str, Json] = store_of(request).data.setdefault("silences", {})
    return rows


async def sent_list(request: web.Request) -> list[Json]:
    """Return the body, which is a list of silences."""
    body = await read_any(request)
    if not isinstance(body, list) or not body or not all(isinstance(one, dict) for one in body):
        raise ApiError(400, 17001, "a list of silences is expected")
    return body


def check(silence: Json) -> Json:
    """Refuse a silence that ends before it starts."""
    if instant(silence["end_time"]) <= instant(silence["start_time"]):
        raise ApiError(400, 17001, "end_time must be after start_time")
    return silence


async def post_silences(request: web.Request) -> web.Response:
    """Silence policies for a span of time each."""
    rows, body = silences(request), await sent_list(request)
    known = POLICIES.rows(request)
    made: list[Json] = []
    for sent in body:
        shaped(sent, 17001, policy_id=str, start_time=str, end_time=str)
        required(sent, "policy_id", "start_time", "end_time", code=17001)
        found(known, sent["policy_id"], *POLICIES.gone)
        kept = {name: sent[name] for name in ("policy_id", "start_time", "end_time")}
        made.append(check({"id": object_id(), **kept, "created_at": now(), "updated_at": now()}))
    rows |= {one["id"]: one for one in made}
    changed(request, f"{len(made)} policies silenced")
    return ok(None, status=201)


async def get_silences(request: web.Request) -> web.Response:
    """List silences."""
    return ok(list(silences(request).values()))


async def get_silence(request: web.Request) -> web.Response:
    """Show a silence."""
    return ok(found(silences(request), request.match_info["silence"], *NO_SILENCE))


async def put_silences(request: web.Request) -> web.Response:
    """Move the spans of silences: a list of `{id, start_time, end_time}`."""
    rows, body = silences(request), await sent_list(request)
    times = ("start_time", "end_time")
    for sent in body:
        shaped(sent, 17001, id=str, start_time=str, end_time=str)
    moved = [
        check(found(rows, sent.get("id", ""), *NO_SILENCE) | {k: sent[k] for k in times if k in sent}) for sent in body
    ]
    rows |= {one["id"]: one | {"updated_at": now()} for one in moved}
    changed(request, f"{len(moved)} silences changed")
    return ok([rows[one["id"]] for one in moved])


async def delete_silence(request: web.Request) -> web.Response:
    """End a silence."""
    rows, silence = silences(request), request.match_info["silence"]
    found(rows, silence, *NO_SILENCE)
    del rows[silence]
    changed(request, f"silence {silence} deleted")
    return ok(None)


ROUTES = (
    Route("GET", ALERTING + "/history", listing, PLAIN, CHECKED),
    Route("GET", ALERTING + "/available_alerts", available, PLAIN, CHECKED),
    Route("GET", ALERTING + "/destinations/eligible", eligible, PLAIN, CHECKED),
    Route("GET", ALERTING + "/silences", get_silences, PLAIN, CHECKED),
    Route("POST", ALERTING + "/silences", post_silences, PLAIN, CHECKED),
    Route("PUT", ALERTING + "/silences", put_silences, PLAIN, CHECKED),
    Route("GET", ALERTING + "/silences/{silence}", get_silence, PLAIN, CHECKED),
    Route("DELETE", ALERTING + "/silences/{silence}", delete_silence, PLAIN, CHECKED),
)
