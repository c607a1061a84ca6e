"""Make, list and show Worker versions: the JSON API of `workers/workers` and the multipart one of `workers/scripts`."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, page, read, required, shaped, unrouted
from twin.cloudflare.store import ENGINES, changed, found, now, source_of, store_of, version_id
from twin.cloudflare.workers import assets, bindings, classes, uploads
from twin.route import Route
from twin.world import UnrunnableError

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

DEPLOYABLE = 100  # a rollback reaches the last 100 uploaded versions (changelog of 2025-09-11)
MESSAGE_BYTES = 1000
TAG_BYTES = 100
SHAPE: dict[str, type] = {
    **dict.fromkeys(("main_module", "body_part", "compatibility_date", "usage_model"), str),
    **dict.fromkeys(("annotations", "assets", "limits", "placement"), dict),
    "compatibility_flags": list,
}
"""Of which kind the parts of an upload's metadata are."""
HANDLER = re.compile(r"\b(fetch|scheduled|queue|email|tail|trace)\s*(?:\(|:|=)")


async def create(
    request: web.Request, worker: Json, body: Json, modules: list[Json], *, trigger: str, strict: bool
) -> Json:
    """Add a version to a Worker and return it as stored, when the runtime starts it.

    `body` is the metadata of the upload, `modules` have name, kind and blob. Raises 400 with 10021 when the main
    module is none of them or does not start, and what `bindings.accept` and `assets.accept` raise.
    """
    store = store_of(request)
    main = shaped(body, **SHAPE).get("main_module") or body.get("body_part")
    served = assets.accept(store, worker, body)
    if main not in [module["name"] for module in modules] and (modules or served is None):
        raise ApiError(400, 10021, f"main_module '{main}' is not among the uploaded modules.")
    notes = {k: v for k, v in (body.get("annotations") or {}).items() if k != "workers/triggered_by"}
    check_notes(notes)
    code = text_of(store, modules, str(main)) if modules else ""
    objects = classes.migrated(worker, body.get("migrations"), code, deploys=trigger == "upload")
    taken = bindings.accept(store, worker, body, strict=strict, classes=objects["classes"])
    worker["number"] = worker.get("number", 0) + 1
    version: Json = {
        "id": version_id(),
        "number": worker["number"],
        "created_on": now(),
        "source": source_of(request),
        "annotations": {**notes, "workers/triggered_by": trigger},
        "bindings": taken,
        "migration_tag": objects["tag"],
        "classes": objects["classes"],
        **described(body, modules, str(main or ""), code),
    }
    if served is not None:
        version["assets"] = served
    worker["versions"].append(version)
    await start(request, worker, version)
    worker |= {"updated_on": now(), "migration_tag": objects["tag"], "classes": objects["classes"]}
    return version


def described(body: Json, modules: list[Json], main: str, code: str) -> Json:
    """Return what a version keeps of its code and of how it is run."""
    kept = {optional: body[optional] for optional in ("limits", "placement", "migrations") if body.get(optional)}
    return kept | {
        "main_module": main,
        "service_worker": bool(body.get("body_part")) and not body.get("main_module"),
        "modules": modules,
        "compatibility_date": body.get("compatibility_date") or "",
        "compatibility_flags": body.get("compatibility_flags") or [],
        "usage_model": body.get("usage_model") or "standard",
        "handlers": sorted(set(HANDLER.findall(code))) if modules else ["fetch"],
        "etag": hashlib.sha256("".join(m["blob"] for m in modules).encode()).hexdigest(),
    }


async def start(request: web.Request, worker: Json, version: Json) -> None:
    """Let the runtime start a new version, as the provider does at upload; what it says against it is a 10021."""
    try:
        milliseconds = await request.app[ENGINES].prove(worker["name"], version["id"]) if version["modules"] else 0
    except UnrunnableError as error:
        worker["versions"].remove(version)
        raise ApiError(400, 10021, str(error)) from error
    version["startup_time_ms"] = max(round(milliseconds), 1)


