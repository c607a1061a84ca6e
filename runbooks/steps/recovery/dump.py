"""An own backup, loaded into a new database beside the present one, found equal there, and then put in its place.

The present one is not given up: it stays under another name until `invoke restore.finish`, and going back to it is
renaming. Where sessions are in it that our role cannot end (the services of a hosted platform stay connected to
`postgres` as superusers), nothing is renamed: Hyperdrive's connections move to the new database instead. So they do
where the server itself is a new one.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from infra.pins.pinned import DATABASE, against_database_pin, server_of
from runbooks.model.errors import Refused
from runbooks.model.timepoint import Point
from runbooks.steps.backups.beside import Beside, find_equal, forget, have_on_this_machine, load_beside
from runbooks.steps.backups.proofs import Proof, proofs
from runbooks.steps.backups.room import fetched, refuse_without_room, refuse_without_server_room
from runbooks.steps.backups.sealing import opened
from runbooks.steps.cloudflare.hyperdrive import Moving, find, move_connection
from runbooks.steps.database.present import NAMED, Present
from runbooks.steps.database.renaming import Places, refuse_prepared, switch, why_not_renamed
from runbooks.steps.database.replaced import beside_name, note_place, origin_of, same_server, set_to
from runbooks.steps.database.server import look_at
from runbooks.steps.pins import pin_database, refuse_unwritable
from runbooks.steps.recovery.strategy import Around, ByDump, Reached

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.cloudflare import Cloudflare, Origin
    from runbooks.clients.postgres_programs import Programs
    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Step
    from runbooks.model.settings import Settings
    from runbooks.steps.backups.catalog import Catalog, Manifest

LISTED: Final = 5  # backups that a refusal names


@dataclass
class Dump:
    """Own backups of one stack. `answers`: does the database, now.

    `free` returns the free bytes of the server's disk, or why they are not known. `cloudflare` is None where it is not
    asked: then only a database is replaced that takes its place by its name.
    """

    settings: Settings
    home: Home
    cloudflare: Cloudflare | None
    programs: Programs
    catalog: Callable[[], Catalog]
    point: Point
    answers: Callable[[], bool]
    now: datetime
    free: Callable[[], tuple[int | None, str]]
    clock: Callable[[], datetime]
    name: str = "dump"
    copies_present: bool = False
    program: str = "pg_restore"

    @property
    def backup(self) -> str:
        """Return the id that was asked for (`backup:<id>`), nothing where it was a time."""
        kind, _, backup = self.point.given.partition(":")
        return backup if kind == "backup" else ""

    @cached_property
    def own(self) -> Catalog:
        """Return the backups. Raises Refused without the key of their store."""
        return self.catalog()

    @cached_property
    def proven(self) -> dict[str, Proof]:
        """Return the newest proof of each backup."""
        return proofs(self.home, self.own)

    def exists(self) -> str:
        """Return the newest backups by id."""
        there = [one.id for one in self.own.all()][-LISTED:]
        return f"own backups: {', '.join(there) or 'none'}"

    def reach(self) -> tuple[Reached, str]:
        """Return the newest whole backup not after the point. Raises Refused where there is none, or no server."""
        if not self.answers():
            message = (
                f"Database {self.programs.database.where} does not answer: a backup is loaded into a server that runs. "
                "Make a new project, set database.project in the stack file and EMS_DATABASE_URL to it."
            )
            raise Refused(message)
        manifest, passed_over = self._chosen()
        if manifest.envelope is not None:
            opened(manifest.envelope, self.settings.environment.get("EMS_BACKUP_KEY"))
        refuse_without_room(fetched(self.own, manifest, self.settings.home), next_command=f"df -h {self.settings.home}")
        with self.programs.database.reading() as session:
            finish = f"invoke restore.finish --stack {shlex.quote(self.settings.argument)} --dry-run"
            room = refuse_without_server_room(session, manifest, self.free, next_command=finish)
            current = str(session.value("select current_database()"))
            stays, here = why_not_renamed(session), look_at(session).system_identifier
            if not stays:
                refuse_prepared(session)
        ending = f"{self.now:%Y%m%d_%H%M%S}"
        fresh = beside_name(current, ending)
        final = origin_of(self.programs.database.url, fresh if stays else current)
        moves_from = self._moves_from(final, manifest, stays=stays, here=here)
        proof = self.proven.get(manifest.id)
        reached = ByDump(
            at=manifest.at,
            backup=manifest.id,
            current=current,
            fresh=fresh,
            former=None if stays else beside_name(current, f"former_{ending}"),
            origin=final,
            moves_from=moves_from,
            pins=self._pins(final, moves_from),
            proven=proof.at if proof else None,
            passed_over=passed_over,
            rows=manifest.rows,
        )
        shown = f"proven {proof.at:%Y-%m-%d %H:%M} UTC" if proof else "never proven: invoke backup.verify"
        why = f"backup {manifest.id} ({shown}) is the newest whole one not after the point"
        return reached, "; ".join((why, *passed_over, room))

    def _moves_from(self, final: Origin, manifest: Manifest, *, stays: str, here: str) -> Origin | None:
        """Return where Hyperdrive's connections come from when they must move, else None.

        Raises Refused where they must and Cloudflare is not asked. `here` is the server, which made the backup or not.
        """
        if self.cloudflare is not None:
            origin = find(self.cloudflare, self.settings.stack.database.hyperdrive).origin
            return None if origin == final else origin
        other = "" if manifest.server.system_identifier == here else f"backup {manifest.id} was made of another server"
        why = f"the present database cannot be renamed: {stays}" if stays else other
        if not why:
            return None
        message = (
            f"{why}. So Hyperdrive's connections must move to the new one, which only Cloudflare can do, and it is not "
            "asked (--without-cloudflare). The provider's recovery needs no move."
        )
        again = f"invoke restore --stack {shlex.quote(self.settings.argument)} --without-cloudflare --strategy=pitr"
        raise Refused(message, next_command=f'{again} --point="{Point(manifest.at.replace(microsecond=0), "").utc}"')

    def losses(self, reached: Reached, present: Present | None) -> tuple[str, ...]:
        """Compare the rows of now with those of the backup, table by table."""
        reached = _own(reached)
        lines = [f"everything written after {reached.at:%Y-%m-%d %H:%M:%S} UTC, when backup {reached.backup} was made"]
        if present is None:
            return (*lines, "how much cannot be told, the database does not answer")
        now = {table.table: table for table in present.tables}
        told = []
        for name in sorted(now.keys() | reached.rows.keys()):
            there, before = now.get(name), reached.rows.get(name)
            rows = there.rows if there else None
            written = f", {there.after} of them written since" if there and there.after else ""
            if written or (rows is not None and rows != before):
                told.append(
                    f"{name}: {rows if rows is not None else 'no'} rows now{written}, {before or 0} in the backup"
                )
            elif there is None and before:
                told.append(f"{name}: not counted now (not there, or unlogged), {before} rows in the backup")
        told.sort(key=lambda line: "written since" not in line)
        more = [f"and {len(told) - 2 * NAMED} more tables differ"] if len(told) > 2 * NAMED else []
        return (*lines, *told[: 2 * NAMED], *more)

    def before(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Return the step after which the backup is here and known to be whole."""
        del present, around
        return (have_on_this_machine(self._beside(_own(reached)), name="identify"),)

    def recovering(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Load, verify and hold back beside, and only then change places."""
        del present
        reached = _own(reached)
        beside, stack, database = self._beside(reached), self.settings.stack, self.programs.database
        fresh = database.named(reached.fresh)
        steps = [
            load_beside(beside, name="restore"),
            find_equal(beside, stack.database.checks, after_failure=around.after_failure, name="verify"),
            *around.holding.at_once(fresh),
            *around.holding.proven(fresh),
        ]
        steps += around.still
        if reached.former is not None:
            places = Places(database, reached.current, reached.fresh, reached.former, reached.backup)
            steps.append(switch(places, name="switch over"))
        moves = self._moving(reached)
        if reached.pins:  # before the move: killed between the two, `pulumi up` refuses rather than moves back
            steps.append(self._pinning(reached, moves))
        steps += [move_connection(moving, name="move connections") for moving in moves]
        if reached.former is not None:
            return (*steps, *around.holding.over(database), forget(beside, name="forget"))
        steps.append(note_place(database, reached.fresh, reached.current, reached.backup, name="note the place"))
        steps += around.holding.over(fresh, former=reached.current)
        return (*steps, forget(beside, name="forget"))

    def keeps(self, reached: Reached, copied: str) -> str:
        """Return where the present one stays."""
        del copied
        reached = _own(reached)
        if reached.former is None:
            return (
                f"the present database {reached.current} as it is, for it cannot be renamed; a platform's own services "
                f"(sign-in, storage, API) stay with it. Afterwards, everywhere: {set_to(reached.origin, reached.fresh)}"
                f"; a pin in {self.settings.file.name} lets `pulumi up` refuse any other"
            )
        return f"the present database as {reached.former}, until `invoke restore.finish` (`runs.undo` goes back to it)"

    def afterwards(self, _reached: Reached) -> None:
        """Return nothing: all is done then."""

    def _chosen(self) -> tuple[Manifest, tuple[str, ...]]:
        """Return the newest good backup not after the point, and why newer ones are not taken. Raises Refused."""
        there = [one for one in self.own.all() if one.at <= self.point.at]
        if self.backup:
            there = [self.own.get(self.backup)]
        if not there:
            first = next((f"; the first is {one.id}" for one in self.own.all()), "")
            message = f"There is no own backup from before {self.point.utc}{first}. {self.exists()}."
            raise Refused(message, next_command="invoke backup.list")
        passed_over = [] if self.backup else self._unreadable(since=there[-1].at)
        for manifest in reversed(there):
            fault = self._fault(manifest)
            if not fault:
                return manifest, tuple(passed_over)
            passed_over.append(f"backup {manifest.id} is not good: {fault.rstrip('.')}")
        older = (
            [one.id for one in self.own.all() if one.at < there[-1].at and not self._fault(one)] if self.backup else []
        )
        message = f"{'; '.join(passed_over)}. Nothing was stopped." + (f" Good: {older[-1]}." if older else "")
        command = f"invoke restore --point=backup:{older[-1]} --strategy=dump" if older else "invoke backup.list"
        raise Refused(message, next_command=f"{command} --stack {shlex.quote(self.settings.argument)}")

    def _unreadable(self, *, since: datetime) -> list[str]:
        """Return what is to be said of newer backups, not after the point, whose manifests nobody can read."""
        first, last = (f"{at:%Y-%m-%dT%H-%M-%S}Z" for at in (since, self.point.at))
        return [f"the manifest of backup {one} cannot be read" for one in self.own.unreadable() if first < one <= last]

    def _fault(self, manifest: Manifest) -> str:
        """Return why a backup must not be taken: bytes that are not as written, or a proof that failed."""
        proof = self.proven.get(manifest.id)
        if proof is not None and not proof.good:
            return f"its proof failed: {'; '.join(proof.faults[:NAMED])}"
        return self.own.faults(manifest)

    def _beside(self, reached: ByDump) -> Beside:
        return Beside(
            self.programs,
            self.own,
            self.own.get(reached.backup),
            self.settings.home,
            self.settings.environment.get("EMS_BACKUP_KEY"),
            reached.current,
            reached.fresh,
        )

    def _pins(self, final: Origin, moves_from: Origin | None) -> bool:
        """Tell whether the stack file must name the database: it is another one now, or another one is pinned.

        Raises Refused where the stack file must, and could not be written.
        """
        other = moves_from is not None and moves_from.database != final.database
        moved = other or (moves_from is not None and same_server(moves_from, final) is not True)
        pinned, server = self.settings.stack.pins.get(DATABASE), server_of(final.host, final.port, final.user)
        pins = moved or against_database_pin(pinned, server=server, database=final.database) != ""
        if pins:
            refuse_unwritable(self.settings.file)
        return pins

    def _moving(self, reached: ByDump) -> tuple[Moving, ...]:
        if reached.moves_from is None or self.cloudflare is None:
            return ()
        hyperdrive = self.settings.stack.database.hyperdrive
        return (Moving(self.cloudflare, hyperdrive, reached.origin, reached.moves_from, self._password),)

    def _pinning(self, reached: ByDump, moves: tuple[Moving, ...]) -> Step:
        return pin_database(
            self.settings.file,
            reached.origin,
            reason=f"invoke restore has put backup {reached.backup} there",
            stays="".join(moving.for_good for moving in moves),
            clock=self.clock,
            name="pin the database",
        )

    def _password(self) -> str:
        return unquote(urlsplit(self.programs.database.url).password or "")


def _own(reached: Reached) -> ByDump:
    if not isinstance(reached, ByDump):
        message = f"expected what a dump reaches, got {reached}"
        raise TypeError(message)
    return reached
