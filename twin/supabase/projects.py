"""Show projects, their health, add-ons, keys and disk; pause them and wake them up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
from typing import TYPE_CHECKING

from twin.route import Route
from twin.supabase.errors import ApiError, Json, empty, ok, read
from twin.supabase.store import (
    COMING_UP,
    ENGINES,
    HEALTHY,
    PAUSED,
    PAUSING,
    RESTORING,
    changed,
    now,
    store_of,
)

if TYPE_CHECKING:
    from aiohttp import web

    from twin.supabase.store import Store
    from twin.world import Engines

SERVICES = ("auth", "db", "db_postgres_user", "pooler", "realtime", "rest", "storage", "pg_bouncer")
VERSION: Json = {"version": "18.6.3.001", "postgres_engine": "18", "release_channel": "ga"}
MASK = "·" * 26


def show(store: Store) -> Json:
    """Return the project as recorded."""
    data = store.data
    return {
        "id": data["ref"],
        "ref": data["ref"],
        "organization_id": data["organization"],
        "organization_slug": data["organization"],
        "name": data["name"],
        "region": data["region"],
        "status": data["status"],
        "database": {"host": f"db.{data['ref']}.supabase.co", **VERSION},
        "created_at": data["created_at"],
    }


async def listing(request: web.Request) -> web.Response:
    """List the projects."""
    return ok([show(store_of(request))])


async def get(request: web.Request) -> web.Response:
    """Show a project with its status."""
    return ok(show(store_of(request)))


def service_health(store: Store, engines: Engines, name: str) -> Json:
    """Return one service's health, taken from the project's status and the real database."""
    state = engines.database_state()
    if store.data["status"] in {RESTORING, COMING_UP} or state == "recovering":
        return {"name": name, "healthy": False, "status": "COMING_UP"}
    if store.data["status"] == HEALTHY and state == "running":
        info: Json = {}
        if name == "auth":
            info = {"info": {"name": "GoTrue", "version": "v2.180.0", "description": "GoTrue is a user registration"}}
        if name == "rest":
            info = {"info": {"db_schema": "public,graphql_public"}}
        return {"name": name, "healthy": True, "status": "ACTIVE_HEALTHY", **info}
    return {"name": name, "healthy": False, "status": "UNHEALTHY", "error": state}


async def health(request: web.Request) -> web.Response:
    """Show the health of the named services; `services` is required, given once or often."""
    store = store_of(request)
    wanted = [name for text in request.query.getall("services", []) for name in text.split(",")]
    wrong = [name for name in wanted if name not in SERVICES]
    if not wanted or wrong:
        allowed = " | ".join(f"'{name}'" for name in SERVICES)
        raise ApiError(400, f"services: Invalid enum value. Expected {allowed}, received '{','.join(wrong)}'")
    return ok([service_health(store, request.app[ENGINES], name) for name in wanted])


async def api_keys(request: web.Request) -> web.Response:
    """Show the API keys; a secret key is masked unless `?reveal=true`."""
    store = store_of(request)
    reveal, keys, ids = request.query.get("reveal") == "true", store.data["keys"], store.data["key_ids"]
    rows: list[Json] = []
    for name in ("anon", "service_role"):
        row = {"name": name, "api_key": keys[name], "id": name, "type": "legacy"}
        rows.append(row | fingerprint(keys[name], 5) | {"description": f"Legacy {name} API key"})
    for index, kind in enumerate(("publishable", "secret")):
        whole = f"sb_{kind}_{keys[kind]}"
        fine = fingerprint(whole, len(f"sb_{kind}_") + 5)
        masked = kind == "secret" and not reveal
        row = {"id": ids[index], "name": "default", "type": kind, "api_key": fine["prefix"] + MASK if masked else whole}
        template = {"role": "service_role"} if kind == "secret" else None
        row |= fine | {"description": None, "secret_jwt_template": template}
        rows.append(row | {"inserted_at": store.data["created_at"], "updated_at": store.data["created_at"]})
    return ok(rows)


def fingerprint(key: str, length: int) -> Json:
    """Return a key's hash and its first characters."""
    digest = hashlib.sha256(key.encode()).digest()
    return {"hash": base64.urlsafe_b64encode(digest).decode().rstrip("="), "prefix": key[:length]}


async def readonly(request: web.Request) -> web.Response:
    """Show that the disk-full guard is off."""
    store_of(request)
    return ok({"enabled": False, "override_enabled": False, "override_active_until": ""})


async def disk(request: web.Request) -> web.Response:
    """Show the free space of the disk that the twin's state is on."""
    usage = shutil.disk_usage(store_of(request).home.state)
    sizes = {"fs_size_bytes": usage.total, "fs_avail_bytes": usage.free, "fs_used_bytes": usage.used}
    return ok({"timestamp": now(), "metrics": sizes})


async def pause(request: web.Request) -> web.Response:
    """Pause the project: nobody can connect until it is restored."""
    store, engines = store_of(request), request.app[ENGINES]
    if store.data["status"] != HEALTHY:
        raise ApiError(400, f"Project cannot be paused while it is {store.data['status']}")

    async def go_down() -> None:
        await asyncio.sleep(store.lag)
        await engines.restrict(())
        store.become(PAUSED)

    store.become(PAUSING)
    store.later(go_down())
    changed(request, "project is being paused")
    return empty()


async def wake(request: web.Request) -> web.Response:
    """Un-pause the project (the API calls it restore; it is no backup restore)."""
    store, engines = store_of(request), request.app[ENGINES]
    if store.data["status"] != PAUSED:
        raise ApiError(400, "project is no longer in a paused state")

    async def come_up() -> None:
        await asyncio.sleep(store.lag)
        await engines.restrict(store.cidrs())
        store.become(HEALTHY)

    store.become(COMING_UP)
    store.later(come_up())
    changed(request, "project is coming up")
    return empty()


async def available_versions(request: web.Request) -> web.Response:
    """List the versions that a paused project can be un-paused to."""
    store_of(request)
    return ok({"available_versions": [VERSION]})


async def get_ssl(request: web.Request) -> web.Response:
    """Show whether the database insists on TLS; the twin's own server has none."""
    return ok({"currentConfig": {"database": store_of(request).data["ssl"]}, "appliedSuccessfully": True})


async def put_ssl(request: web.Request) -> web.Response:
    """Note whether the database is to insist on TLS."""
    store, body = store_of(request), await read(request)
    store.data["ssl"] = bool((body.get("requestedConfig") or {}).get("database"))
    changed(request, f"TLS enforcement {store.data['ssl']}")
    return await get_ssl(request)


PROJECT = "/v1/projects/{ref}"
RECORDED = "recorded answers of the real API"
SPEC = "OpenAPI of 2026-08-02"
ROUTES = (
    Route("GET", "/v1/projects", listing, RECORDED),
    Route("GET", PROJECT, get, RECORDED),
    Route("GET", PROJECT + "/health", health, SPEC),
    Route("GET", PROJECT + "/api-keys", api_keys, RECORDED),
    Route("GET", PROJECT + "/readonly", readonly, SPEC),
    Route("GET", PROJECT + "/config/disk/util", disk, SPEC),
    Route("POST", PROJECT + "/pause", pause, SPEC),
    Route("GET", PROJECT + "/restore", available_versions, SPEC),
    Route("POST", PROJECT + "/restore", wake, SPEC),
    Route("GET", PROJECT + "/ssl-enforcement", get_ssl, RECORDED),
    Route("PUT", PROJECT + "/ssl-enforcement", put_ssl, RECORDED),
)