def check_notes(notes: Json) -> None:
    """Refuse a message over 1000 bytes or a tag over 100 bytes."""
    for key, most in (("workers/message", MESSAGE_BYTES), ("workers/tag", TAG_BYTES)):
        if len(str(notes.get(key, "")).encode()) > most:
            raise ApiError(400, 10021, f"annotation {key} is longer than {most} bytes")


def text_of(store: Store, modules: list[Json], main: str) -> str:
    """Return the main module as text, in which handlers and classes are looked for."""
    return next(store.blob(m["blob"]) for m in modules if m["name"] == main).decode("utf-8", "replace")


def get(worker: Json, wanted: str) -> Json:
    """Return a version of a Worker by id, or `latest`; 404 with 10025."""
    rows = {version["id"]: version for version in worker["versions"]}
    if wanted == "latest" and worker["versions"]:
        wanted = worker["versions"][-1]["id"]
    return found(rows, wanted, 10025, f"The requested Worker version could not be found: {wanted}")


def show(version: Json, *, whole: bool = True) -> Json:
    """Return a version as `workers/scripts/S/versions` shows it; the list leaves `resources` out."""
    view: Json = {
        "id": version["id"],
        "number": version["number"],
        "metadata": {
            "created_on": version["created_on"],
            "modified_on": version["created_on"],
            "source": version["source"],
            "author_id": "",
            "author_email": "operator@example.com",
            "hasPreview": False,
        },
        "annotations": version["annotations"],
    }
    if whole:
        view["resources"] = {
            "bindings": bindings.shown(version["bindings"]),
            "script": {
                "etag": version["etag"],
                "handlers": version["handlers"],
                "last_deployed_from": version["source"],
                "named_handlers": [],
            },
            "script_runtime": {
                "compatibility_date": version["compatibility_date"],
                "compatibility_flags": version["compatibility_flags"],
                "usage_model": version["usage_model"],
                **({"limits": version["limits"]} if version.get("limits") else {}),
                **({"migration_tag": version["migration_tag"]} if version.get("migration_tag") else {}),
            },
        }
        view["startup_time_ms"] = version.get("startup_time_ms", 1)
    return view


def show_resource(store: Store, version: Json, *, modules: bool) -> Json:
    """Return a version as `workers/workers/W/versions` shows it, module contents only when asked for."""
    hidden = {"modules", "handlers", "etag", "service_worker", "assets", "classes"}
    view = {k: v for k, v in version.items() if k not in hidden}
    view["bindings"] = bindings.shown(version["bindings"])
    view["urls"] = []  # no address of a single version is served
    view["startup_time_ms"] = version.get("startup_time_ms", 1)
    if modules:
        view["modules"] = [
            {
                "name": m["name"],
                "content_type": m["kind"],
                "content_base64": base64.b64encode(store.blob(m["blob"])).decode(),
            }
            for m in version["modules"]
        ]
    return view


async def post_resource(request: web.Request) -> web.Response:
    """Make a version from JSON with base64 modules; `?deploy=true` is refused: deployments have their own call."""
    if request.query.get("deploy") == "true":
        msg = "POST"
        raise unrouted(msg, "…/versions?deploy=true", "twin/cloudflare/workers/versions.py")
    store = store_of(request)
    worker = store.worker(request.match_info["worker"])
    body = await read(request)
    required(body, "main_module", "modules", "compatibility_date")
    modules = uploads.decoded(store, body["modules"])
    version = await create(request, worker, body, modules, trigger="version_upload", strict=True)
    changed(request, f"version {version['id']} of {worker['name']} uploaded")
    return ok(show_resource(store, version, modules=False))


def again(version: Json) -> Json:
    """Return the metadata that makes a copy of the newest version: its bindings inherited, its assets kept."""
    keys = ("compatibility_date", "compatibility_flags", "usage_model", "limits", "placement")
    body: Json = {key: version[key] for key in keys if version.get(key)}
    body["body_part" if version.get("service_worker") else "main_module"] = version["main_module"]
    inherited = [{"type": "inherit", "name": b["name"]} for b in version["bindings"]]
    return body | {"bindings": inherited, "keep_assets": True}


