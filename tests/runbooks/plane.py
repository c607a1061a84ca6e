"""A desk at the twin's own Cloudflare plane: a real control plane, its edge for sites, its name server; no engines."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web
from ruamel.yaml import YAML

from infra.dynamic.pages_upload import Site, deploy
from infra.sources import read_site
from runbooks import rollback
from runbooks.clients.cloudflare import Cloudflare, explain
from runbooks.clients.edge import Edge
from runbooks.clients.pages import Pages
from runbooks.clients.transport import Patience, Transport
from runbooks.clients.zone.resolver import Resolver
from runbooks.engine.step import Sight
from runbooks.model.settings import load
from runbooks.steps.cloudflare.records import zone_of
from runbooks.steps.cloudflare.site import site_faults
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.releases import record_verified
from runbooks.steps.snapshots import keep_records
from tests.runbooks.desk import Desk, now
from tests.runbooks.stand_in import StandIn
from tests.twin import serving
from twin import cloudflare
from twin.cloudflare.store import STORE
from twin.dns import Server, Zones
from twin.edge import Edge as TwinEdge
from twin.serve import _take_pair
from twin.world import Home

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from pathlib import Path

    from infra.stack import Web
    from runbooks.clients.zone.records import Zone
    from runbooks.engine.runner import Outcome
    from runbooks.engine.step import Book
    from runbooks.model.records import Record
    from twin.cloudflare.store import Store
    from twin.world import Routing

TOKEN = serving.TOKENS["CLOUDFLARE_API_TOKEN"]
PAGE = '<link rel=stylesheet href="/a.css"><script src="/a.js"></script><a href="/more/">more</a>'
DECLARED = (
    {"type": "CNAME", "name": "www.ems.example", "content": "ems-web.pages.dev", "proxied": True},
    {"type": "TXT", "name": "ems.example", "content": '"v=spf1 -all"', "ttl": 3600},
    {"type": "MX", "name": "ems.example", "content": "mail.ems.example", "priority": 10},
)
"""What the zone says at first."""
FILES = {"index.html": PAGE, "more/index.html": PAGE, "a.css": "body { color: red }", "a.js": "1", "404.html": "gone"}


@dataclass
class Watching:
    """Who stands at the plane's door. `lose` is the end of a path whose next answer gets lost."""

    calls: Counter[str] = field(default_factory=Counter)
    lose: str = ""
    refuse: str = ""
    """The end of a path that this token has no right to."""
    drop: str = ""
    """The end of a path whose next call is answered 502 and does nothing."""

    @web.middleware
    async def watch(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Count a call that changes something, and lose its answer when told so."""
        if self.refuse and request.path.endswith(self.refuse):
            return web.json_response({"success": False, "errors": [{"code": 10000, "message": "no"}]}, status=403)
        if self.drop and request.path.endswith(self.drop):
            self.drop = ""
            return web.Response(status=502)
        answer = await handler(request)
        if request.method != "GET":
            self.calls[f"{request.method} {request.path.rpartition('/')[2]}"] += 1
        if self.lose and request.path.endswith(self.lose):
            self.lose = ""
            assert request.transport is not None
            request.transport.abort()
        return answer


@dataclass
class Plane(Desk):
    """An operator's desk whose provider is the twin."""

    store: Store = field(kw_only=True)
    watching: Watching = field(kw_only=True)

    @property
    def calls(self) -> Counter[str]:
        """Return how often each call that changes something was made."""
        return self.watching.calls

    @property
    def web(self) -> Web:
        """Return the site as the stack file has it."""
        (web,) = self.settings.stack.sites
        return web

    def set_up(self) -> None:
        """Make the site's project, its host, and the records of the stack file."""
        web_ = self.web
        account = f"/accounts/{self.settings.stack.account}"
        self.send("POST", f"{account}/pages/projects", {"name": web_.name, "production_branch": web_.branch})
        self.send("POST", f"{account}/pages/projects/{web_.name}/domains", {"name": web_.host})
        self.say(*DECLARED)

    @property
    def pages(self) -> Pages:
        """Return the way to the sites."""
        return Pages(self.cloudflare.transport, self.cloudflare.account)

    @property
    def zone(self) -> tuple[Zone, Callable[[], tuple[Record, ...]]]:
        """Return the zone, and how to read what of it is ours."""
        return zone_of(self.cloudflare, self.settings.stack)

    @property
    def resolver(self) -> Resolver:
        """Return the way to the name server."""
        return Resolver(self.settings.stack.zone, self.settings.stack.endpoints.resolver)

    @property
    def live(self) -> str:
        """Return the live deployment of the site."""
        found = self.pages.project(self.web.name).canonical_deployment
        return found.id if found else ""

    @property
    def records(self) -> list[dict[str, Any]]:
        """Return every record of the zone, as the twin keeps them."""
        zone = self.store.zone_of(self.settings.stack.zone)
        return list(zone["records"].values()) if zone else []

    def upload(self, files: Mapping[str, str] = MappingProxyType({}), *, good: bool = True) -> str:
        """Deploy the site with some of its files replaced ("": left out); record it as good where it is."""
        folder = self.settings.root / "site"
        folder.mkdir(exist_ok=True)
        for name, text in {**FILES, **files}.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            if text:
                path.write_text(text, "utf-8")
        stack = self.settings.stack
        site = Site(stack.account, self.web.name, self.web.branch, folder, read_site("site", root=self.settings.root))
        made = deploy(site, base_url=stack.base_url, token=TOKEN).id
        if good:
            faults, seen = site_faults(self.edge, self.web)
            assert faults == []
            record = record_verified(self.home, "web", version=given(made), proofs=("content",), clock=now)
            record.act(_sight({"content": dict(seen)}))
        return made

    def say(self, *records: dict[str, Any]) -> None:
        """Let the zone hold these records beside what others own."""
        zone, owned = self.zone
        for record in owned():
            self.send("DELETE", f"{zone._path}/dns_records/{record.id}")
        for fields in records:
            self.send("POST", f"{zone._path}/dns_records", {"ttl": 1, **fields})

    def send(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Make one call by hand, as somebody does in the dashboard."""
        answer = self.cloudflare.transport._client.request(method, f"{self.settings.stack.base_url}{path}", json=body)
        assert answer.is_success, answer.text
        result = answer.json()["result"]
        return dict(result) if result else {}

    def keep_at_the_edge(self, folder: str) -> None:
        """Let the edge keep what lies in a folder of the site for an hour."""
        kept = {"cache": True, "edge_ttl": {"mode": "override_origin", "default": 3600}}
        expression = f'starts_with(http.request.uri.path, "{folder}")'
        rule = {"action": "set_cache_settings", "action_parameters": kept, "expression": expression, "enabled": True}
        phase = f"{self.zone[0]._path}/rulesets/phases/http_request_cache_settings/entrypoint"
        self.send("PUT", phase, {"rules": [rule]})

    def keep(self, *, good: bool = True, declared: str = "") -> str:
        """Take a snapshot, verified where it is good; return its state."""
        _, owned = self.zone
        kept = keep_records(self.home, owned, declared=declared, clock=now).act(_sight({}))
        assert isinstance(kept, dict)
        state = str(kept["state"])
        if good:
            record_verified(self.home, "dns", version=given(state), proofs=(), clock=now).act(_sight({}))
        return state

    def book(self, service: str, **arguments: Any) -> Book[Any]:  # noqa: ANN401 - the book's own arguments
        """Make the rollback as the command does."""
        said = {"service": service, "reason": "it is broken", **arguments}
        return rollback.book(
            self.settings,
            self.cloudflare,
            self.edge,
            home=self.home,
            arguments=msgspec.convert(said, rollback.Arguments),
            clock=now,
        )

    def roll_back(self, service: str, **arguments: Any) -> Outcome:  # noqa: ANN401 - the book's own arguments
        """Run the rollback."""
        return self.run(self.book(service, **arguments), service=service, **arguments)


@contextmanager
def at_the_plane(root: Path, folder: Path) -> Iterator[Plane]:
    """Open a desk in a folder whose stack file leads to a fresh plane with a site, its host, and two records."""
    document = YAML(typ="safe").load((root / "Pulumi.twin.yaml").read_text("utf-8"))
    config = document["config"]
    account, zone = config["ems-ops:account"], config["ems-ops:zone"]
    home = Home(folder / "twin", account=account, zone=zone, project="p" * 20, tokens=dict(serving.TOKENS))
    home.state.mkdir()
    watching = Watching()
    made: list[tuple[web.Application, Routing]] = []
    edges: list[TwinEdge] = []

    def purge(zone: str, wanted: dict[str, Any]) -> int:
        return edges[0].gate.cache.purge(zone, wanted)

    engines = replace(serving.Noted().engines(), purge=purge)

    def make() -> web.Application:
        made.append(cloudflare.app(home, engines))
        made[0][0].middlewares.insert(0, watching.watch)
        return made[0][0]

    names = _take_pair("dns", 0)
    config["ems-ops:ops_home"] = "ops"
    config["ems-ops:endpoints"]["resolver"] = "127.0.0.1:{1}".format(*names[0].getsockname())
    with serving.served(make) as api, serving.served(lambda: _outside(edges, made[0][1], zone, names)) as edge_address:
        config["cloudflare:baseUrl"] = f"{api}/client/v4"
        config["ems-ops:endpoints"]["edge"] = edge_address
        with (folder / "Pulumi.twin.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(document, file)
        settings = load("twin", root=folder, environ={})
        patience = Patience(connect=1, answer=5, read=5, attempts=3)
        transport = Transport("Cloudflare", settings.stack.base_url, TOKEN, explain=explain, patience=patience)
        edge = Edge(edge_address, patience=5)
        plane = Plane(
            settings, StandIn(), Cloudflare(transport, account), edge, store=made[0][0][STORE], watching=watching
        )
        plane.set_up()
        try:
            yield plane
        finally:
            transport.close()
            edge.close()


def _outside(
    edges: list[TwinEdge], routing: Routing, zone: str, names: tuple[socket.socket, socket.socket]
) -> web.Application:
    """Return the edge, with the name server beside it."""
    server = Server(Zones(routing, zone))

    async def start(_app: web.Application) -> None:
        await server.start(*names)

    async def stop(_app: web.Application) -> None:
        server.stop()

    edges.append(TwinEdge(routing, NOBODY, NOTHING))
    app = edges[0].app()
    app.on_startup.append(start)
    app.on_cleanup.append(stop)
    return app


class _Nothing:
    """What nobody reads."""

    def __getattr__(self, _name: str) -> Any:  # noqa: ANN401 - any method at all
        """Forget it."""
        return lambda *_args, **_more: None


NOTHING: Any = _Nothing()
NOBODY: Any = None
"""No Worker is asked here."""


def _sight(results: dict[str, Any]) -> Sight:
    return Sight(results=results, run="earlier")
