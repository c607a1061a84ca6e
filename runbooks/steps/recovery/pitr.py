"""The provider's recovery: the whole project, in place, to any second of its window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from runbooks.model.errors import Refused
from runbooks.model.timepoint import Point, check_window
from runbooks.steps.database.present import Present, check_without_present, losses, owed
from runbooks.steps.database.replaced import instead
from runbooks.steps.database.supabase import let_the_archive_reach, recover
from runbooks.steps.database.verification import verify
from runbooks.steps.recovery.strategy import Around, ByPitr, Reached

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from infra.stack import Database
    from runbooks.clients.postgres import Postgres
    from runbooks.clients.supabase import Backups, Supabase
    from runbooks.engine.step import Step
    from runbooks.model.timepoint_refusals import Asker

RECOVERS: Final = 60.0  # seconds, until past runs tell


@dataclass
class Pitr:
    """Point-in-time recovery of one project. `answers`: does the database, now; `agreed` is --without-copy."""

    supabase: Supabase
    database: Postgres
    told: Database
    point: Point
    asker: Asker
    answers: Callable[[], bool]
    agreed: bool
    clock: Callable[[], datetime]
    name: str = "pitr"
    copies_present: bool = True
    program: str = "pg_dump"

    @cached_property
    def backups(self) -> Backups:
        """Return what the provider keeps, asked for once."""
        return self.supabase.backups()

    def exists(self) -> str:
        """Return the window, and the provider's daily backups, which only its dashboard restores."""
        if self.told.archive is not None:
            return "pitr: not of a server of our own"
        there = "pitr is not enabled for this project"
        window = self.backups.window
        if self.backups.pitr_enabled:
            ends = [f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else "?" for at in (window.earliest, window.latest)]
            there = f"pitr, from {ends[0]} to {ends[1]}"
        daily = [backup.inserted_at for backup in self.backups.backups if backup.status == "COMPLETED"]
        return f"{there}; the provider's daily backups: {', '.join(daily) or 'none'} (restored in its dashboard)"

    def reach(self) -> tuple[Reached, str]:
        """Return the point itself. Raises Refused where the window or the database forbids it."""
        if self.told.archive is not None:
            message = (
                f"database.archive is declared: {self.database.where} is a server of our own, the provider's recovery "
                f"would change its project {self.supabase.ref} instead."
            )
            raise Refused(message)
        if not self.backups.pitr_enabled:
            message = f"Supabase project {self.supabase.ref}: pitr is not enabled. What exists: {self.exists()}."
            raise Refused(message)
        check_window(self.point, self.backups.window, self.asker)
        if not self.answers():
            latest = self.backups.window.latest
            check_without_present(self.point, latest, where=self.database.where, agreed=self.agreed, asker=self.asker)
        else:
            self._refuse_to_before_it_was_made()
        return ByPitr(self.point.at), "the provider's recovery reaches any second of its window"

    def _refuse_to_before_it_was_made(self) -> None:
        """Raise Refused where the recovery would take this database away: at the point another had its place."""
        with self.database.reading() as session:
            since = next((one for one in instead(session) if one.name == self.database.database), None)
        if since is not None and self.point.at < since.since:
            message = (
                f"Database {self.database.where} took the place of {since.former} at {since.at} (run {since.run}): the "
                f"provider's recovery takes the whole server back to {self.point.utc}, where it is not there. An own "
                "backup of then reaches it; so does `runs.undo` of that run, and then a restore."
            )
            raise Refused(message, next_command=f'{self.asker.command}"{self.point.given}" --strategy=dump')

    def losses(self, _reached: Reached, present: Present | None) -> tuple[str, ...]:
        """Return what was written after the point."""
        return losses(present)

    def before(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Return the step after which the archive covers the point."""
        del present, around
        return (
            let_the_archive_reach(
                self.supabase,
                self.database,
                reached.at,
                within=self.told.waits.archived,
                instead=lambda latest: (
                    self.instead if latest is None else f'{self.asker.command}"{Point(latest, "").utc}"'
                ),
                name="identify",
            ),
        )

    @property
    def instead(self) -> str:
        """Return what to type where the provider cannot recover the project."""
        return f'{self.asker.command}"{self.point.given}" --strategy=dump'

    def recovering(self, reached: Reached, present: Present | None, around: Around) -> tuple[Step, ...]:
        """Return the recovery, the proof inside the database, and what is held back there."""
        return (
            recover(
                self.supabase,
                self.database,
                reached.at,
                clock=self.clock,
                waits=self.told.waits,
                way_back=around.way_back,
                instead=self.instead,
                expect=RECOVERS,
                name="restore",
            ),
            *around.holding.at_once(self.database),
            *around.still,
            verify(
                self.database,
                owed(reached.at, present),
                heartbeat=self.told.heartbeat,
                checks=self.told.checks,
                noted=around.noted,
                seconds=self.told.verify_seconds,
                after_failure=around.after_failure,
                name="verify",
            ),
            *around.holding.proven(self.database),
            *around.holding.over(self.database),
        )

    def keeps(self, _reached: Reached, copied: str) -> str:
        """Return what is said of the copy of the present."""
        return copied

    def afterwards(self, _reached: Reached) -> None:
        """Return nothing: all is done then."""
