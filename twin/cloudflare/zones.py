"""List and show zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.access import door
from twin.cloudflare.errors import Json, ok, page
from twin.cloudflare.store import store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store


def show(store: Store, zone: Json) -> Json:
    """Return a zone as the API shows it."""
    return {
        "id": zone["id"],
        "name": zone["name"],
        "status": "active",
        "paused": False,
        "type": "full",
        "development_mode": 0,
        "name_servers": ["ns1.twin.example", "ns2.twin.example"],
        "original_name_servers": None,
        "created_on": zone["created_on"],
        "modified_on": zone["created_on"],
        "activated_on": zone["created_on"],
        "account": {"id": store.account, "name": "twin"},
        "plan": {"id": "free", "name": "Free Website"},
    }


async def listing(request: web.Request) -> web.Response:
    """List the zones that the token may read, filtered by name, status and account."""
    store = store_of(request)
    rows = [show(store, zone) for zone in door.readable_zones(request)]
    if "name" in request.query:
        rows = [row for row in rows if row["name"] == request.query["name"]]
    if request.query.get("account.id", store.account) != store.account:
        rows = []
    if request.query.get("status", "active") != "active":
        rows = []
    part, info = page(request, rows, per_page=20, most=50)
    return ok(part, info=info)


async def get(request: web.Request) -> web.Response:
    """Show a zone."""
    store = store_of(request)
    return ok(show(store, store.zone(request.match_info["zone"])))


ROUTES = (
    Route("GET", "/zones", listing, "API documentation"),
    Route("GET", "/zones/{zone}", get, "API documentation"),
)
