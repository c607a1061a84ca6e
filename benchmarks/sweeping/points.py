"""Sweep one book: an uninterrupted run says what should happen, then it is killed at each of its moments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping.operator import OVER, Errand

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from benchmarks.sweeping.door import Moment
    from benchmarks.sweeping.place import Place, Point

TRIES: Final = 6
"""Commands after a kill until a run counts as unfinished."""


@dataclass(frozen=True)
class Subject:
    """What is swept: a book with its arguments, or the way back from it.

    `pinned` begins with a pin to take away, `release` with code to deploy, `failing` with code whose checks fail,
    `changed` with a record changed by hand. `only_children` kills the programs that the run has started instead of it.
    """

    name: str
    book: str
    arguments: Callable[[Place], dict[str, Any]]
    undo: bool = False
    pinned: bool = False
    release: bool = False
    failing: bool = False
    changed: bool = False
    only_children: bool = False


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
        """Do it without a kill; return what happened and its moments."""
        point, since = self._begin()
        told = self._errand(point, None)
        if told["status"] not in OVER:
            message = f"{self.subject.name}: the uninterrupted run ended as {told['status']}: {told['text']}"
            raise AssertionError(message)
        moments = list(self.place.door.inside) if self.subject.only_children else told["moments"]
        return self.place.happened(point, since), moments

    def at(self, moment: Moment, wanted: Counter[str]) -> Tally:
        """Kill it at this moment, go on until it is over, and compare what happened with what should."""
        point, since = self._begin()
        told = self._errand(point, moment)
        subject = self.subject
        hit = told["status"] == "killed" or self.place.door.killed
        tally = Tally(points=int(hit), missed=int(not hit))
        said = [str(told["text"])]
        over = {"undone", "already so"} if subject.undo else set(OVER)
        for _ in range(TRIES):
            if told["status"] in over:
                break
            told = self._errand(point, None)
            said.append(f"{told['status']}: {told['text']}")
        happened = self.place.happened(point, since)
        lost, extra = wanted - happened, happened - wanted
        tally.lost, tally.repeated = lost.total(), extra.total()
        tally.unfinished = int(told["status"] not in over)
        if tally.lost or tally.repeated or tally.unfinished:
            where = f"{subject.name}, {moment.label} ({moment.time})"
            tally.problems.append(f"{where}: lost {dict(lost)}, repeated {dict(extra)}; {' | '.join(said)}")
        return tally

    def _begin(self) -> tuple[Point, int]:
        """Prepare what this subject starts from."""
        place, subject = self.place, self.subject
        place.rest(traffic=not subject.release, changed=subject.changed)
        new = {"RELEASE": f"point {place.points}"} if subject.release or subject.failing else {}
        point = place.point(failing=subject.failing, **new)
        if subject.pinned:
            self._done(Errand(str(point.stack_file), "rollback", {"reason": "a sweep"}))
            for run in (point.home / "runs").iterdir():
                run.rename(point.home / run.name)
        if subject.undo:
            self._done(self._errand_of(point, None, undo=False))
        return point, place.calls()

    def _done(self, errand: Errand) -> None:
        told = self.place.errand(errand)
        if told["status"] not in OVER:
            message = f"{self.subject.name}: its beginning ended as {told['status']}: {told['text']}"
            raise AssertionError(message)

    def _errand(self, point: Point, end: Moment | None) -> dict[str, Any]:
        errand = self._errand_of(point, end, undo=self.subject.undo)
        return self.place.errand(errand, only_children=self.subject.only_children)

    def _errand_of(self, point: Point, end: Moment | None, *, undo: bool) -> Errand:
        subject = self.subject
        return Errand(str(point.stack_file), subject.book, subject.arguments(self.place), undo=undo, end=end)


def _rollback(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep"}


def _unpin(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep", "unpin": True}


def _web(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep", "service": "web"}


def _dns(_place: Place) -> dict[str, Any]:
    return {"reason": "a sweep", "service": "dns"}


def _restore(place: Place) -> dict[str, Any]:
    return {"point": place.ago}


def _deploy(_place: Place) -> dict[str, Any]:
    return {"preview": False}


ROLLBACK: Final = Subject("rollback", "rollback", _rollback)
WEB: Final = Subject("rollback --service=web", "rollback", _web)
DNS: Final = Subject("rollback --service=dns", "rollback", _dns, changed=True)
FAILING: Final = Subject("deploy, taken back", "deploy", _deploy, failing=True)
RESTORE: Final = Subject("restore", "restore", _restore)
SUBJECTS: Final = (
    ROLLBACK,
    Subject("rollback --unpin", "rollback", _unpin, pinned=True),
    WEB,
    DNS,
    RESTORE,
    Subject("undo of rollback", "rollback", _rollback, undo=True),
    Subject("undo of rollback --unpin", "rollback", _unpin, undo=True, pinned=True),
    Subject("undo of rollback --service=web", "rollback", _web, undo=True),
    Subject("undo of rollback --service=dns", "rollback", _dns, undo=True, changed=True),
    Subject("undo of restore", "restore", _restore, undo=True),
    FAILING,
    Subject("deploy", "deploy", _deploy, release=True),
    Subject("deploy, its program killed", "deploy", _deploy, release=True, only_children=True),
    Subject("undo of deploy", "deploy", _deploy, undo=True, release=True),
)
"""Every book, and the way back from each. Those that upload come last: a provider keeps the last 100 versions only."""
