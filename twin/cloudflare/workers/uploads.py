"""Read what is uploaded as a Worker: the multipart form of the script API, the JSON of the beta one, and their limits.

Source: recorded from wrangler 4.86; the official SDK 5.9, which names its parts `files` and the modules by file name.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader

from twin.cloudflare.errors import ApiError, Json, objects, required, shaped
from twin.cloudflare.store import store_of

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

LARGEST = 10 << 20  # bytes of all modules after compression, paid plan
LARGEST_RAW = 64 << 20
SCRIPTS = ("application/javascript", "text/javascript")
KINDS = frozenset(
    {
        "application/javascript+module",
        "text/javascript+module",
        "application/javascript",
        "text/javascript",
        "application/wasm",
        "text/plain",
        "application/octet-stream",
        "application/json",
        "text/x-python",
        "text/x-python-requirement",
        "application/source-map",
    }
)


async def read_parts(request: web.Request) -> tuple[Json, list[Json]]:
    """Return the `metadata` of a multipart upload and its modules, their bytes as blobs; a script may come alone."""
    if request.content_type in SCRIPTS:
        script = module(store_of(request), "worker.js", "application/javascript", await request.read())
        check_size(store_of(request), [script])
        return {"body_part": "worker.js"}, [script]
    if not request.content_type.startswith("multipart/"):
        raise ApiError(400, 10021, "Content-Type must be multipart/form-data.")
    metadata: Json | None = None
    modules: list[Json] = []
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise ApiError(400, 10021, "A part of the upload is itself multipart.")
        body = bytes(await part.read(decode=True))
        if part.name == "metadata":
            metadata = read_metadata(body)
            continue
        kind = part.headers.get("Content-Type", "application/octet-stream")
        modules.append(module(store_of(request), str(part.filename or part.name), kind, body))
    if metadata is None:
        raise ApiError(400, 10021, "could not read content for part metadata")
    check_size(store_of(request), modules)
    return metadata, modules


def read_metadata(body: bytes) -> Json:
    """Return the metadata of an upload; 400 when it is no JSON object."""
    try:
        metadata = json.loads(body)
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise ApiError(400, 10021, "The metadata part is not a JSON object.")
    return metadata


def decoded(store: Store, sent: object) -> list[Json]:
    """Return the modules of a JSON upload, their bytes kept as blobs."""
    modules = []
    for row in objects(sent, "modules"):
        required(shaped(row, name=str, content_type=str, content_base64=str), "name", "content_type", "content_base64")
        try:
            content = base64.b64decode(row["content_base64"], validate=True)
        except ValueError:
            raise ApiError(400, 10021, f"module {row['name']}: content_base64 is not base64") from None
        modules.append(module(store, row["name"], row["content_type"], content))
    check_size(store, modules)
    return modules


def module(store: Store, name: str, kind: str, body: bytes) -> Json:
    """Keep a module's bytes and return its entry; 400 for a kind that Workers do not have."""
    if kind.partition(";")[0].strip() not in KINDS:
        raise ApiError(400, 10021, f"module {name} has the unsupported content type {kind}")
    return {"name": name, "kind": kind, "blob": store.put_blob(body), "size": len(body)}


def check_size(store: Store, modules: list[Json]) -> None:
    """Refuse more code than a Worker may have: 10027."""
    raw = sum(one["size"] for one in modules)
    if raw <= LARGEST:
        return
    if raw > LARGEST_RAW or len(gzip.compress(b"".join(store.blob(m["blob"]) for m in modules), 1)) > LARGEST:
        text = f"Your Worker exceeded the size limit of {LARGEST >> 20} MiB. Please see the limits of your plan."
        raise ApiError(413, 10027, text)
