"""Requests through the edge to real Workers: split, switched, broken, restarted."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from twin import packages
from twin.edge import Edge
from twin.processes import Processes
from twin.workerd.config import Ways
from twin.workerd.fleet import Fleet
from twin.world import Asset, Handled, Module, Runnable, SiteTarget, UnrunnableError, WorkerTarget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.twin

HOST = "api.ems.example"
CODE = b"""
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/throws") throw new Error("thrown");
    if (pathname === "/own-500") return new Response("Internal Server Error", { status: 500 });
    if (pathname === "/slow") await new Promise((done) => setTimeout(done, 600));
    if (pathname === "/echo") return new Response(request.body, { headers: { "x-url": request.url } });
    if (pathname === "/untyped") return new Response(new Uint8Array([1, 2, 3]));
    if (pathname === "/moved") return new Response(null, { status: 302, headers: { location: "/x" } });
    if (pathname === "/cookies") {
      const headers = new Headers();
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response("", { headers });
    }
    if (pathname === "/who") return Response.json({ version: env.VERSION, secret: env.SECRET, cf: request.cf });
    return new Response(env.VERSION.id);
  },
};
"""


@dataclass
class World:
    """A routing whose live versions the test sets."""

    split: tuple[tuple[str, float], ...] = (("v1", 100.0),)
    code: dict[str, bytes] = field(default_factory=dict)
    bindings: tuple[dict[str, Any], ...] = ()

    def target(self, host: str, path: str) -> WorkerTarget | SiteTarget | None:
        """Serve one host by the Worker and one by a site."""
        del path
        known: dict[str, WorkerTarget | SiteTarget] = {
            HOST: WorkerTarget("api", self.split),
            "www.ems.example": SiteTarget("web", "d1"),
        }
        return known.get(host)

    def rules(self, host: str) -> None:
        """Guard nothing."""

    def live(self, script: str) -> tuple[tuple[str, float], ...]:
        """Return the split."""
        return self.split if script == "api" else ()

    def runnable(self, script: str, version: str) -> Runnable:
        """Return the version's code with a secret and metadata."""
        return Runnable(
            script=script,
            version=version,
            main_module="index.js",
            modules=(Module("index.js", "application/javascript+module", self.code.get(version, CODE)),),
            bindings=(
                {"type": "version_metadata", "name": "VERSION"},
                {"type": "secret_text", "name": "SECRET", "text": 'a "quoted" sécret'},
                *self.bindings,
            ),
            compatibility_date="2026-04-01",
            compatibility_flags=(),
            tag="t",
        )

    def asset(self, site: SiteTarget, path: str) -> Asset:
        """Return a page that names its deployment."""
        return Asset(200, (("content-type", "text/html"), ("etag", '"e1"')), f"{site.deployment} {path}".encode())

    def static(self, script: str, version: str, path: str, *, host: str, navigates: bool, bound: bool) -> Asset | None:
        """Have no static assets."""
        del script, version, path, host, navigates, bound
        return None

    def crons(self) -> tuple[tuple[str, str], ...]:
        """Know no schedule."""
        return ()

    def records(self) -> tuple[dict[str, Any], ...]:
        """Know no record."""
        return ()


@dataclass
class Traffic:
    """What the edge said that flowed."""

    seen: list[Handled] = field(default_factory=list)

    def handled(self, one: Handled) -> None:
        """Keep it."""
        self.seen.append(one)

    def ran(self, version: str, event: dict[str, Any]) -> None:
        """Hear nothing: no tail worker reports here."""


@dataclass
class Running:
    """The edge with its Workers, and a client that asks by host name."""

    world: World
    fleet: Fleet
    edge: Edge
    client: httpx.AsyncClient
    traffic: Traffic
    folder: Path


