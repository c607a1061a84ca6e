"""Find the last instant at which a statement about the data still held: what a restore should go back to.

Ask the present (it must fail there) → ask copies of the past, by halving → say what was committed in between.
"""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from runbooks.model.errors import CheckError, Refused, Unreachable
from runbooks.model.last_good import Edge, Found, Probe
from runbooks.model.timepoint import Point
from runbooks.steps.backups.proving import Proving
from runbooks.steps.backups.room import MORE_ROOM, refuse_without_room, restored_here
from runbooks.steps.searching.bisecting import Bisection
from runbooks.steps.searching.changes import changes_between
from runbooks.steps.searching.copies import BackupCopy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runbooks.clients.postgres import Postgres, Session
    from runbooks.engine.step import Evidence
    from runbooks.model.settings import Settings
    from runbooks.model.timepoint import Window
    from runbooks.steps.backups.catalog import Catalog
    from runbooks.steps.searching.copies import Copy

MOST_LOOKS: Final = 16
"""Copies that are opened at most: enough to halve tens of thousands of them, and each may take minutes."""
MOMENT: Final = timedelta(microseconds=1)
EXAMPLE: Final = "select count(*) > 0 from public.a_table"


class Look(msgspec.Struct, frozen=True):
    """A look as the terminal shows it: like a step that reads."""

    name: str
    title: str
    expect: float
    effect: str = "reads"


class Show(Protocol):
    """Where looks are shown as they go."""

    def step_started(self, step: Look, index: int, total: int) -> None:
        """Show that a look begins."""

    def progress(self, step: Look, done: int, total: int) -> None:
        """Show how far it is."""

    def step_finished(self, step: Look, status: str, seconds: float, evidence: Evidence) -> None:
        """Show what it said."""


