"""Lead hosts, paths and times to Workers: routes, custom domains, cron schedules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, read, read_any, required
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

CRON_FIELD = re.compile(r"^[0-9A-Za-z*,/#\-]+$")
CRON_FIELDS = 5
NO_ROUTE = "The requested route was not found."


def check_route(store: Store, zone: Json, body: Json, *, other_than: str = "") -> None:
    """Refuse a route to a missing script, outside the zone, or with a pattern that exists."""
    required(body, "pattern")
    host = str(body["pattern"]).split("://")[-1].split("/")[0]
    if not (host.endswith(zone["name"])):
        raise ApiError(400, 10022, f"The pattern's host {host} is not in the zone {zone['name']}.")
    if any(r["pattern"] == body["pattern"] and r["id"] != other_than for r in zone["routes"].values()):
        raise ApiError(409, 10020, "A route with the same pattern already exists.")
    if body.get("script"):
        store.worker(body["script"])


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
    return ok(found(zone["routes"], request.match_info["route"], 10029, NO_ROUTE))


async def put_route(request: web.Request) -> web.Response:
    """Replace a route."""
    store, body = store_of(request), await read(request)
    zone = store.zone(request.match_info["zone"])
    route = found(zone["routes"], request.match_info["route"], 10029, NO_ROUTE)
    check_route(store, zone, body, other_than=route["id"])
    route |= {"pattern": body["pattern"], "script": body.get("script")}
    changed(request, f"route {route['pattern']} changed")
    return ok(route)


async def delete_route(request: web.Request) -> web.Response:
    """Delete a route."""
    zone = store_of(request).zone(request.match_info["zone"])
    route = found(zone["routes"], request.match_info["route"], 10029, NO_ROUTE)
    del zone["routes"][route["id"]]
    changed(request, f"route {route['pattern']} deleted")
    return ok({"id": route["id"]})


def show_domain(domain: Json) -> Json:
    """Return a custom domain as the API shows it."""
    return {key: value for key, value in domain.items() if key != "record"}


async def put_domain(request: web.Request) -> web.Response:
    """Attach a host to a Worker: its read-only proxied record appears; another record there is refused (100117)."""
    store, body = store_of(request), await read(request)
    required(body, "hostname", "service")
    worker = store.worker(body["service"])
    host = str(body["hostname"]).lower()
    zone = store.zone(body["zone_id"]) if body.get("zone_id") else store.zone_of(host)
    if zone is None or store.zone_of(host) is not zone:
        raise ApiError(400, 100114, f"Hostname '{host}' does not belong to the zone.")
    domain = next((d for d in store.data["domains"].values() if d["hostname"] == host), None)
    if domain is None:
        domain = attach(store, zone, host, override=bool(body.get("override_existing_dns_record")))
    domain |= {"service": worker["name"], "environment": body.get("environment") or "production"}
    changed(request, f"custom domain {host} attached to {worker['name']}")
    return ok(show_domain(domain))


def attach(store: Store, zone: Json, host: str, *, override: bool) -> Json:
    """Create a custom domain with its record, `AAAA 100::`, as the provider does."""
    clash = [r for r in zone["records"].values() if r["name"] == host and r["type"] in {"A", "AAAA", "CNAME"}]
    if clash and not override:
        text = (
            f"Hostname '{host}' already has externally managed DNS records (A, CNAME, etc). Either delete them, try a "
            "different hostname, or use the option 'override_existing_dns_record' to override."
        )
        raise ApiError(409, 100117, text)
    for record in clash:
        del zone["records"][record["id"]]
    record = {
        "id": object_id(),
        "name": host,
        "type": "AAAA",
        "content": "100::",
        "proxiable": True,
        "proxied": True,
        "ttl": 1,
        "settings": {},
        "meta": {"origin_worker": True, "read_only": True},
        "comment": None,
        "tags": [],
        "created_on": now(),
        "modified_on": now(),
    }
    zone["records"][record["id"]] = record
    domain: Json = {"id": object_id(), "hostname": host, "cert_id": object_id(), "record": record["id"]}
    domain |= {"zone_id": zone["id"], "zone_name": zone["name"]}
    store.data["domains"][domain["id"]] = domain
    return domain


async def list_domains(request: web.Request) -> web.Response:
    """List custom domains, filtered by hostname, service, zone_id, zone_name, environment."""
    rows = list(store_of(request).data["domains"].values())
    for key in ("hostname", "service", "zone_id", "zone_name", "environment"):
        if key in request.query:
            rows = [row for row in rows if row[key] == request.query[key]]
    return ok([show_domain(row) for row in rows])


async def get_domain(request: web.Request) -> web.Response:
    """Show a custom domain."""
    return ok(show_domain(find_domain(request)))


async def delete_domain(request: web.Request) -> web.Response:
    """Detach a custom domain and remove its record."""
    store, domain = store_of(request), find_domain(request)
    del store.data["domains"][domain["id"]]
    store.zone(domain["zone_id"])["records"].pop(domain["record"], None)
    changed(request, f"custom domain {domain['hostname']} detached")
    return ok({"id": domain["id"]})


def find_domain(request: web.Request) -> Json:
    """Return the custom domain of the path; 404 with 100114 (code unconfirmed)."""
    rows = store_of(request).data["domains"]
    return found(rows, request.match_info["domain"], 100114, "The requested domain was not found.")


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
DOMAINS = "/accounts/{account}/workers/domains"
CRON = "/accounts/{account}/workers/scripts/{script}/schedules"
ROUTES = (
    Route("POST", ZONE, post_route, "recorded provider requests"),
    Route("GET", ZONE, list_routes, "official SDK"),
    Route("GET", ZONE + "/{route}", get_route, "recorded provider requests"),
    Route("PUT", ZONE + "/{route}", put_route, "recorded provider requests"),
    Route("DELETE", ZONE + "/{route}", delete_route, "recorded provider requests"),
    Route("PUT", DOMAINS, put_domain, "recorded provider requests"),
    Route("GET", DOMAINS, list_domains, "official SDK"),
    Route("GET", DOMAINS + "/{domain}", get_domain, "recorded provider requests"),
    Route("DELETE", DOMAINS + "/{domain}", delete_domain, "recorded provider requests"),
    Route("GET", CRON, get_schedules, "recorded provider requests"),
    Route("PUT", CRON, put_schedules, "recorded provider requests"),
)
