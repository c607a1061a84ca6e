"""Lead paths and times to Workers: routes and cron schedules. Custom domains are in `domains`.

Source of the codes and texts of routes: the documentation of the routes API, as published in 2020.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, objects, ok, read, read_any, required
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

CRON_FIELD = re.compile(r"^[0-9A-Za-z*,/#\-]+$")
CRON_FIELDS = 5
NO_ROUTE = (10005, "workers.api.error.not_found")


def check_route(store: Store, zone: Json, body: Json, *, other_than: str = "") -> None:
    """Refuse a route to a missing script, outside the zone, or with a pattern that exists."""
    required(body, "pattern")
    check_pattern(zone, str(body["pattern"]))
    if any(r["pattern"] == body["pattern"] and r["id"] != other_than for r in zone["routes"].values()):
        raise ApiError(409, 10020, "A route with the same pattern already exists.")
    if body.get("script") and not any(body["script"] == worker["name"] for worker in store.workers()):
        raise ApiError(400, 10019, "workers.api.error.invalid_route_script_missing")


def check_pattern(zone: Json, pattern: str) -> None:
    """Refuse what is no pattern of the zone: stars only at both ends, no query; `*/*` is the whole zone."""
    host, _, path = re.sub(r"^https?://", "", pattern).partition("/")
    bare = host.removeprefix("*").removeprefix(".").lower()
    if "?" in pattern:
        raise ApiError(400, 10022, f"Route pattern should not have query parameters {pattern}")
    if "*" in host[1:] or "*" in path[:-1]:
        where = "the beginning of the hostname and the end of the path"
        raise ApiError(400, 10022, f"Route pattern may only contain wildcards at {where}: {pattern}")
    if host != "*" and bare != zone["name"] and not bare.endswith("." + zone["name"]):
        raise ApiError(400, 10022, f"Route pattern must include zone name: {pattern}")


async def post_route(request: web.Request) -> web.Response:
    """Create a route."""
    store, body = store_of(request), await read(request)
    zone = store.zone(request.match_info["zone"])
    check_route(store, zone, body)
    route = {"id": object_id(), "pattern": body["pattern"], "script": body.get("script")}
    zone["routes"][route["id"]] = route
    changed(request, f"route {route['pattern']} created")
    return ok(route)


async def list_routes(request: web.Request) -> web.Response:
    """List a zone's routes in one page."""
    return ok(list(store_of(request).zone(request.match_info["zone"])["routes"].values()))


async def get_route(request: web.Request) -> web.Response:
    """Show a route."""
    zone = store_of(request).zone(request.match_info["zone"])
    return ok(found(zone["routes"], request.match_info["route"], *NO_ROUTE))


async def put_route(request: web.Request) -> web.Response:
    """Replace a route."""
    store, body = store_of(request), await read(request)
    zone = store.zone(request.match_info["zone"])
    route = found(zone["routes"], request.match_info["route"], *NO_ROUTE)
    check_route(store, zone, body, other_than=route["id"])
    route |= {"pattern": body["pattern"], "script": body.get("script")}
    changed(request, f"route {route['pattern']} changed")
    return ok(route)


async def delete_route(request: web.Request) -> web.Response:
    """Delete a route."""
    zone = store_of(request).zone(request.match_info["zone"])
    route = found(zone["routes"], request.match_info["route"], *NO_ROUTE)
    del zone["routes"][route["id"]]
    changed(request, f"route {route['pattern']} deleted")
    return ok({"id": route["id"]})


async def put_routes(request: web.Request) -> web.Response:
    """Replace all routes of a script, in whichever zones they lie: what wrangler sends."""
    store, sent = store_of(request), await read_any(request)
    worker = store.worker(request.match_info["script"])
    routes = objects(sent, "routes")
    own = {r["pattern"]: r for z in store.zones() for r in z["routes"].values() if r.get("script") == worker["name"]}
    placed = []
    for row in routes:
        zone = zone_of_route(store, row)
        old = own.get(row["pattern"])
        check_route(store, zone, row, other_than=old["id"] if old else "")
        route = old or {"id": object_id(), "pattern": row["pattern"], "script": worker["name"]}
        placed.append((zone, route))
    for zone in store.zones():
        zone["routes"] = {k: r for k, r in zone["routes"].items() if r.get("script") != worker["name"]}
    for zone, route in placed:
        zone["routes"][route["id"]] = route
    changed(request, f"routes of {worker['name']}: {', '.join(row['pattern'] for row in routes) or 'none'}")
    return ok([{**route, "zone_name": zone["name"]} for zone, route in placed])


def zone_of_route(store: Store, row: Json) -> Json:
    """Return the zone that a route names, or whose name its host ends with; 400 with 10082 (unconfirmed) for none."""
    required(row, "pattern")
    host = str(row["pattern"]).split("://")[-1].split("/")[0].removeprefix("*").removeprefix(".")
    if row.get("zone_id"):
        return store.zone(row["zone_id"])
    zone = store.zone_of(str(row.get("zone_name") or host))
    if zone is None:
        raise ApiError(400, 10082, f"Could not find zone for `{host}`. Make sure the domain is set up to be proxied.")
    return zone


async def get_schedules(request: web.Request) -> web.Response:
    """Show a script's cron schedules."""
    return ok({"schedules": store_of(request).worker(request.match_info["script"])["schedules"]})


async def put_schedules(request: web.Request) -> web.Response:
    """Replace all of a script's cron schedules."""
    worker, body = store_of(request).worker(request.match_info["script"]), await read_any(request)
    if not isinstance(body, list):
        raise ApiError(400, 10021, "The body must be a list of schedules.")
    old = {row["cron"]: row["created_on"] for row in worker["schedules"]}
    rows = []
    for sent in body:
        fields = str(sent.get("cron", "")).split()
        if len(fields) != CRON_FIELDS or not all(CRON_FIELD.match(field) for field in fields):
            raise ApiError(400, 10100, f"invalid cron string: {sent.get('cron')}")
        rows.append({"cron": sent["cron"], "created_on": old.get(sent["cron"], now()), "modified_on": now()})
    worker["schedules"] = rows
    changed(request, f"schedules of {worker['name']}: {', '.join(row['cron'] for row in rows) or 'none'}")
    return ok({"schedules": rows})


ZONE = "/zones/{zone}/workers/routes"
CRON = "/accounts/{account}/workers/scripts/{script}/schedules"
ROUTES = (
    Route("POST", ZONE, post_route, "recorded provider requests"),
    Route("GET", ZONE, list_routes, "official SDK"),
    Route("GET", ZONE + "/{route}", get_route, "recorded provider requests"),
    Route("PUT", ZONE + "/{route}", put_route, "recorded provider requests"),
    Route("DELETE", ZONE + "/{route}", delete_route, "recorded provider requests"),
    Route("PUT", CRON.replace("schedules", "routes"), put_routes, "wrangler 4.86, run against the twin", "2026-11-28"),
    Route("GET", CRON, get_schedules, "recorded provider requests"),
    Route("PUT", CRON, put_schedules, "recorded provider requests"),
)
