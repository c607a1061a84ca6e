"""Keep R2 buckets with what belongs to them; `objects` has what is in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, read
from twin.cloudflare.store import changed, found, now, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

BUCKET_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")
OWN_CALLS = frozenset({"id", "lifecycle", "lock", "cors", "hosts", "managed"})
NO_BUCKET = "The specified bucket does not exist."


async def post_bucket(request: web.Request) -> web.Response:
    """Create an R2 bucket: camelCase on the way in, snake_case on the way out."""
    store, body = store_of(request), await read(request)
    name = str(body.get("name", ""))
    if not BUCKET_NAME.match(name):
        raise ApiError(400, 10005, "The specified bucket name is not valid.")
    if name in store.data["buckets"]:
        raise ApiError(409, 10004, "The bucket you tried to create already exists, and you own it.")
    bucket = {
        "name": name,
        "creation_date": now(),
        "location": str(body.get("locationHint", "weur")).upper(),
        "storage_class": body.get("storageClass", "Standard"),
        "jurisdiction": request.headers.get("cf-r2-jurisdiction", "default"),
    }
    store.data["buckets"][name] = bucket
    changed(request, f"R2 bucket {name} created")
    return ok(bucket)


async def list_buckets(request: web.Request) -> web.Response:
    """List R2 buckets."""
    return ok({"buckets": [show_bucket(bucket) for bucket in store_of(request).data["buckets"].values()]})


def show_bucket(bucket: Json) -> Json:
    """Return a bucket without its policies, which have calls of their own."""
    return {key: value for key, value in bucket.items() if key not in OWN_CALLS}


def find_bucket(request: web.Request) -> Json:
    """Return the bucket of the path; 404 with 10006."""
    return found(store_of(request).data["buckets"], request.match_info["name"], 10006, NO_BUCKET)


async def get_bucket(request: web.Request) -> web.Response:
    """Show an R2 bucket."""
    return ok(show_bucket(find_bucket(request)))


async def patch_bucket(request: web.Request) -> web.Response:
    """Change the storage class, which comes in the header `cf-r2-storage-class`."""
    bucket = find_bucket(request)
    bucket["storage_class"] = request.headers.get("cf-r2-storage-class", bucket["storage_class"])
    changed(request, f"R2 bucket {bucket['name']} changed")
    return ok(show_bucket(bucket))


async def delete_bucket(request: web.Request) -> web.Response:
    """Delete an R2 bucket; 409 with 10008 while it has objects."""
    store, bucket = store_of(request), find_bucket(request)
    if store.objects.count(bucket["name"]):
        raise ApiError(409, 10008, "The bucket you tried to delete is not empty.")
    del store.data["buckets"][bucket["name"]]
    changed(request, f"R2 bucket {bucket['name']} deleted")
    return ok(None)


R2 = "/accounts/{account}/r2/buckets"
ROUTES = (
    Route("POST", R2, post_bucket, "recorded provider requests"),
    Route("GET", R2, list_buckets, "official SDK"),
    Route("GET", R2 + "/{name}", get_bucket, "recorded provider requests"),
    Route("PATCH", R2 + "/{name}", patch_bucket, "recorded provider requests"),
    Route("DELETE", R2 + "/{name}", delete_bucket, "recorded provider requests"),
)
