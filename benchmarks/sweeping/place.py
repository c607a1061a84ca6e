"""A twin with two releases and data, and for every point a stack file and an ops home of its own."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from time import sleep
from typing import TYPE_CHECKING, Any, Final

import httpx
import psycopg
from ruamel.yaml import YAML

from benchmarks.sweeping.door import ID, Door, Moment
from benchmarks.sweeping.operator import Errand, Silent, begin
from runbooks.clients import twin
from runbooks.commands.frame import ROOT
from runbooks.drills.rig.stage import Phases, release, staged
from runbooks.model.errors import Exit, NotSo
from runbooks.model.settings import load, read_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runbooks.drills.rig.stage import Stage

FORKS: Final = get_context("forkserver")
"""A child starts in milliseconds, from a server that has imported everything and has no threads."""
FORKS.set_forkserver_preload(["benchmarks.sweeping.operator"])
LONGEST: Final = 120.0  # seconds that one operator's process may take
LEDGER: Final = "releases.jsonl"
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
    """A twin that operators reach through a door. `old` and `new` are releases, both proven; `ago` a moment of old."""

    stage: Stage
    door: Door
    folder: Path
    old: str
    new: str
    ago: str
    points: int = 0

    def point(self, **variables: str) -> Point:
        """Make a stack file that leads through the door, and an ops home that knows both releases."""
        return self._point(variables, self.door)

    def direct(self, **variables: str) -> Point:
        """Make a point whose stack file leads past the door."""
        return self._point(variables, None)

    def _point(self, variables: Mapping[str, str], through: Door | None) -> Point:
        self.points += 1
        folder = self.folder / "points" / str(self.points)
        home = folder / "ops"
        home.mkdir(parents=True)
        (home / LEDGER).write_bytes((self.stage.site.settings.home / LEDGER).read_bytes())
        file = _variant(self.stage.site.settings.file, folder, home=home, variables=variables, through=through)
        return Point(file, home)

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

    def rest(self, *, traffic: bool = True) -> None:
        """Bring back how each point begins: a row that is later than `ago`, with `traffic` the new release live."""
        site = self.stage.site
        worker = site.settings.stack.api.name
        live = site.cloudflare.live(worker)
        if traffic and (live is None or live.version != self.new):
            addresses = self.stage.addresses
            httpx.post(
                f"{addresses.cloudflare}/accounts/{addresses.account}/workers/scripts/{worker}/deployments",
                headers={"authorization": f"Bearer {addresses.tokens['CLOUDFLARE_API_TOKEN']}"},
                json={"strategy": "percentage", "versions": [{"version_id": self.new, "percentage": 100}]},
            ).raise_for_status()
        with psycopg.connect(self.stage.addresses.database_url) as session:
            session.execute(MARK)

    def calls(self) -> int:
        """Return how many calls the twin saw."""
        return max((call.seq for call in self._calls()), default=0)

    def happened(self, point: Point, since: int) -> Counter[str]:
        """Count every effect since that call, and what stands at the end."""
        calls = [call for call in self._calls() if call.seq > since and call.effect]
        count = Counter(f"{call.method} {ID.sub('…', call.path.partition('?')[0])}" for call in calls)
        known = len((self.stage.site.settings.home / LEDGER).read_bytes().splitlines())
        for line in (point.home / LEDGER).read_bytes().splitlines()[known:]:
            noted = json.loads(line)
            count[f"ledger: {noted['standing']} {self._role(noted['version'])}"] += 1
        count["copies"] += len(list(point.home.glob("backups/*/manifest.json")))
        count["kept rows"] += len(list(point.home.glob("backups/*/later/manifest.json")))
        return count + Counter(self._stands(point))

    def _stands(self, point: Point) -> list[str]:
        site = self.stage.site
        live = site.cloudflare.live(site.settings.stack.api.name)
        pin = read_stack(point.stack_file).pins.get("api")
        restrictions = site.supabase.restrictions()
        with site.postgres.reading() as session:
            late, rows = session.value(MARKS), session.value("select count(*) from public.bookings")
        return [
            f"live: {self._role(live.version or 'split') if live else 'nothing'}",
            f"pinned: {self._role(pin.version) if pin else 'nothing'}",
            f"allowed: {', '.join(restrictions.config.all)}",
            f"rows: {rows}, {late} late",
        ]

    def _role(self, version: str) -> str:
        return {self.old: "old", self.new: "new"}.get(version, "another")

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
    base = load(str(_variant(ROOT / "Pulumi.twin.yaml", folder, home=folder / "ops")), root=ROOT, environ={})
    with staged(base, environ=environ, show=Silent(), actor="sweeper", phases=Phases()) as stage:
        ago = _ago()
        old = _live(stage)
        site = stage.site_of(_variant(stage.site.settings.file, folder, home=stage.folder, variables={"RELEASE": "2"}))
        try:
            outcome = release(site, reason="the second release")
        finally:
            site.close()
        if outcome.exit is not Exit.DONE:
            message = f"the second release did not come up: {outcome.text}"
            raise NotSo(message)
        addresses = stage.addresses
        door = Door({"cloudflare": addresses.cloudflare, "supabase": addresses.supabase, "edge": addresses.edge})
        try:
            yield Place(stage, door, folder, old, _live(stage), ago)
        finally:
            door.close()


def _ago() -> str:
    """Let a second pass, so that what was is before it; return it."""
    sleep(1.01)
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    sleep(1.01)
    return moment


def _live(stage: Stage) -> str:
    live = stage.site.cloudflare.live(stage.site.settings.stack.api.name)
    return (live.version if live else None) or ""


def _variant(
    file: Path, folder: Path, *, home: Path, variables: Mapping[str, str] | None = None, through: Door | None = None
) -> Path:
    """Write a copy of a stack file into `folder`: its ops home, variables of its API, its providers by a door."""
    yaml = YAML()
    yaml.width = 10_000
    document: dict[str, Any] = yaml.load(file.read_text("utf-8"))
    config = document["config"]
    config["ems-ops:ops_home"] = str(home)
    config["ems-ops:api"]["variables"].update(variables or {})
    if through is not None:
        config["cloudflare:baseUrl"] = through.addresses["cloudflare"]
        config["ems-ops:endpoints"].update({name: through.addresses[name] for name in ("supabase", "edge")})
    made = folder / "Pulumi.twin.yaml"
    with made.open("w", encoding="utf-8") as out:
        yaml.dump(document, out)
    return made
