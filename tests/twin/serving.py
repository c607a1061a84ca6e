"""Serve a control plane on a free port in a thread, with engines that only note what they were asked."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin.world import Engines, Home, UnrunnableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACCOUNT = "0123456789abcdef0123456789abcdef"
ZONE = "example.com"
PROJECT = "abcdefghijklmnopqrst"
TOKENS = {"CLOUDFLARE_API_TOKEN": "t" * 40, "SUPABASE_ACCESS_TOKEN": "sbp_" + "0" * 40}


@dataclass
class Noted:
    """What the engines were asked to do, and how they answer."""

    switched: list[str] = field(default_factory=list)
    proven: list[tuple[str, str]] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    restricted: list[tuple[str, ...]] = field(default_factory=list)
    purged: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    state: str = "running"
    earliest: float | None = 1_700_000_000.0
    unrunnable: str = ""

    def engines(self, database_url: str = "") -> Engines:
        """Return engines whose every callable writes down its argument."""

        async def switch(script: str) -> None:
            self.switched.append(script)
            if self.unrunnable:
                text, self.unrunnable = self.unrunnable, ""
                raise UnrunnableError(text)

        async def prove(script: str, version: str) -> float:
            self.proven.append((script, version))
            if self.unrunnable:
                text, self.unrunnable = self.unrunnable, ""
                raise UnrunnableError(text)
            return 2.4

        async def recover(target: int) -> None:
            self.recovered.append(target)
            self.state = "recovering"

        async def noted(what: str) -> None:
            self.done.append(what)

        async def restrict(cidrs: tuple[str, ...]) -> None:
            self.restricted.append(cidrs)

        def purge(zone: str, wanted: dict[str, Any]) -> int:
            self.purged.append((zone, wanted))
            return 0

        async def fire(script: str, cron: str) -> None:
            raise AssertionError(script, cron)

        return Engines(
            switch=switch,
            prove=prove,
            recover=recover,
            interrupt=lambda: noted("interrupt"),
            resume=lambda: noted("resume"),
            empty=lambda: noted("empty"),
            database_state=lambda: self.state,
            restrict=restrict,
            earliest_point=lambda: self.earliest,
            latest_point=lambda: None,
            fire_cron=fire,
            purge=purge,
            database_url=database_url,
        )


def home(folder: Path) -> Home:
    """Return a home with fixed ids and tokens."""
    return Home(folder, account=ACCOUNT, zone=ZONE, project=PROJECT, tokens=dict(TOKENS))


@contextmanager
def served(make: Callable[[], web.Application]) -> Iterator[str]:
    """Serve an app and give its address; the app and its tasks end with the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[web.AppRunner, int]:
        runner = web.AppRunner(make(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    runner, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
