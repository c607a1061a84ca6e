"""Put the calls together into one app: who may come in, what an error looks like, what is not there yet."""

from __future__ import annotations

import hmac
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from twin.route import EFFECT
from twin.supabase import addons, database, network, projects
from twin.supabase.errors import ApiError
from twin.supabase.store import ENGINES, STORE, Store

if TYPE_CHECKING:
    from twin.route import Route
    from twin.world import Engines, Home

ROUTES: tuple[Route, ...] = (*projects.ROUTES, *addons.ROUTES, *database.ROUTES, *network.ROUTES)
EXTEND = ((r"/v1/projects/[^/]+/(database|config/database)", "database.py"), (r".*/network-", "network.py"))
TOKEN = re.compile(r"^Bearer sbp_[0-9a-z_]{40,}$")
LIMIT, WINDOW = 120, 60  # calls and seconds, recorded; the twin counts and never blocks
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Meter:
    """Counts the calls of the running minute."""

    def __init__(self) -> None:
        """Begin a minute at the first call."""
        self.start = 0.0
        self.calls = 0

    def headers(self, now: float) -> dict[str, str]:
        """Count a call at a monotonic time in seconds and return the three headers."""
        if now - self.start >= WINDOW:
            self.start, self.calls = now, 0
        self.calls += 1
        return {
            "x-ratelimit-limit": str(LIMIT),
            "x-ratelimit-remaining": str(max(LIMIT - self.calls, 0)),
            "x-ratelimit-reset": str(int(self.start + WINDOW - now)),
        }


METER: web.AppKey[Meter] = web.AppKey("meter", Meter)


def admit(request: web.Request) -> None:
    """Refuse a call without the right token: 401."""
    header = request.headers.get("Authorization", "")
    if header and not TOKEN.match(header):
        raise ApiError(401, "JWT could not be decoded")
    right = request.app[STORE].home.tokens.get("SUPABASE_ACCESS_TOKEN", "")
    if not right or not hmac.compare_digest(header.removeprefix("Bearer "), right):
        raise ApiError(401, "Unauthorized")


@web.middleware
async def answer(request: web.Request, handler: Next) -> web.StreamResponse:
    """Check the token, turn a refusal into a message, add the headers of every answer."""
    if not request.path.startswith("/v1"):
        return await handler(request)
    request[EFFECT] = None
    try:
        admit(request)
        response = await handler(request)
    except ApiError as error:
        response = error.response()
    response.headers.update(request.app[METER].headers(time.monotonic()))
    response.headers["x-gotrue-id"] = str(uuid.uuid4())
    return response


async def lacking(request: web.Request) -> web.StreamResponse:
    """Answer 501 and name the file in which the call would be added."""
    file = next((name for pattern, name in EXTEND if re.match(pattern, request.path)), "projects.py")
    raise ApiError(501, f"the twin does not answer {request.method} {request.path}: add it to twin/supabase/{file}")


def app(home: Home, engines: Engines, *, lag: float = 0.3) -> web.Application:
    """Return the Management API; `lag` is how many seconds its statuses trail behind what happened."""
    application = web.Application(middlewares=[answer])
    application[STORE] = Store(home, lag=lag)
    application[ENGINES] = engines
    application[METER] = Meter()
    application.on_startup.append(database.resume)
    application.on_cleanup.append(database.stop)
    for route in ROUTES:
        application.router.add_route(route.method, route.path, route.handler)
    application.router.add_route("*", "/v1/{tail:.*}", lacking)
    return application
