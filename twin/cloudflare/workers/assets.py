"""Take the static assets of a Worker and answer with them: what has no code of its own is served straight away.

Sources, read 2026-11-28: wrangler 4.86 run against the twin; Cloudflare's documentation of static assets (HTML
handling, `not_found_handling`, `run_worker_first`, `_headers`, `_redirects`). Codes of refusals are unconfirmed.
"""

from __future__ import annotations

import base64
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from aiohttp import BodyPartReader, web

from twin.cloudflare import tickets
from twin.cloudflare.errors import ApiError, Json, ok, read
from twin.cloudflare.pages import rules, sites
from twin.cloudflare.store import changed, store_of
from twin.route import Route
from twin.world import Asset

if TYPE_CHECKING:
    from twin.cloudflare.store import Store

HASH = re.compile(r"^[0-9a-f]{32}$")
TOKEN_SECONDS = 3600
MOST_FILES, LARGEST = 100000, 25 << 20  # files of a Worker, bytes of one (paid plan)
IN_ONE_UPLOAD = 50
HTML = ("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none")
MISSING = ("none", "404-page", "single-page-application")
TEMPORARY = 307


def payload_of(store: Store, token: str, kind: str) -> Json:
    """Return what a JWT of this kind says; 401 for one that is not ours or too old."""
    payload = tickets.read(store, token)
    if payload is not None and payload["kind"] == kind:
        return payload
    raise ApiError(401, 10000, "The asset token is not valid or has expired.")


async def post_session(request: web.Request) -> web.Response:
    """Begin an upload of assets: say which files are missing, in `buckets`; none: the token completes it already."""
    store, script = store_of(request), request.match_info["script"]
    manifest = (await read(request)).get("manifest")
    if not isinstance(manifest, dict) or len(manifest) > MOST_FILES:
        raise ApiError(400, 10021, "manifest must be an object of paths with hash and size")
    for path, file in manifest.items():
        if not isinstance(file, dict) or not HASH.match(str(file.get("hash"))) or not isinstance(file.get("size"), int):
            raise ApiError(400, 10021, f"{path}: hash must be 32 hex digits and size a number")
        if file["size"] > LARGEST:
            raise ApiError(400, 10021, f"{path} is larger than 25 MiB.")
    files = {path: file["hash"] for path, file in manifest.items()}
    missing = sorted({key for key in files.values() if key not in store.data["worker_assets"]})
    kind = "upload" if missing else "complete"
    payload = {"kind": kind, "script": script, "files": files}
    buckets = [missing[start : start + IN_ONE_UPLOAD] for start in range(0, len(missing), IN_ONE_UPLOAD)]
    changed(request, f"assets of {script}: {len(missing)} of {len(files)} files to upload")
    return ok({"jwt": tickets.issue(store, payload, seconds=TOKEN_SECONDS), "buckets": buckets})


async def post_files(request: web.Request) -> web.Response:
    """Take files in base64, each part named by its hash; after the last, the token to create a version with."""
    store = store_of(request)
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    payload = payload_of(store, token, "upload")
    wanted = set(payload["files"].values())
    count = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name not in wanted:
            raise ApiError(400, 10021, "each part must be named by the hash of a file of the manifest")
        content = base64.b64decode(await part.read(decode=True))
        store.put_blob(content, key=f"worker-asset-{part.name}")
        store.data["worker_assets"][part.name] = part.headers.get("Content-Type", "application/octet-stream")
        count += 1
    changed(request, f"{count} asset files uploaded")
    if any(key not in store.data["worker_assets"] for key in wanted):
        return ok({}, status=202)
    done = {"kind": "complete", "script": payload["script"], "files": payload["files"]}
    return ok({"jwt": tickets.issue(store, done, seconds=TOKEN_SECONDS)}, status=201)


def accept(store: Store, worker: Json, metadata: Json) -> Json | None:
    """Return the assets of a new version: of its token, or those of the newest version with `keep_assets`."""
    newest = worker["versions"][-1].get("assets") if worker["versions"] else None
    sent = metadata.get("assets")
    if not sent:
        return newest if metadata.get("keep_assets") else None
    config = sent.get("config") or {}
    for key, allowed in (("html_handling", HTML), ("not_found_handling", MISSING)):
        if config.get(key, allowed[0]) not in allowed:
            raise ApiError(400, 10021, f"assets.config.{key} must be one of {', '.join(allowed)}")
    if sent.get("jwt"):
        payload = payload_of(store, sent["jwt"], "complete")
        if payload["script"] != worker["name"]:
            raise ApiError(400, 10021, "The asset token is of another Worker.")
        files = payload["files"]
    elif metadata.get("keep_assets") and newest:
        files = newest["files"]
    else:
        raise ApiError(400, 10021, "assets.jwt is required")
    read = rules.read_rules(config.get("_headers") or "", config.get("_redirects") or "")
    return {"files": files, "config": config, "rules": read}


