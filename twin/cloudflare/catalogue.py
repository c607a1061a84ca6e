"""Keep objects of products that nothing in the twin acts on: they are stored, checked a little and read back.

The edge lets nobody wait, balances nothing and asks for no login. Codes of refusals are unconfirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.collection import Collection, Rows
from twin.cloudflare.errors import ApiError, Json, ok, required
from twin.cloudflare.store import store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

SOURCE = "official SDK 5.9"


def build_application(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked Access application."""
    required(sent, "type", code=11021)
    if sent["type"] == "self_hosted":
        required(sent, "domain", code=11021)
    return {"session_duration": "24h", "app_launcher_visible": True, "policies": []} | sent


def build_balancer(sent: Json, rows: Rows, own: str) -> Json:
    """Return a checked load balancer; its host name is its own."""
    required(sent, "name", "default_pools", "fallback_pool", code=1002)
    if any(row["name"] == sent["name"] and row["id"] != own for row in rows.values()):
        raise ApiError(400, 1005, f"a load balancer named {sent['name']} exists already")
    return {"enabled": True, "proxied": False, "ttl": 30, "steering_policy": "off", "session_affinity": "none"} | sent


def build_waiting_room(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked waiting room: 200 users at least, as the provider has it."""
    required(sent, "name", "host", "total_active_users", "new_users_per_minute", code=1100)
    for name in ("total_active_users", "new_users_per_minute"):
        if int(sent[name]) < FEWEST_USERS:
            raise ApiError(400, 1101, f"{name} must be at least {FEWEST_USERS}")
    return {"path": "/", "session_duration": 5, "queue_all": False, "suspended": False, "description": ""} | sent


FEWEST_USERS = 200
APPLICATIONS = Collection(
    kind="Access application",
    path="/accounts/{account}/access/apps",
    key="applications",
    gone=(11021, "access.api.error.not_found"),
    build=build_application,
    source=SOURCE,
)
BALANCERS = Collection(
    kind="load balancer",
    path="/zones/{zone}/load_balancers",
    key="load_balancers",
    gone=(1001, "load balancer not found"),
    build=build_balancer,
    source=SOURCE,
)
WAITING_ROOMS = Collection(
    kind="waiting room",
    path="/zones/{zone}/waiting_rooms",
    key="waiting_rooms",
    gone=(1104, "waiting room not found"),
    build=build_waiting_room,
    source=SOURCE,
)


async def list_page_rules(request: web.Request) -> web.Response:
    """List page rules: none, as a call that would make one is not there."""
    return ok(store_of(request).zone(request.match_info["zone"]) and [])


PAGE_RULES = Route(
    "GET", "/zones/{zone}/pagerules", list_page_rules, "octodns-cloudflare 1.2, run against the twin", "2026-11-28"
)
ROUTES = (*APPLICATIONS.routes(), *BALANCERS.routes(), *WAITING_ROOMS.routes(), PAGE_RULES)
