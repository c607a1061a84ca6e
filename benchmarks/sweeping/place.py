"""A twin with two releases and data, and for every point a stack file and an ops home of its own."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from multiprocessing import get_context
from time import sleep
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
import psycopg

from benchmarks.sweeping.door import ID, Door, Moment
from benchmarks.sweeping.operator import Errand, Silent, begin
from benchmarks.sweeping.stack_files import variant
from runbooks.clients import twin
from runbooks.clients.pages import Pages
from runbooks.commands.frame import ROOT
from runbooks.drills.bad_dns import OTHERWISE
from runbooks.drills.rig.faulty import wrapped
from runbooks.drills.rig.stage import Phases, release, staged
from runbooks.model.errors import Exit, NotSo
from runbooks.model.records import changes, state_of
from runbooks.model.settings import load, read_stack
from runbooks.steps.cloudflare.records import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runbooks.drills.rig.stage import Stage
    from runbooks.model.records import Record

FORKS: Final = get_context("forkserver")
"""A child starts in milliseconds, from a server that has imported everything and has no threads."""
FORKS.set_forkserver_preload(["benchmarks.sweeping.operator"])
LONGEST: Final = 120.0  # seconds that one operator's process may take
LEDGER: Final = "releases.jsonl"
RECORDS: Final = "records.jsonl"
TWICE_AS_GOOD: Final = "/purge_cache"
"""The end of a call that may be made again: what it did cannot be asked for, and once more changes nothing."""
MARKS: Final = "select count(*) from public.horses where name = 'Late'"
MARK: Final = """
insert into public.horses (name, sex, birth_date) select 'Late', 'mare', '2015-01-01'
 where not exists (select from public.horses where name = 'Late')
"""


@dataclass(frozen=True)
class Point:
    """Where one point is swept: its stack file, and its ops home."""

    stack_file: Path
    home: Path


@dataclass
class Place:
    """A twin that operators reach through a door. `ago` is a moment of the first release.

    `old` and `new` are releases, `old_site` and `new_site` deployments of the site, all proven; `records` are those of
    the zone. `base` is the stack file of the second release.
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
    points: int = 0

    def point(self, *, failing: bool = False, **variables: str) -> Point:
        """Make a stack file that leads through the door, and an ops home that knows both releases.

        With `failing` the stack file builds a release whose checks fail, and gives it its traffic in stages.
        """
        return self._point(variables, self.door, failing=failing)

    def direct(self, *, failing: bool = False, **variables: str) -> Point:
        """Make a point whose stack file leads past the door."""
        return self._point(variables, None, failing=failing)

    def _point(self, variables: Mapping[str, str], through: Door | None, *, failing: bool) -> Point:
        self.points += 1
        folder = self.folder / "points" / str(self.points)
        home = folder / "ops"
        home.mkdir(parents=True)
        for name in (LEDGER, RECORDS):
            (home / name).write_bytes((self.stage.site.settings.home / name).read_bytes())
        build = self.failing_build if failing else None
        return Point(variant(self.base, folder, home=home, variables=variables, through=through, build=build), home)

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
        worker, project = site.settings.stack.api.name, site.settings.stack.web.name
        live = site.cloudflare.live(worker)
        if traffic and (live is None or live.version != self.new):
            whole = [{"version_id": self.new, "percentage": 100}]
            self._post(f"workers/scripts/{worker}/deployments", {"strategy": "percentage", "versions": whole})
        if self._site() != self.new_site:
            self._post(f"pages/projects/{project}/deployments/{self.new_site}/rollback", None)
        zone, owned = zone_of(site.cloudflare, site.settings.stack)
        wanted = tuple(_by_hand(one) if changed and one is self._victim else one for one in self.records)
        if difference := changes(owned(), wanted):
            zone.change(difference)
        with psycopg.connect(self.stage.addresses.database_url) as session:
            session.execute(MARK)

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

    def _site(self) -> str:
        """Return the deployment of the site that is live."""
        found = _pages(self.stage).project(self.stage.site.settings.stack.web.name).canonical_deployment
        return found.id if found else ""

    def calls(self) -> int:
        """Return how many calls the twin saw."""
        return max((call.seq for call in self._calls()), default=0)

    def happened(self, point: Point, since: int) -> Counter[str]:
        """Count every effect since that call, and what stands at the end."""
        calls = [call for call in self._calls() if call.seq > since and call.effect]
        count = Counter(f"{call.method} {ID.sub('…', call.path.partition('?')[0])}" for call in calls)
        for noted in self._noted(point, LEDGER):
            count[f"ledger: {noted['service']} {noted['standing']} {self._role(noted['version'])}"] += 1
        count["kept records"] += len(self._noted(point, RECORDS))
        count.update({name: 1 - times for name, times in count.items() if name.endswith(TWICE_AS_GOOD)})
        count["copies"] += len(list(point.home.glob("backups/*/manifest.json")))
        count["kept rows"] += len(list(point.home.glob("backups/*/later/manifest.json")))
        return count + Counter(self._stands(point))

    def _noted(self, point: Point, name: str) -> list[dict[str, Any]]:
        """Return the lines that a point's ops home has more than it began with."""
        known = len((self.stage.site.settings.home / name).read_bytes().splitlines())
        return [json.loads(line) for line in (point.home / name).read_bytes().splitlines()[known:]]

    def _stands(self, point: Point) -> list[str]:
        site = self.stage.site
        live = site.cloudflare.live(site.settings.stack.api.name)
        pins = read_stack(point.stack_file).pins
        restrictions = site.supabase.restrictions()
        with site.postgres.reading() as session:
            late, rows = session.value(MARKS), session.value("select count(*) from public.bookings")
        return [
            f"live: {self._role(live.version or 'split') if live else 'nothing'}",
            f"site: {self._role(self._site())}",
            f"records: {self._role(state_of(zone_of(site.cloudflare, site.settings.stack)[1]()))}",
            *(f"pinned {name}: {self._role(pin.version)}" for name, pin in pins.items()),
            f"allowed: {', '.join(restrictions.config.all)}",
            f"rows: {rows}, {late} late",
        ]

    def _role(self, version: str) -> str:
        known = {self.old: "old", self.new: "new", self.old_site: "old site", self.new_site: "new site"}
        return (known | {state_of(self.records): "as proven"}).get(version, "another")

    def _calls(self) -> tuple[twin.Call, ...]:
        control = twin.control(self.stage.addresses.cloudflare)
        try:
            return control.calls()
        finally:
            control.transport.close()


