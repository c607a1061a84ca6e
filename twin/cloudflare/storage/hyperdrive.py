"""Keep Hyperdrive configs: how Workers reach a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, page, read, required, shaped
from twin.cloudflare.store import ENGINES, changed, found, now, object_id, store_of
from twin.cloudflare.workers import deployments, versions
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

TEXTS = ("scheme", "host", "database", "user", "password")
SHAPE = {"name": str, "origin": dict, "caching": dict, "origin_connection_limit": int}
ORIGIN = ("scheme", "host", "port", "database", "user")
NO_CONFIG = "Hyperdrive config not found."


def show_config(config: Json) -> Json:
    """Return a Hyperdrive config without its password."""
    origin = {key: config["origin"][key] for key in ORIGIN if key in config["origin"]}
    origin["port"] = int(origin["port"])  # Pulumi's numbers are floats on the wire; the API shows integers
    return {**config, "origin": origin}


def check_origin(origin: object) -> Json:
    """Return a database origin that has all its fields; 400 otherwise.

    The provider refuses loopback and private hosts; here the database is on loopback, so they are accepted.
    """
    if not isinstance(origin, dict):
        raise ApiError(400, 2008, "origin is required")
    whole = {"scheme": "postgres", "port": 5432} | shaped(origin, 2008, port=int, **dict.fromkeys(TEXTS, str))
    for name in (*ORIGIN, "password"):
        if whole.get(name) in (None, ""):
            raise ApiError(400, 2008, f"origin.{name} is required")
    if whole["scheme"] not in {"postgres", "postgresql", "mysql"}:
        raise ApiError(400, 2008, f"origin.scheme {whole['scheme']!r} is not supported")
    return whole


def caching_of(body: Json) -> Json:
    """Return what is kept of the caching: no default is shown, and nothing but the switch once it is off.

    Sources: the API's documentation of PATCH ("custom caching settings are not kept if caching is disabled") and the
    acceptance tests of Cloudflare's Terraform provider (v5.22); a default in the answer would be a diff for it.
    """
    caching: Json = {"disabled": False} | (body.get("caching") or {})
    return {"disabled": True} if caching["disabled"] else caching


def unique(store: Store, name: str, *, other_than: str = "") -> None:
    """Refuse a Hyperdrive name that another config has."""
    if any(c["name"] == name and c["id"] != other_than for c in store.data["hyperdrive"].values()):
        raise ApiError(400, 2017, "A Hyperdrive config with the given name already exists.")


async def post_config(request: web.Request) -> web.Response:
    """Create a Hyperdrive config."""
    store, body = store_of(request), shaped(await read(request), 2008, **SHAPE)
    required(body, "name", "origin", code=2008)
    unique(store, body["name"])
    config: Json = {
        "id": object_id(),
        "name": body["name"],
        "origin": check_origin(body["origin"]),
        "caching": caching_of(body),
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
    config, body = find_config(request), shaped(await read(request), 2008, **SHAPE)
    required(body, "name", "origin", code=2008)
    return await change_config(request, config, body, check_origin(body["origin"]))


async def patch_config(request: web.Request) -> web.Response:
    """Change the given fields of a Hyperdrive config."""
    config, body = find_config(request), shaped(await read(request), 2008, **SHAPE)
    origin = check_origin(config["origin"] | (body.get("origin") or {}))
    return await change_config(request, config, {"caching": config["caching"]} | body, origin)


async def change_config(request: web.Request, config: Json, body: Json, origin: Json) -> web.Response:
    """Store the change and let the engines restart what uses the config."""
    store = store_of(request)
    unique(store, str(body.get("name", config["name"])), other_than=config["id"])
    config |= {
        "name": body.get("name", config["name"]),
        "origin": origin,
        "caching": caching_of(body),
        "origin_connection_limit": body.get("origin_connection_limit") or config["origin_connection_limit"],
        "modified_on": now(),
    }
    for worker in store.workers():
        live = [versions.get(worker, version) for version, _ in deployments.live(worker)]
        if any(b.get("id") == config["id"] for version in live for b in version["bindings"]):
            await request.app[ENGINES].switch(worker["name"])
    changed(request, f"hyperdrive {config['name']} changed")
    return ok(show_config(config))


async def restart_config(request: web.Request) -> web.Response:
    """Note that the pooled connections were dropped: the twin pools none, each of a Worker's is its own."""
    config = find_config(request)
    config["restarted_on"] = now()
    changed(request, f"hyperdrive {config['name']} restarted")
    return ok(show_config(config))


async def delete_config(request: web.Request) -> web.Response:
    """Delete a Hyperdrive config."""
    config = find_config(request)
    del store_of(request).data["hyperdrive"][config["id"]]
    changed(request, f"hyperdrive {config['name']} deleted")
    return ok(None)


HYPERDRIVE = "/accounts/{account}/hyperdrive/configs"
ROUTES = (
    Route("POST", HYPERDRIVE, post_config, "recorded provider requests"),
    Route("GET", HYPERDRIVE, list_configs, "official SDK"),
    Route("GET", HYPERDRIVE + "/{id}", get_config, "recorded provider requests"),
    Route("PUT", HYPERDRIVE + "/{id}", put_config, "recorded provider requests"),
    Route("PATCH", HYPERDRIVE + "/{id}", patch_config, "official SDK"),
    Route("POST", HYPERDRIVE + "/{id}/restart", restart_config, "official SDK 5.9", "2026-11-28"),
    Route("DELETE", HYPERDRIVE + "/{id}", delete_config, "recorded provider requests"),
)
