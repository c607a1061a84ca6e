"""Say who may connect to the database, and really hold to it; lift bans."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING

from twin.route import Route
from twin.supabase.errors import ApiError, Json, empty, ok, read
from twin.supabase.store import ENGINES, changed, now, store_of

if TYPE_CHECKING:
    from aiohttp import web

    from twin.supabase.store import Store
    from twin.world import Engines

FAMILIES = {"dbAllowedCidrs": 4, "dbAllowedCidrsV6": 6}
EVERYONE = "0.0.0.0/0"


def checked(body: Json) -> Json:
    """Return the lists of a body, both there; 400 for an address that is none of its family.

    The provider refuses private addresses; here the operator is on loopback, so they are accepted.
    """
    lists: Json = {}
    for key, family in FAMILIES.items():
        lists[key] = body.get(key) or []
        for cidr in lists[key]:
            try:
                network = ipaddress.ip_network(cidr)
            except ValueError:
                raise ApiError(400, f"{key}: '{cidr}' is not a valid CIDR") from None
            if network.version != family:
                raise ApiError(400, f"{key}: '{cidr}' is not an IPv{family} CIDR")
    return lists


def show(store: Store) -> Json:
    """Return the restrictions with their status."""
    return {"entitlement": "allowed", **store.data["restrictions"]}


async def get(request: web.Request) -> web.Response:
    """Show the restrictions; `status` goes from stored to applied."""
    return ok(show(store_of(request)))


async def apply(request: web.Request) -> web.Response:
    """Replace the restrictions; opening to everyone answers applied at once, as recorded, all else stored."""
    store, config = store_of(request), checked(await read(request))
    await put(store, request.app[ENGINES], config, at_once=EVERYONE in config["dbAllowedCidrs"])
    changed(request, f"database open to {', '.join(store.cidrs()) or 'nobody'}")
    return ok(show(store), status=201)


async def put(store: Store, engines: Engines, config: Json, *, at_once: bool) -> None:
    """Store a configuration and let it take effect, now or after the lag."""
    if at_once:
        store.data["restrictions"] = {"config": config, "status": "applied"}
        await engines.restrict(store.cidrs())
        return
    old = store.data["restrictions"]["config"]
    stored: Json = {"config": config, "old_config": old, "status": "stored", "updated_at": now()}
    store.data["restrictions"] = stored

    async def take_effect() -> None:
        await asyncio.sleep(store.lag)
        if store.data["restrictions"] is stored and "restrictions-stored" not in store.wild:
            if "restrictions-unheld" not in store.wild:
                await engines.restrict(store.cidrs())
            store.data["restrictions"] = {"config": config, "status": "applied", "applied_at": now()}
            store.save()

    store.later(take_effect())


async def patch(request: web.Request) -> web.Response:
    """Add and remove addresses; answers in the other shape, address and type, as recorded."""
    store, body = store_of(request), await read(request)
    add, remove = checked(body.get("add") or {}), checked(body.get("remove") or {})
    old = store.data["restrictions"]["config"]
    config = {
        key: [cidr for cidr in dict.fromkeys([*old[key], *add[key]]) if cidr not in remove[key]] for key in FAMILIES
    }
    await put(store, request.app[ENGINES], config, at_once=False)
    changed(request, f"database open to {', '.join(store.cidrs()) or 'nobody'}")
    answer = show(store)
    return ok({**answer, "config": typed(config), "old_config": typed(old)})


def typed(config: Json) -> Json:
    """Return both lists as one of address and type."""
    rows = [{"address": cidr, "type": f"v{family}"} for key, family in FAMILIES.items() for cidr in config[key]]
    return {"dbAllowedCidrs": rows}


async def retrieve_bans(request: web.Request) -> web.Response:
    """List banned addresses."""
    return ok({"banned_ipv4_addresses": store_of(request).data["bans"]}, status=201)


async def retrieve_bans_enriched(request: web.Request) -> web.Response:
    """List banned addresses with what they are banned from."""
    rows = [{"banned_address": ip, "identifier": "db", "type": "ip"} for ip in store_of(request).data["bans"]]
    return ok({"banned_ipv4_addresses": rows}, status=201)


async def delete_bans(request: web.Request) -> web.Response:
    """Lift bans: the named addresses, and the caller's own with `requester_ip`."""
    store, body = store_of(request), await read(request)
    if not isinstance(body.get("ipv4_addresses"), list):
        raise ApiError(400, "ipv4_addresses: Required")
    named = {*body["ipv4_addresses"], *([request.remote] if body.get("requester_ip") else [])}
    store.data["bans"] = [ip for ip in store.data["bans"] if ip not in named]
    changed(request, f"bans lifted: {', '.join(sorted(map(str, named)))}")
    return empty()


RESTRICTIONS = "/v1/projects/{ref}/network-restrictions"
BANS = "/v1/projects/{ref}/network-bans"
RECORDED = "recorded answers of the real API"
ROUTES = (
    Route("GET", RESTRICTIONS, get, RECORDED),
    Route("POST", RESTRICTIONS + "/apply", apply, RECORDED),
    Route("PATCH", RESTRICTIONS, patch, RECORDED),
    Route("POST", BANS + "/retrieve", retrieve_bans, RECORDED),
    Route("POST", BANS + "/retrieve/enriched", retrieve_bans_enriched, "OpenAPI of 2026-08-02"),
    Route("DELETE", BANS, delete_bans, RECORDED),
)
