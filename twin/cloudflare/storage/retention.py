"""Keep what a bucket does by itself: lifecycles, locks, CORS, and the hosts that it is public on.

Locks hold, for REST and bindings alike. By lifecycles the twin deletes nothing: the provider takes a day, a twin has
none. Nothing is served on a bucket's hosts. Codes of refusals are unconfirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, objects, ok, read, required
from twin.cloudflare.storage.buckets import R2, find_bucket
from twin.cloudflare.store import changed, found, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

CONDITIONS = {"Age": "maxAgeSeconds", "Date": "date", "Indefinite": ""}
METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD"})
TLS = ("1.0", "1.1", "1.2", "1.3")


def check_lifecycle(rule: Json) -> None:
    """Refuse a rule without a name or conditions."""
    required(rule, "id", code=10005)


def check_lock(rule: Json) -> None:
    """Refuse a lock that does not say for how long."""
    required(rule, "id", "condition", code=10005)
    condition = rule["condition"]
    kind = condition.get("type") if isinstance(condition, dict) else None
    if kind not in CONDITIONS or (CONDITIONS[kind] and not condition.get(CONDITIONS[kind])):
        raise ApiError(400, 10005, f"the condition of lock rule {rule['id']} must be Age, Date or Indefinite")


def check_cors(rule: Json) -> None:
    """Refuse a rule that allows nobody."""
    allowed = rule.get("allowed") or {}
    if not allowed.get("origins") or not METHODS.issuperset(allowed.get("methods") or ["?"]):
        raise ApiError(400, 10057, "each CORS rule needs allowed.origins and allowed.methods")


CHECKS = {"lifecycle": check_lifecycle, "lock": check_lock, "cors": check_cors}


def kind_of(request: web.Request) -> str:
    """Return which policy the path names."""
    return request.path.rpartition("/")[2]


async def get_rules(request: web.Request) -> web.Response:
    """Show the rules of one kind."""
    return ok({"rules": find_bucket(request).get(kind_of(request), [])})


async def put_rules(request: web.Request) -> web.Response:
    """Replace the rules of one kind."""
    bucket, body, kind = find_bucket(request), await read(request), kind_of(request)
    rules = objects(body.get("rules") or [], "rules", code=10005)
    for rule in rules:
        CHECKS[kind](rule)
    bucket[kind] = rules
    changed(request, f"R2 bucket {bucket['name']} has {len(rules)} {kind} rules")
    return ok({"rules": rules})


async def delete_cors(request: web.Request) -> web.Response:
    """Remove all CORS rules."""
    bucket = find_bucket(request)
    bucket.pop("cors", None)
    changed(request, f"R2 bucket {bucket['name']} has no cors rules")
    return ok({})


def show_host(host: Json) -> Json:
    """Return a custom domain of a bucket as reads show it."""
    return {**host, "status": {"ownership": "active", "ssl": "active"}}


async def post_host(request: web.Request) -> web.Response:
    """Put a bucket on a custom domain."""
    store, bucket, body = store_of(request), find_bucket(request), await read(request)
    required(body, "domain", "zoneId", code=10005)
    zone = store.zone(body["zoneId"])
    name = str(body["domain"]).lower()
    if store.zone_of(name) is not zone:
        raise ApiError(400, 10005, f"{name} is not in the zone {zone['name']}")
    if any(name in other.get("hosts", {}) for other in store.data["buckets"].values()):
        raise ApiError(409, 10004, f"{name} is a domain of a bucket already")
    host = {"domain": name, "enabled": bool(body.get("enabled")), "zoneId": zone["id"], "zoneName": zone["name"]}
    host["minTLS"] = tls(body, "1.0")
    bucket.setdefault("hosts", {})[name] = host
    changed(request, f"R2 bucket {bucket['name']} on {name}")
    return ok({key: host[key] for key in ("domain", "enabled", "zoneId", "minTLS")})


def tls(body: Json, default: str) -> str:
    """Return the lowest version of TLS; 400 for one that there is not."""
    wanted = str(body.get("minTLS") or default)
    if wanted not in TLS:
        raise ApiError(400, 10005, f"minTLS must be one of {', '.join(TLS)}")
    return wanted


def find_host(request: web.Request) -> Json:
    """Return the custom domain of the path; 404 when the bucket has none such."""
    hosts = find_bucket(request).get("hosts", {})
    return found(hosts, request.match_info["domain"], 10060, "The specified domain does not exist.")


async def list_hosts(request: web.Request) -> web.Response:
    """List a bucket's custom domains."""
    return ok({"domains": [show_host(host) for host in find_bucket(request).get("hosts", {}).values()]})


