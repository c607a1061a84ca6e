"""End a restore for good: drop the former databases and data folders that were kept since, after a last look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Book, Step
from runbooks.model.errors import Refused
from runbooks.steps.archive.places import drop_folder
from runbooks.steps.archive.work import Note, work_named, works
from runbooks.steps.database.renaming import BESIDE, Kept, drop_former, kept
from runbooks.steps.database.replaced import Instead, instead, origin_of, same_server
from runbooks.steps.database.server import TableRows, tables, written_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.pins.pinned import Pin
    from runbooks.clients.cloudflare import Origin
    from runbooks.clients.postgres import Postgres
    from runbooks.steps.archive.own import Own

NAME: Final = "restore-finish"
NAMED: Final = 8  # tables of a former database that a plan names before it counts the rest


class Former(msgspec.Struct, frozen=True):
    """One database that was kept, and what of each table is only there: rows written since that backup was made.

    Its size is no part of it: it changes without a row being written, even by being looked at.
    """

    name: str
    run: str
    backup: str
    at: str
    only_there: tuple[TableRows, ...]


class Folder(msgspec.Struct, frozen=True):
    """What a recovery of a server of our own left beside its data folder: the former one, or a copy never used."""

    ending: str
    path: str
    note: Note
    is_former: bool
    bytes: int

    @property
    def what(self) -> str:
        """Return what it is."""
        return "the former data folder" if self.is_former else "a recovered copy that never served"


class Facts(msgspec.Struct, frozen=True):
    """Everything that was kept on this server; `bytes` are those of the former databases, by name.

    `stays` are databases that lost their place and cannot be dropped.
    """

    former: tuple[Former, ...]
    bytes: dict[str, int]
    folders: tuple[Folder, ...] = ()
    stays: tuple[Instead, ...] = ()


@dataclass
class Finish:
    """The end of a restore."""

    postgres: Postgres
    own: Own | None
    origin: Callable[[], tuple[Origin | None, str]]
    pin: Pin | None

    def gather(self) -> Facts:
        """Look at every database that is noted as former. Raises Refused where the API uses one of them again."""
        with self.postgres.named(BESIDE).reading() as session:
            found, stays = kept(session), instead(session)
        if found:
            self._refuse_used([one.name for one in found])
        return Facts(
            tuple(Former(one.name, one.run, one.backup, one.at, self._only_there(one)) for one in found),
            {one.name: one.bytes for one in found},
            self._folders(),
            tuple(stays),
        )

    def _refuse_used(self, names: list[str]) -> None:
        origin, why = self.origin()
        if origin is None:
            message = f"{', '.join(names)}: expected to know that the API uses none of them: {why} Nothing was dropped."
            raise Refused(message)
        if origin.database in names and same_server(origin_of(self.postgres.url), origin) is not False:
            message = f"Hyperdrive goes to {origin}, which is noted as a former database: the API uses it. It stays."
            raise Refused(message, next_command="invoke deploy.drift")

    def _folders(self) -> tuple[Folder, ...]:
        found = works(self.own) if self.own else []
        return tuple(
            Folder(work.ending, str(work.folder), work.note, work.former.is_dir(), work.bytes())
            for work in found
            if work.note is not None
        )

    def _only_there(self, one: Kept) -> tuple[TableRows, ...]:
        """Return the tables with rows that were written after the backup which came instead was made."""
        made = datetime.strptime(one.backup, "%Y-%m-%dT%H-%M-%S%z")
        with self.postgres.named(one.name).reading() as session:
            if not tables(session):
                return ()
            return tuple(table for table in written_after(session, made).tables if table.after != 0)

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return a step for each."""
        return (*self._dropping(facts), *self._removing(facts))

    def _removing(self, facts: Facts) -> tuple[Step, ...]:
        own = self.own
        if own is None:
            return ()
        return tuple(
            drop_folder(
                own, work_named(own, one.ending), what=f"{one.what}, {one.bytes / 1e6:.0f} MB",
                name=f"remove {one.ending}",
            )
            for one in facts.folders
        )  # fmt: skip

    def _dropping(self, facts: Facts) -> tuple[Step, ...]:
        return tuple(
            drop_former(
                self.postgres,
                one.name,
                what=f"{facts.bytes[one.name] / 1e6:.0f} MB, kept since {one.at}",
                name=f"drop {one.name}",
            )
            for one in facts.former
        )

    def summary(self, facts: Facts) -> str:
        """Return how much there is to drop, and what stays."""
        stays = "".join(f"\nStays    {_stays(one)}" for one in facts.stays)
        pinned = f"\nPinned   {self.pin.version}: `pulumi up` refuses another database; that stays" if self.pin else ""
        return self._drops(facts) + stays + pinned

    def _drops(self, facts: Facts) -> str:
        if not facts.former and not facts.folders:
            return f"on {self.postgres.where}: no former database is kept, there is nothing to do"
        size = (sum(facts.bytes.values()) + sum(one.bytes for one in facts.folders)) / 1e6
        folders = f", {len(facts.folders)} folders of recoveries" if facts.folders else ""
        return f"on {self.postgres.where}: {len(facts.former)} former databases{folders}, {size:.0f} MB"

    def losses(self, facts: Facts) -> tuple[str, ...]:
        """Return what is in each that is nowhere else."""
        lines = []
        for one in facts.former:
            told = [f"{row.table} {'?' if row.after is None else row.after}" for row in one.only_there]
            more = f" and {len(told) - NAMED} more tables" if len(told) > NAMED else ""
            only = f"rows written after backup {one.backup} was made: {', '.join(told[:NAMED]) or 'none'}{more}"
            lines.append(f"{one.name}, {facts.bytes[one.name] / 1e6:.0f} MB, kept by run {one.run}: {only}")
        for folder in facts.folders:
            note = folder.note
            since = f"kept by run {note.run}, which went back to {note.point} by base {note.base}"
            lines.append(f"{folder.path}, {folder.bytes / 1e6:.0f} MB: {folder.what}, {since}")
        return tuple(lines)


def _stays(one: Instead) -> str:
    """Say why a database that lost its place is not dropped."""
    return (
        f"{one.former}, {one.bytes / 1e6:.0f} MB: {one.name} took its place at {one.at} (run {one.run}); sessions that "
        "our role cannot end were in it (a platform's own services), so it is not dropped"
    )


def book(
    postgres: Postgres,
    own: Own | None = None,
    *,
    origin: Callable[[], tuple[Origin | None, str]],
    pin: Pin | None = None,
) -> Book[Facts]:
    """Return the book that drops what restores have kept. `own` is the server of our own, if the stack tells of one.

    `origin` tells where the API's connections go, or why that is not known; `pin` is that of the database.
    """
    it = Finish(postgres, own, origin, pin)
    return Book(
        name=NAME, facts_type=Facts, gather=it.gather, steps=it.steps, summary=it.summary, losses=it.losses,
        recheck=("former", "folders"),
    )  # fmt: skip
