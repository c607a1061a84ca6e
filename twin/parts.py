"""Put the twin's servers together: both control planes, the edge with its Workers, DNS, cron, the controls."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin import cloudflare, dns, supabase
from twin.calls import Controls
from twin.cloudflare.access.meter import METERS
from twin.cloudflare.store import STORE
from twin.edge import Edge, file
from twin.workerd import caches, kv, r2
from twin.workerd.config import Ways
from twin.workerd.console import Lines, console_lines
from twin.workerd.cron import Schedules
from twin.workerd.fleet import Fleet
from twin.world import Engines, Handled, UnrunnableError

if TYPE_CHECKING:
    import socket

    from twin.home import Opened
    from twin.postgres.database import Database
    from twin.processes import Processes

_LONGEST_LINE = 128 << 10  # Cloudflare's limit of all request headers together


class Parts:
    """Everything but the database, which was started before this module was imported."""

    def __init__(self, opened: Opened, owned: Processes, database: Database, workerd: Path) -> None:
        self._home = opened.home
        self._database = database
        logs = opened.home.state / "logs"
        self._inside = opened.sockets / "inside"
        self._console = Lines(logs / "worker.ndjson")
        durable = opened.home.state / "durable"
        ways = Ways(twin=self._inside, egress=database.egress, database=database.address, durable=durable)
        self._fleet = Fleet(workerd, owned, sockets=opened.sockets, logs=logs, ways=ways)
        self._runners: list[web.AppRunner] = []
        self._scheduling: asyncio.Task[None] | None = None
        self._names: dns.Server | None = None
        self._controls = self._make_controls()

    async def start(self, taken: dict[str, socket.socket], named: tuple[socket.socket, socket.socket]) -> str:
        """Start everything and return the line that tells the addresses."""
        where = {part: "127.0.0.1:{1}".format(*bound.getsockname()) for part, bound in taken.items()}
        self._home.addresses = {
            "cloudflare": f"http://{where['cloudflare']}/client/v4",
            "supabase": f"http://{where['supabase']}",
            "edge": f"http://{where['edge']}",
            "dns": "127.0.0.1:{1}".format(*named[0].getsockname()),
            "database_url": self._database.url,
        }
        await self._database.listen()
        engines = self._make_engines()
        cloudflare_app, routing = cloudflare.app(self._home, engines)
        self._meters = cloudflare_app[METERS]
        self._stored = cloudflare_app[STORE]
        supabase_app = supabase.app(self._home, engines)
        self._wild = supabase_app[supabase.STORE].wild
        self._fleet.routing = self._routing = routing
        self._traffic = cloudflare_app[cloudflare.RECORDER]
        self._edge = Edge(routing, self._fleet, self._traffic)
        self._controls.mount(cloudflare_app, "cloudflare")
        self._controls.mount(supabase_app, "supabase")
        await self._serve(cloudflare_app, taken["cloudflare"])
        await self._serve(supabase_app, taken["supabase"])
        edge_app = self._edge.app()
        self._controls.mount_edge(edge_app)
        await self._serve(edge_app, taken["edge"])
        await self._serve(self._inside_app(), self._inside)
        self._names = dns.Server(dns.Zones(routing, self._home.zone))
        await self._names.start(*named)
        await self._database.start()
        self._scheduling = asyncio.create_task(Schedules(routing, self._fire).run())
        line = {"pid": os.getpid(), **self._home.addresses}
        return json.dumps({**line, "tokens": self._home.tokens, "account": self._home.account})

    async def stop(self) -> None:
        """Stop all servers."""
        if self._scheduling is not None:
            self._scheduling.cancel()
            with suppress(asyncio.CancelledError):
                await self._scheduling
        if self._names is not None:
            self._names.stop()
        await asyncio.gather(self._fleet.stop(), *(runner.cleanup() for runner in self._runners))
        self._console.close()

    def _make_engines(self) -> Engines:
        cluster = self._database.cluster
        return Engines(
            switch=self._fleet.switch,
            prove=self._fleet.prove,
            recover=cluster.recover,
            interrupt=cluster.interrupt,
            resume=cluster.resume,
            empty=cluster.empty,
            database_state=lambda: cluster.state,
            restrict=self._database.restrict,
            earliest_point=cluster.earliest_point,
            latest_point=cluster.latest_point,
            fire_cron=self._fire_quietly,
            purge=self._purge,
            database_url=self._database.inside,
        )

    def _make_controls(self) -> Controls:
        cluster = self._database.cluster

        async def kill_worker(given: dict[str, Any]) -> None:
            self._fleet.kill(given["script"])

        async def limit_rates(given: dict[str, Any]) -> None:
            self._meters.enforce(**{name: given[name] for name in ("calls", "seconds") if name in given})

        async def break_project(given: dict[str, Any]) -> None:
            self._wild.break_(given)

        def mend_project() -> None:
            self._wild.heal()

        async def heal() -> None:
            self._meters.lift()
            await self._database.services.end()
            mend_project()
            await cluster.resume()

        return Controls(
            state=self._state,
            cron=self._fire,
            breaks={
                "postgres-stop": lambda _: cluster.interrupt(),
                "postgres-start": lambda _: cluster.resume(),
                "worker-kill": kill_worker,
                "rate-limits": limit_rates,
                "platform-sessions": lambda _: self._database.services.begin(),
                **dict.fromkeys(supabase.BREAKS, break_project),
            },
            heal=heal,
            clear=mend_project,
        )

    async def _serve(self, app: web.Application, at: socket.socket | Path) -> None:
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.5, max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE
        )
        self._runners.append(runner)
        await runner.setup()
        site = web.UnixSite(runner, at) if isinstance(at, Path) else web.SockSite(runner, at)
        await site.start()

    def _inside_app(self) -> web.Application:
        app = web.Application(client_max_size=315 << 20)  # R2 takes objects up to 300 MiB
        app.router.add_route("*", "/{path:.*}", self._answer_worker)
        return app

    async def _answer_worker(self, request: web.Request) -> web.StreamResponse:
        """Answer what a Worker sends to the twin itself; the configuration put a header on it that says what for."""
        if "twin-kv" in request.headers:
            return await kv.answer(self._stored.values, request.headers["twin-kv"], request)
        if "twin-r2" in request.headers:
            return await r2.answer(self._stored.objects, request.headers["twin-r2"], request)
        if "twin-cache" in request.headers:
            return await caches.answer(self._edge.gate.cache, request)
        if "twin-service" in request.headers:
            return await self._edge.to_script(request, request.headers["twin-service"])
        if "twin-assets" in request.headers:
            script, _, version = request.headers["twin-assets"].partition("/")
            path = request.rel_url.raw_path_qs
            host = request.host.partition(":")[0].lower()
            asset = self._routing.static(script, version, path, host=host, navigates=False, bound=True)
            return web.Response(status=404) if asset is None else file(request, asset)
        script, version = request.headers["twin-script"], request.headers["twin-version"]
        for event in await request.json():
            for line in console_lines(script, version, event):
                self._console.add(line)
            self._traffic.ran(version, event)
        return web.Response(status=204)

    async def _fire(self, script: str, cron: str) -> str:
        """Fire a cron event on one of the live versions; return how it went."""
        split = self._routing.live(script)
        if not split:
            message = f"{script} has no deployment"
            raise UnrunnableError(message)
        (version,) = random.choices([one for one, _ in split], [share for _, share in split])  # noqa: S311 - a split
        instance = await self._fleet.ensure(script, version)
        at, begun, used = time.time(), time.perf_counter(), instance.cpu()
        key = f"{version} {cron} {int(at * 1000)}"
        fired = Handled(key, at, "internalError", service=script, version=version, cron=cron)
        try:
            outcome = await instance.fire(cron, at)
            fired.outcome = "ok" if outcome == "ok" else "scriptThrewException"
        finally:
            fired.wall, fired.cpu = time.perf_counter() - begun, instance.cpu() - used
            self._traffic.handled(fired)
        return outcome

    def _purge(self, zone: str, wanted: dict[str, Any]) -> int:
        return self._edge.gate.cache.purge(zone, wanted)

    async def _fire_quietly(self, script: str, cron: str) -> None:
        await self._fire(script, cron)

    def _state(self) -> dict[str, Any]:
        cluster = self._database.cluster
        return {
            "addresses": self._home.addresses,
            "database": {
                "state": cluster.state,
                "earliest_point": cluster.earliest_point(),
                "latest_point": cluster.latest_point(),
            },
            "running": [{"script": script, "version": version} for script, version in self._fleet.names()],
            "requests": [
                {"service": service, "version": version, "status": status, "count": count}
                for (service, version, status), count in self._edge.counts.items()
            ],
        }
