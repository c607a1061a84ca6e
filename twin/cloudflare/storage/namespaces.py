"""Keep KV namespaces; `values` has what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json, ok, page, read, required
from twin.cloudflare.store import changed, found, object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store

NO_NAMESPACE = "namespace not found"


def free_title(store: Store, title: str, *, other_than: str = "") -> None:
    """Refuse a title that another KV namespace has."""
    if any(n["title"] == title and n["id"] != other_than for n in store.data["namespaces"].values()):
        raise ApiError(400, 10014, "A namespace with this account ID and title already exists.")


async def post_namespace(request: web.Request) -> web.Response:
    """Create a KV namespace."""
    store, body = store_of(request), await read(request)
    required(body, "title", code=10019)
    free_title(store, body["title"])
    namespace = {"id": object_id(), "title": body["title"], "supports_url_encoding": True}
    store.data["namespaces"][namespace["id"]] = namespace
    changed(request, f"KV namespace {namespace['title']} created")
    return ok(namespace)


async def list_namespaces(request: web.Request) -> web.Response:
    """List KV namespaces, a page at a time."""
    rows, info = page(request, list(store_of(request).data["namespaces"].values()), per_page=20, most=1000)
    return ok(rows, info=info)


def find_namespace(request: web.Request) -> Json:
    """Return the namespace of the path; 404 with 10013."""
    return found(store_of(request).data["namespaces"], request.match_info["id"], 10013, NO_NAMESPACE)


async def get_namespace(request: web.Request) -> web.Response:
    """Show a KV namespace."""
    return ok(find_namespace(request))


async def put_namespace(request: web.Request) -> web.Response:
    """Rename a KV namespace."""
    namespace, body = find_namespace(request), await read(request)
    required(body, "title", code=10019)
    free_title(store_of(request), body["title"], other_than=namespace["id"])
    namespace["title"] = body["title"]
    changed(request, f"KV namespace {namespace['title']} renamed")
    return ok(namespace)


async def delete_namespace(request: web.Request) -> web.Response:
    """Delete a KV namespace with all its keys."""
    store, namespace = store_of(request), find_namespace(request)
    del store.data["namespaces"][namespace["id"]]
    store.values.forget(namespace["id"])
    changed(request, f"KV namespace {namespace['title']} deleted")
    return ok({})


KV = "/accounts/{account}/storage/kv/namespaces"
ROUTES = (
    Route("POST", KV, post_namespace, "recorded provider requests"),
    Route("GET", KV, list_namespaces, "official SDK"),
    Route("GET", KV + "/{id}", get_namespace, "recorded provider requests"),
    Route("PUT", KV + "/{id}", put_namespace, "recorded provider requests"),
    Route("DELETE", KV + "/{id}", delete_namespace, "recorded provider requests"),
)