async def patch_latest(request: web.Request) -> web.Response:
    """Make a version from the newest one with a JSON merge patch; bindings go by name in `env`, null takes one away.

    `bindings`, a list, replaces all of them. That `env` is the patch's word is unconfirmed.
    """
    store = store_of(request)
    worker = store.worker(request.match_info["worker"])
    newest = get(worker, "latest")
    sent = await read(request)
    body = again(newest)
    changes = sent.pop("env", None) or {}
    body["bindings"] = [b for b in body["bindings"] if b["name"] not in changes]
    body["bindings"] += [{**binding, "name": name} for name, binding in changes.items() if binding is not None]
    modules = uploads.decoded(store, sent.pop("modules")) if sent.get("modules") else newest["modules"]
    body |= {key: value for key, value in sent.items() if value is not None}
    version = await create(request, worker, body, modules, trigger="version_upload", strict=True)
    changed(request, f"version {version['id']} of {worker['name']} made from {newest['id']}")
    return ok(show_resource(store, version, modules=False))


async def list_resource(request: web.Request) -> web.Response:
    """List versions, newest first, a page at a time."""
    store = store_of(request)
    worker = store.worker(request.match_info["worker"])
    rows, info = page(request, worker["versions"][::-1], per_page=10, most=100)
    return ok([show_resource(store, row, modules=False) for row in rows], info=info)


async def get_resource(request: web.Request) -> web.Response:
    """Show a version; `?include=modules` adds the code."""
    store = store_of(request)
    version = get(store.worker(request.match_info["worker"]), request.match_info["version"])
    return ok(show_resource(store, version, modules="modules" in request.query.get("include", "")))


async def delete_resource(request: web.Request) -> web.Response:
    """Delete a version that no live deployment names."""
    worker = store_of(request).worker(request.match_info["worker"])
    version = get(worker, request.match_info["version"])
    live = worker["deployments"][-1]["versions"] if worker["deployments"] else []
    if version["id"] in [part["version_id"] for part in live]:
        raise ApiError(400, 10021, "A version of the active deployment cannot be deleted.")
    worker["versions"].remove(version)
    changed(request, f"version {version['id']} of {worker['name']} deleted")
    return ok(None)


async def post_script(request: web.Request) -> web.Response:
    """Upload a version without deploying it; the script must exist (10007)."""
    store = store_of(request)
    worker = store.worker(request.match_info["script"])
    metadata, modules = await uploads.read_parts(request)
    strict = request.query.get("bindings_inherit") == "strict"
    version = await create(request, worker, metadata, modules, trigger="version_upload", strict=strict)
    changed(request, f"version {version['id']} of {worker['name']} uploaded")
    return ok(show(version))


async def list_script(request: web.Request) -> web.Response:
    """List versions in `result.items`, newest first; `?deployable=true` ignores paging and gives up to 100."""
    worker = store_of(request).worker(request.match_info["script"])
    newest = worker["versions"][::-1]
    if request.query.get("deployable") == "true":
        rows = newest[:DEPLOYABLE]
        info: Json = {"page": 1, "per_page": DEPLOYABLE, "count": len(rows), "total_count": len(rows)}
    else:
        rows, info = page(request, newest, per_page=10, most=100)
    return ok({"items": [show(row, whole=False) for row in rows]}, info=info)


async def get_script(request: web.Request) -> web.Response:
    """Show a version with its resources."""
    return ok(show(get(store_of(request).worker(request.match_info["script"]), request.match_info["version"])))


RESOURCE = "/accounts/{account}/workers/workers/{worker}/versions"
SCRIPT = "/accounts/{account}/workers/scripts/{script}/versions"
ROUTES = (
    Route("POST", RESOURCE, post_resource, "recorded provider requests"),
    Route("GET", RESOURCE, list_resource, "official SDK"),
    Route("GET", RESOURCE + "/{version}", get_resource, "recorded provider requests"),
    Route("DELETE", RESOURCE + "/{version}", delete_resource, "official SDK"),
    Route("PATCH", RESOURCE + "/latest", patch_latest, "wrangler source", "2026-11-28"),
    Route("POST", SCRIPT, post_script, "recorded wrangler 4.86"),
    Route("GET", SCRIPT, list_script, "recorded wrangler 4.86"),
    Route("GET", SCRIPT + "/{version}", get_script, "recorded wrangler 4.86"),
)
