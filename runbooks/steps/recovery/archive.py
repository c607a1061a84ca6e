"""Base backups and archived WAL of a server of our own: to any transaction, with the application stopped for moments.

A copy is recovered beside the present server, which goes on serving, and is verified there. Then the server is stopped,
the folders are exchanged by renaming, and it is started. The former folder stays until `invoke restore.finish`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.model.errors import Refused
from runbooks.steps.archive.finding import Typed, choose
from runbooks.steps.archive.own import Own, own_of
from runbooks.steps.archive.places import exchange_folders, start_server, stop_server
from runbooks.steps.archive.recovering import (
    Recovery,
    end_the_recovery,
    find_whole,
    let_the_wal_arrive,
    look_at_copy,
    recover_beside,
)
from runbooks.steps.archive.work import Work, work_named
from runbooks.steps.database.present import Present, losses, owed
from runbooks.steps.database.proof.definitions import note_definitions
from runbooks.steps.database.server import look_at
from runbooks.steps.database.verification import STAYS_STOPPED, Expected, verify
from runbooks.steps.recovery.strategy import Around, ByArchive, Reached

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from runbooks.clients.postgres import Postgres
    from runbooks.clients.postgres_programs import Programs
    from runbooks.engine.step import Step
    from runbooks.model.settings import Settings
    from runbooks.model.timepoint import Point
    from runbooks.steps.database.server import Server

NOT_DECLARED: Final = "database.archive is not declared in {}: no base backups and WAL of a server of our own are known"
NOTHING_STOPPED: Final = "Nothing was stopped, users are served as before. To remove the copy: {}"
NOTHING_CHANGED: Final = "Nothing was changed beside making the copy. To remove it: {}"


@dataclass
class Archive:
    """The archive of one stack. `answers`: does the database, now."""

    settings: Settings
    programs: Programs
    point: Point
    answers: Callable[[], bool]
    now: datetime
    name: str = "archive"
    copies_present: bool = False
    program: str = ""

    @cached_property
    def own(self) -> Own:
        """Return the server. Raises Refused where the stack file tells of none."""
        own = own_of(self.settings, self.programs)
        if own is None:
            raise Refused(NOT_DECLARED.format(self.settings.file.name))
        return own

    def exists(self) -> str:
        """Return the bases, the newest last."""
        if self.settings.stack.database.archive is None:
            return "archive: not declared"
        bases = ", ".join(base.name for base in reversed(self.own.found.bases))
        return f"archive: bases {bases} and the WAL since"

    def reach(self) -> tuple[Reached, str]:
        """Return the base that reaches the point. Raises Refused with what is missing."""
        return self._reached

    @cached_property
    def _reached(self) -> tuple[Reached, str]:
        own, server = self.own, self._server()
        if server is not None:
            own.check_is(server.system_identifier)
        stack = shlex.quote(self.settings.argument)
        base = self._base_backup(f"before-{self.now:%Y%m%d-%H%M%S}") if server else ""
        typed = Typed(f"invoke restore --stack {stack} --point=", base, f"invoke backup.list --stack {stack}")
        chosen = choose(own, self.point.at, timeline=server.timeline if server else None, typed=typed)
        own.check_place(chosen.base.bytes)
        reached = ByArchive(
            at=self.point.at,
            base=chosen.base.name,
            timeline=chosen.base.timeline,
            server_timeline=server.timeline if server else None,
            waits=chosen.waits,
            last=chosen.last,
            bytes=chosen.base.bytes,
            segments=chosen.segments,
            ending=f"{self.now:%Y%m%d-%H%M%S}",
            passed_over=chosen.passed_over,
            lost=not own.data.is_dir(),
        )
        why = f"base {chosen.base.name} and {chosen.segments} WAL segments reach any transaction"
        return reached, "; ".join((why, *chosen.passed_over))

    def _server(self) -> Server | None:
        if not self.answers():
            return None
        with self.own.database.reading() as session:
            return look_at(session)

    def losses(self, reached: Reached, present: Present | None) -> tuple[str, ...]:
        """Return what was written after the point; the last transaction that is kept, where nobody answers."""
        last = _own(reached).last
        kept = f"; the last transaction that is kept ended at {last:%Y-%m-%d %H:%M:%S} UTC" if last else ""
        lost = losses(present)
        return (lost[0] + kept, *lost[1:]) if present is None else lost

    def before(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Return all that is done while the present server goes on: the copy stands at the point, verified."""
        reached = _own(reached)
        recovery = self._recovery(reached)
        expected = owed(reached.at, present)
        if expected.server is not None:  # the copy is on the base's timeline, until it is a server of its own
            here = msgspec.structs.replace(expected.server, timeline=reached.timeline)
            expected = replace(expected, server=here)
        arriving = (let_the_wal_arrive(recovery, name="identify"),) if reached.waits else ()

        noting = note_definitions(self.own.database, recovery.work.folder, reached.at, name="note the definitions")
        noted = (noting,) if present is not None else ()

        def look(database: Postgres) -> Step:
            stays = NOTHING_CHANGED if present is None else NOTHING_STOPPED
            noted = _noted(recovery.work, present)
            return self._verify(database, expected, around, noted=noted, stays=stays, name="look")

        return (
            *arriving,
            find_whole(recovery),
            recover_beside(recovery, name="recover"),
            *noted,
            look_at_copy(recovery, look),
            end_the_recovery(recovery, name="prepare"),
        )

    def recovering(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Stop, exchange, start, and the proof inside what is the present one now, and what is held back there."""
        reached = _own(reached)
        own, work = self.own, work_named(self.own, reached.ending)
        return (
            stop_server(own, name="stop the server"),
            exchange_folders(own, work, lost=reached.lost, name="exchange"),
            start_server(own, work, name="restore"),
            *around.holding.at_once(own.database),
            self._verify(own.database, owed(reached.at, present), around, noted=_noted(work, present), name="verify"),
            *around.holding.proven(own.database),
            *around.holding.over(own.database),
        )

    def keeps(self, reached: Reached, copied: str) -> str:
        """Return where the present one stays."""
        del copied
        if _own(reached).lost:
            return f"nothing: the data folder {self.own.data} is not there, what was not archived is lost"
        former = work_named(self.own, _own(reached).ending).former
        return f"the present data folder as {former}, until `invoke restore.finish` (`runs.undo` goes back to it)"

    def afterwards(self, reached: Reached) -> str:
        """Return the command for a base of the new timeline: without one, nothing later can be gone back to."""
        return self._base_backup(f"after-{_own(reached).ending}")

    def _base_backup(self, name: str) -> str:
        bases = self.own.root / self.own.told.bases
        words = self.own.installed.words("pg_basebackup", "-c", "fast", "-X", "stream", "-D")
        return f'{shlex.join(words)} {shlex.quote(str(bases / name))} -d "$EMS_DATABASE_URL"'

    def _recovery(self, reached: ByArchive) -> Recovery:
        return Recovery(self.own, reached.base, reached.at, reached.server_timeline, reached.ending)

    def _verify(
        self,
        database: Postgres,
        expected: Expected,
        around: Around,
        *,
        noted: Path | None,
        name: str,
        stays: str = STAYS_STOPPED,
    ) -> Step:
        told = self.settings.stack.database
        return verify(
            database,
            expected,
            heartbeat=told.heartbeat,
            checks=told.checks,
            noted=noted,
            seconds=told.verify_seconds,
            after_failure=around.after_failure,
            name=name,
            stays=stays,
        )


def _noted(work: Work, present: Present | None) -> Path | None:
    """Return where the present's definitions are noted: beside the copy, if there is a present that can be asked."""
    return None if present is None else work.folder


def _own(reached: Reached) -> ByArchive:
    if not isinstance(reached, ByArchive):
        message = f"expected what an archive reaches, got {reached}"
        raise TypeError(message)
    return reached
