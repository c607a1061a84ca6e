"""Keep who is told of what: policies, and the webhooks they name. A webhook is called once before it is kept.

Codes and texts of refusals are not confirmed against the provider.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from yarl import URL

from twin.cloudflare.alerting.dispatch import DISPATCHER, on_loopback
from twin.cloudflare.collection import Collection, Rows
from twin.cloudflare.errors import ApiError, Json, listed, read, required, shaped
from twin.cloudflare.store import now, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

ALERTING = "/accounts/{account}/alerting/v3"
TYPES = frozenset(json.loads(Path(__file__).with_name("types.json").read_text(encoding="utf-8")))
"""Alert types that the official SDK 5.9.0 knows. The twin itself sees only those in `history.SENT` happen."""


def build_webhook(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked destination."""
    shaped(sent, 17102, name=str, url=str, secret=str)
    required(sent, "name", "url")
    if not str(sent["url"]).startswith(("https://", "http://")):
        raise ApiError(400, 17102, "url must be an address")
    try:
        URL(sent["url"])
    except ValueError:
        raise ApiError(400, 17102, "url must be an address") from None
    return {"type": "generic", "secret": None, "last_success": None, "last_failure": None} | sent


def shown_webhook(row: Json) -> Json:
    """Return a destination as it is read back: the secret never is."""
    kept = {key: value for key, value in row.items() if key not in {"secret", "created_on", "modified_on"}}
    return kept | {"created_at": row["created_on"]}


def only_id(row: Json) -> Json:
    """Return what alerting answers to a write."""
    return {"id": row["id"]}


def build_policy(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked policy; what is not sent is left out, as an addition would be a difference for the provider."""
    shaped(sent, 17000, name=str, alert_type=str, mechanisms=dict, filters=dict, enabled=bool, description=str)
    required(sent, "name", "alert_type", "mechanisms")
    if sent["alert_type"] not in TYPES:
        raise ApiError(400, 17000, f"alert_type {sent['alert_type']!r} is invalid")
    for way in ("email", "webhooks", "pagerduty"):
        for one in listed(sent["mechanisms"], way, dict, 17000):
            required(shaped(one, 17000, id=str), "id", code=17000)
    for name in sent.get("filters") or {}:
        listed(sent["filters"], name, str, 17000)
    if not any(sent["mechanisms"].values()):
        raise ApiError(400, 17000, "mechanisms must name somebody to tell")
    return {"enabled": True} | sent


WEBHOOKS = Collection(
    kind="webhook destination",
    path=ALERTING + "/destinations/webhooks",
    key="webhooks",
    gone=(17103, "webhook not found"),
    build=build_webhook,
    shown=shown_webhook,
    told=only_id,
)
POLICIES = Collection(
    kind="notification policy",
    path=ALERTING + "/policies",
    key="policies",
    gone=(17104, "policy not found"),
    build=build_policy,
    told=only_id,
)


async def tested(request: web.Request) -> bool:
    """Call the webhook of the body with the test message: 400 when it does not take it, False when it is elsewhere."""
    webhook = build_webhook(await read(request), {}, "")
    if not on_loopback(URL(webhook["url"])):
        return False
    wrong = await request.app[DISPATCHER].test(webhook)
    if wrong:
        raise ApiError(400, 17102, f"the webhook did not take the test message: {wrong}")
    return True


async def post_webhook(request: web.Request) -> web.Response:
    """Create a destination after a test call; one that is not on loopback is kept and never called."""
    reached = await tested(request)
    answer = await WEBHOOKS.post(request)
    note(request, reached=reached)
    return answer


async def put_webhook(request: web.Request) -> web.Response:
    """Replace a destination whole after a test call."""
    WEBHOOKS.find(request)
    reached = await tested(request)
    answer = await WEBHOOKS.put(request)
    note(request, reached=reached)
    return answer


def note(request: web.Request, *, reached: bool) -> None:
    """Write down that the destination written last was reached."""
    store = store_of(request)
    if reached:
        rows = store.data["webhooks"]
        rows[request.match_info.get("id") or next(reversed(rows))]["last_success"] = now()
        store.save()


CALLED = {"POST": post_webhook, "PUT": put_webhook}
ROUTES = (
    *(Route(one.method, one.path, CALLED.get(one.method, one.handler), one.source) for one in WEBHOOKS.routes()),
    *POLICIES.routes(),
)
