"""Take the files of a direct upload: a short-lived token, then only what the account does not have yet.

Source: recorded from `wrangler pages deploy` 4.86 on 2026-11-23.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from blake3 import blake3

from twin.cloudflare import tickets
from twin.cloudflare.errors import ApiError, ok, read, read_any
from twin.cloudflare.pages import projects
from twin.cloudflare.store import changed, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

TOKEN_SECONDS = 1800  # how long an upload token is good for
MOST_FILES = 20000
MOST_BYTES = 25 * 1024 * 1024  # of one file
HASH = re.compile(r"^[0-9a-f]{32}$")


def hash_of(content: bytes, extension: str) -> str:
    """Return the key of a file: BLAKE3 over its base64 text and its extension without the dot, 32 hex digits."""
    return str(blake3(base64.b64encode(content) + extension.encode()).hexdigest())[:32]


def admit(request: web.Request) -> None:
    """Refuse an upload call without a good, unexpired token: 401 with 8000013."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    payload = tickets.read(store_of(request), token)
    if payload is None or payload["kind"] != "pages":
        raise ApiError(401, 8000013, "Authorization failed")


async def get_token(request: web.Request) -> web.Response:
    """Give an upload token."""
    payload = {"kind": "pages", "max_file_count_allowed": MOST_FILES, "project": projects.find(request)["name"]}
    return ok({"jwt": tickets.issue(store_of(request), payload, seconds=TOKEN_SECONDS)})


async def hashes_of(request: web.Request) -> list[str]:
    """Return the hashes of a body; 400 when there are none or too many."""
    body = await read(request)
    hashes = body.get("hashes")
    if not isinstance(hashes, list) or not all(isinstance(h, str) and HASH.match(h) for h in hashes):
        raise ApiError(400, 8000000, "hashes must be a list of 32 hex digits each.")
    if len(hashes) > MOST_FILES:
        raise ApiError(400, 8000000, f"At most {MOST_FILES} files are allowed.")
    return hashes


async def check_missing(request: web.Request) -> web.Response:
    """Return those hashes whose files must still be uploaded."""
    admit(request)
    have = store_of(request).data["assets"]
    return ok([key for key in dict.fromkeys(await hashes_of(request)) if key not in have])


async def upload(request: web.Request) -> web.Response:
    """Take files: `[{key, value, metadata: {contentType}, base64: true}]`; 25 MiB each at most."""
    admit(request)
    store, body = store_of(request), await read_any(request)
    if not isinstance(body, list):
        raise ApiError(400, 8000000, "The body must be a list of files.")
    for sent in body:
        key, value = sent.get("key"), sent.get("value")
        if not isinstance(key, str) or not HASH.match(key) or not isinstance(value, str):
            raise ApiError(400, 8000000, "key and value are required.")
        content = base64.b64decode(value) if sent.get("base64") else value.encode()
        if len(content) > MOST_BYTES:
            raise ApiError(400, 8000000, f"{key} is larger than 25 MiB.")
        store.put_blob(content, key=f"asset-{key}")
        store.data["assets"][key] = (sent.get("metadata") or {}).get("contentType", "application/octet-stream")
    changed(request, f"{len(body)} files uploaded")
    return ok({"successful_key_count": len(body), "unsuccessful_keys": []})


async def upsert(request: web.Request) -> web.Response:
    """Mark hashes as in use; nothing expires here."""
    admit(request)
    await hashes_of(request)
    return ok(None)


SOURCE = "recorded wrangler 4.86"
ROUTES = (
    Route("GET", "/accounts/{account}/pages/projects/{project}/upload-token", get_token, SOURCE),
    Route("POST", "/pages/assets/check-missing", check_missing, SOURCE, door="upload token"),
    Route("POST", "/pages/assets/upload", upload, SOURCE, door="upload token"),
    Route("POST", "/pages/assets/upsert-hashes", upsert, SOURCE, door="upload token"),
)