@asynccontextmanager
async def edge(world: World) -> AsyncIterator[Running]:
    """Serve this world."""
    with tempfile.TemporaryDirectory(prefix="twin-edge-") as name:  # short: sockets lie in it
        folder = Path(name)
        owned = Processes(folder, folder)
        ways = Ways(folder / "inside", folder / "egress", ("127.0.0.1", 1), folder / "durable")
        fleet = Fleet(packages.workerd(), owned, sockets=folder, logs=folder, ways=ways)
        fleet.routing = world
        traffic = Traffic()
        made = Edge(world, fleet, traffic)
        runner = web.AppRunner(made.app(), access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = "http://127.0.0.1:{1}".format(*runner.addresses[0])
        try:
            async with httpx.AsyncClient(base_url=base, headers={"host": HOST}, timeout=10) as client:
                yield Running(world, fleet, made, client, traffic, folder)
        finally:
            await fleet.stop()
            await runner.cleanup()


def test_requests_and_answers_pass_as_they_are() -> None:
    """Method, body, query, redirects, several cookies, no content type: nothing is added that clients would act on."""

    async def story() -> None:
        async with edge(World()) as running:
            client = running.client
            echo = await client.post("/echo?x=%20a/%2F&y", content=b"x" * 200_000)
            assert echo.content == b"x" * 200_000
            assert echo.headers["x-url"] == f"https://{HOST}/echo?x=%20a/%2F&y"
            assert echo.headers["cf-ray"].endswith("-TWN")
            assert "content-type" not in (await client.get("/untyped")).headers
            moved = await client.get("/moved")
            assert (moved.status_code, moved.headers["location"]) == (302, "/x")
            assert (await client.get("/cookies")).headers.get_list("set-cookie") == ["a=1", "b=2"]
            who = (await client.get("/who")).json()
            assert who["version"]["id"] == "v1"
            assert who["secret"] == 'a "quoted" sécret'
            assert who["cf"]["colo"] == "TWN"
            assert not list(running.folder.glob("worker*/workerd.capnp"))

    asyncio.run(story())


def test_an_uncaught_exception_is_error_1101() -> None:
    """The runtime's bare 500 becomes Cloudflare's page; a Worker's own 500 with the same text stays."""

    async def story() -> None:
        async with edge(World()) as running:
            thrown = await running.client.get("/throws")
            assert (thrown.status_code, thrown.text) == (500, "error code: 1101")
            own = await running.client.get("/own-500")
            assert (own.status_code, own.text) == (500, "Internal Server Error")
            seen = running.traffic.seen
            assert [(one.status, one.outcome) for one in seen] == [(500, "scriptThrewException"), (500, "ok")]
            assert all(0 < one.first <= one.wall < 10 and one.cpu >= 0 for one in seen)
            assert running.edge.counts == {("api", "v1", 500): 2}

    asyncio.run(story())


def test_sites_and_unknown_hosts() -> None:
    """A site's host answers its deployment, 304 for what the browser has; an unknown host is error 1016."""

    async def story() -> None:
        async with edge(World()) as running:
            site = {"host": "www.ems.example"}
            page = await running.client.get("/a%20b?q=1", headers=site)
            assert (page.text, page.headers["content-type"]) == ("d1 /a%20b?q=1", "text/html")
            assert (await running.client.get("/", headers=site | {"if-none-match": '"e1"'})).status_code == 304
            assert (await running.client.post("/", headers=site)).status_code == 405
            unknown = await running.client.get("/", headers={"host": "no.ems.example"})
            assert (unknown.status_code, unknown.text) == (530, "error code: 1016")
            assert "colo=TWN" in (await running.client.get("/cdn-cgi/trace")).text

    asyncio.run(story())


def test_traffic_is_split_by_weight_override_and_key() -> None:
    """90/10 comes out as such; an override of a deployed version is obeyed; one key always meets one version."""

    async def story() -> None:
        async with edge(World(split=(("v1", 90.0), ("v2", 10.0)))) as running:

            async def ask(headers: dict[str, str], times: int) -> Counter[str]:
                return Counter([(await running.client.get("/", headers=headers)).text for _ in range(times)])

            spread = await ask({}, 300)
            assert 5 <= spread["v2"] <= 70
            assert await ask({"Cloudflare-Workers-Version-Overrides": 'api="v2"'}, 10) == {"v2": 10}
            assert len(await ask({"Cloudflare-Workers-Version-Overrides": 'api="gone"'}, 200)) == 2
            assert len(await ask({"Cloudflare-Workers-Version-Key": "visitor-7"}, 20)) == 1

    asyncio.run(story())


def test_switching_versions_loses_no_request() -> None:
    """While versions change, every request is answered, and one that was in flight gets its answer."""

    async def story() -> None:
        async with edge(World()) as running:
            await running.fleet.switch("api")
            seen: Counter[str] = Counter()
            going = True

            async def visit() -> None:
                while going:
                    answer = await running.client.get("/")
                    seen[answer.text if answer.status_code == 200 else str(answer.status_code)] += 1

            visitors = [asyncio.create_task(visit()) for _ in range(4)]
            slow = asyncio.create_task(running.client.get("/slow"))
            await asyncio.sleep(0.2)
            for version in ("v2", "v3", "v1", "v4", "v5", "v6"):
                running.world.split = ((version, 100.0),)
                await running.fleet.switch("api")
                await asyncio.sleep(0.05)
            going = False
            await asyncio.gather(*visitors)
            assert set(seen) == {"v1", "v2", "v3", "v4", "v5", "v6"}
            assert (await slow).text == "v1"
            assert [version for _, version in running.fleet.names()][-1] == "v6"
            assert len(tuple(running.fleet.names())) == 4  # the live one and the last three

    asyncio.run(story())


def test_a_dead_runtime_is_told_and_replaced() -> None:
    """A request in a process that dies gets an error page; within seconds a new process answers."""

    async def story() -> None:
        async with edge(World()) as running:
            await running.client.get("/")
            slow = asyncio.create_task(running.client.get("/slow"))
            await asyncio.sleep(0.2)
            running.fleet.kill("api")
            died = await slow
            assert (died.status_code, died.text) == (500, "error code: 1101")
            async with asyncio.timeout(5):  # the death is noticed a moment after the connection broke
                while (await running.client.get("/")).text != "v1":  # noqa: ASYNC110 - another process is waited for, it sets no event
                    await asyncio.sleep(0.05)

    asyncio.run(story())


def test_code_that_cannot_start_is_told_with_the_runtimes_words() -> None:
    """Switching to it raises what workerd says; the versions before it go on."""

    async def story() -> None:
        async with edge(World(code={"bad": b"export default {"})) as running:
            await running.fleet.switch("api")
            running.world.split = (("bad", 100.0),)
            with pytest.raises(UnrunnableError, match="SyntaxError"):
                await running.fleet.switch("api")
            running.world.split = (("v1", 100.0),)
            assert (await running.client.get("/")).text == "v1"

    asyncio.run(story())


def test_changed_bindings_restart_a_live_version() -> None:
    """A version is started anew when what it is bound to has changed, such as a rotated password."""

    async def story() -> None:
        async with edge(World()) as running:
            await running.fleet.switch("api")
            before = running.fleet.running("api", "v1")
            await running.fleet.switch("api")
            assert running.fleet.running("api", "v1") is before
            running.world.bindings = ({"type": "plain_text", "name": "X", "text": "new"},)
            await running.fleet.switch("api")
            assert running.fleet.running("api", "v1") is not before
            assert (await running.client.get("/")).text == "v1"

    asyncio.run(story())
