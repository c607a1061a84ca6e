"""Write, read, list and delete R2 objects by REST: Workers' bindings see the same objects.

Source: the API's OpenAPI as the official SDK 5.9 carries it, and wrangler 4.86 run against the twin.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

from twin.cloudflare.errors import ApiError, Json, number, ok, read, required
from twin.cloudflare.storage.buckets import R2, find_bucket
from twin.cloudflare.store import store_of
from twin.route import EFFECT, Route
from twin.workerd.objects import LONGEST_LIST, NO_KEY, About, RefusedError

if TYPE_CHECKING:
    from twin.cloudflare.store import Store

HTTP = {  # R2's word for each header
    "Content-Type": "contentType",
    "Content-Language": "contentLanguage",
    "Content-Disposition": "contentDisposition",
    "Content-Encoding": "contentEncoding",
    "Cache-Control": "cacheControl",
    "Expires": "cacheExpiry",
}
PERMISSIONS = ("admin-read-write", "admin-read-only", "object-read-write", "object-read-only")
LONGEST_LIFE = 604800  # seconds, of temporary credentials


def place(request: web.Request) -> tuple[Store, str, str]:
    """Return the store, the bucket's name and the object's; 404 with 10006 for a bucket that is not there."""
    key = request.rel_url.raw_path.partition("/objects/")[2]
    return store_of(request), str(find_bucket(request)["name"]), unquote(key)


def when(about: About) -> datetime:
    """Return when an object was written."""
    return datetime.fromtimestamp(about.uploaded / 1000, UTC)


def show(about: About) -> Json:
    """Return an object as the list shows it."""
    return {
        "key": about.name,
        "etag": about.etag,
        "size": about.size,
        "last_modified": when(about).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "http_metadata": about.http,
        "custom_metadata": about.custom,
        "storage_class": about.storage_class,
        "ssec": False,
    }


async def put(request: web.Request) -> web.Response:
    """Write an object; its headers become its HTTP metadata, the class comes in `cf-r2-storage-class`."""
    store, bucket, key = place(request)
    http = {word: request.headers[name] for name, word in HTTP.items() if name in request.headers}
    default = str(find_bucket(request)["storage_class"])
    sent = About(key, http, {}, request.headers.get("cf-r2-storage-class", default))
    try:
        about = store.objects.put(bucket, sent, await request.read())
    except RefusedError as refused:
        raise ApiError(refused.status, refused.code, str(refused)) from None
    request[EFFECT] = f"R2 object {bucket}/{key} written"
    return ok(
        {
            "key": key,
            "etag": about.etag,
            "size": str(about.size),
            "storage_class": about.storage_class,
            "uploaded": show(about)["last_modified"],
            "version": about.version,
        }
    )


async def get(request: web.Request) -> web.Response:
    """Return an object, raw, with its HTTP metadata as headers; 404 with 10007."""
    store, bucket, key = place(request)
    about = store.objects.head(bucket, key)
    if about is None:
        raise ApiError(*NO_KEY)
    headers = {name: about.http[word] for name, word in HTTP.items() if word in about.http}
    headers |= {"ETag": f'"{about.etag}"', "Last-Modified": format_datetime(when(about), usegmt=True)}
    headers.setdefault("Content-Type", "application/octet-stream")
    return web.Response(body=store.objects.body(bucket, key), headers=headers)


async def delete(request: web.Request) -> web.Response:
    """Delete an object; one that is not there counts as deleted."""
    store, bucket, key = place(request)
    try:
        store.objects.delete(bucket, key)
    except RefusedError as refused:
        raise ApiError(refused.status, refused.code, str(refused)) from None
    request[EFFECT] = f"R2 object {bucket}/{key} deleted"
    return ok({"key": key})


async def listing(request: web.Request) -> web.Response:
    """List objects by name: `prefix`, `delimiter`, `start_after`, `per_page` (1000 at most), `cursor`."""
    store, bucket, _ = place(request)
    try:
        cursor = base64.b64decode(request.query.get("cursor", ""), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise ApiError(400, 10029, "The cursor is not valid.") from None
    page = store.objects.listed(
        bucket,
        prefix=request.query.get("prefix", ""),
        after=max(cursor, request.query.get("start_after", "")),
        delimiter=request.query.get("delimiter", ""),
        limit=min(max(number(request, "per_page", 20), 1), LONGEST_LIST),
    )
    more = page.after is not None
    cursor = base64.urlsafe_b64encode(page.after.encode()).decode() if page.after is not None else ""
    info = {"cursor": cursor, "is_truncated": str(more).lower(), "delimited": page.prefixes}
    return ok([show(about) for about in page.objects], info=info | {"per_page": len(page.objects)})


async def post_credentials(request: web.Request) -> web.Response:
    """Give temporary S3 credentials. The twin has no S3 side: nothing takes them."""
    body = await read(request)
    required(body, "bucket", "parentAccessKeyId", "permission", "ttlSeconds", code=10029)
    if body["bucket"] not in store_of(request).data["buckets"]:
        raise ApiError(404, 10006, "The specified bucket does not exist.")
    if body["permission"] not in PERMISSIONS:
        raise ApiError(400, 10029, f"permission must be one of {', '.join(PERMISSIONS)}")
    if not 0 < float(body["ttlSeconds"]) <= LONGEST_LIFE:
        raise ApiError(400, 10029, f"ttlSeconds must be at most {LONGEST_LIFE}")
    made = {"accessKeyId": secrets.token_hex(16), "secretAccessKey": secrets.token_hex(32)}
    return ok(made | {"sessionToken": secrets.token_urlsafe(64)})


ONE = R2 + "/{name}/objects"
SDK, WRANGLER, TODAY = "official SDK 5.9", "wrangler 4.86, run against the twin", "2026-11-28"
ROUTES = (
    Route("GET", ONE, listing, SDK, TODAY),
    Route("PUT", ONE + "/{key:.+}", put, WRANGLER, TODAY),
    Route("GET", ONE + "/{key:.+}", get, WRANGLER, TODAY),
    Route("DELETE", ONE + "/{key:.+}", delete, WRANGLER, TODAY),
    Route("POST", "/accounts/{account}/r2/temp-access-credentials", post_credentials, SDK, TODAY),
)
