"""Write, read and list what is in KV namespaces: Workers' bindings see the same entries.

Source: the API's OpenAPI as the official SDK 5.9 carries it. Limits are those of `twin.workerd.kv`; the codes beside
10009 and 10013 are unconfirmed.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from twin.cloudflare.errors import ApiError, Json, number, ok, read, read_any
from twin.cloudflare.storage.namespaces import KV, find_namespace
from twin.cloudflare.store import store_of
from twin.route import EFFECT, Route
from twin.workerd import kv

if TYPE_CHECKING:
    from twin.cloudflare.store import Store

MOST_WRITTEN = 10000  # keys of one bulk write or delete
SHORTEST_LIST = 10
REFUSED = 10033  # unconfirmed
NO_KEY = "get: 'key not found'"


def place(request: web.Request) -> tuple[Store, str]:
    """Return the store and the id of the path's namespace; 404 with 10013."""
    return store_of(request), str(find_namespace(request)["id"])


def key_of(request: web.Request, before: str) -> str:
    """Return the path's key: it may hold slashes, sent as such or as %2F."""
    return unquote(request.rel_url.raw_path.partition(f"/{before}/")[2])


def found(request: web.Request, before: str) -> kv.Entry:
    """Return the path's entry; 404 with 10009."""
    store, namespace = place(request)
    entry = store.values.get(namespace, key_of(request, before))
    if entry is None:
        raise ApiError(404, 10009, NO_KEY)
    return entry


def checked(sent: Json) -> kv.Entry:
    """Return an entry from the fields of a bulk write; 400 where KV does not take it."""
    value = str(sent.get("value", ""))
    try:
        content = base64.b64decode(value, validate=True) if sent.get("base64") else value.encode()
        metadata = sent.get("metadata")
        return kv.entry(
            str(sent.get("key") or ""),
            content,
            None if metadata is None else json.dumps(metadata, separators=(",", ":")),
            expiration=text_of(sent.get("expiration")),
            ttl=text_of(sent.get("expiration_ttl")),
        )
    except ValueError:
        raise ApiError(400, REFUSED, f"the value of key {sent.get('key')} is not base64") from None
    except kv.RefusedError as refused:
        raise ApiError(refused.status, REFUSED, str(refused)) from None


def text_of(number: object) -> str | None:
    """Return a number of a JSON body as text; zero and null are no number."""
    return str(int(number)) if isinstance(number, int | float) and number else None


async def put(request: web.Request) -> web.Response:
    """Write a value: the raw body, or a form with `value` and `metadata`."""
    store, namespace = place(request)
    metadata: str | None = None
    if request.content_type.startswith("multipart/"):
        parts = await form(request)
        if "value" not in parts:
            raise ApiError(400, REFUSED, "the form has no value")
        content = parts["value"]
        if parts.get("metadata"):
            metadata = compact(parts["metadata"])
    else:
        content = await request.read()
    query = request.query
    try:
        entry = kv.entry(
            key_of(request, "values"),
            content,
            metadata,
            expiration=query.get("expiration"),
            ttl=query.get("expiration_ttl"),
        )
    except kv.RefusedError as refused:
        raise ApiError(refused.status, REFUSED, str(refused)) from None
    store.values.put(namespace, entry)
    request[EFFECT] = f"KV key {entry.name} written"
    return ok({})


async def form(request: web.Request) -> dict[str, bytes]:
    """Return the parts of a form by name."""
    parts: dict[str, bytes] = {}
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name:
            parts[part.name] = bytes(await part.read(decode=True))
    return parts


def compact(metadata: bytes) -> str:
    """Return metadata as short JSON text; 400 when it is none."""
    try:
        return json.dumps(json.loads(metadata), separators=(",", ":"))
    except ValueError:
        raise ApiError(400, REFUSED, "metadata must be JSON") from None


async def get(request: web.Request) -> web.Response:
    """Return a value, raw; 404 with 10009 when there is none."""
    entry = found(request, "values")
    headers = {} if entry.expires is None else {"expiration": str(int(entry.expires))}
    return web.Response(body=entry.value, headers=headers, content_type="application/octet-stream")


async def get_metadata(request: web.Request) -> web.Response:
    """Return a key's metadata, null when it has none."""
    metadata = found(request, "metadata").metadata
    return ok(None if metadata is None else json.loads(metadata))


async def delete(request: web.Request) -> web.Response:
    """Delete a key; one that is not there counts as deleted."""
    store, namespace = place(request)
    name = key_of(request, "values")
    store.values.delete(namespace, name)
    request[EFFECT] = f"KV key {name} deleted"
    return ok({})


