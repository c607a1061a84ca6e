"""Let the real checks look at restored databases, healthy and broken, as a recovery and as a dump leaves them.

Everything that is broken is broken before the point, as a bad recovery would have it: commit times do not give it away.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Final

from benchmarks.databases.faults import QUIET, Fault, Place
from benchmarks.databases.server import Server, as_user, free_port, give, serving
from benchmarks.databases.subjects import DEPOT, EXAMPLE, copy, dump_and_load, load_depot, load_example
from infra.stack import Check, Heartbeat
from runbooks.engine.step import Sight
from runbooks.model.errors import CheckError, NotSo
from runbooks.steps.database.present import Present, owed, read_present
from runbooks.steps.database.proof.comparing import Weight, compare, faults
from runbooks.steps.database.proof.definitions import note_definitions
from runbooks.steps.database.proof.inspection import inspect
from runbooks.steps.database.proof.manifest import EVERYTHING, FROM_A_DUMP, Aspect, Manifest
from runbooks.steps.database.proof.reading import read_manifest
from runbooks.steps.database.verification import verify

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

LIVE: Final = "live"
HEARTBEATS: Final = {
    DEPOT: Heartbeat(table="ledger.beats", column="beat_at", interval_seconds=60),
    EXAMPLE: Heartbeat(table="ops.heartbeat", column="beat_at", interval_seconds=60),
}
CHECKS: Final = {
    DEPOT: (Check(name="parcels are there", sql="select exists (select from depot.parcels)"),),
    EXAMPLE: (Check(name="bookings are there", sql="select exists (select from public.bookings)"),),
}
BEATS: Final = {
    DEPOT: "insert into ledger.beats (beat_at) values (clock_timestamp())",
    EXAMPLE: "insert into ops.heartbeat (beat_at) values (clock_timestamp())",
}
GOES_ON: Final = {
    DEPOT: "insert into depot.moves (parcel_id, at, station) values (1, '2026-06-01Z', 'Later');"
    " update depot.customers set note = 'written later' where id = 1;"
    " alter table ledger.settings add column later text;"
    " insert into ledger.beats (beat_at) values (clock_timestamp())",
    EXAMPLE: "insert into public.horses (name, sex, birth_date) values ('Later', 'mare', '2015-01-01');"
    " insert into ops.heartbeat (beat_at) values (clock_timestamp())",
}
"""What the application writes, and somebody defines, after the point."""
NOT_THE_NAME: Final = frozenset(EVERYTHING - {Aspect.IDENTITY})
"""All but the identity: the copies on one server have names of their own."""


@dataclass
class Subject:
    """A healthy database: its manifest, and its present after the point."""

    name: str
    manifest: Manifest
    present: Present
    noted: Path


@dataclass
class Seen:
    """What the checks said: by the manifest, and without one. Empty where nothing was wrong."""

    by_manifest: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)


class Bench:
    """A server with healthy databases, and broken copies of the first one."""

    def __init__(self, server: Server, folder: Path, broken: Sequence[Fault]) -> None:
        self.server, self.folder, self.broken = server, folder, broken
        self.subjects: dict[str, Subject] = {}
        self.base = folder / "base" / "data"
        self._point: datetime | None = None

    @property
    def point(self) -> datetime:
        """Return the point that everything is taken back to."""
        if self._point is None:
            message = "the bench is not prepared"
            raise RuntimeError(message)
        return self._point

    def prepare(self, names: Sequence[str]) -> None:
        """Load, break, choose the point, let the originals go on, and start the server anew."""
        for name in names:
            {DEPOT: load_depot, EXAMPLE: load_example}[name](self.server)
            self.server.run(BEATS[name], name)
        self._back_up()
        for fault in self.broken:
            if fault.place in {Place.DATABASE, Place.LATE, Place.DISK}:
                copy(self.server, DEPOT, database_of(fault))
            if fault.place is Place.DATABASE:
                self.plant(fault)
        manifests = {name: read_manifest(self.server.door(name)) for name in names}
        self._point = self.server.run("select clock_timestamp()")[0][0]
        for fault in self.broken:
            if fault.place is Place.LATE:
                self.plant(fault)
        for name in names:
            copy(self.server, name, f"{LIVE}_{name}")
            self.subjects[name] = self._gone_on(name, manifests[name])
        self._damage([fault for fault in self.broken if fault.place is Place.DISK])

    def _back_up(self) -> None:
        """Take a base backup, for recoveries to a later point."""
        home = self.base.parent
        home.mkdir()
        give(home)
        words = [str(self.server.program("pg_basebackup")), "-D", str(self.base), "-d", self.server.url()]
        subprocess.run([*words, "-c", "fast", "-X", "stream"], cwd=home, check=True, capture_output=True, **as_user())

    def plant(self, fault: Fault) -> None:
        """Break a copy."""
        self.server.run(QUIET + fault.plant, database_of(fault))

    def look(self, subject: str, server: Server, database: str, *, aspects: frozenset[Aspect] = NOT_THE_NAME) -> Seen:
        """Return what the checks say of a database that stands for the subject at the point."""
        expected = self.subjects[subject]
        seen = Seen()
        try:
            found = compare(expected.manifest, read_manifest(server.door(database)), aspects=aspects)
            seen.by_manifest = [str(finding) for finding in faults(found)]
            seen.by_manifest += [] if seen.by_manifest else unread(expected.manifest, found)
        except CheckError as error:
            seen.by_manifest = [str(error)]
        seen.alone = self._alone(expected, server, database)
        return seen

    def seen(self, fault: Fault) -> Seen:
        """Return what the checks say of one fault."""
        if fault.place is Place.CLUSTER:
            copy(self.server, DEPOT, database_of(fault))
            self.plant(fault)
            try:
                return self.look(DEPOT, self.server, database_of(fault))
            finally:
                self.server.run(fault.undo, database_of(fault))
        if fault.place is Place.ELSEWHERE:
            return self._elsewhere(fault)
        return self.look(DEPOT, self.server, database_of(fault))

    def look_at_dump(self, subject: str, database: str) -> Seen:
        """Return what the checks say of a database that was loaded from a dump: it has no commit times of before."""
        door = self.server.door(database)
        found = compare(self.subjects[subject].manifest, read_manifest(door), aspects=FROM_A_DUMP)
        alone = inspect(door, None, until=time.monotonic() + 120)
        return Seen([str(finding) for finding in faults(found)], alone.of(Weight.FAULT))

    def _gone_on(self, name: str, manifest: Manifest) -> Subject:
        """Let a copy go on as the application does; return what is known of it."""
        live, noted = f"{LIVE}_{name}", self.folder / name
        noted.mkdir()
        self.server.run(GOES_ON[name], live)
        present = read_present(self.server.door(live), self.point, HEARTBEATS[name])
        if present is None:
            raise RuntimeError(live)
        note_definitions(self.server.door(live), noted, self.point, name="note").act(Sight())
        return Subject(name, manifest, present, noted)

    def _damage(self, broken: list[Fault]) -> None:
        """Stop the server, overwrite bytes in the second page of each relation, start it again."""
        query = "select pg_relation_filepath(({})::regclass)"
        files = [self.server.run(query.format(fault.plant), database_of(fault))[0][0] for fault in broken]
        self.server.run("checkpoint")
        self.server.stop()
        for file in files:
            with (self.server.data / file).open("r+b") as page:
                page.seek(8192 + 4096)
                page.write(os.urandom(64))
        self.server.start()

    def _alone(self, expected: Subject, server: Server, database: str) -> list[str]:
        step = verify(
            server.door(database),
            owed(self.point, expected.present),
            heartbeat=HEARTBEATS[expected.name],
            checks=CHECKS[expected.name],
            noted=expected.noted,
            seconds=120.0,
            after_failure=lambda _: ("", ""),
            name="verify",
        )
        held = None
        try:
            step.act(Sight())
            held = step.holds(Sight())
        except NotSo as error:
            return str(error).partition("is not proven: ")[2].partition(". The application")[0].split("; ")
        except CheckError as error:
            return [str(error)]
        notes = held.evidence["notes"]
        return [f"{NOTE}{note}" for note in notes] if isinstance(notes, list) else []

    def _elsewhere(self, fault: Fault) -> Seen:
        with ExitStack() as others:
            if fault.plant == "other system":
                other = others.enter_context(serving())
                load_depot(other)  # for the roles
                other.run("drop database depot")
                dump_and_load(self.server, DEPOT, DEPOT, dump=self.folder / "dump", into=other)
                return self.look(DEPOT, other, DEPOT, aspects=EVERYTHING)
            if fault.plant == "older branch":
                newer = others.enter_context(recovered(self))
                present = read_present(newer.door(DEPOT), self.point, HEARTBEATS[DEPOT])
                subject = replace(self.subjects[DEPOT], present=present or self.subjects[DEPOT].present)
                return Seen([], self._alone(subject, self.server, DEPOT))
            if fault.plant == "SQL_ASCII":
                options = "encoding 'SQL_ASCII' locale 'C' template template0"
                dump_and_load(self.server, DEPOT, "ascii", dump=self.folder / "ascii", options=options)
                return self.look_at_dump(DEPOT, "ascii")
            if fault.plant == "empty":
                self.server.run("create database empty")
        return self.look(DEPOT, self.server, fault.plant)


NOTE: Final = "note: "


def unread(expected: Manifest, found: Sequence[object]) -> list[str]:
    """Return the tables that could be read before and cannot now: a manifest says so, and that is no silence."""
    lines = [str(finding) for finding in found]
    return [line for line in lines if "it was not read now" in line and expected.unchecked == ()]


def database_of(fault: Fault) -> str:
    """Return the name of the copy that a fault is planted in."""
    return "f_" + re.sub(r"\W+", "_", fault.name)


@contextmanager
def bench(broken: Sequence[Fault], *, subjects: Sequence[str] = (DEPOT,)) -> Iterator[Bench]:
    """Give a server with healthy databases, and broken copies."""
    with serving() as server, TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = Bench(server, Path(folder), broken)
        made.prepare(subjects)
        yield made


@contextmanager
def recovered(made: Bench) -> Iterator[Server]:
    """Recover a bench's cluster to its point, as a provider does it: a base backup, then the log up to the point."""
    server, home = made.server, Path(mkdtemp(dir=made.folder))
    give(home)
    other = Server(server.programs, home / "data", free_port())
    shutil.copytree(made.base, other.data, symlinks=True)
    settings = {
        "restore_command": f"cp {server.data}/pg_wal/%f %p",
        "recovery_target_time": str(made.point),
        "recovery_target_timeline": "current",
        "recovery_target_action": "promote",
        "hot_standby": "off",
    }
    with (other.data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (other.data / "recovery.signal").touch()
    for path in (other.data, *other.data.rglob("*")):
        give(path)
    other.data.chmod(0o700)
    other.start()
    try:
        yield other
    finally:
        other.stop()
