"""Find the last instant at which a statement about the data still held: what a restore should go back to.

Ask the present (it must fail there) → ask copies of the past, by halving → say what was committed in between. Copies
are, of a server of our own, its bases led along its WAL, to any transaction; else, and further back, own backups.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from runbooks.model.errors import ActError, CheckError, Refused, Unreachable
from runbooks.model.last_good import Changes, Edge, Found, Probe
from runbooks.model.timepoint import Point
from runbooks.render.wording import span
from runbooks.steps.backups.room import MORE_ROOM, refuse_without_room, restored_here
from runbooks.steps.searching.archived import Archived, Now, now_of
from runbooks.steps.searching.asking import names, told
from runbooks.steps.searching.bisecting import Bisection
from runbooks.steps.searching.changes import changes_between, recent_changes
from runbooks.steps.searching.copies import backup_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runbooks.clients.postgres import Postgres
    from runbooks.engine.step import Evidence
    from runbooks.model.settings import Settings
    from runbooks.model.timepoint import Window
    from runbooks.steps.archive.own import Own
    from runbooks.steps.backups.catalog import Catalog
    from runbooks.steps.searching.archived import Turned
    from runbooks.steps.searching.copies import BackupCopy, Copy

MOST_LOOKS: Final = 16
"""Copies that are opened at most: enough to halve tens of thousands of them, and each may take minutes."""
RECENT: Final = timedelta(days=7)
NAMED: Final = 5  # commits that a refusal names
MOMENT: Final = timedelta(microseconds=1)
ASSUMES: Final = (
    "it held without a break until then; if it failed before and held again, this is one of the turns, "
    "not always the last"
)
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
    """One search. `window` is what the provider's recovery reaches, None where that is not known.

    `own` is a server of our own with its archive.
    """

    settings: Settings
    database: Postgres
    catalog: Callable[[], Catalog]
    window: Callable[[], Window | None]
    environment: Mapping[str, str]
    show: Show
    clock: Callable[[], datetime]
    check: str
    own: Own | None = None
    probes: list[Probe] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    def look(self) -> Found:
        """Return what was found. Raises Refused where there is nothing to find, Unreachable, CheckError."""
        if not self.check.strip():
            message = "--check: expected a query for one boolean, got nothing."
            raise self._refused(message)
        now = self._present()
        oldest = None
        if self.own is not None:
            archive = Archived(self.own, now, self._into, self.settings.stack.database.verify_seconds)
            if (turned := archive.turned()) is not None:
                return self._turned(turned)
            oldest, self.passed_over = archive.oldest, archive.passed_over
        copies = self._copies(oldest.at if oldest else None)
        search = Bisection(len(copies), lambda place, left: self._into(copies[place], left), MOST_LOOKS)
        place, after = search.run()
        if place is None:
            raise self._never_held(copies)
        bad = oldest or self._failing()
        if after < len(copies):
            bad = Edge(copies[after].at, f"it does not hold in {copies[after].name}")
        return self._told(copies[place], bad, len(search.answers))

    def _present(self) -> Now:
        """Ask the present. Raises Refused unless the check is one, and fails there.

        What the check names and is not there is part of the accident: then it does not hold. Where nobody answers, the
        past is asked nevertheless.
        """
        at, why = self.clock(), ""
        shown = Look("the present", "ask the present", 0.1)
        self.show.step_started(shown, 1, 1)
        holds: bool | None = None
        now = Now(None, None)
        try:
            with self.database.reading() as session:
                holds, why = told(session, self.check)
            if self.own is not None:
                with self.database.reading() as session:
                    now = now_of(session)
        except Unreachable as error:
            why = str(error)
        except CheckError as error:
            message = f"--check: {error}"
            raise self._refused(message) from None
        if holds:
            message = "--check holds now, so there is nothing to find: expected a query that is false."
            raise self._refused(message)
        self._keep(shown, at, holds=holds, why=why, seconds=0.0)
        return now

    def _failing(self) -> Edge:
        """Return since when it does not hold, where no copy says so: the present."""
        present = self.probes[0]
        return Edge(present.at, f"it does not hold in {present.into}" if present.holds is False else present.why)

    def _copies(self, before: datetime | None) -> Sequence[BackupCopy]:
        """Return the own backups that can be asked, oldest first. Raises Refused where there is nothing."""
        catalog = self.catalog()
        manifests = [one for one in catalog.all() if before is None or one.at < before]
        for manifest in manifests:
            refuse_without_room(restored_here(catalog, manifest), next_command=MORE_ROOM)
        outside = sorted({name for manifest in manifests for name in manifest.left_out if names(self.check, name)})
        if outside:
            message = f"--check: own backups leave out {', '.join(outside)}, so nothing of it can be asked."
            raise self._refused(message)
        copies = backup_copies(catalog, manifests, self.settings, self.environment, self.clock)
        if not copies and len(self.probes) > 1:
            raise self._never_held(copies)
        if not copies:
            silent, point = self._silent()
            silent = "".join((silent, *(f" {one}." for one in self.passed_over)))
            message = (
                f"{catalog.files.where('')}: expected an own backup to look into, there is none. The provider's "
                f"recovery only goes back in place, and its daily backups cannot be read from here.{silent}"
            )
            raise Refused(message, next_command=self._restore(f'"{point}" --dry-run'))
        return copies

    def _silent(self) -> tuple[str, str]:
        """Say what the database alone can tell: commits of which no row is left; and a point before the newest."""
        with self.database.reading() as session:
            changes = recent_changes(session, self.probes[0].at - RECENT)
        silent = [one.at for one in changes.newest if not one.wrote]
        if changes.unknown or not silent:
            return "", "15m ago"
        named = ", ".join(Point(at, "").utc for at in silent[:NAMED])
        return (
            f" Of {changes.silent} commits of the last {RECENT.days} days no row is left: they deleted, were "
            f"overwritten since, or changed definitions. The newest: {named}. Nothing of that is proven."
        ), Point((silent[0] - MOMENT).replace(microsecond=0), "").utc

    def _into(self, copy: Copy, left: int | None) -> bool | None:
        """Open a copy and ask it; a copy that cannot be opened or asked says nothing.

        `left` are the looks that may follow, None where the WAL does not tell yet.
        """
        more = "the last one" if left == 0 else "then along its WAL" if left is None else f"{left} more at most"
        number = len(self.probes) + 1
        shown = Look(f"{number} {copy.name}", f"look into {copy.name}, {copy.at:%m-%d %H:%M:%S} UTC ({more})", 5.0)
        self.show.step_started(shown, number, number + (left or 0))
        began, holds, why = time.monotonic(), None, ""
        try:
            opened = copy.opened(lambda done, total: self.show.progress(shown, done, total))
            with opened as database, database.reading() as session:
                holds, why = told(session, self.check)
        except Unreachable:
            raise
        except (CheckError, ActError) as error:
            why = str(error)
        self._keep(shown, copy.at, holds=holds, why=why, seconds=round(time.monotonic() - began, 3), into=copy.name)
        return holds

    def _keep(
        self, shown: Look, at: datetime, *, holds: bool | None, why: str, seconds: float, into: str = "the present"
    ) -> None:
        """Keep what a look said, and show it."""
        self.probes.append(Probe(at, into, holds=holds, why=why, seconds=seconds))
        said = {True: "holds", False: "does not hold", None: "cannot be told"}[holds]
        self.show.step_finished(shown, said, seconds, {"at": f"{at:%Y-%m-%d %H:%M:%S}Z", "why": why})

    def _turned(self, turned: Turned) -> Found:
        """Return what an archive told: to the transaction."""
        return Found(
            check=self.check,
            good=turned.good,
            bad=turned.bad or self._failing(),
            exact=turned.bad is not None and turned.changes.count == 1,
            changes=turned.changes,
            probes=tuple(self.probes),
            next_command=self._restore(f'"{Point(turned.good.at, "").utc}"'),
            how=turned.how,
            precision=_between(turned.good.at, (turned.bad or self._failing()).at, turned.changes),
            assumes=ASSUMES,
            loses=turned.loses,
        )

    def _told(self, copy: BackupCopy, bad: Edge, looks: int) -> Found:
        """Move both edges towards each other as far as nothing was committed, and say what to type next."""
        good = Edge(copy.at, f"it holds in {copy.name}")
        try:
            with self.database.reading() as session:
                changes = changes_between(session, copy.server, copy.at, bad.at)
        except Unreachable as error:
            changes = Changes(unknown=str(error))
        if changes.first is not None and changes.last is not None:
            good = Edge(changes.first - MOMENT, f"{good.why}, and nothing was committed from then until this instant")
            bad = Edge(changes.last, f"{bad.why}, and nothing was committed between this instant and that")
        point = self._point(copy, good.at)
        likely = changes.suspect and self._point(copy, changes.suspect - MOMENT)
        return Found(
            check=self.check,
            good=good,
            bad=bad,
            exact=not changes.unknown and changes.count <= 1,
            changes=changes,
            probes=tuple(self.probes),
            next_command=self._restore(point),
            how=f"{looks} own backups restored and asked, then the database's own commit times",
            precision=f"{_between(good.at, bad.at, changes)}; {self._goes_to(point)}",
            assumes=ASSUMES,
            likely=self._restore(likely) if likely and likely != point else "",
        )

    def _goes_to(self, point: str) -> str:
        """Say how near to the instant the next command comes."""
        if point.startswith("backup:"):
            return "the next command goes to that backup, nothing else here reaches nearer"
        return "the next command goes to the whole second before: the provider's recovery knows no fractions"

    def _point(self, copy: BackupCopy, good: datetime) -> str:
        """Return a point that is surely good: the provider's recovery where a whole second lies within, or the copy."""
        second, window = good.replace(microsecond=0), self.window()
        if second < copy.at or window is None or window.earliest is None or second < window.earliest:
            return copy.point
        return f'"{Point(second, "").utc}"'

    def _never_held(self, copies: Sequence[BackupCopy]) -> Refused:
        looks = self.probes[1:]
        asked = [probe for probe in looks if probe.holds is not None]
        span = f"{min(one.at for one in looks):%Y-%m-%d %H:%M:%S} to {max(one.at for one in looks):%Y-%m-%d %H:%M:%S}"
        what = f"{len(asked)} backups that could be asked, of {len(copies)}"
        if self.own is not None:
            what = f"{len(asked)} copies that could be asked"
        message = f"--check holds in none of the {what}: {span} UTC."
        said = (f"{probe.into}: {probe.why}" for probe in looks if probe.why)
        if whys := list(dict.fromkeys((*self.passed_over, *said))):
            message += f" It was said: {'; '.join(whys[:3])}"
        return self._refused(message)

    def _refused(self, message: str) -> Refused:
        """Return a refusal that shows a check that is one: the stack file's first, where there is one."""
        checks = self.settings.stack.database.checks
        example = checks[0].sql if checks else EXAMPLE
        stack = shlex.quote(self.settings.argument)
        return Refused(message, next_command=f"invoke restore.find --stack {stack} --check={shlex.quote(example)}")

    def _restore(self, point: str) -> str:
        return f"invoke restore --stack {shlex.quote(self.settings.argument)} --point={point}"


def _between(good: datetime, bad: datetime, changes: Changes) -> str:
    """Say how exact it is."""
    if changes.count == 1 and not changes.unknown:
        return "one transaction, to the microsecond"
    commits = f", {changes.count} commits" if changes.count else ""
    return f"{span((bad - good).total_seconds())} between the two instants{commits}"
