"""List, show, create and delete zones; purge their cache."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.cloudflare.access import door
from twin.cloudflare.errors import ApiError, Json, ok, page, read, required
from twin.cloudflare.store import ENGINES, changed, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store


def show(store: Store, zone: Json) -> Json:
    """Return a zone as the API shows it."""
    return {
        "id": zone["id"],
        "name": zone["name"],
        "status": zone.get("status", "active"),
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": ["ns1.twin.example", "ns2.twin.example"],
        "original_name_servers": None,
        "created_on": zone["created_on"],
        "modified_on": zone["created_on"],
        "activated_on": zone["created_on"] if zone.get("status", "active") == "active" else None,
        "account": {"id": store.account, "name": "twin"},
        "owner": {"id": store.data["user"], "type": "user", "email": "operator@example.com"},
        "meta": {"step": 0, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
        "plan": PLAN,
    }


async def listing(request: web.Request) -> web.Response:
    """List the zones that the token may read, filtered by name, status and account."""
    store = store_of(request)
    rows = [show(store, zone) for zone in door.readable_zones(request)]
    if "name" in request.query:
        rows = [row for row in rows if row["name"] == request.query["name"]]
    if request.query.get("account.id", store.account) != store.account:
        rows = []
    if "status" in request.query:
        rows = [row for row in rows if row["status"] == request.query["status"]]
    part, info = page(request, rows, per_page=20, most=50)
    return ok(part, info=info)


async def get(request: web.Request) -> web.Response:
    """Show a zone."""
    store = store_of(request)
    return ok(show(store, store.zone(request.match_info["zone"])))


async def post(request: web.Request) -> web.Response:
    """Create a zone; it waits for its name servers (pending), which nobody changes here."""
    store, body = store_of(request), await read(request)
    required(body, "name", code=1001)
    door.demand(request, "Zone Write")
    name = str(body["name"]).lower().rstrip(".")
    if not NAME.match(name):
        raise ApiError(400, 1001, f"Invalid zone name: {name}")
    if (body.get("account") or {}).get("id", store.account) != store.account:
        raise ApiError(403, 1068, "Permission denied to create a zone on that account")
    if any(zone["name"] == name for zone in store.zones()):
        raise ApiError(400, 1061, f"{name} already exists")
    zone = store.add_zone(name)
    zone["status"] = "pending"
    changed(request, f"zone {name} created")
    return ok(show(store, zone))


async def delete(request: web.Request) -> web.Response:
    """Delete a zone with all that is its own."""
    store = store_of(request)
    zone = store.zone(request.match_info["zone"])
    door.demand(request, "Zone Write")
    del store.data["zones"][zone["id"]]
    for domain in [one for one in store.data["domains"].values() if one["zone_id"] == zone["id"]]:
        del store.data["domains"][domain["id"]]
    changed(request, f"zone {zone['name']} deleted")
    return ok({"id": zone["id"]})


async def post_purge(request: web.Request) -> web.Response:
    """Forget what the edge keeps of a zone: everything, or files, tags, hosts or prefixes."""
    zone, body = store_of(request).zone(request.match_info["zone"]), await read(request)
    named = [key for key in PURGED if body.get(key)]
    everything = body.get("purge_everything") is True
    if everything == bool(named) or len(named) > 1:
        text = f'Request must contain one of "purge_everything", {", ".join(PURGED)}'
        raise ApiError(400, 1012, text)
    if named and (not isinstance(body[named[0]], list) or len(body[named[0]]) > MOST_PURGED):
        raise ApiError(400, 1134, f"{named[0]} must be a list of at most {MOST_PURGED}")
    urls = [one.get("url") if isinstance(one, dict) else one for one in body.get("files") or []]
    if not all(isinstance(url, str) for url in urls):
        raise ApiError(400, 1134, "files must be addresses")
    what = "everything" if everything else f"{len(body[named[0]])} {named[0]}"
    gone = request.app[ENGINES].purge(zone["name"], body)
    changed(request, f"cache of {zone['name']} purged: {what}, {gone} answers")
    return ok({"id": zone["id"]})


PLAN = {
    "id": "0feeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
    "name": "Free Website",
    "legacy_id": "free",
    "price": 0,
    "currency": "USD",
    "frequency": "",
    "is_subscribed": False,
    "can_subscribe": False,
    "legacy_discount": False,
    "externally_managed": False,
}
"""What every zone is on: clients tell by `legacy_id` which features there are."""
NAME = re.compile(r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$")
PURGED = ("files", "tags", "hosts", "prefixes")
MOST_PURGED = 100  # of one call, below Enterprise
ROUTES = (
    Route("GET", "/zones", listing, "API documentation"),
    Route("GET", "/zones/{zone}", get, "API documentation"),
    Route("POST", "/zones", post, "official SDK 5.9", "2026-11-28"),
    Route("DELETE", "/zones/{zone}", delete, "official SDK 5.9", "2026-11-28"),
    Route("POST", "/zones/{zone}/purge_cache", post_purge, "purge documentation", "2026-11-28"),
)
