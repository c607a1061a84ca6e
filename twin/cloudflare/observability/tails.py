"""Send what happens to those who watch: tails of Workers and of Pages deployments, over WebSocket `trace-v1`.

Sources, read 2026-11-23: wrangler 4.86, recorded; Cloudflare's documentation of real-time logs (10 viewers at most).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, web

from twin.cloudflare.errors import ApiError, ok, read
from twin.cloudflare.observability import filters
from twin.cloudflare.observability.messages import Invocation, message
from twin.cloudflare.pages import deployments
from twin.cloudflare.store import object_id, store_of
from twin.route import Route

if TYPE_CHECKING:
    from twin.world import Handled

Json = dict[str, Any]

PROTOCOL = "trace-v1"
MOST = 10  # viewers of one Worker at a time
LIFE = 6 * 3600  # seconds; unconfirmed
_WAITING = 1000  # messages for a viewer that reads slowly; then some are left out, and it is told
_OVERLOAD = "The tail is behind: some messages are left out until it catches up."
_CAUGHT_UP = "The tail has caught up: all messages are sent again."


@dataclass
class Tail:
    """A tail of one Worker (by name) or one site's deployment (`site/deployment`), and who is connected to it."""

    id: str
    of: str
    filters: list[Json]
    creator: str
    expires: float
    viewers: set[Viewer] = field(default_factory=set)

    def shown(self, host: str) -> Json:
        """Return it as the API shows it."""
        moment = datetime.fromtimestamp(self.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"id": self.id, "url": f"ws://{host}/tails/{self.id}", "expires_at": moment}


@dataclass(eq=False)
class Viewer:
    """One WebSocket and what waits for it."""

    socket: web.WebSocketResponse
    waiting: deque[Json] = field(default_factory=deque)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    behind: bool = False

    def take(self, told: Json) -> None:
        """Queue a message, or leave it out when too many wait."""
        if len(self.waiting) >= _WAITING:
            if not self.behind:
                self.waiting.append(_notice("overload", _OVERLOAD))
            self.behind = True
            return
        self.waiting.append(told)
        self.woken.set()

    async def send(self) -> None:
        """Send what waits until cancelled, or until the viewer is gone."""
        while not self.socket.closed:
            await self.woken.wait()
            while self.waiting and not self.socket.closed:
                await self.socket.send_str(json.dumps(self.waiting.popleft(), separators=(",", ":")))
            if self.behind:
                self.behind = False
                self.waiting.append(_notice("overload-stop", _CAUGHT_UP))
                continue
            self.woken.clear()


class Tails:
    """All tails of the account. They live in memory: a twin that starts again has none."""

    def __init__(self) -> None:
        self.tails: dict[str, Tail] = {}

    def watched(self, of: str) -> bool:
        """Say whether anybody looks."""
        return any(tail.of == of and tail.viewers for tail in self.tails.values())

    def send(self, of: str, told: Json) -> None:
        """Give a message to every viewer whose filters let it through."""
        for tail in self.tails.values():
            if tail.of == of and tail.viewers and filters.passes(tail.filters, told, creator=tail.creator):
                for viewer in tail.viewers:
                    viewer.take(told)

    def site(self, one: Handled) -> None:
        """Tell of a request that a site answered: Cloudflare tells of Functions only, here every request is one."""
        of = f"{one.service}/{one.version}"
        if self.watched(of):
            self.send(of, message(Invocation(one, None), {"id": one.version}))

    def create(self, of: str, chosen: list[Json], creator: str) -> Tail:
        """Add a tail; 400 when ten look already (the code is unconfirmed)."""
        self._expire()
        if sum(len(tail.viewers) for tail in self.tails.values() if tail.of == of) >= MOST:
            raise ApiError(400, 10058, f"A maximum of {MOST} clients can view the logs of a Worker at a time.")
        tail = Tail(object_id(), of, chosen, creator, time.time() + LIFE)
        self.tails[tail.id] = tail
        return tail

    def newest(self, of: str) -> Tail | None:
        """Return the tail that was made last."""
        self._expire()
        return next((tail for tail in reversed(self.tails.values()) if tail.of == of), None)

    def get(self, identity: str) -> Tail | None:
        """Return a tail that has not expired."""
        self._expire()
        return self.tails.get(identity)

    async def delete(self, tail: Tail) -> None:
        """Remove a tail and say goodbye to its viewers."""
        self.tails.pop(tail.id, None)
        for viewer in tuple(tail.viewers):
            await viewer.socket.close(code=WSCloseCode.GOING_AWAY)

    async def close(self, _: web.Application) -> None:
        """Remove all."""
        for tail in tuple(self.tails.values()):
            await self.delete(tail)

    def _expire(self) -> None:
        now = time.time()
        for identity in [tail.id for tail in self.tails.values() if tail.expires <= now]:
            del self.tails[identity]