async def listing(request: web.Request) -> web.Response:
    """List keys by name, `limit` (10 to 1000) at a time; `cursor` goes on, empty at the end."""
    store, namespace = place(request)
    limit = number(request, "limit", kv.LONGEST_LIST)
    if not SHORTEST_LIST <= limit <= kv.LONGEST_LIST:
        raise ApiError(400, REFUSED, f"limit must be between {SHORTEST_LIST} and {kv.LONGEST_LIST}")
    after = decode(request.query.get("cursor", ""))
    entries = store.values.listed(namespace, prefix=request.query.get("prefix", ""), after=after, limit=limit + 1)
    shown, more = entries[:limit], len(entries) > limit
    cursor = base64.urlsafe_b64encode(shown[-1].name.encode()).decode() if more else ""
    return ok([show(entry) for entry in shown], info={"count": len(shown), "cursor": cursor})


def decode(cursor: str) -> str:
    """Return the key that a cursor stands for; 400 for one that was not given out."""
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise ApiError(400, REFUSED, "the cursor is not valid") from None


def show(entry: kv.Entry) -> Json:
    """Return a key as the list shows it."""
    view: Json = {"name": entry.name}
    if entry.expires is not None:
        view["expiration"] = int(entry.expires)
    if entry.metadata is not None:
        view["metadata"] = json.loads(entry.metadata)
    return view


async def put_bulk(request: web.Request) -> web.Response:
    """Write up to 10,000 keys, all or none."""
    store, namespace = place(request)
    rows = await rows_of(request)
    if not all(isinstance(row, dict) for row in rows):
        raise ApiError(400, REFUSED, "the body must be a list of keys with their values")
    store.values.put_all(namespace, [checked(row) for row in rows])
    request[EFFECT] = f"{len(rows)} KV keys written"
    return ok({"successful_key_count": len(rows), "unsuccessful_keys": []})


async def delete_bulk(request: web.Request) -> web.Response:
    """Delete up to 10,000 keys."""
    store, namespace = place(request)
    names = await rows_of(request)
    for name in names:
        store.values.delete(namespace, str(name))
    request[EFFECT] = f"{len(names)} KV keys deleted"
    return ok({"successful_key_count": len(names), "unsuccessful_keys": []})


async def rows_of(request: web.Request) -> list[Json]:
    """Return the list that a bulk call sends; 400 when it is none or too long."""
    rows = await read_any(request)
    if not isinstance(rows, list):
        raise ApiError(400, REFUSED, "the body must be a list")
    if len(rows) > MOST_WRITTEN:
        raise ApiError(400, REFUSED, f"at most {MOST_WRITTEN} keys can be changed at once")
    return rows


async def get_bulk(request: web.Request) -> web.Response:
    """Read up to 100 keys at once as text or JSON, `withMetadata` or not; null for one that is not there."""
    store, namespace = place(request)
    sent = await read(request)
    keys = sent.get("keys") or []
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ApiError(400, REFUSED, "keys must be a list of names")
    try:
        values = kv.read_all(store.values, namespace, keys, kind=sent.get("type") or "text")
    except kv.RefusedError as refused:
        raise ApiError(refused.status, REFUSED, str(refused)) from None
    if not sent.get("withMetadata"):
        return ok({"values": {name: one and one[0] for name, one in values.items()}})
    return ok({"values": {name: one and whole(*one) for name, one in values.items()}})


def whole(value: object, metadata: object, expires: float | None) -> Json:
    """Return a value with its metadata and, when it has one, its expiry."""
    return {"value": value, "metadata": metadata} | ({} if expires is None else {"expiration": int(expires)})


ONE = KV + "/{id}"
SOURCE = "official SDK 5.9"
WRANGLER = "wrangler 4.86, run against the twin"
TODAY = "2026-11-28"
ROUTES = (
    Route("PUT", ONE + "/values/{key:.+}", put, WRANGLER, TODAY),
    Route("GET", ONE + "/values/{key:.+}", get, WRANGLER, TODAY),
    Route("DELETE", ONE + "/values/{key:.+}", delete, WRANGLER, TODAY),
    Route("GET", ONE + "/metadata/{key:.+}", get_metadata, SOURCE, TODAY),
    Route("GET", ONE + "/keys", listing, WRANGLER, TODAY),
    Route("PUT", ONE + "/bulk", put_bulk, WRANGLER, TODAY),
    Route("DELETE", ONE + "/bulk", delete_bulk, WRANGLER, TODAY),
    Route("POST", ONE + "/bulk/delete", delete_bulk, SOURCE, TODAY),
    Route("POST", ONE + "/bulk/get", get_bulk, SOURCE, TODAY),
)
