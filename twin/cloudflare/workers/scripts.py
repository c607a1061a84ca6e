"""Upload and describe scripts: the multipart API under `workers/scripts` that wrangler and `WorkersScript` use."""

from __future__ import annotations

import json

from aiohttp import BodyPartReader, web

from twin.cloudflare.errors import ApiError, Json, ok, read
from twin.cloudflare.store import ENGINES, changed, store_of
from twin.cloudflare.workers import bindings, deployments, identities, uploads, versions
from twin.route import Route

EDIT_REFUSED = (
    "Script edit failed. You attempted to deploy the latest version with modified settings, but the latest version "
    "isn't currently deployed. Either upload a new version to edit the version settings, or use the script-level "
    "settings API to edit the script-level settings."
)


def show(worker: Json) -> Json:
    """Return a script as the upload and the list show it."""
    newest = worker["versions"][-1] if worker["versions"] else {}
    return {
        "id": worker["name"],
        "tag": worker["tag"],
        "tags": worker["tags"],
        "etag": newest.get("etag", ""),
        "handlers": newest.get("handlers", []),
        "named_handlers": [],
        "created_on": worker["created_on"],
        "modified_on": worker["updated_on"],
        "compatibility_date": newest.get("compatibility_date", ""),
        "compatibility_flags": newest.get("compatibility_flags", []),
        "has_modules": bool(newest.get("modules")) and not newest.get("service_worker"),
        "has_assets": bool(newest.get("assets")),
        "last_deployed_from": newest.get("source", "api"),
        "logpush": worker["logpush"],
        **observed(worker),
        "usage_model": newest.get("usage_model", "standard"),
        **({"migration_tag": worker["migration_tag"]} if worker.get("migration_tag") else {}),
    }


async def release(
    request: web.Request, worker: Json, metadata: Json, modules: list[Json], *, strict: bool, trigger: str = "upload"
) -> Json:
    """Make a version and send all traffic to it; neither stays when it cannot run."""
    before = {key: worker.get(key) for key in ("migration_tag", "classes")}
    version = await versions.create(request, worker, metadata, modules, trigger=trigger, strict=strict)
    share = [{"version_id": version["id"], "percentage": 100}]
    try:
        await deployments.deploy(request, worker, share, metadata.get("annotations") or {}, trigger=trigger)
    except ApiError:
        worker["versions"].remove(version)
        worker |= {key: value for key, value in before.items() if value is not None}
        raise
    return version


async def put(request: web.Request) -> web.Response:
    """Upload a script and deploy it at 100 %: a new version and a new deployment, the Worker created when missing."""
    store, name = store_of(request), request.match_info["script"]
    metadata, modules = await uploads.read_parts(request)
    worker = next((w for w in store.workers() if name in (w["name"], w["id"])), None)
    fresh = worker is None
    if worker is None:
        worker = identities.create(store, name, {})
    strict = request.query.get("bindings_inherit") == "strict"
    try:
        version = await release(request, worker, metadata, modules, strict=strict)
    except ApiError:
        if fresh:
            identities.remove(store, worker)
        raise
    apply_settings(worker, metadata)
    changed(request, f"{name} uploaded and deployed: {version['id']} 100%")
    return ok(
        {**show(worker), "startup_time_ms": version["startup_time_ms"], "deployment_id": version["id"].replace("-", "")}
    )


def apply_settings(worker: Json, sent: Json) -> None:
    """Take over the settings that belong to the script and not to a version."""
    whole = {key: worker[key] for key in identities.SETTABLE}
    taken = {key: sent[key] for key in ("logpush", "tags", "tail_consumers", "observability") if key in sent}
    identities.change(worker, whole | taken)


async def listing(request: web.Request) -> web.Response:
    """List scripts in one page."""
    return ok([show(worker) for worker in store_of(request).workers() if worker["versions"]])


async def delete(request: web.Request) -> web.Response:
    """Delete a script and all that is its own."""
    store = store_of(request)
    worker = store.worker(request.match_info["script"])
    identities.remove(store, worker)
    await request.app[ENGINES].switch(worker["name"])
    changed(request, f"worker {worker['name']} deleted")
    return ok(None)


async def get_service(request: web.Request) -> web.Response:
    """Show the metadata that wrangler and the provider read first; 404 with 10090 when there is no such Worker."""
    name = request.match_info["script"]
    worker = next((w for w in store_of(request).workers() if w["name"] == name and w["versions"]), None)
    if worker is None:
        raise ApiError(404, 10090, "This service does not exist on your account.")
    environment = {"environment": "production", "created_on": worker["created_on"], "script": show(worker)}
    environment["modified_on"] = worker["updated_on"]
    return ok(
        {
            "id": worker["name"],
            "created_on": worker["created_on"],
            "modified_on": worker["updated_on"],
            "default_environment": environment,
            "environments": [environment],
        }
    )


def show_settings(worker: Json) -> Json:
    """Return the settings of the newest version together with those of the script."""
    newest = worker["versions"][-1]
    return {
        "annotations": newest["annotations"],
        "bindings": bindings.shown(newest["bindings"]),
        "compatibility_date": newest["compatibility_date"],
        "compatibility_flags": newest["compatibility_flags"],
        **({"limits": newest["limits"]} if newest.get("limits") else {}),
        "placement": newest.get("placement") or {},  # never left out: the provider's `WorkersScript` would crash
        "usage_model": newest["usage_model"],
        **show_script_settings(worker),
    }


