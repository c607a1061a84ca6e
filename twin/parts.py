"""Put the twin's servers together: both control planes, the edge with its Workers, DNS, cron, the controls."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin import cloudflare, supabase
from twin.calls import Controls
from twin.world import Engines

if TYPE_CHECKING:
    import socket

    from twin.home import Opened
    from twin.postgres.database import Database
    from twin.processes import Processes


class Parts:
    """Everything but the database, which was started before this module was imported."""

    def __init__(self, opened: Opened, owned: Processes, database: Database) -> None:
        self._home = opened.home
        self._opened = opened
        self._database = database
        cluster = database.cluster
        self._engines = Engines(
            switch=self._switch,
            recover=cluster.recover,
            database_state=lambda: cluster.state,
            restrict=database.restrict,
            earliest_point=cluster.earliest_point,
            latest_point=cluster.latest_point,
            fire_cron=self._fire,
            database_url=database.url,
        )
        self._controls = Controls(
            state=self._state,
            cron=self._fire,
            breaks={
                "postgres-stop": lambda _: cluster.interrupt(),
                "postgres-start": lambda _: cluster.resume(),
            },
            heal=cluster.resume,
        )
        self._runners: list[web.AppRunner] = []

    async def start(self, taken: dict[str, socket.socket], dns: tuple[socket.socket, socket.socket]) -> str:
        """Start everything and return the line that tells the addresses."""
        where = {part: f"127.0.0.1:{bound.getsockname()[1]}" for part, bound in taken.items()}
        self._home.addresses = {
            "cloudflare": f"http://{where['cloudflare']}/client/v4",
            "supabase": f"http://{where['supabase']}",
            "edge": f"http://{where['edge']}",
            "dns": f"127.0.0.1:{dns[0].getsockname()[1]}",
            "database_url": self._database.url,
        }
        planes, self.routing = cloudflare.app(self._home, self._engines)
        for provider, app in (("cloudflare", planes), ("supabase", supabase.app(self._home, self._engines))):
            self._controls.mount(app, provider)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
            self._runners.append(runner)
            await runner.setup()
            await web.SockSite(runner, taken[provider]).start()
        await self._database.start()
        line = {"pid": os.getpid(), **self._home.addresses}
        return json.dumps({**line, "tokens": self._home.tokens, "account": self._home.account})

    async def stop(self) -> None:
        """Stop all servers."""
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))

    async def _switch(self, script: str) -> None:
        raise NotImplementedError(script)

    async def _fire(self, script: str, cron: str) -> None:
        raise NotImplementedError(script, cron)

    def _state(self) -> dict[str, Any]:
        return {"addresses": self._home.addresses, "database": self._database.cluster.state}