def answer(store: Store, version: Json, whole: str, *, host: str, navigates: bool, bound: bool) -> Asset | None:
    """Return what a version's assets answer to a path with its query; None: its code answers.

    `bound`: the code itself asks, through its binding; `navigates`: a browser asks for a page.
    """
    assets = version.get("assets")
    if assets is None:
        return None
    path, _, query = whole.partition("?")
    path = path or "/"
    by_code = bool(version["modules"]) and not bound
    if by_code and worker_first(assets["config"].get("run_worker_first"), unquote(path)):
        return None
    redirected = rules.redirect(assets["rules"]["redirects"], path, query)
    if isinstance(redirected, str):
        plain = file_at(store, assets, unquote(redirected), query, by_code=by_code, navigates=navigates)
    else:
        plain = redirected
    if plain is None:
        return None
    return Asset(
        plain.status, tuple(rules.dressed(assets["rules"]["headers"], path, host, [*plain.headers])), plain.body
    )


def file_at(store: Store, assets: Json, path: str, query: str, *, by_code: bool, navigates: bool) -> Asset | None:
    """Return the file that answers a path, or the redirect to the address that it should be asked by."""
    found = find(assets["files"], path, assets["config"].get("html_handling", HTML[0]))
    if found is None:
        return absent(store, assets, path, by_code=by_code, navigates=navigates)
    if found.startswith("> "):
        return rules.moved(TEMPORARY, quote(found[2:]), query)
    return respond(store, assets, sites.OK, found)


def absent(store: Store, assets: Json, path: str, *, by_code: bool, navigates: bool) -> Asset | None:
    """Return what is answered where there is no file; None: the code answers."""
    missing = assets["config"].get("not_found_handling", MISSING[0])
    one_page = missing == "single-page-application" and "/index.html" in assets["files"]
    if by_code and not (one_page and navigates):
        return None
    if one_page:
        return respond(store, assets, sites.OK, "/index.html")
    page = nearest(assets["files"], path) if missing == "404-page" else None
    return Asset(sites.NOT_FOUND, (), b"") if page is None else respond(store, assets, sites.NOT_FOUND, page)


def worker_first(setting: object, path: str) -> bool:
    """Tell whether the code answers before the assets: always, or for these paths (`!` excepts)."""
    if not isinstance(setting, list):
        return bool(setting)
    excepted = any(fnmatchcase(path, str(rule)[1:]) for rule in setting if str(rule).startswith("!"))
    return not excepted and any(fnmatchcase(path, str(rule)) for rule in setting)


def find(files: dict[str, str], path: str, handling: str) -> str | None:
    """Return the file that answers a path, `> ` and the address that it should have been asked by, or None."""
    if path in files and (handling == "none" or not path.endswith(".html")):
        return path
    if handling == "none":
        return None
    bare = re.sub(r"(/index)?(\.html)?$", "", path.rstrip("/"))
    inside, beside = f"{bare}/index.html", f"{bare}.html"
    wanted = (inside, beside) if path.endswith("/") else (beside, inside)
    file = next((one for one in wanted if one in files), None)
    if file is None:
        return None
    slash = {"force-trailing-slash": True, "drop-trailing-slash": False}.get(handling, file == inside)
    tidy = f"{bare}/" if slash or not bare else bare
    return file if path == tidy else f"> {tidy}"


def nearest(files: dict[str, str], path: str) -> str | None:
    """Return the 404 page of the nearest folder."""
    folder = path.rpartition("/")[0]
    while f"{folder}/404.html" not in files:
        if not folder:
            return None
        folder = folder.rpartition("/")[0]
    return f"{folder}/404.html"


def respond(store: Store, assets: Json, status: int, file: str) -> Asset:
    """Return a file with the headers of assets."""
    key = assets["files"][file]
    headers = (("Content-Type", sites.typed(store.data["worker_assets"][key])), sites.FRESH, ("ETag", f'"{key}"'))
    return Asset(status, headers, store.blob(f"worker-asset-{key}"))


WRANGLER, TODAY = "wrangler 4.86, run against the twin", "2026-11-28"
SESSION = "/accounts/{account}/workers/scripts/{script}/assets-upload-session"
FILES = "/accounts/{account}/workers/assets/upload"
ROUTES = (
    Route("POST", SESSION, post_session, WRANGLER, TODAY),
    Route("POST", FILES, post_files, WRANGLER, TODAY, door="upload token"),
)
