"""Answer HTTP by host name: Workers (split between versions) and Pages sites, as Cloudflare's edge does.

Sources, read 2026-11-23: Cloudflare's documentation of gradual deployments (overrides, affinity) and of 1xxx errors.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
import secrets
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from twin.shield.gate import VISITOR, Gate, visitor
from twin.world import Handled, SiteTarget, UnrunnableError, WorkerTarget

if TYPE_CHECKING:
    from twin.shield.gate import Passage
    from twin.workerd.fleet import Fleet
    from twin.workerd.instance import Instance
    from twin.world import Asset, Routing, Traffic

_COLO = "TWN"
_SMALL = 64 << 10  # bytes: a body up to this size is passed on in one piece
_OVERRIDES = "Cloudflare-Workers-Version-Overrides"
_AFFINITY = "Cloudflare-Workers-Version-Key"
_OVERRIDE = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*"([^"]*)"')
_ABOUT = json.dumps({"colo": _COLO, "country": "FR", "httpProtocol": "HTTP/1.1", "timezone": "Europe/Paris"})
_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "date", "server")
)
_THREW = b"Internal Server Error"
"""What workerd answers for an uncaught exception, without a content type: a Worker's own text has one."""
_UNTYPED = web.ResponseKey("untyped", bool)
_GONE = 499  # nginx's number for a visitor who did not wait, which Cloudflare logs too
_log = logging.getLogger("twin.edge")


class Edge:
    """The way from a host name to what serves it, past the gate that the rules of its zone are.

    `counts` are answers by script or site, version and status.
    """

    def __init__(self, routing: Routing, fleet: Fleet, traffic: Traffic) -> None:
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self._routing = routing
        self._fleet = fleet
        self._traffic = traffic
        self.gate = Gate(routing)

    def app(self) -> web.Application:
        """Return the server's application."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.serve)
        app.on_response_prepare.append(_leave_untyped)
        return app

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request by its host, log and count it."""
        ray = f"{secrets.token_hex(8)}-{_COLO}"
        host = request.host.partition(":")[0].lower()
        if request.path.startswith("/cdn-cgi/"):
            return _own(host, request, ray)
        begun = time.perf_counter()
        passage = self.gate.passage(request, host)
        stopped = passage.stopped()
        target = self._routing.target(host, request.rel_url.raw_path_qs) if stopped is None else None
        if isinstance(target, WorkerTarget):
            passage.reached_origin()
            return await self._by_version(request, target.script, target.split, ray)
        seen = _seen(request, ray)
        if stopped is not None:
            answer, seen.outcome = stopped
        else:
            answer = self._asset(request, target, passage) if target is not None else _error(530, 1016)
        answer.headers["cf-ray"] = ray
        if target is None:
            seen.outcome = "unknown host" if stopped is None else seen.outcome
        else:
            seen.service, seen.version, seen.site = target.project, target.deployment, True
        seen.wall = seen.first = time.perf_counter() - begun
        self._note(seen, answer)
        return answer

    async def to_script(self, request: web.Request, script: str) -> web.StreamResponse:
        """Answer a request that another Worker sends through a service binding."""
        ray = f"{secrets.token_hex(8)}-{_COLO}"
        return await self._by_version(request, script, self._routing.live(script), ray, public=False)

    async def _by_version(
        self, request: web.Request, script: str, split: tuple[tuple[str, float], ...], ray: str, *, public: bool = True
    ) -> web.StreamResponse:
        """Answer with a version's static assets, or by its code."""
        begun = time.perf_counter()
        version = pick(script, split, request)
        static = self._static(request, script, version)
        if static is None:
            return await self.to_worker(request, script, ((version, 100.0),), ray, public=public)
        static.headers["cf-ray"] = ray
        seen = _seen(request, ray)
        seen.service, seen.version, seen.site, seen.public = script, version, True, public
        seen.wall = seen.first = time.perf_counter() - begun
        self._note(seen, static)
        return static

    async def to_worker(
        self, request: web.Request, script: str, split: tuple[tuple[str, float], ...], ray: str, *, public: bool = True
    ) -> web.StreamResponse:
        """Send the request to one of the versions and its answer back."""
        begun = time.perf_counter()
        seen = _seen(request, ray)
        seen.outcome, seen.public, seen.service = "clientDisconnected", public, script
        seen.version = version = pick(script, split, request)
        answer: web.StreamResponse | None = None
        instance: Instance | None = None
        try:
            instance = self._fleet.running(script, version) or await self._fleet.ensure(script, version)
            instance.busy += 1
            used, shared = instance.cpu(), instance.busy
            answer = await _forward(request, instance, seen, begun)
            seen.cpu = (instance.cpu() - used) / max(shared, instance.busy)
            if request.transport is None or request.transport.is_closing():
                seen.outcome = "clientDisconnected"
        except (aiohttp.ClientError, UnrunnableError, KeyError, OSError) as error:
            _log.error("%s %s: no answer to %s: %r", script, version, request.path, error)
            answer, seen.outcome = _error(500, 1101), "internalError"
            answer.headers["cf-ray"] = ray
        finally:
            if instance is not None:
                instance.busy -= 1
            seen.wall = time.perf_counter() - begun
            self._note(seen, answer)
        return answer

    def _static(self, request: web.Request, script: str, version: str) -> web.Response | None:
        """Return what the version's static assets answer, None when its code does."""
        if request.method not in {"GET", "HEAD"}:
            return None
        navigates = request.headers.get("sec-fetch-mode") == "navigate"
        path = request.rel_url.raw_path_qs
        host = request.host.partition(":")[0].lower()
        asset = self._routing.static(script, version, path, host=host, navigates=navigates, bound=False)
        return None if asset is None else file(request, asset)

    def _asset(self, request: web.Request, site: SiteTarget, passage: Passage) -> web.Response:
        if request.method not in {"GET", "HEAD"}:
            return web.Response(status=405, headers={"allow": "GET, HEAD"})
        return file(request, passage.cached(lambda: self._routing.asset(site, request.rel_url.raw_path_qs)))

    def _note(self, seen: Handled, answer: web.StreamResponse | None) -> None:
        """Count and record a request; without an answer the visitor went away."""
        seen.status = _GONE if answer is None or seen.outcome == "clientDisconnected" else answer.status
        if answer is not None:
            seen.content = answer.headers.get("content-type", "")
            if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
                seen.size = len(answer.body)
        self.counts[(seen.service, seen.version, seen.status)] += 1
        self._traffic.handled(seen)