def show_script_settings(worker: Json) -> Json:
    """Return the settings that do not belong to a version."""
    return {key: worker[key] for key in ("logpush", "tags", "tail_consumers")} | observed(worker)


def observed(worker: Json) -> Json:
    """Return how a script is observed, nothing when nobody has said so: a default would be a difference for Pulumi."""
    told = worker["observability"]
    return {} if told == identities.OBSERVABILITY else {"observability": told}


def with_versions(request: web.Request) -> Json:
    """Return the path's Worker when it has a version; 404 with 10007 otherwise."""
    worker = store_of(request).worker(request.match_info["script"])
    if not worker["versions"]:
        raise ApiError(404, 10007, "This Worker does not exist on your account.")
    return worker


async def get_settings(request: web.Request) -> web.Response:
    """Show the versioned settings and those of the script."""
    return ok(show_settings(with_versions(request)))


async def patch_settings(request: web.Request) -> web.Response:
    """Change versioned settings: a new version is made and deployed; 10214 when the newest is not live alone."""
    worker = with_versions(request)
    newest = worker["versions"][-1]
    if [version for version, _ in deployments.live(worker)] != [newest["id"]]:
        raise ApiError(400, 10214, EDIT_REFUSED)
    sent: Json = {}
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name == "settings":
            sent = json.loads(await part.read(decode=True))
    if "bindings" in sent:  # here, unlike in an upload, a binding of name and type alone keeps its value
        sent["bindings"] = [known(newest, binding) for binding in sent["bindings"]]
    body = versions.again(newest) | sent
    version = await release(request, worker, body, newest["modules"], strict=True)
    apply_settings(worker, sent)
    changed(request, f"settings of {worker['name']} changed: version {version['id']} 100%")
    return ok(show_settings(worker))


def known(newest: Json, binding: Json) -> Json:
    """Return an `inherit` binding for one that is sent by name and type only, as `wrangler secret bulk` does."""
    bare = {"type": binding.get("type"), "name": binding.get("name")}
    have = [{"type": b["type"], "name": b["name"]} for b in newest["bindings"]]
    return {"type": "inherit", "name": binding["name"]} if binding == bare and bare in have else binding


async def get_script_settings(request: web.Request) -> web.Response:
    """Show the settings that do not belong to a version."""
    return ok(show_script_settings(store_of(request).worker(request.match_info["script"])))


async def patch_script_settings(request: web.Request) -> web.Response:
    """Change the settings that do not belong to a version."""
    worker = store_of(request).worker(request.match_info["script"])
    apply_settings(worker, await read(request))
    changed(request, f"script settings of {worker['name']} changed")
    return ok(show_script_settings(worker))


async def get_subdomain(request: web.Request) -> web.Response:
    """Show whether the script answers on workers.dev."""
    return ok(store_of(request).worker(request.match_info["script"])["subdomain"])


async def post_subdomain(request: web.Request) -> web.Response:
    """Set whether the script answers on workers.dev."""
    worker, body = store_of(request).worker(request.match_info["script"]), await read(request)
    worker["subdomain"] |= {k: bool(body[k]) for k in ("enabled", "previews_enabled") if k in body}
    changed(request, f"workers.dev of {worker['name']}: {worker['subdomain']['enabled']}")
    return ok(worker["subdomain"])


async def delete_subdomain(request: web.Request) -> web.Response:
    """Take the script off workers.dev."""
    worker = store_of(request).worker(request.match_info["script"])
    worker["subdomain"] = {"enabled": False, "previews_enabled": False}
    changed(request, f"workers.dev of {worker['name']}: False")
    return ok(worker["subdomain"])


ACCOUNT = "/accounts/{account}/workers"
SCRIPT = ACCOUNT + "/scripts/{script}"
ROUTES = (
    Route("GET", ACCOUNT + "/scripts", listing, "official SDK"),
    Route("PUT", SCRIPT, put, "recorded wrangler 4.86 and provider requests"),
    Route("DELETE", SCRIPT, delete, "recorded provider requests"),
    Route("GET", ACCOUNT + "/services/{script}", get_service, "recorded wrangler 4.86"),
    Route("DELETE", ACCOUNT + "/services/{script}", delete, "wrangler 4.86, run against the twin"),
    Route("GET", SCRIPT + "/settings", get_settings, "recorded wrangler 4.86"),
    Route("PATCH", SCRIPT + "/settings", patch_settings, "wrangler source; issue on 10214"),
    Route("GET", SCRIPT + "/script-settings", get_script_settings, "official SDK"),
    Route("PATCH", SCRIPT + "/script-settings", patch_script_settings, "recorded wrangler 4.86"),
    Route("GET", SCRIPT + "/subdomain", get_subdomain, "recorded wrangler 4.86"),
    Route("POST", SCRIPT + "/subdomain", post_subdomain, "recorded wrangler 4.86"),
    Route("DELETE", SCRIPT + "/subdomain", delete_subdomain, "official SDK"),
)