async def get_host(request: web.Request) -> web.Response:
    """Show a custom domain."""
    return ok(show_host(find_host(request)))


async def put_host(request: web.Request) -> web.Response:
    """Switch a custom domain on or off, set its lowest TLS."""
    host, body = find_host(request), await read(request)
    host |= {"enabled": bool(body.get("enabled", host["enabled"])), "minTLS": tls(body, host["minTLS"])}
    changed(request, f"R2 domain {host['domain']} changed")
    return ok({key: host[key] for key in ("domain", "enabled", "minTLS")})


async def delete_host(request: web.Request) -> web.Response:
    """Take a bucket off a custom domain."""
    bucket, host = find_bucket(request), find_host(request)
    del bucket["hosts"][host["domain"]]
    changed(request, f"R2 bucket {bucket['name']} off {host['domain']}")
    return ok({"domain": host["domain"]})


def show_managed(bucket: Json) -> Json:
    """Return a bucket's own address below r2.dev."""
    bucket.setdefault("id", object_id())
    return {"bucketId": bucket["id"], "domain": f"pub-{bucket['id']}.r2.dev", "enabled": bucket.get("managed", False)}


async def get_managed(request: web.Request) -> web.Response:
    """Show whether a bucket is public on r2.dev."""
    return ok(show_managed(find_bucket(request)))


async def put_managed(request: web.Request) -> web.Response:
    """Make a bucket public on r2.dev, or no longer."""
    bucket, body = find_bucket(request), await read(request)
    if not isinstance(body.get("enabled"), bool):
        raise ApiError(400, 10005, "enabled is required")
    bucket["managed"] = body["enabled"]
    changed(request, f"R2 bucket {bucket['name']} on r2.dev: {body['enabled']}")
    return ok(show_managed(bucket))


ONE = R2 + "/{name}"
RECORDED, SDK, TODAY = "recorded provider requests", "official SDK 5.9", "2026-11-28"
ROUTES = (
    Route("GET", ONE + "/lifecycle", get_rules, RECORDED),
    Route("PUT", ONE + "/lifecycle", put_rules, RECORDED),
    Route("GET", ONE + "/lock", get_rules, SDK, TODAY),
    Route("PUT", ONE + "/lock", put_rules, SDK, TODAY),
    Route("GET", ONE + "/cors", get_rules, SDK, TODAY),
    Route("PUT", ONE + "/cors", put_rules, SDK, TODAY),
    Route("DELETE", ONE + "/cors", delete_cors, SDK, TODAY),
    Route("POST", ONE + "/domains/custom", post_host, SDK, TODAY),
    Route("GET", ONE + "/domains/custom", list_hosts, SDK, TODAY),
    Route("GET", ONE + "/domains/custom/{domain}", get_host, SDK, TODAY),
    Route("PUT", ONE + "/domains/custom/{domain}", put_host, SDK, TODAY),
    Route("DELETE", ONE + "/domains/custom/{domain}", delete_host, SDK, TODAY),
    Route("GET", ONE + "/domains/managed", get_managed, SDK, TODAY),
    Route("PUT", ONE + "/domains/managed", put_managed, SDK, TODAY),
)
