"""Set, name and delete a script's secrets: each write makes a version and deploys it; values are never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, read, required
from twin.cloudflare.store import changed, found, store_of
from twin.cloudflare.workers import deployments, scripts, versions
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

REFUSED = (
    "Secret edit failed. You attempted to modify a secret, but the latest version of your Worker isn't currently "
    "deployed. Please ensure that the latest version of your Worker is fully deployed (100% traffic) before "
    "modifying secrets."
)


def editable(request: web.Request) -> Json:
    """Return the path's Worker; 400 with 10215 when its newest version is not the only live one."""
    worker = store_of(request).worker(request.match_info["script"])
    if not worker["versions"]:
        raise ApiError(404, 10007, "This Worker does not exist on your account.")
    if [version for version, _ in deployments.live(worker)] != [worker["versions"][-1]["id"]]:
        raise ApiError(400, 10215, REFUSED)
    return worker


async def release(request: web.Request, worker: Json, changes: list[Json], *, without: set[str]) -> None:
    """Deploy a copy of the newest version with the changed bindings in place and some left out."""
    newest = worker["versions"][-1]
    names = {binding["name"] for binding in changes} | without
    body = versions.again(newest)
    body["bindings"] = [b for b in body["bindings"] if b["name"] not in names] + changes
    await scripts.release(request, worker, body, newest["modules"], strict=True, trigger="secret")
    for name in without:
        worker["secrets"].pop(name, None)


def listed(worker: Json) -> list[Json]:
    """Return names and types of the newest version's secrets."""
    newest = worker["versions"][-1]["bindings"] if worker["versions"] else []
    return [{"name": b["name"], "type": b["type"]} for b in newest if b["type"].startswith("secret_")]


async def listing(request: web.Request) -> web.Response:
    """List secrets by name and type."""
    return ok(listed(store_of(request).worker(request.match_info["script"])))


async def put(request: web.Request) -> web.Response:
    """Set one secret."""
    worker, body = editable(request), await read(request)
    required(body, "name", "text")
    secret = {"name": body["name"], "type": body.get("type", "secret_text"), "text": body["text"]}
    await release(request, worker, [secret], without=set())
    changed(request, f"secret {body['name']} of {worker['name']} set")
    return ok({"name": secret["name"], "type": secret["type"]})


async def patch_bulk(request: web.Request) -> web.Response:
    """Set and delete several secrets in one version: `{"secrets": {name: {name, type, text} | null}}`."""
    worker, body = editable(request), await read(request)
    sent = body.get("secrets")
    if not isinstance(sent, dict):
        raise ApiError(400, 10021, "secrets is required")
    changes = [{"name": name, "type": "secret_text", "text": row["text"]} for name, row in sent.items() if row]
    await release(request, worker, changes, without={name for name, row in sent.items() if not row})
    changed(request, f"secrets of {worker['name']} set: {', '.join(sorted(sent))}")
    return ok({secret["name"]: secret for secret in listed(worker)})


async def get(request: web.Request) -> web.Response:
    """Show one secret's name and type; 404 with 10056 when there is none."""
    worker, name = store_of(request).worker(request.match_info["script"]), request.match_info["name"]
    return ok(found({secret["name"]: secret for secret in listed(worker)}, name, 10056, GONE))


async def delete(request: web.Request) -> web.Response:
    """Delete one secret; 404 with 10056 when there is none (code from wrangler's tests)."""
    worker, name = editable(request), request.match_info["name"]
    found({secret["name"]: secret for secret in listed(worker)}, name, 10056, GONE)
    await release(request, worker, [], without={name})
    changed(request, f"secret {name} of {worker['name']} deleted")
    return ok(None)


GONE = "Binding not found."
PATH = "/accounts/{account}/workers/scripts/{script}/secrets"
ROUTES = (
    Route("GET", PATH, listing, "recorded wrangler 4.86"),
    Route("PUT", PATH, put, "recorded wrangler 4.86"),
    Route("GET", PATH + "/{name}", get, "official SDK 5.9", "2026-11-28"),
    Route("DELETE", PATH + "/{name}", delete, "official SDK"),
    Route("PATCH", PATH + "-bulk", patch_bulk, "wrangler source"),
)
