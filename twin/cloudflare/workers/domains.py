"""Lead whole hosts to Workers: custom domains, each with its read-only record.

The codes 100116 and 100114 are unconfirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from twin.cloudflare.errors import ApiError, Json, objects, ok, read, read_any, required
from twin.cloudflare.store import changed, found, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store


def show_domain(domain: Json) -> Json:
    """Return a custom domain as the API shows it."""
    return {key: value for key, value in domain.items() if key != "record"}


async def put_domain(request: web.Request) -> web.Response:
    """Attach a host to a Worker: its read-only proxied record appears; another record there is refused (100117)."""
    store, body = store_of(request), await read(request)
    required(body, "hostname", "service")
    worker = store.worker(body["service"])
    host, zone = place(store, body)
    domain = at(store, host) or attach(store, zone, host, override=bool(body.get("override_existing_dns_record")))
    domain |= {"service": worker["name"], "environment": body.get("environment") or "production"}
    changed(request, f"custom domain {host} attached to {worker['name']}")
    return ok(show_domain(domain))


def place(store: Store, sent: Json) -> tuple[str, Json]:
    """Return host name and zone of a custom domain to be; 400 with 100114 when it lies in no zone of the account."""
    required(sent, "hostname")
    host = str(sent["hostname"]).lower()
    zone = store.zone(sent["zone_id"]) if sent.get("zone_id") else store.zone_of(host)
    if zone is None or store.zone_of(host) is not zone:
        raise ApiError(400, 100114, f"Hostname '{host}' does not belong to the zone.")
    return host, zone


def at(store: Store, host: str) -> Json | None:
    """Return the custom domain that a host already is."""
    return next((d for d in store.data["domains"].values() if d["hostname"] == host), None)


def clashing(zone: Json, host: str) -> list[Json]:
    """Return the records of a host that stand in a custom domain's way."""
    return [r for r in zone["records"].values() if r["name"] == host and r["type"] in {"A", "AAAA", "CNAME"}]


async def post_changeset(request: web.Request) -> web.Response:
    """Say what `PUT …/domains/records` would do: added, removed, updated and conflicting hosts."""
    store, sent = store_of(request), await read_any(request)
    worker = store.worker(request.match_info["script"])
    rows = objects(sent, "domains")
    added, updated, conflicting = [], [], []
    for row in rows:
        host, zone = place(store, row)
        domain = at(store, host)
        new = {"hostname": host, "zone_id": zone["id"], "zone_name": zone["name"], "service": worker["name"]}
        if domain is not None:
            updated.append(show_domain(domain) | {"modified": domain["service"] != worker["name"]})
        elif clashing(zone, host):
            conflicting.append(new)
        else:
            added.append(new)
    named = {str(row["hostname"]).lower() for row in rows}
    removed = [show_domain(d) for d in of(store, worker) if d["hostname"] not in named]
    replaces = request.query.get("replace_state") == "true"
    told = {"added": added, "removed": removed if replaces else [], "updated": updated, "conflicting": conflicting}
    return ok(told)


def of(store: Store, worker: Json) -> list[Json]:
    """Return a Worker's custom domains."""
    return [domain for domain in store.data["domains"].values() if domain["service"] == worker["name"]]


async def put_records(request: web.Request) -> web.Response:
    """Replace all custom domains of a script: what wrangler sends."""
    store, body = store_of(request), await read(request)
    worker = store.worker(request.match_info["script"])
    wanted = [place(store, row) for row in objects(body.get("origins") or [], "origins")]
    for host, zone in wanted:
        taken = at(store, host)
        if taken is not None and taken["service"] != worker["name"] and not body.get("override_existing_origin"):
            raise ApiError(409, 100116, f"Hostname '{host}' is already in use by the Worker {taken['service']}.")
        if taken is None and clashing(zone, host) and not body.get("override_existing_dns_record"):
            refuse(host)
    for domain in of(store, worker):
        if domain["hostname"] not in [host for host, _ in wanted]:
            detach(store, domain)
    for host, zone in wanted:
        domain = at(store, host) or attach(store, zone, host, override=True)
        domain |= {"service": worker["name"], "environment": "production"}
    changed(request, f"custom domains of {worker['name']}: {', '.join(host for host, _ in wanted) or 'none'}")
    return ok([show_domain(domain) for domain in of(store, worker)])


def attach(store: Store, zone: Json, host: str, *, override: bool) -> Json:
    """Create a custom domain with its record, `AAAA 100::`, as the provider does."""
    clash = clashing(zone, host)
    if clash and not override:
        refuse(host)
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


def refuse(host: str) -> NoReturn:
    """Refuse a custom domain where somebody else's record is."""
    text = (
        f"Hostname '{host}' already has externally managed DNS records (A, CNAME, etc). Either delete them, try a "
        "different hostname, or use the option 'override_existing_dns_record' to override."
    )
    raise ApiError(409, 100117, text)


def detach(store: Store, domain: Json) -> None:
    """Remove a custom domain with its record."""
    del store.data["domains"][domain["id"]]
    store.zone(domain["zone_id"])["records"].pop(domain["record"], None)


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


async def get_record(request: web.Request) -> web.Response:
    """Show a custom domain."""
    return ok(show_domain(find_domain(request)))


async def delete_domain(request: web.Request) -> web.Response:
    """Detach a custom domain and remove its record."""
    store, domain = store_of(request), find_domain(request)
    detach(store, domain)
    changed(request, f"custom domain {domain['hostname']} detached")
    return ok({"id": domain["id"]})


def find_domain(request: web.Request) -> Json:
    """Return the custom domain of the path; 404 with 100114 (code unconfirmed)."""
    rows = store_of(request).data["domains"]
    return found(rows, request.match_info["domain"], 100114, "The requested domain was not found.")


DOMAINS = "/accounts/{account}/workers/domains"
SCRIPT = "/accounts/{account}/workers/scripts/{script}/domains"
WRANGLER, TODAY = "wrangler 4.86, run against the twin", "2026-11-28"
ROUTES = (
    Route("PUT", DOMAINS, put_domain, "recorded provider requests"),
    Route("GET", DOMAINS, list_domains, "official SDK"),
    Route("GET", DOMAINS + "/{domain}", get_domain, "recorded provider requests"),
    Route("DELETE", DOMAINS + "/{domain}", delete_domain, "recorded provider requests"),
    Route("PUT", SCRIPT + "/records", put_records, WRANGLER, TODAY),
    Route("POST", SCRIPT + "/changeset", post_changeset, "wrangler 4.86's source", TODAY),
    Route("GET", DOMAINS + "/records/{domain}", get_record, "wrangler 4.86's source", TODAY),
)
