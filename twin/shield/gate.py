"""Let a request of the edge in: what its zone's rules say of it, and the cache in front of sites."""

from __future__ import annotations

import ipaddress
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

from twin.shield.cache import Cache
from twin.shield.shield import Shield
from twin.shield.visit import Visit
from twin.world import Asset

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.shield.shield import Judge
    from twin.world import Routing

VISITOR: Final = "Twin-Visitor"
"""The address that a client stands for, on the twin alone: there everybody comes from loopback."""


def visitor(request: web.Request) -> str:
    """Return the visitor's address: the one that a client says it stands for, else its own."""
    said = request.headers.get(VISITOR)
    return (said is not None and _address(said)) or request.remote or "127.0.0.1"


@lru_cache(maxsize=4096)
def _address(said: str) -> str:
    """Return an address as it is written usually, nothing for what is none."""
    try:
        return str(ipaddress.ip_address(said))
    except ValueError:
        return ""


class Passage:
    """One request on its way past the rules of its zone. Without rules nothing of it is looked at."""

    def __init__(self, request: web.Request, host: str, judge: Judge | None, cache: Cache) -> None:
        self._request = request
        self._judge = judge
        self._cache = cache
        if judge is not None:
            target = request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
            self._visit = Visit(
                method=request.method, host=host, target=target, headers=request.headers, remote=visitor(request)
            )

    def stopped(self) -> tuple[web.Response, str] | None:
        """Return what a rule answers in place of the service, and which rule; None when the request may pass."""
        stop = self._judge.stop(self._visit) if self._judge is not None else None
        if stop is None:
            return None
        headers = CIMultiDict(stop.headers)
        headers["server"] = "cloudflare"
        return web.Response(status=stop.status, headers=headers, body=stop.body.encode()), f"{stop.phase} {stop.rule}"

    def reached_origin(self) -> None:
        """Say that no cache answered."""
        if self._judge is not None:
            self._judge.reached_origin(self._visit)

    def cached(self, origin: Callable[[], Asset]) -> Asset:
        """Return what a site answers, from the cache where a rule keeps it."""
        keeping = self._judge.keeping(self._visit) if self._judge is not None else None
        if keeping is None:
            self.reached_origin()
            return origin()
        asset, state = self._cache.through(self._visit.host, self._visit.target, keeping, origin, time.monotonic())
        if state != "HIT":
            self.reached_origin()
        headers = [*asset.headers, ("cf-cache-status", state)]
        if keeping.browser is not None:
            kept = [(name, value) for name, value in headers if name.lower() != "cache-control"]
            headers = [*kept, ("cache-control", f"max-age={keeping.browser}")]
        return Asset(asset.status, tuple(headers), asset.body)


class Gate:
    """The rules and the cache of all zones."""

    def __init__(self, routing: Routing) -> None:
        self._shield = Shield(routing)
        self.cache = Cache()

    def passage(self, request: web.Request, host: str) -> Passage:
        """Return a request's way in."""
        return Passage(request, host, self._shield.judge(host), self.cache)
