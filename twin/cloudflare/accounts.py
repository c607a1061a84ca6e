"""Say who calls and what account there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.cloudflare.access import door
from twin.cloudflare.access.trail import OPERATOR, TOKEN
from twin.cloudflare.errors import ApiError, Json, ok, page, read, required
from twin.cloudflare.store import changed, store_of
from twin.route import Route

if TYPE_CHECKING:
    from aiohttp import web

    from twin.cloudflare.store import Store


def show(store: Store) -> Json:
    """Return the one account."""
    return {"id": store.account, "name": "twin", "type": "standard", "settings": {"enforce_twofactor": False}}


async def user(request: web.Request) -> web.Response:
    """Show the user behind the token."""
    return ok({"id": store_of(request).data["user"], "email": OPERATOR, "suspended": False})


async def listing(request: web.Request) -> web.Response:
    """List the accounts that the token may do anything in; refused (1001) to one that an account owns."""
    if request[TOKEN]["owner"] == "account":
        raise ApiError(400, 1001, "List accounts endpoint does not support account owned tokens.")
    seen = [show(store_of(request))] if door.inside(request) else []
    rows, info = page(request, seen, per_page=20, most=50)
    return ok(rows, info=info)


async def get(request: web.Request) -> web.Response:
    """Show the account."""
    return ok(show(store_of(request)))


async def get_subdomain(request: web.Request) -> web.Response:
    """Show the account's name on workers.dev; 404 with 10007 when it has none."""
    name = store_of(request).data["subdomain"]
    if not name:
        raise ApiError(404, 10007, "You do not have a workers.dev subdomain.")
    return ok({"subdomain": name})


async def put_subdomain(request: web.Request) -> web.Response:
    """Set the account's name on workers.dev."""
    body = await read(request)
    required(body, "subdomain")
    store_of(request).data["subdomain"] = body["subdomain"]
    changed(request, f"workers.dev subdomain {body['subdomain']}")
    return ok({"subdomain": body["subdomain"]})


ROUTES = (
    Route("GET", "/user", user, "recorded wrangler 4.86"),
    Route("GET", "/accounts", listing, "recorded wrangler 4.86"),
    Route("GET", "/accounts/{account}", get, "official SDK"),
    Route("GET", "/accounts/{account}/workers/subdomain", get_subdomain, "recorded wrangler 4.86"),
    Route("PUT", "/accounts/{account}/workers/subdomain", put_subdomain, "official SDK"),
)
