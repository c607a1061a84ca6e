"""Create, show, change and remove Workers themselves: the beta resource API that Pulumi's `Worker` uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, page, read, required, shaped
from twin.cloudflare.store import ENGINES, changed, now, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

OBSERVABILITY: Json = {
    "enabled": False,
    "head_sampling_rate": 1,
    "logs": {"enabled": False, "head_sampling_rate": 1, "invocation_logs": True, "persist": True, "destinations": []},
    "traces": {"enabled": False, "head_sampling_rate": 1, "persist": True, "destinations": []},
}
SHAPE = {"name": str, "logpush": bool, "tags": list, "tail_consumers": list, "subdomain": dict, "observability": dict}
SETTABLE = ("name", "logpush", "tags", "tail_consumers", "subdomain", "observability")


def create(store: Store, name: str, body: Json) -> Json:
    """Add a Worker without versions; 400 when the name is taken (the exact code is unconfirmed)."""
    if any(worker["name"] == name for worker in store.workers()):
        raise ApiError(400, 10021, f"A Worker named '{name}' already exists on your account.")
    worker: Json = {
        "id": object_id(),
        "name": name,
        "tag": object_id(),
        "created_on": now(),
        "updated_on": now(),
        "versions": [],
        "deployments": [],
        "schedules": [],
        "secrets": {},
    }
    store.data["workers"][worker["id"]] = worker
    change(worker, body)
    return worker


def change(worker: Json, body: Json) -> None:
    """Replace the settable fields; what is not sent gets the provider's default."""
    sent = shaped(body, **SHAPE).get("observability") or {}
    for part in ("logs", "traces"):
        shaped(sent, **{part: dict})
    worker["name"] = body.get("name", worker["name"])
    worker["logpush"] = bool(body.get("logpush", False))
    worker["tags"] = body.get("tags") or []
    worker["tail_consumers"] = body.get("tail_consumers") or []
    worker["subdomain"] = {"enabled": False, "previews_enabled": False} | (body.get("subdomain") or {})
    merged = {**OBSERVABILITY, **sent}
    for part in ("logs", "traces"):
        merged[part] = {**OBSERVABILITY[part], **(sent.get(part) or {})}
    worker["observability"] = merged
    worker["updated_on"] = now()


def show(worker: Json) -> Json:
    """Return a Worker as the API shows it."""
    deployed = worker["deployments"][-1]["created_on"] if worker["deployments"] else None
    view = {key: worker[key] for key in ("id", *SETTABLE, "created_on", "updated_on")}
    references: Json = {"dispatch_namespace_outbounds": [], "domains": [], "durable_objects": [], "queues": []}
    return {**view, "deployed_on": deployed, "references": {**references, "workers": []}}


def remove(store: Store, worker: Json) -> None:
    """Remove a Worker with its versions, deployments, schedules, routes and custom domains."""
    name = worker["name"]
    del store.data["workers"][worker["id"]]
    for zone in store.zones():
        zone["routes"] = {k: v for k, v in zone["routes"].items() if v.get("script") != name}
    for key, domain in list(store.data["domains"].items()):
        if domain["service"] == name:
            del store.data["domains"][key]
            records = store.zone(domain["zone_id"])["records"]
            records.pop(domain["record"], None)


def rename(store: Store, worker: Json, name: str) -> None:
    """Give a Worker another name, in its routes and custom domains too; 400 when another has it."""
    if any(other["name"] == name and other is not worker for other in store.workers()):
        raise ApiError(400, 10021, f"A Worker named '{name}' already exists on your account.")
    for route in (route for zone in store.zones() for route in zone["routes"].values()):
        if route.get("script") == worker["name"]:
            route["script"] = name
    for domain in store.data["domains"].values():
        if domain["service"] == worker["name"]:
            domain["service"] = name
    worker["name"] = name


async def settle(request: web.Request, worker: Json, name: str) -> None:
    """Rename when the name is another, and let the engines serve the new one and end the old one."""
    old = worker["name"]
    if name == old:
        return
    rename(store_of(request), worker, name)
    for script in (name, old):
        await request.app[ENGINES].switch(script)


async def post(request: web.Request) -> web.Response:
    """Create a Worker."""
    store, body = store_of(request), await read(request)
    required(shaped(body, **SHAPE), "name")
    worker = create(store, body["name"], body)
    changed(request, f"worker {worker['name']} created")
    return ok(show(worker))


async def listing(request: web.Request) -> web.Response:
    """List Workers, a page at a time."""
    rows, info = page(request, store_of(request).workers(), per_page=10, most=100)
    return ok([show(row) for row in rows], info=info)


async def get(request: web.Request) -> web.Response:
    """Show a Worker by id or name."""
    return ok(show(store_of(request).worker(request.match_info["worker"])))


async def put(request: web.Request) -> web.Response:
    """Replace a Worker's settings, name included."""
    store, body = store_of(request), await read(request)
    worker = store.worker(request.match_info["worker"])
    required(shaped(body, **SHAPE), "name")
    await settle(request, worker, body["name"])
    change(worker, body)
    changed(request, f"worker {worker['name']} changed")
    return ok(show(worker))


async def patch(request: web.Request) -> web.Response:
    """Change the given settings of a Worker."""
    store, body = store_of(request), await read(request)
    worker = store.worker(request.match_info["worker"])
    whole = {key: worker[key] for key in SETTABLE} | shaped(body, **SHAPE)
    await settle(request, worker, whole["name"])
    change(worker, whole)
    changed(request, f"worker {worker['name']} changed")
    return ok(show(worker))


async def delete(request: web.Request) -> web.Response:
    """Delete a Worker and all that is its own; 404 when there is none."""
    store = store_of(request)
    worker = store.worker(request.match_info["worker"])
    remove(store, worker)
    await request.app[ENGINES].switch(worker["name"])
    changed(request, f"worker {worker['name']} deleted")
    return ok({"id": worker["id"]})


PATH = "/accounts/{account}/workers/workers"
ROUTES = (
    Route("POST", PATH, post, "recorded provider requests"),
    Route("GET", PATH, listing, "official SDK"),
    Route("GET", PATH + "/{worker}", get, "recorded provider requests"),
    Route("PUT", PATH + "/{worker}", put, "recorded provider requests"),
    Route("PATCH", PATH + "/{worker}", patch, "official SDK"),
    Route("DELETE", PATH + "/{worker}", delete, "recorded provider requests"),
)
