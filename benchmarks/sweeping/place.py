"""A twin with two releases and data, and for every point a stack file and an ops home of its own."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec

from benchmarks.databases.selfhosted import selfhosted
from benchmarks.sweeping import product, standing
from benchmarks.sweeping.door import STORE, Door, Moment
from benchmarks.sweeping.operator import Errand, Silent, begin
from benchmarks.sweeping.releasing import live_site, live_version, moved, second_release
from benchmarks.sweeping.stack_files import KEYS, Point, store_of, variant
from benchmarks.sweeping.standing import LEDGER, RECORDS
from runbooks.clients import twin
from runbooks.commands.frame import ROOT
from runbooks.drills.bad_dns import OTHERWISE
from runbooks.drills.rig.faulty import wrapped
from runbooks.drills.rig.stage import Phases, staged
from runbooks.model.records import changes
from runbooks.model.settings import load
from runbooks.steps.cloudflare.records import zone_of
from tests.object_store import serving

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping

    from benchmarks.databases.selfhosted import SelfHosted
    from runbooks.clients.supabase import Cidrs
    from runbooks.drills.rig.stage import Stage
    from runbooks.model.records import Record
    from tests.object_store import ObjectStore

FORKS: Final = get_context("forkserver")
"""A child starts in milliseconds, from a server that has imported everything and has no threads."""
FORKS.set_forkserver_preload(["benchmarks.sweeping.operator"])
LONGEST: Final = 120.0  # seconds that one operator's process may take
THROUGH: Final = ("cloudflare", "supabase", "edge")
"""What is reached by a door."""
DEEP: Final = 4  # parts of a path that tell files of a point apart
OF_SERVER: Final = 2  # and of a server of our own: hundreds of its data folder are one


@dataclass
class Place:
    """A twin that operators reach through a door. `ago` is a moment of the first release.

    `old` and `new` are releases, `old_site` and `new_site` deployments of the site, all proven; `records` are those of
    the zone. `base` is the stack file of the second release. `digests` tell in words what a database holds, `server` is
    where it is one of our own, with its folders as they were in `kept`. `objects` has the buckets.
    """

    stage: Stage
    door: Door
    folder: Path
    base: Path
    ago: str
    old: str
    new: str
    old_site: str
    new_site: str
    records: tuple[Record, ...]
    allowed: Cidrs
    digests: Mapping[str, str]
    private: Path
    server: SelfHosted | None = None
    objects: ObjectStore | None = None
    points: int = 0

    @property
    def database_url(self) -> str:
        """Return the address of the database that is operated."""
        return self.server.url if self.server else self.stage.addresses.database_url

    def point(self, *, failing: bool = False, **variables: str) -> Point:
        """Make a stack file that leads through the door, and an ops home that knows both releases.

        With `failing` the stack file builds a release whose checks fail, and gives it its traffic in stages.
        """
        return self.made(variables=variables, through=self.door, failing=failing)

    def direct(self, *, failing: bool = False, **variables: str) -> Point:
        """Make a point whose stack file leads past the door."""
        return self.made(variables=variables, through=None, failing=failing)

    def made(
        self,
        *,
        failing: bool = False,
        environ: Mapping[str, str] | None = None,
        through: Door | None = None,
        bucket: bool = False,
        **more: Any,  # noqa: ANN401 - as `variant` takes them
    ) -> Point:
        """Make a point with a stack file as told, and more in the environment; with `bucket` backups lie in one."""
        self.points += 1
        folder, temp = self.folder / "points" / str(self.points), self.private / str(self.points)
        home = folder / "ops"
        home.mkdir(parents=True)
        temp.mkdir(mode=0o711)
        for name in (LEDGER, RECORDS):
            (home / name).write_bytes((self.stage.site.settings.home / name).read_bytes())
        build = self.failing_build if failing else None
        files, address = store_of(home, self.objects if bucket else None, through)
        file = variant(self.base, folder, home=home, build=build, through=through, store=address, **more)
        url = {"EMS_DATABASE_URL": self.server.url} if self.server else {}
        return Point(file, home, temp, {"TMPDIR": str(temp), **url, **KEYS, **(environ or {})}, files)

    def order(self, point: Point, book: str, arguments: dict[str, Any], **more: Any) -> Errand:  # noqa: ANN401 - as Errand takes them
        """Return an errand at a point: with its environment, and with its folders watched."""
        watched = {"point": (str(point.home.parent), DEEP), "private": (str(point.temp), DEEP)}
        if self.server is not None:
            watched["server"] = (str(self.server.folder), OF_SERVER)
        environ = dict(point.environ)
        return Errand(str(point.stack_file), book, arguments, environ=environ, watched=watched, **more)

    @cached_property
    def own_backup(self) -> Path:
        """Return an own backup of the database as it was at `ago`, made by the book."""
        product.put(self.database_url, product.AGAIN)
        point = self.direct()
        told = self.errand(self.order(point, "backup", {}))
        if told["status"] != "done":
            message = f"the backup to begin with ended as {told['status']}: {told['text']}"
            raise AssertionError(message)
        product.put(self.database_url, product.SINCE)
        (made,) = (point.home / "dumps").iterdir()
        return made

    @cached_property
    def failing_build(self) -> list[str]:
        """Return how a release is built that throws on one route."""
        folder = self.folder / "failing"
        folder.mkdir()
        return wrapped(self.stage.site, folder, "sweep")

    def errand(self, errand: Errand, *, only_children: bool = False) -> dict[str, Any]:
        """Let an operator do it; return what it told, with status "killed" where it was. `moments` is every one."""
        self.door.arm(errand.end, only_children=only_children)
        process = FORKS.Process(target=begin, args=(errand, gate := FORKS.Event()))
        process.start()
        self.door.victim = process.pid or 0
        gate.set()
        process.join(LONGEST)
        if process.is_alive():
            process.kill()
            process.join()
            return {"status": "hung", "text": f"no end within {LONGEST:g} s", "moments": []}
        if process.exitcode:
            return {"status": "killed", "text": f"exit {process.exitcode}", "moments": []}
        told: dict[str, Any] = json.loads(errand.tell.read_text("utf-8"))
        moments = [Moment(**moment) for moment in told["moments"]]
        return {**told, "moments": [*moments, *self.door.moments.seen]}

    def rest(self, *, traffic: bool = True, changed: bool = False) -> None:
        """Bring back how each point begins: a row that is later than `ago`, the new site live, the records as proven.

        With `traffic` the new release is live, with `changed` somebody has changed a record by hand.
        """
        site = self.stage.site
        worker = site.settings.stack.api.name
        live = site.cloudflare.live(worker)
        if traffic and (live is None or live.version != self.new):
            whole = [{"version_id": self.new, "percentage": 100}]
            self._post(f"workers/scripts/{worker}/deployments", {"strategy": "percentage", "versions": whole})
        if self.site_now() != self.new_site:
            (web,) = site.settings.stack.sites
            self._post(f"pages/projects/{web.name}/deployments/{self.new_site}/rollback", None)
        zone, owned = zone_of(site.cloudflare, site.settings.stack)
        wanted = tuple(_by_hand(one) if changed and one is self._victim else one for one in self.records)
        if difference := changes(owned(), wanted):
            zone.change(difference)
        if site.supabase.restrictions().config != self.allowed:
            site.supabase.restrict(self.allowed)
        if self.server is not None:
            self.server.take_back()
        else:
            product.drop_former(self.database_url)
            product.put(self.database_url, product.SINCE)

    def _post(self, path: str, sent: object) -> None:
        addresses = self.stage.addresses
        httpx.post(
            f"{addresses.cloudflare}/accounts/{addresses.account}/{path}",
            headers={"authorization": f"Bearer {addresses.tokens['CLOUDFLARE_API_TOKEN']}"},
            json=sent,
        ).raise_for_status()

    @cached_property
    def _victim(self) -> Record:
        """Return the record that somebody changes: one whose id stays, which the program goes by."""
        return next(one for one in self.records if one.type in OTHERWISE)

    def site_now(self) -> str:
        """Return the deployment of the site that is live."""
        return live_site(self.stage)

    def has_new_secrets(self, version: str) -> bool:
        """Tell whether a version is the new release with secrets that a run has set."""
        found = self.stage.site.cloudflare.version(self.stage.site.settings.stack.api.name, version)
        return found is not None and found.annotations.message.startswith("secrets ")

    def calls(self) -> int:
        """Return how many calls the twin saw."""
        return max((call.seq for call in self._calls()), default=0)

    def happened(self, point: Point, since: int) -> Counter[str]:
        """Count every effect since that call, and what stands at the end."""
        return standing.happened(self, point, [call for call in self._calls() if call.seq > since])

    def _calls(self) -> tuple[twin.Call, ...]:
        control = twin.control(self.stage.addresses.cloudflare)
        try:
            return control.calls()
        finally:
            control.transport.close()


@contextmanager
def opened(
    folder: Path, environ: Mapping[str, str] = os.environ, *, server: SelfHosted | None = None,
    objects: ObjectStore | None = None,
) -> Iterator[Place]:  # fmt: skip
    """Start a twin with two releases below `folder`, its database on a `server` of our own if there is one.

    It ends with the block. Call from the main thread.
    """
    folder.mkdir(parents=True)
    base = load(str(variant(ROOT / "Pulumi.twin.yaml", folder, home=folder / "ops")), root=ROOT, environ={})
    with (
        TemporaryDirectory(prefix="ems-ops-") as private,
        staged(base, environ=environ, show=Silent(), actor="sweeper", phases=Phases()) as first,
    ):
        Path(private).chmod(0o711)
        stage = moved(first, server, folder) if server else first
        url = server.url if server else stage.addresses.database_url
        product.put(url, product.THEN)
        digests = {product.digest(url): "rows of the point"}
        ago, old, old_site = _ago(), live_version(stage), live_site(stage)
        second = second_release(stage, folder, server)
        product.put(url, product.SINCE)
        digests[product.digest(url)] = "rows since then as well"
        if server is not None:
            server.keep()
        with closing(_door(stage, objects)) as door:
            yield Place(
                *(stage, door, folder, second, ago),
                old=old,
                new=live_version(stage),
                old_site=old_site,
                new_site=live_site(stage),
                records=zone_of(stage.site.cloudflare, stage.site.settings.stack)[1](),
                allowed=stage.site.supabase.restrictions().config,
                digests=digests,
                private=Path(private),
                server=server,
                objects=objects,
            )


@contextmanager
def places(number: int, *, own: bool = False, buckets: bool = False) -> Iterator[list[Place]]:
    """Open several places at once; with `own` each has its database on a server of our own, with `buckets` a store."""
    with TemporaryDirectory() as folder, ExitStack() as leaving:
        objects = leaving.enter_context(serving()) if buckets else None
        servers = [leaving.enter_context(selfhosted()) if own else None for _ in range(number)]
        yield [
            leaving.enter_context(opened(Path(folder) / str(one), server=server, objects=objects))
            for one, server in enumerate(servers)
        ]


def _door(stage: Stage, objects: ObjectStore | None) -> Door:
    upstreams = {name: getattr(stage.addresses, name) for name in THROUGH}
    return Door(upstreams | ({STORE: objects.address} if objects else {}))


def _ago() -> str:
    """Let a second pass, so that what was is before it; return it."""
    sleep(1.01)
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sleep(1.01)
    return moment


def _by_hand(record: Record) -> Record:
    return msgspec.structs.replace(record, content=OTHERWISE[record.type])