@contextmanager
def opened(folder: Path, environ: Mapping[str, str] = os.environ) -> Iterator[Place]:
    """Start a twin with two proven releases below `folder`; end it with the block. Call from the main thread."""
    folder.mkdir(parents=True)
    base = load(str(variant(ROOT / "Pulumi.twin.yaml", folder, home=folder / "ops")), root=ROOT, environ={})
    with staged(base, environ=environ, show=Silent(), actor="sweeper", phases=Phases()) as stage:
        ago, old, old_site = _ago(), _live(stage), _live_site(stage)
        second = _second(stage, folder)
        addresses = stage.addresses
        door = Door({"cloudflare": addresses.cloudflare, "supabase": addresses.supabase, "edge": addresses.edge})
        records = zone_of(stage.site.cloudflare, stage.site.settings.stack)[1]()
        try:
            yield Place(
                stage,
                door,
                folder,
                second,
                ago,
                old=old,
                new=_live(stage),
                old_site=old_site,
                new_site=_live_site(stage),
                records=records,
            )
        finally:
            door.close()


def _second(stage: Stage, folder: Path) -> Path:
    """Release another version of the API and another site; return the stack file of both. Raises NotSo."""
    settings = stage.site.settings
    web = folder / "web"
    shutil.copytree(settings.root / settings.stack.web.folder, web)
    page = next(iter(sorted(web.rglob("*.html"))))
    page.write_text(f"{page.read_text('utf-8')}<!-- the second release -->\n", "utf-8")
    file = variant(settings.file, folder, home=stage.folder, variables={"RELEASE": "2"}, web=web)
    site = stage.site_of(file)
    try:
        outcome = release(site, reason="the second release")
    finally:
        site.close()
    if outcome.exit is not Exit.DONE:
        message = f"the second release did not come up: {outcome.text}"
        raise NotSo(message)
    return file


def _ago() -> str:
    """Let a second pass, so that what was is before it; return it."""
    sleep(1.01)
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sleep(1.01)
    return moment


def _live(stage: Stage) -> str:
    live = stage.site.cloudflare.live(stage.site.settings.stack.api.name)
    return (live.version if live else None) or ""


def _live_site(stage: Stage) -> str:
    live = _pages(stage).project(stage.site.settings.stack.web.name).canonical_deployment
    return live.id if live else ""


def _pages(stage: Stage) -> Pages:
    return Pages(stage.site.cloudflare.transport, stage.site.cloudflare.account)


def _by_hand(record: Record) -> Record:
    return msgspec.structs.replace(record, content=OTHERWISE[record.type])