TAILS = web.AppKey("tails", Tails)


def _notice(kind: str, text: str) -> Json:
    return {
        "outcome": "ok",
        "scriptName": None,
        "exceptions": [],
        "logs": [],
        "eventTimestamp": round(time.time() * 1000),
        "event": {"type": kind, "message": text},
    }


async def view(request: web.Request) -> web.StreamResponse:
    """Connect a viewer to its tail: 404 for an unknown id, 400 for another subprotocol (both unconfirmed)."""
    tails = request.app[TAILS]
    tail = tails.get(request.match_info["tail"])
    if tail is None:
        raise web.HTTPNotFound(text="There is no such tail, or it has expired.")
    if PROTOCOL not in request.headers.get("Sec-WebSocket-Protocol", ""):
        raise web.HTTPBadRequest(text=f"The subprotocol must be {PROTOCOL}.")
    socket = web.WebSocketResponse(protocols=(PROTOCOL,))
    await socket.prepare(request)
    viewer = Viewer(socket)
    tail.viewers.add(viewer)
    sending = asyncio.create_task(viewer.send())
    try:
        async with asyncio.timeout(tail.expires - time.time()):
            async for _ in socket:  # `{"debug": false}` comes first; pings are answered on the way
                pass
    except TimeoutError:
        await socket.close(code=WSCloseCode.GOING_AWAY)
    finally:
        tail.viewers.discard(viewer)
        sending.cancel()
    return socket


async def _create(request: web.Request, of: str) -> web.Response:
    body = await read(request)
    tail = request.app[TAILS].create(of, filters.read(body), request.remote or "")
    return ok(tail.shown(request.host))


async def _delete(request: web.Request, of: str) -> web.Response:
    tails = request.app[TAILS]
    tail = tails.get(request.match_info["id"])
    if tail is None or tail.of != of:
        raise ApiError(404, 10059, "The requested tail was not found.")
    await tails.delete(tail)
    return ok(None)


def _script(request: web.Request) -> str:
    return str(store_of(request).worker(request.match_info["script"])["name"])


def _site(request: web.Request) -> str:
    project, deployment = deployments.find(request)
    return f"{project['name']}/{deployment['id']}"


async def post(request: web.Request) -> web.Response:
    """Start a tail: a WebSocket address that lives for some hours; filters by sampling, outcome, method and so on."""
    return await _create(request, _script(request))


async def get(request: web.Request) -> web.Response:
    """Show the Worker's newest tail, null without one: the official SDK reads one object, not a list."""
    tail = request.app[TAILS].newest(_script(request))
    return ok(None if tail is None else tail.shown(request.host))


async def delete(request: web.Request) -> web.Response:
    """End a tail and its connections; 404 when there is none (code unconfirmed)."""
    return await _delete(request, _script(request))


async def post_site(request: web.Request) -> web.Response:
    """Start a tail of a deployment: it tells every request, where Cloudflare tells those of Functions only."""
    return await _create(request, _site(request))


async def delete_site(request: web.Request) -> web.Response:
    """End a deployment's tail; 404 when there is none (code unconfirmed)."""
    return await _delete(request, _site(request))


PATH = "/accounts/{account}/workers/scripts/{script}/tails"
SITE = "/accounts/{account}/pages/projects/{project}/deployments/{deployment}/tails"
ROUTES = (
    Route("POST", PATH, post, "recorded wrangler 4.86"),
    Route("GET", PATH, get, "official SDK"),
    Route("DELETE", PATH + "/{id}", delete, "recorded wrangler 4.86"),
    Route("POST", SITE, post_site, "wrangler source"),
    Route("DELETE", SITE + "/{id}", delete_site, "wrangler source"),
)