def _seen(request: web.Request, ray: str) -> Handled:
    """Begin the record of a request."""
    return Handled(
        key=ray,
        at=time.time(),
        outcome="ok",
        method=request.method,
        host=request.host,
        path=request.raw_path,
        visitor=visitor(request),
        headers=request.headers,
    )


def file(request: web.Request, asset: Asset) -> web.Response:
    """Return a static file as an answer; 304 when the visitor has it."""
    headers: CIMultiDict[str] = CIMultiDict(asset.headers)
    tag = headers.get("etag")
    if tag is not None and tag in request.headers.get("if-none-match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(status=asset.status, headers=headers, body=asset.body)


def pick(script: str, split: tuple[tuple[str, float], ...], request: web.Request) -> str:
    """Choose a version: the one asked for if it is deployed, else by the visitor's key, else by chance."""
    if not split:
        message = f"{script} has no deployment"
        raise KeyError(message)
    if len(split) == 1:
        return split[0][0]
    asked = dict(_OVERRIDE.findall(request.headers.get(_OVERRIDES, ""))).get(script)
    if asked in dict(split):
        return str(asked)
    key = request.headers.get(_AFFINITY)
    if key is None:
        point = random.uniform(0, 100)  # noqa: S311 - traffic is split, nothing is guarded
    else:
        point = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / (1 << 64) * 100
    reached = 0.0
    for version, percentage in split:
        reached += percentage
        if point < reached:
            return version
    return split[-1][0]


async def _forward(request: web.Request, instance: Instance, seen: Handled, begun: float) -> web.StreamResponse:
    """Pass one request to a running version, return its answer; note Cloudflare's word for how it went."""
    headers = CIMultiDict((name, value) for name, value in request.headers.items() if name.lower() not in _HOP)
    headers.popall(VISITOR, None)
    remote = seen.visitor
    headers.update(
        {
            "cf-ray": seen.key,
            "cf-connecting-ip": remote,
            "x-real-ip": remote,
            "x-forwarded-for": remote,
            "x-forwarded-proto": "https",
            "cf-visitor": '{"scheme":"https"}',
            "cf-ipcountry": "FR",
            "twin-cf": _ABOUT,
        }
    )
    body: Any = None
    if request.body_exists:
        length = request.content_length
        body = await request.read() if length is not None and length <= _SMALL else request.content
    url = URL(
        "http://worker" + request.raw_path if request.raw_path.startswith("/") else request.raw_path, encoded=True
    )
    async with instance.app.request(request.method, url, headers=headers, data=body, allow_redirects=False) as received:
        seen.first = time.perf_counter() - begun
        return await _back(request, received, seen)


async def _back(request: web.Request, received: aiohttp.ClientResponse, seen: Handled) -> web.StreamResponse:
    length = received.content_length
    small = await received.read() if length is not None and length <= _SMALL else None
    typed = "content-type" in received.headers
    if received.status == 500 and not typed and small == _THREW:  # noqa: PLR2004 - HTTP's own number
        answer, seen.outcome = _error(500, 1101), "scriptThrewException"
        answer.headers["cf-ray"] = seen.key
        return answer
    headers = CIMultiDict((name, value) for name, value in received.headers.items() if name.lower() not in _HOP)
    headers["cf-ray"] = seen.key
    headers["server"] = "cloudflare"
    if small is not None:
        headers.popall("content-length", None)
        answer = web.Response(status=received.status, reason=received.reason, headers=headers, body=small)
        answer[_UNTYPED] = not typed
        seen.outcome = "ok"
        return answer
    stream = web.StreamResponse(status=received.status, reason=received.reason, headers=headers)
    stream[_UNTYPED] = not typed
    await stream.prepare(request)
    async for chunk in received.content.iter_any():
        try:
            await stream.write(chunk)
        except ConnectionResetError:  # the visitor went away; the outcome says so until the end is reached
            return stream
        seen.size += len(chunk)
    await stream.write_eof()
    seen.outcome = "ok"
    return stream


async def _leave_untyped(_: web.Request, answer: web.StreamResponse) -> None:
    """Take back the content type that aiohttp gives to an answer without one."""
    if answer.get(_UNTYPED):
        answer.headers.popall("content-type", None)


def _error(status: int, code: int) -> web.Response:
    return web.Response(status=status, text=f"error code: {code}", headers={"server": "cloudflare"})


def _own(host: str, request: web.Request, ray: str) -> web.Response:
    """Answer the edge's own paths."""
    if request.path != "/cdn-cgi/trace":
        return web.Response(status=404, headers={"cf-ray": ray, "server": "cloudflare"})
    told = {"h": host, "ip": request.remote, "ts": f"{time.time():.3f}", "colo": _COLO, "http": "http/1.1"}
    text = "".join(f"{key}={value}\n" for key, value in told.items())
    return web.Response(text=text, headers={"cf-ray": ray, "server": "cloudflare"})