@dataclass
class Search:
    """One search. `window` is what the provider's recovery reaches, None where that is not known."""

    settings: Settings
    database: Postgres
    catalog: Callable[[], Catalog]
    window: Callable[[], Window | None]
    environment: Mapping[str, str]
    show: Show
    clock: Callable[[], datetime]
    check: str
    probes: list[Probe] = field(default_factory=list)

    def look(self) -> Found:
        """Return what was found. Raises Refused where there is nothing to find, Unreachable, CheckError."""
        now = self._present()
        copies = self._copies()
        search = Bisection(len(copies), lambda place, left: self._into(copies[place], left), MOST_LOOKS)
        place, after = search.run()
        if place is None:
            raise self._never_held(copies)
        later = copies[after].name if after < len(copies) else "the present"
        until = copies[after].at if after < len(copies) else now
        return self._told(copies[place], Edge(until, f"it does not hold in {later}"))

    def _present(self) -> datetime:
        """Ask the present; return when. Raises Refused unless the check is one, and fails there."""
        if not self.check.strip():
            message = "--check: expected a query for one boolean, got nothing."
            raise self._refused(message)
        now = self.clock()
        with self.database.reading() as session:
            try:
                holds = verdict(session, self.check)
            except Unreachable:
                raise
            except CheckError as error:
                message = f"--check: {error}"
                raise self._refused(message) from None
        if holds:
            message = "--check holds now, so there is nothing to find: expected a query that is false."
            raise self._refused(message)
        self.probes.append(Probe(now, "the present", holds=False, why="", seconds=0.0))
        return now

    def _copies(self) -> Sequence[Copy]:
        """Return what can be asked, oldest first. Raises Refused where there is nothing."""
        catalog = self.catalog()
        manifests = catalog.all()
        for manifest in manifests:
            refuse_without_room(restored_here(catalog, manifest), next_command=MORE_ROOM)
        outside = sorted({name for manifest in manifests for name in manifest.left_out if _names(self.check, name)})
        if outside:
            message = f"--check: own backups leave out {', '.join(outside)}, so nothing of it can be asked."
            raise self._refused(message)
        copies = [
            BackupCopy(
                Proving(
                    catalog=catalog,
                    manifest=manifest,
                    private_key=self.settings.environment.get("EMS_BACKUP_KEY"),
                    checks=(),
                    environment=self.environment,
                    root=self.settings.root,
                    clock=self.clock,
                )
            )
            for manifest in manifests
        ]
        if not copies:
            message = (
                f"{catalog.files.where('')}: expected an own backup to look into, there is none. The provider's "
                "recovery only goes back in place, and its daily backups cannot be read from here."
            )
            raise Refused(message, next_command=self._restore('"15m ago" --dry-run'))
        return copies

    def _into(self, copy: Copy, left: int) -> bool | None:
        """Open a copy and ask it; a copy that cannot be opened or asked says nothing."""
        more = f"{left} more at most" if left else "the last one"
        shown = Look(copy.name, f"look into {copy.name} ({more})", 5.0)
        self.show.step_started(shown, len(self.probes), len(self.probes) + left)
        began, holds, why = time.monotonic(), None, ""
        try:
            opened = copy.opened(lambda done, total: self.show.progress(shown, done, total))
            with opened as database, database.reading() as session:
                holds = verdict(session, self.check)
        except Unreachable:
            raise
        except CheckError as error:
            why = str(error)
        seconds = round(time.monotonic() - began, 3)
        self.probes.append(Probe(copy.at, copy.name, holds=holds, why=why, seconds=seconds))
        said = {True: "holds", False: "does not hold", None: "cannot be told"}[holds]
        self.show.step_finished(shown, said, seconds, {"at": f"{copy.at:%Y-%m-%d %H:%M:%S}Z", "why": why})
        return holds

    def _told(self, copy: Copy, bad: Edge) -> Found:
        """Move both edges towards each other as far as nothing was committed, and say what to type next."""
        good = Edge(copy.at, f"it holds in {copy.name}")
        with self.database.reading() as session:
            changes = changes_between(session, copy.server, copy.at, bad.at)
        if changes.first is not None and changes.last is not None:
            good = Edge(changes.first - MOMENT, f"{good.why}, and nothing was committed from then until this instant")
            bad = Edge(changes.last, f"{bad.why}, and nothing was committed between this instant and that")
        return Found(
            check=self.check,
            good=good,
            bad=bad,
            exact=not changes.unknown and changes.count <= 1,
            changes=changes,
            probes=tuple(self.probes),
            next_command=self._restore(self._point(copy, good.at)),
        )

    def _point(self, copy: Copy, good: datetime) -> str:
        """Return a point that is surely good: the provider's recovery where a whole second lies within, or the copy."""
        second, window = good.replace(microsecond=0), self.window()
        if second < copy.at or window is None or window.earliest is None or second < window.earliest:
            return copy.point
        return f'"{Point(second, "").utc}"'

    def _never_held(self, copies: Sequence[Copy]) -> Refused:
        asked = [probe for probe in self.probes if probe.holds is not None]
        span = " to ".join(f"{copy.at:%Y-%m-%d %H:%M:%S}" for copy in (copies[0], copies[-1]))
        message = (
            f"--check holds in none of the {len(asked) - 1} backups that could be asked, of {len(copies)}: {span} UTC."
        )
        silent = [f"{probe.into}: {probe.why}" for probe in self.probes if probe.holds is None]
        if silent:
            message += f" Could not be asked: {'; '.join(silent[:3])}"
        return self._refused(message)

    def _refused(self, message: str) -> Refused:
        """Return a refusal that shows a check that is one: the stack file's first, where there is one."""
        checks = self.settings.stack.database.checks
        example = checks[0].sql if checks else EXAMPLE
        stack = shlex.quote(self.settings.argument)
        return Refused(message, next_command=f"invoke restore.find --stack {stack} --check={shlex.quote(example)}")

    def _restore(self, point: str) -> str:
        return f"invoke restore --stack {shlex.quote(self.settings.argument)} --point={point}"


def _names(check: str, table: str) -> bool:
    """Tell whether a query may name a table: whether its name is a word of it."""
    name = table.rpartition(".")[2].strip('"')
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", check, re.IGNORECASE) is not None


def verdict(session: Session, check: str) -> bool:
    """Tell whether a check holds. Raises CheckError unless it gives one boolean, Unreachable."""
    found = session.verdict(check)
    if isinstance(found, bool):
        return found
    got = "nothing (no row, or null)" if found is None else f"{type(found).__name__} {str(found)[:40]!r}"
    message = f"expected a query for one boolean, got {got}"
    raise CheckError(message)
