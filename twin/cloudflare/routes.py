"""Put the calls together into one app: who may come in, what an error looks like, what is not there yet."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from twin.cloudflare import accounts, catalogue, logpush, protection, records, zones
from twin.cloudflare.access import audit, door, tokens, trail
from twin.cloudflare.access.door import BASE
from twin.cloudflare.access.meter import METERS, Meters
from twin.cloudflare.alerting import healthchecks, history, policies
from twin.cloudflare.alerting.dispatch import DISPATCHER, Dispatcher
from twin.cloudflare.analytics import calls as analytics
from twin.cloudflare.errors import ApiError, misread, unrouted
from twin.cloudflare.observability import tails, telemetry
from twin.cloudflare.observability import traffic as observed
from twin.cloudflare.pages import deployments as site_deployments
from twin.cloudflare.pages import projects, uploads
from twin.cloudflare.routing import StoredRouting
from twin.cloudflare.rules import rulesets
from twin.cloudflare.storage import buckets, hyperdrive, namespaces, objects, retention, values
from twin.cloudflare.store import ENGINES, STORE, Store, store_of
from twin.cloudflare.workers import assets, content, deployments, domains, identities, scripts, traffic, vault, versions
from twin.route import EFFECT

if TYPE_CHECKING:
    from twin.route import Route
    from twin.world import Engines, Home, Routing

LARGEST = 315 << 20  # bytes of a body: an R2 object may have 300 MiB
ROUTES: tuple[Route, ...] = (
    *accounts.ROUTES,
    *audit.ROUTES,
    *tokens.ROUTES,
    *zones.ROUTES,
    *records.ROUTES,
    *hyperdrive.ROUTES,
    *namespaces.ROUTES,
    *values.ROUTES,
    *buckets.ROUTES,
    *objects.ROUTES,
    *retention.ROUTES,
    *protection.ROUTES,
    *rulesets.ROUTES,
    *catalogue.ROUTES,
    *healthchecks.ROUTES,
    *policies.ROUTES,
    *history.ROUTES,
    *logpush.ROUTES,
    *identities.ROUTES,
    *versions.ROUTES,
    *deployments.ROUTES,
    *scripts.ROUTES,
    *vault.ROUTES,
    *traffic.ROUTES,
    *domains.ROUTES,
    *assets.ROUTES,
    *content.ROUTES,
    *projects.ROUTES,
    *uploads.ROUTES,
    *site_deployments.ROUTES,
    *tails.ROUTES,
    *telemetry.ROUTES,
    *analytics.ROUTES,
)
EXTEND = (  # where a call that is not there yet belongs, first match
    (r"/zones/[^/]+/dns_records", "records.py"),
    (r"/zones/[^/]+/workers", "workers/traffic.py"),
    (r"/zones/[^/]+/healthchecks", "alerting/healthchecks.py"),
    (r"/zones/[^/]+/rulesets", "rules/rulesets.py"),
    (r"/zones/[^/]+/(settings|dnssec)", "protection.py"),
    (r"/zones/[^/]+/(load_balancers|waiting_rooms|pagerules)|/accounts/[^/]+/access", "catalogue.py"),
    (r"/zones", "zones.py"),
    (r"/pages/assets|/accounts/[^/]+/pages/projects/[^/]+/upload-token", "pages/uploads.py"),
    (r".*/tails", "observability/tails.py"),
    (r"/accounts/[^/]+/workers/observability", "observability/telemetry.py"),
    (r"/accounts/[^/]+/pages/projects/[^/]+/deployments", "pages/deployments.py"),
    (r"/accounts/[^/]+/pages", "pages/projects.py"),
    (r"/accounts/[^/]+/workers/.*assets", "workers/assets.py"),
    (r"/accounts/[^/]+/workers/(workers|scripts)/[^/]+/versions", "workers/versions.py"),
    (r"/accounts/[^/]+/workers/scripts/[^/]+/deployments", "workers/deployments.py"),
    (r"/accounts/[^/]+/workers/workers", "workers/identities.py"),
    (r"/accounts/[^/]+/workers/(domains|.*domains/)", "workers/domains.py"),
    (r"/accounts/[^/]+/workers/.*(schedules|routes)", "workers/traffic.py"),
    (r"/accounts/[^/]+/workers", "workers/scripts.py"),
    (r"/accounts/[^/]+/hyperdrive", "storage/hyperdrive.py"),
    (r"/accounts/[^/]+/storage/kv/namespaces/[^/]+/", "storage/values.py"),
    (r"/accounts/[^/]+/storage", "storage/namespaces.py"),
    (r"/accounts/[^/]+/r2/buckets/[^/]+/objects", "storage/objects.py"),
    (r"/accounts/[^/]+/r2/buckets/[^/]+/", "storage/retention.py"),
    (r"/accounts/[^/]+/r2", "storage/buckets.py"),
    (r"/accounts/[^/]+/alerting", "alerting/policies.py"),
    (r"/accounts/[^/]+/logpush", "logpush.py"),
    (r"/accounts/[^/]+/(logs/audit|audit_logs)", "access/audit.py"),
    (r"/(user|accounts/[^/]+)/tokens", "access/tokens.py"),
    (r"/graphql", "analytics/calls.py"),
    (r"/(user|accounts)", "accounts.py"),
)
Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def answer(request: web.Request, handler: Next) -> web.StreamResponse:
    """Count the call, check the token, turn a refusal into the envelope, add the headers of every answer."""
    if not request.path.startswith(BASE):
        return await handler(request)
    request[EFFECT] = None
    token, now = door.identify(request), time.monotonic()
    meter = request.app[METERS].of(door.meter_of(token))
    left = meter.count(now)
    try:
        if now < meter.blocked_until:
            raise ApiError(429, 971, "Please wait and consider throttling your request speed")  # noqa: TRY301
        if request.match_info.handler not in OWN_DOOR:
            door.admit(request, token)
        response = await handler(request)
    except ApiError as error:
        response = error.response()
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:  # aiohttp asserts of forms
        response = misread(error).response()
    ray = f"{secrets.token_hex(8)}-TWN"
    trail.note(request, response, store_of(request), ray)
    response.headers["cf-ray"] = ray
    response.headers.update(meter.headers(left, now))
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
    application = web.Application(middlewares=[answer], client_max_size=LARGEST)
    application[STORE] = store
    application[ENGINES] = engines
    application[METERS] = Meters()
    application[trail.TRAIL] = trail.Trail(home.state / "cloudflare-audit.ndjson")
    application[DISPATCHER] = Dispatcher(store)
    application.cleanup_ctx.append(healthchecks.watching)
    observed.mount(application, store)
    for route in ROUTES:
        application.router.add_route(route.method, BASE + route.path, route.handler)
    application.router.add_route("*", BASE + "/{tail:.*}", lacking)

    async def close(_: web.Application) -> None:
        store.close()

    application.on_cleanup.append(close)
    return application, StoredRouting(store)
