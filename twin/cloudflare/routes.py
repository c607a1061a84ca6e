"""Put the calls together into one app: who may come in, what an error looks like, what is not there yet."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from twin.cloudflare import accounts, alerting, protection, records, storage, zones
from twin.cloudflare.access import audit, trail
from twin.cloudflare.errors import ApiError, unrouted
from twin.cloudflare.pages import deployments as site_deployments
from twin.cloudflare.pages import projects, uploads
from twin.cloudflare.routing import StoredRouting
from twin.cloudflare.store import ENGINES, STORE, Store, store_of
from twin.cloudflare.workers import deployments, identities, scripts, traffic, vault, versions
from twin.route import EFFECT

if TYPE_CHECKING:
    from twin.route import Route
    from twin.world import Engines, Home, Routing

BASE = "/client/v4"
ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *audit.ROUTES,
    *zones.ROUTES,
    *records.ROUTES,
    *storage.ROUTES,
    *protection.ROUTES,
    *alerting.ROUTES,
    *identities.ROUTES,
    *versions.ROUTES,
    *deployments.ROUTES,
    *scripts.ROUTES,
    *vault.ROUTES,
    *traffic.ROUTES,
    *projects.ROUTES,
    *uploads.ROUTES,
    *site_deployments.ROUTES,
)
EXTEND = (  # where a call that is not there yet belongs, first match
    (r"/zones/[^/]+/dns_records", "records.py"),
    (r"/zones/[^/]+/workers", "workers/traffic.py"),
    (r"/zones/[^/]+/(rulesets|settings|healthchecks|dnssec)", "protection.py"),
    (r"/zones", "zones.py"),
    (r"/pages/assets|/accounts/[^/]+/pages/projects/[^/]+/upload-token", "pages/uploads.py"),
    (r"/accounts/[^/]+/pages/projects/[^/]+/deployments", "pages/deployments.py"),
    (r"/accounts/[^/]+/pages", "pages/projects.py"),
    (r"/accounts/[^/]+/workers/(workers|scripts)/[^/]+/versions", "workers/versions.py"),
    (r"/accounts/[^/]+/workers/scripts/[^/]+/deployments", "workers/deployments.py"),
    (r"/accounts/[^/]+/workers/workers", "workers/identities.py"),
    (r"/accounts/[^/]+/workers/(domains|.*schedules)", "workers/traffic.py"),
    (r"/accounts/[^/]+/workers", "workers/scripts.py"),
    (r"/accounts/[^/]+/(hyperdrive|storage|r2)", "storage.py"),
    (r"/accounts/[^/]+/(alerting|logpush)", "alerting.py"),
    (r"/accounts/[^/]+/(logs/audit|audit_logs)", "access/audit.py"),
    (r"/(user|accounts)", "accounts.py"),
)
TOKEN = re.compile(r"^Bearer [0-9A-Za-z_.\-]{40,}$")
LIMIT, WINDOW = 1200, 300  # calls and seconds, for one token


class Meter:
    """Counts the calls of the last five minutes; refuses over 1200 only when `enforced`."""

    def __init__(self) -> None:
        """Begin with no calls."""
        self.enforced = False
        self.times: deque[float] = deque()
        self.blocked_until = 0.0

    def count(self, now: float) -> int:
        """Count a call at a monotonic time in seconds and return how many are left."""
        while self.times and self.times[0] <= now - WINDOW:
            self.times.popleft()
        self.times.append(now)
        if self.enforced and len(self.times) > LIMIT and now >= self.blocked_until:
            self.blocked_until = now + WINDOW
        return max(LIMIT - len(self.times), 0)


METER: web.AppKey[Meter] = web.AppKey("meter", Meter)
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def admit(request: web.Request) -> None:
    """Refuse a call without a token (9106), with a malformed one (6003/6111) or with a wrong one."""
    header = request.headers.get("Authorization")
    if header is None:
        raise ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    if not TOKEN.match(header):
        chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
        raise ApiError(400, 6003, "Invalid request headers", error_chain=chain)
    right = store_of(request).home.tokens.get("CLOUDFLARE_API_TOKEN", "")
    request[trail.TOKEN] = {"id": store_of(request).data["token"], "name": "twin"}
    if not hmac.compare_digest(header.removeprefix("Bearer "), right):
        if request.path.endswith("/tokens/verify"):
            raise ApiError(401, 1000, "Invalid API Token")
        if request.path.startswith(BASE + "/zones"):
            raise ApiError(403, 9109, "Invalid access token")
        raise ApiError(403, 10000, "Authentication error")
    account = request.match_info.get("account")
    if account is not None and account != store_of(request).account:
        if not re.fullmatch(r"[0-9a-f]{32}", account):
            raise ApiError(404, 7003, f"Could not route to {request.path}, perhaps your object identifier is invalid?")
        raise ApiError(403, 10000, "Authentication error")


@web.middleware
async def answer(request: web.Request, handler: Next) -> web.StreamResponse:
    """Count the call, check the token, turn a refusal into the envelope, add the headers of every answer."""
    if not request.path.startswith(BASE):
        return await handler(request)
    request[EFFECT] = None
    meter, now = request.app[METER], time.monotonic()
    left = meter.count(now)
    try:
        if now < meter.blocked_until:
            raise ApiError(429, 971, "Please wait and consider throttling your request speed")  # noqa: TRY301
        if request.match_info.handler not in OWN_DOOR:
            admit(request)
        response = await handler(request)
    except ApiError as error:
        response = error.response()
    ray = f"{secrets.token_hex(8)}-TWN"
    trail.note(request, response, store_of(request), ray)
    response.headers["cf-ray"] = ray
    response.headers["Ratelimit"] = f'"default";r={left};t={WINDOW}'
    response.headers["Ratelimit-Policy"] = f'"default";q={LIMIT};w={WINDOW}'
    if response.status == web.HTTPTooManyRequests.status_code:
        response.headers["Retry-After"] = str(int(meter.blocked_until - now) + 1)
    return response


OWN_DOOR = frozenset(route.handler for route in ROUTES if route.door != "token")


async def lacking(request: web.Request) -> web.StreamResponse:
    """Answer 501 and name the file in which the call would be added."""
    path = request.path.removeprefix(BASE)
    file = next((name for pattern, name in EXTEND if re.match(pattern, path)), "routes.py")
    raise unrouted(request.method, request.path, f"twin/cloudflare/{file}")


def app(home: Home, engines: Engines) -> tuple[web.Application, Routing]:
    """Return the API under `/client/v4` and the answers to the edge's questions, both on one store."""
    store = Store(home)
    application = web.Application(middlewares=[answer], client_max_size=100 * 1024 * 1024)
    application[STORE] = store
    application[ENGINES] = engines
    application[METER] = Meter()
    application[trail.TRAIL] = trail.Trail(home.state / "cloudflare-audit.ndjson")
    for route in ROUTES:
        application.router.add_route(route.method, BASE + route.path, route.handler)
    application.router.add_route("*", BASE + "/{tail:.*}", lacking)
    return application, StoredRouting(store)
