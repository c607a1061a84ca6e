"""The way from a run to its providers: every request passes here, and any one can be a run's last moment."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import ClientSession, DummyCookieJar, web
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

AFTER: Final = "after"
BEFORE: Final = "before"
ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}")
STORE: Final = "store"
"""The name of an object store: each point has a bucket, and what is there is named by moments and numbers."""
KEY: Final = re.compile(r"^/[^/]+|\d[\w.-]*")
HOP: Final = ("connection", "transfer-encoding", "content-length", "keep-alive")


@dataclass(frozen=True)
class Moment:
    """One moment of a run: what happens right before or after it, and the how-manieth time it does, from 1."""

    label: str
    time: int


@dataclass
class Moments:
    """Counts moments by label; says when the one to end at has come. `seen` is every moment so far, in order."""

    end: Moment | None = None
    seen: list[Moment] = field(default_factory=list)
    _times: Counter[str] = field(default_factory=Counter)

    def comes(self, label: str) -> bool:
        """Note one moment; say whether it is the last."""
        self._times[label] += 1
        moment = Moment(label, self._times[label])
        self.seen.append(moment)
        return moment == self.end


@dataclass
class Door:
    """Reverse proxies on free ports, one for each upstream, in a thread of their own.

    `victim` is the process that is killed; with `only_children` the programs that it has started are. `inside` are the
    moments at which there was such a program, `killed` says whether there was one to kill.
    """

    upstreams: Mapping[str, str]
    addresses: dict[str, str] = field(default_factory=dict)
    moments: Moments = field(default_factory=Moments)
    victim: int = 0
    only_children: bool = False
    inside: list[Moment] = field(default_factory=list)
    killed: bool = False

    def __post_init__(self) -> None:
        """Open it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def arm(self, end: Moment | None, *, only_children: bool = False) -> None:
        """Count anew, for a process that `victim` will name."""
        self.victim, self.only_children, self.moments = 0, only_children, Moments(end)
        self.inside, self.killed = [], False

    def close(self) -> None:
        """Close it."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        self._session = ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar())
        self._runners = []
        for name, base in self.upstreams.items():
            upstream = URL(base)
            app = web.Application(client_max_size=2**30)
            app.router.add_route("*", "/{path:.*}", self._handler(name, upstream.origin()))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._runners.append(runner)
            port = runner.addresses[0][1]
            self.addresses[name] = f"http://127.0.0.1:{port}{upstream.raw_path.rstrip('/')}"

    async def _shut(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()

    def _handler(self, name: str, origin: URL) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def pass_on(request: web.Request) -> web.Response:
            body = await request.read()
            what = f"{name} {request.method} {(KEY if name == STORE else ID).sub('…', request.path)}"
            if self._comes(f"{BEFORE} {what}"):
                return self._end(request)
            headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP}
            url = URL(f"{origin}{request.raw_path}", encoded=True)
            async with self._session.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                content = await answer.read()
            if self._comes(f"{AFTER} {what}"):
                return self._end(request)
            kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP}
            if request.method == "HEAD" and (length := answer.headers.get("Content-Length")):
                kept["Content-Length"] = length  # of what is not sent
            return web.Response(body=content or None, status=answer.status, headers=kept)

        return pass_on

    def _comes(self, label: str) -> bool:
        last = self.moments.comes(label)
        if children(self.victim):
            self.inside.append(self.moments.seen[-1])
        return last

    def _end(self, request: web.Request) -> web.Response:
        """Kill the process whose request this is; nobody is there any more to read what is returned."""
        pids = children(self.victim) if self.only_children else [self.victim]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed = True
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started; none when it is over."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except FileNotFoundError:
        return []
