"""Keep what Workers bind: Hyperdrive configs, KV namespaces, R2 buckets (their contents live in the engines)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, page, read, required
from twin.cloudflare.store import ENGINES, changed, found, now, object_id, store_of
from twin.cloudflare.workers import deployments, versions
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

ORIGIN = ("scheme", "host", "port", "database", "user")
CACHING: Json = {"disabled": False, "max_age": 60, "stale_while_revalidate": 15}
BUCKET_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
NO_CONFIG = "Hyperdrive config not found."
NO_NAMESPACE = "namespace not found"
NO_BUCKET = "The specified bucket does not exist."


def show_config(config: Json) -> Json:
    """Return a Hyperdrive config without its password."""
    origin = {key: config["origin"][key] for key in ORIGIN if key in config["origin"]}
    return {**config, "origin": origin}


def check_origin(origin: object) -> Json:
    """Return a database origin that has all its fields; 400 otherwise.

    The provider refuses loopback and private hosts; here the database is on loopback, so they are accepted.
    """
    if not isinstance(origin, dict):
        raise ApiError(400, 2008, "origin is required")
    whole = {"scheme": "postgres", "port": 5432} | origin
    for name in (*ORIGIN, "password"):
        if whole.get(name) in (None, ""):
            raise ApiError(400, 2008, f"origin.{name} is required")
    if whole["scheme"] not in {"postgres", "postgresql", "mysql"}:
        raise ApiError(400, 2008, f"origin.scheme {whole['scheme']!r} is not supported")
    return whole


def unique(store: Store, name: str, *, other_than: str = "") -> None:
    """Refuse a Hyperdrive name that another config has."""
    if any(c["name"] == name and c["id"] != other_than for c in store.data["hyperdrive"].values()):
        raise ApiError(400, 2017, "A Hyperdrive config with the given name already exists.")


async def post_config(request: web.Request) -> web.Response:
    """Create a Hyperdrive config."""
    store, body = store_of(request), await read(request)
    required(body, "name", "origin", code=2008)
    unique(store, body["name"])
    config: Json = {
        "id": object_id(),
        "name": body["name"],
        "origin": check_origin(body["origin"]),
        "caching": CACHING | (body.get("caching") or {}),
        "origin_connection_limit": body.get("origin_connection_limit") or 60,
        "created_on": now(),
        "modified_on": now(),
    }
    store.data["hyperdrive"][config["id"]] = config
    changed(request, f"hyperdrive {config['name']} created")
    return ok(show_config(config))


async def list_configs(request: web.Request) -> web.Response:
    """List Hyperdrive configs, a page at a time."""
    rows, info = page(request, list(store_of(request).data["hyperdrive"].values()), per_page=20, most=100)
    return ok([show_config(row) for row in rows], info=info)


def find_config(request: web.Request) -> Json:
    """Return the config of the path; 404 with 2002."""
    return found(store_of(request).data["hyperdrive"], request.match_info["id"], 2002, NO_CONFIG)


async def get_config(request: web.Request) -> web.Response:
    """Show a Hyperdrive config, never its password."""
    return ok(show_config(find_config(request)))


async def put_config(request: web.Request) -> web.Response:
    """Replace a Hyperdrive config; Workers that bind it use the new origin at once."""
    config, body = find_config(request), await read(request)
    required(body, "name", "origin", code=2008)
    return await change_config(request, config, body, check_origin(body["origin"]))


async def patch_config(request: web.Request) -> web.Response:
    """Change the given fields of a Hyperdrive config."""
    config, body = find_config(request), await read(request)
    return await change_config(request, config, body, check_origin(config["origin"] | (body.get("origin") or {})))


async def change_config(request: web.Request, config: Json, body: Json, origin: Json) -> web.Response:
    """Store the change and let the engines restart what uses the config."""
    store = store_of(request)
    unique(store, str(body.get("name", config["name"])), other_than=config["id"])
    config |= {
        "name": body.get("name", config["name"]),
        "origin": origin,
        "caching": CACHING | (body.get("caching") or {}),
        "origin_connection_limit": body.get("origin_connection_limit") or config["origin_connection_limit"],
        "modified_on": now(),
    }
    for worker in store.workers():
        live = [versions.get(worker, version) for version, _ in deployments.live(worker)]
        if any(b.get("id") == config["id"] for version in live for b in version["bindings"]):
            await request.app[ENGINES].switch(worker["name"])
    changed(request, f"hyperdrive {config['name']} changed")
    return ok(show_config(config))


async def delete_config(request: web.Request) -> web.Response:
    """Delete a Hyperdrive config."""
    config = find_config(request)
    del store_of(request).data["hyperdrive"][config["id"]]
    changed(request, f"hyperdrive {config['name']} deleted")
    return ok(None)


def free_title(store: Store, title: str, *, other_than: str = "") -> None:
    """Refuse a title that another KV namespace has."""
    if any(n["title"] == title and n["id"] != other_than for n in store.data["namespaces"].values()):
        raise ApiError(400, 10014, "A namespace with this account ID and title already exists.")


async def post_namespace(request: web.Request) -> web.Response:
    """Create a KV namespace."""
    store, body = store_of(request), await read(request)
    required(body, "title", code=10019)
    free_title(store, body["title"])
    namespace = {"id": object_id(), "title": body["title"], "supports_url_encoding": True}
    store.data["namespaces"][namespace["id"]] = namespace
    changed(request, f"KV namespace {namespace['title']} created")
    return ok(namespace)


async def list_namespaces(request: web.Request) -> web.Response:
    """List KV namespaces, a page at a time."""
    rows, info = page(request, list(store_of(request).data["namespaces"].values()), per_page=20, most=1000)
    return ok(rows, info=info)


def find_namespace(request: web.Request) -> Json:
    """Return the namespace of the path; 404 with 10013."""
    return found(store_of(request).data["namespaces"], request.match_info["id"], 10013, NO_NAMESPACE)


async def get_namespace(request: web.Request) -> web.Response:
    """Show a KV namespace."""
    return ok(find_namespace(request))


async def put_namespace(request: web.Request) -> web.Response:
    """Rename a KV namespace."""
    namespace, body = find_namespace(request), await read(request)
    required(body, "title", code=10019)
    free_title(store_of(request), body["title"], other_than=namespace["id"])
    namespace["title"] = body["title"]
    changed(request, f"KV namespace {namespace['title']} renamed")
    return ok(namespace)


async def delete_namespace(request: web.Request) -> web.Response:
    """Delete a KV namespace."""
    namespace = find_namespace(request)
    del store_of(request).data["namespaces"][namespace["id"]]
    changed(request, f"KV namespace {namespace['title']} deleted")
    return ok(None)


async def post_bucket(request: web.Request) -> web.Response:
    """Create an R2 bucket: camelCase on the way in, snake_case on the way out."""
    store, body = store_of(request), await read(request)
    name = str(body.get("name", ""))
    if not BUCKET_NAME.match(name):
        raise ApiError(400, 10005, "The specified bucket name is not valid.")
    if name in store.data["buckets"]:
        raise ApiError(409, 10004, "The bucket you tried to create already exists, and you own it.")
    bucket = {
        "name": name,
        "creation_date": now(),
        "location": str(body.get("locationHint", "weur")).upper(),
        "storage_class": body.get("storageClass", "Standard"),
        "jurisdiction": request.headers.get("cf-r2-jurisdiction", "default"),
    }
    store.data["buckets"][name] = bucket
    changed(request, f"R2 bucket {name} created")
    return ok(bucket)


async def list_buckets(request: web.Request) -> web.Response:
    """List R2 buckets."""
    return ok({"buckets": [show_bucket(bucket) for bucket in store_of(request).data["buckets"].values()]})


def show_bucket(bucket: Json) -> Json:
    """Return a bucket without its lifecycle, which has a call of its own."""
    return {key: value for key, value in bucket.items() if key != "lifecycle"}


def find_bucket(request: web.Request) -> Json:
    """Return the bucket of the path; 404 with 10006."""
    return found(store_of(request).data["buckets"], request.match_info["name"], 10006, NO_BUCKET)


async def get_bucket(request: web.Request) -> web.Response:
    """Show an R2 bucket."""
    return ok(show_bucket(find_bucket(request)))


async def patch_bucket(request: web.Request) -> web.Response:
    """Change the storage class, which comes in the header `cf-r2-storage-class`."""
    bucket = find_bucket(request)
    bucket["storage_class"] = request.headers.get("cf-r2-storage-class", bucket["storage_class"])
    changed(request, f"R2 bucket {bucket['name']} changed")
    return ok(show_bucket(bucket))


async def get_lifecycle(request: web.Request) -> web.Response:
    """Show for how long objects are kept. Nothing is deleted here: objects live in the engines."""
    return ok({"rules": find_bucket(request).get("lifecycle", [])})


async def put_lifecycle(request: web.Request) -> web.Response:
    """Replace the rules."""
    bucket, body = find_bucket(request), await read(request)
    rules = body.get("rules") or []
    for rule in rules:
        required(rule, "id", code=10005)
    bucket["lifecycle"] = rules
    changed(request, f"R2 bucket {bucket['name']} keeps by {len(rules)} rules")
    return ok({"rules": rules})


async def delete_bucket(request: web.Request) -> web.Response:
    """Delete an R2 bucket."""
    bucket = find_bucket(request)
    del store_of(request).data["buckets"][bucket["name"]]
    changed(request, f"R2 bucket {bucket['name']} deleted")
    return ok(None)


HYPERDRIVE = "/accounts/{account}/hyperdrive/configs"
KV = "/accounts/{account}/storage/kv/namespaces"
R2 = "/accounts/{account}/r2/buckets"
ROUTES = (
    Route("POST", HYPERDRIVE, post_config, "recorded provider requests"),
    Route("GET", HYPERDRIVE, list_configs, "official SDK"),
    Route("GET", HYPERDRIVE + "/{id}", get_config, "recorded provider requests"),
    Route("PUT", HYPERDRIVE + "/{id}", put_config, "recorded provider requests"),
    Route("PATCH", HYPERDRIVE + "/{id}", patch_config, "official SDK"),
    Route("DELETE", HYPERDRIVE + "/{id}", delete_config, "recorded provider requests"),
    Route("POST", KV, post_namespace, "recorded provider requests"),
    Route("GET", KV, list_namespaces, "official SDK"),
    Route("GET", KV + "/{id}", get_namespace, "recorded provider requests"),
    Route("PUT", KV + "/{id}", put_namespace, "recorded provider requests"),
    Route("DELETE", KV + "/{id}", delete_namespace, "recorded provider requests"),
    Route("POST", R2, post_bucket, "recorded provider requests"),
    Route("GET", R2, list_buckets, "official SDK"),
    Route("GET", R2 + "/{name}", get_bucket, "recorded provider requests"),
    Route("PATCH", R2 + "/{name}", patch_bucket, "recorded provider requests"),
    Route("DELETE", R2 + "/{name}", delete_bucket, "recorded provider requests"),
    Route("GET", R2 + "/{name}/lifecycle", get_lifecycle, "recorded provider requests"),
    Route("PUT", R2 + "/{name}/lifecycle", put_lifecycle, "recorded provider requests"),
)
