"""Sweep one book: an uninterrupted run says what should happen, then it is killed at each of its moments."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping import standing
from benchmarks.sweeping.beginning import PLAIN, Beginning
from benchmarks.sweeping.door import AFTER, BEFORE, STORE
from benchmarks.sweeping.mortal import DURING, OFTEN
from benchmarks.sweeping.operator import OVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.sweeping.door import Moment
    from benchmarks.sweeping.operator import Errand
    from benchmarks.sweeping.place import Place
    from benchmarks.sweeping.stack_files import Point

TRIES: Final = 6
"""Commands after a kill until a run counts as unfinished."""
WITHIN: Final = re.compile(f"{OFTEN}|{AFTER} append step started|(before|after) (statement|commit)|after .* POST ")
MANY: Final = re.compile(f"{OFTEN}|({BEFORE}|{AFTER}) {STORE} ")
"""What comes for each of many files: on this machine, in an object store."""
FEW: Final = 2  # moments of one kind for many files, beside the last one


@dataclass(frozen=True)
class Subject:
    """What is swept: a book with its arguments, or the way back from it.

    `undo`: the way back after it was done; `given_up`: it is killed, and then taken back instead of gone on with.
    `pinned` begins with a pin to take away. `only_children` kills the programs that the run has started instead of it.
    `own`: the database is on a server of our own.
    """

    name: str
    book: str
    arguments: Callable[[Place], dict[str, Any]]
    beginning: Beginning = PLAIN
    undo: bool = False
    given_up: bool = False
    pinned: bool = False
    only_children: bool = False
    own: bool = False


@dataclass
class Tally:
    """What was swept and found: points at which something died, effects lost or repeated, runs that did not end."""

    points: int = 0
    lost: int = 0
    repeated: int = 0
    unfinished: int = 0
    missed: int = 0
    """Moments that did not come again: nothing died, nothing is counted."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another one's numbers in."""
        self.points += other.points
        self.lost += other.lost
        self.repeated += other.repeated
        self.unfinished += other.unfinished
        self.missed += other.missed
        self.problems += other.problems


@dataclass
class Sweep:
    """One subject at one place."""

    place: Place
    subject: Subject

    def whole(self) -> tuple[Counter[str], list[Moment]]:
        """Do it without a kill; return what happened and its moments. Of what comes often, the first two and the last.

        Where it is given up, what must stand in the end is what stood before.
        """
        point, since = self._begin()
        before = standing.stands(self.place, point)
        told = self._errand(point, None)
        if told["status"] not in OVER:
            message = f"{self.subject.name}: the uninterrupted run ended as {told['status']}: {told['text']}"
            raise AssertionError(message)
        moments = list(self.place.door.inside) if self.subject.only_children else told["moments"]
        wanted = before if self.subject.given_up else self._happened(point, since)
        return wanted, chosen(moments, only_within=self.subject.given_up)

    def at(self, moment: Moment, wanted: Counter[str]) -> Tally:
        """Kill it at this moment, go on until it is over, and compare what happened with what should."""
        point, since = self._begin()
        told = self._errand(point, moment)
        subject = self.subject
        hit = told["status"] == "killed" or self.place.door.killed
        tally = Tally(points=int(hit), missed=int(not hit))
        said = [str(told["text"])]
        back = subject.undo or subject.given_up
        over = {"undone", "already so"} if back else set(OVER)
        for _ in range(TRIES):
            if told["status"] in over:
                break
            told = self._errand(point, None, undo=back)
            said.append(f"{told['status']}: {told['text']}")
        happened = standing.stands(self.place, point) if subject.given_up else self._happened(point, since)
        lost, extra = wanted - happened, happened - wanted
        tally.lost, tally.repeated = lost.total(), extra.total()
        tally.unfinished = int(told["status"] not in over)
        if tally.lost or tally.repeated or tally.unfinished:
            where = f"{subject.name}, {moment.label} ({moment.time})"
            tally.problems.append(f"{where}: lost {dict(lost)}, repeated {dict(extra)}; {' | '.join(said)}")
        return tally

    def _happened(self, point: Point, since: int) -> Counter[str]:
        return self.place.happened(point, since) + Counter(standing.runs(point))

    def _begin(self) -> tuple[Point, int]:
        """Prepare what this subject starts from."""
        point = self.subject.beginning.at(self.place, direct=False)
        if self.subject.pinned:
            self._done(self.place.order(point, "rollback", {"reason": "a sweep"}))
            for run in (point.home / "runs").iterdir():
                run.rename(point.home / run.name)
        if self.subject.undo:
            self._done(self._order(point, None, undo=False))
        return point, self.place.calls()

    def _done(self, errand: Errand) -> None:
        told = self.place.errand(errand)
        if told["status"] not in OVER:
            message = f"{self.subject.name}: its beginning ended as {told['status']}: {told['text']}"
            raise AssertionError(message)

    def _errand(self, point: Point, end: Moment | None, *, undo: bool = False) -> dict[str, Any]:
        errand = self._order(point, end, undo=undo or self.subject.undo)
        return self.place.errand(errand, only_children=self.subject.only_children)

    def _order(self, point: Point, end: Moment | None, *, undo: bool) -> Errand:
        arguments = self.subject.arguments(self.place)
        return self.place.order(point, self.subject.book, arguments, undo=undo, end=end)


def chosen(moments: Sequence[Moment], *, only_within: bool = False) -> list[Moment]:
    """Return the moments to die at: every one but a few that are no others.

    Of those that come for each of hundreds of files, three; of calls that only read, the one before the first of a
    kind, for what was changed before and what comes next have moments of their own. With `only_within` those at which
    something may be half done.
    """
    last = {moment.label: moment.time for moment in moments}
    return [
        moment
        for moment in moments
        if not _only_reads(moment)
        and (not only_within or WITHIN.match(moment.label))
        and (
            not MANY.match(moment.label)
            or moment.time <= FEW
            or (moment.time == last[moment.label] and DURING not in moment.label)
        )
    ]


def _only_reads(moment: Moment) -> bool:
    """Tell whether it lies between two others with nothing but a read between them."""
    words = moment.label.split()
    return words[2:3] == ["GET"] and (words[0] == AFTER or moment.time > 1)
