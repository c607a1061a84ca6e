"""Show and replace a script's code alone: what it is bound to stays.

Source: wrangler's `versions secret put`, which reads the code of a version and uploads it again; official SDK 5.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import MultipartWriter, web

from twin.cloudflare.errors import ApiError, Json, ok
from twin.cloudflare.store import changed, store_of
from twin.cloudflare.workers import scripts, uploads, versions
from twin.route import Route

if TYPE_CHECKING:
    from twin.cloudflare.store import Store


MAIN = {"main_module": "CF-WORKER-MAIN-MODULE-PART", "body_part": "CF-WORKER-BODY-PART"}
"""What names the main part in the metadata, and the header that may do so."""


def whole(store: Store, version: Json) -> web.Response:
    """Return a version's code: a service worker as it is, modules as a form, the main one named in `cf-entrypoint`."""
    if version.get("service_worker"):
        (script,) = [m for m in version["modules"] if m["name"] == version["main_module"]]
        return web.Response(body=store.blob(script["blob"]), headers={"Content-Type": script["kind"]})
    form = MultipartWriter("form-data")
    for module in version["modules"]:
        part = form.append(store.blob(module["blob"]), {"Content-Type": module["kind"]})
        part.set_content_disposition("form-data", name=module["name"], filename=module["name"])
    return web.Response(body=form, headers={"cf-entrypoint": version["main_module"]})


async def get(request: web.Request) -> web.Response:
    """Return the code of the newest version, or of `?version=`: raw, or a form when it has modules."""
    worker = scripts.with_versions(request)
    return whole(store_of(request), versions.get(worker, request.query.get("version", "latest")))


async def get_script(request: web.Request) -> web.Response:
    """Return the code of the newest version."""
    return whole(store_of(request), versions.get(scripts.with_versions(request), "latest"))


async def put(request: web.Request) -> web.Response:
    """Replace the code and deploy it: bindings, settings and assets stay as they are in the newest version."""
    worker = scripts.with_versions(request)
    newest = worker["versions"][-1]
    metadata, modules = await uploads.read_parts(request)
    main: Json = {key: metadata[key] for key in MAIN if key in metadata}
    if not main:
        main = {key: request.headers[header] for key, header in MAIN.items() if header in request.headers}
    if not main:
        raise ApiError(400, 10021, "metadata must name main_module or body_part.")
    body = {key: value for key, value in versions.again(newest).items() if key not in MAIN} | main
    version = await scripts.release(request, worker, body, modules, strict=True)
    changed(request, f"code of {worker['name']} replaced: version {version['id']} 100%")
    return ok(scripts.show(worker))


SCRIPT = "/accounts/{account}/workers/scripts/{script}"
ROUTES = (
    Route("GET", SCRIPT, get_script, "official SDK 5.9", "2026-11-28"),
    Route("GET", SCRIPT + "/content/v2", get, "provider source; wrangler 4.86, run against the twin", "2026-11-28"),
    Route("PUT", SCRIPT + "/content", put, "official SDK 5.9", "2026-11-28"),
)
