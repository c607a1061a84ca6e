"""Make an own backup of the database, and take away those that are old enough.

Whole or not at all: dumped into a draft on one snapshot, every file with its digest, stored, and the manifest last.
It runs under a lease of its own: a backup never holds up a rollback or a restore, and never runs beside another one.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Book, Step
from runbooks.steps.backups.dumping import Dump, dump_database
from runbooks.steps.backups.proofs import proofs, proven_last
from runbooks.steps.backups.pruning import take_away
from runbooks.steps.backups.retention import kept
from runbooks.steps.backups.room import Need, dump_bytes, refuse_without_room
from runbooks.steps.backups.sealing import public_of, seal_for
from runbooks.steps.backups.source import left_out
from runbooks.steps.backups.storing import publish, store
from runbooks.steps.cloudflare.hyperdrive import origin_now
from runbooks.steps.database.replaced import refuse_other
from runbooks.steps.database.server import look_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.postgres_programs import Programs
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings
    from runbooks.steps.backups.catalog import Catalog

NAME: Final = "backup"
PRUNE: Final = "backup-prune"
LEASE: Final = "backups"
LEFTOVER: Final = timedelta(days=2)
"""After so long nobody goes on with a backup that has no manifest: it is what a killed one left in the store."""


class Facts(msgspec.Struct, frozen=True):
    """What a backup rests on. `bytes` is the size of the database, `expected` that of the newest backup.

    `unsure` says what could not be told of whether the API uses this database.
    """

    backup: str
    where: str
    major: int
    bytes: int
    expected: int
    without: tuple[str, ...]
    recipient: str | None
    unsure: str = ""


class Doomed(msgspec.Struct, frozen=True):
    """A backup that may go, or what is left of one."""

    backup: str
    bytes: int
    what: str


class Pruning(msgspec.Struct, frozen=True):
    """What goes, and why the others stay, by id."""

    goes: tuple[Doomed, ...]
    stays: dict[str, str]


@dataclass
class Backup:
    """One backup of the database."""

    settings: Settings
    cloudflare: Callable[[], Cloudflare]
    programs: Programs
    catalog: Catalog
    clock: Callable[[], datetime]

    def gather(self) -> Facts:
        """Look at the database, and at what there is. Raises Refused where a dump would miss rows, or all of them."""
        told, hyperdrive = self.settings.stack.backups, self.settings.stack.database.hyperdrive
        unsure = refuse_other(self.programs.database, *origin_now(self.cloudflare, hyperdrive), hyperdrive=hyperdrive)
        self.programs.find("pg_dump")
        if told.encryption:
            seal_for(told.encryption)
        with self.programs.database.reading() as session:
            server = look_at(session)
            without = left_out(session, told.without, file=self.settings.file.name)
        before = self.catalog.all()
        needed = dump_bytes(before[-1].bytes if before else 0, server.bytes)
        prune = f"invoke backup.prune --stack {shlex.quote(self.settings.argument)} --dry-run"
        need = Need(self.settings.backup_folder, needed, "for the dump")
        refuse_without_room([need], next_command=prune)
        return Facts(
            backup=f"{self.clock():%Y-%m-%dT%H-%M-%S}Z",
            where=self.catalog.files.where(""),
            major=server.major,
            bytes=server.bytes,
            expected=before[-1].bytes if before else 0,
            without=without,
            recipient=told.encryption,
            unsure=unsure,
        )

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure: dump, store, publish."""
        place = self.settings.backup_folder
        dump = Dump(self.programs, place, facts.backup, facts.without, facts.recipient, facts.expected, facts.major)
        return (
            dump_database(dump, stored=lambda: self.catalog.has(facts.backup), name="dump"),
            store(self.catalog, dump.draft, facts.backup, name="store"),
            publish(self.catalog, dump.draft, facts.backup, name="publish"),
        )

    def summary(self, facts: Facts) -> str:
        """Return what is copied, where to, and who can read it."""
        key = self.settings.environment.get("EMS_BACKUP_KEY")
        sealed = "in plain: ems-ops:backups.encryption is not set"
        if facts.recipient:
            sealed = f"encrypted for {facts.recipient}"
            if not (key and public_of(key) == facts.recipient):
                sealed += " (EMS_BACKUP_KEY here does not open it: `backup.verify` and `restore` need it)"
        without = f"\nWithout  {', '.join(facts.without)}" if facts.without else ""
        without += f"\nUnsure   {facts.unsure}" if facts.unsure else ""
        return (
            f"of {self.programs.database.where}, PostgreSQL {facts.major}, {facts.bytes / 1e6:.0f} MB, into "
            f"{facts.where}{'' if facts.where.endswith('/') else '/'}{facts.backup}\nFiles    {sealed}{without}"
        )


@dataclass
class Prune:
    """What may go, by the stack file's rules."""

    settings: Settings
    home: Home
    catalog: Catalog
    clock: Callable[[], datetime]

    def gather(self) -> Pruning:
        """Read what there is, what was proven last, and apply the rules."""
        there = self.catalog.all()
        proven = proven_last(self.home, self.catalog)
        stays = kept([(one.id, one.at) for one in there], self.settings.stack.backups.keep,
                     proven=proven.backup if proven else None)  # fmt: skip
        goes = [Doomed(one.id, one.bytes, f"of {one.at:%Y-%m-%d %H:%M} UTC, {one.bytes / 1e6:.1f} MB")
                for one in there if one.id not in stays]  # fmt: skip
        before = f"{self.clock() - LEFTOVER:%Y-%m-%dT%H-%M-%S}Z"
        left = [
            name for name in self.catalog.leftovers() if name < before and name not in proofs(self.home, self.catalog)
        ]
        goes += [Doomed(name, 0, "has no manifest: left by a backup that was killed") for name in left]
        return Pruning(tuple(goes), stays)

    def steps(self, facts: Pruning) -> tuple[Step, ...]:
        """Return a step for each that goes, oldest first."""
        return tuple(
            take_away(self.catalog, one.backup, what=one.what, name=f"delete {one.backup}") for one in facts.goes
        )

    def summary(self, facts: Pruning) -> str:
        """Return what is kept and why."""
        keep = self.settings.stack.backups.keep
        rules = f"{keep.daily} daily, {keep.weekly} weekly, {keep.monthly} monthly, and the one that was proven last"
        lines = [f"of {self.catalog.files.where('')}: {len(facts.goes)} go, {len(facts.stays)} stay ({rules})"]
        lines += [f"Stays    {backup}: {why}" for backup, why in facts.stays.items()]
        return "\n".join(lines)


def book(
    settings: Settings,
    cloudflare: Callable[[], Cloudflare],
    programs: Programs,
    catalog: Catalog,
    *,
    clock: Callable[[], datetime],
) -> Book[Facts]:
    """Return the book that makes a backup. `cloudflare` may raise Refused: a backup is made without it as well."""
    it = Backup(settings, cloudflare, programs, catalog, clock)
    return Book(
        name=NAME, facts_type=Facts, gather=it.gather, steps=it.steps, summary=it.summary, recheck=("without",),
        lease=LEASE,
    )  # fmt: skip


def prune_book(settings: Settings, catalog: Catalog, *, home: Home, clock: Callable[[], datetime]) -> Book[Pruning]:
    """Return the book that takes old backups away."""
    it = Prune(settings, home, catalog, clock)
    return Book(
        name=PRUNE,
        facts_type=Pruning,
        gather=it.gather,
        steps=it.steps,
        summary=it.summary,
        losses=lambda facts: tuple(f"{one.backup}: {one.what}" for one in facts.goes),
        recheck=("goes",),
        lease=LEASE,
    )
