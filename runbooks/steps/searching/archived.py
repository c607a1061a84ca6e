"""Search the base backups and the WAL of a server of our own, down to the one transaction after which it failed."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.selfhosted.bases import check_base
from runbooks.clients.selfhosted.wal import spoken
from runbooks.model.errors import CheckError, Refused
from runbooks.model.last_good import Change, Changes, Edge
from runbooks.steps.archive.own import reason
from runbooks.steps.database.server import look_at
from runbooks.steps.searching.bisecting import Bisection
from runbooks.steps.searching.deeds import deeds
from runbooks.steps.searching.led import Leading, LedCopy, leading
from runbooks.steps.searching.trail import MOMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runbooks.clients.postgres import Session
    from runbooks.clients.selfhosted.bases import Base
    from runbooks.clients.selfhosted.wal import Wal
    from runbooks.steps.archive.own import Own
    from runbooks.steps.searching.copies import Copy
    from runbooks.steps.searching.trail import Trail

MOST_BASES: Final = 16
ALL: Final = 1 << 62  # looks along one base's WAL: their number is the logarithm of its transactions
MOST_STRIDES: Final = 20
SPARE: Final = 4  # looks that may say nothing, beside those that halving needs
MOST_SUSPECTS: Final = 3
LISTED: Final = 20
NOTHING_FAILED: Final = (
    "--check holds at the end of the archive, {:%Y-%m-%d %H:%M:%S} UTC, and the database does not answer: "
    "expected a query that is false there."
)
WRITTEN_WITHIN: Final = 2.0  # seconds: a commit that is not waited for is written after three times wal_writer_delay


@dataclass(frozen=True)
class Now:
    """What the server says: its timeline, until where its WAL is on disk, its system; None where nobody answers."""

    timeline: int | None
    flushed: int | None
    system: str | None = None


def now_of(session: Session) -> Now:
    """Return it once all that is committed is on disk."""
    server = look_at(session)
    if server.in_recovery:
        return Now(server.timeline, None, server.system_identifier)
    inserted = int(session.value("select pg_current_wal_insert_lsn() - '0/0'"))
    until = time.monotonic() + WRITTEN_WITHIN
    while (flushed := int(session.value("select pg_current_wal_flush_lsn() - '0/0'"))) < inserted:
        if time.monotonic() > until:  # where nothing follows a page's head, it never gets there
            break
        time.sleep(0.02)
    return Now(server.timeline, flushed, server.system_identifier)


@dataclass(frozen=True)
class Turned:
    """Where it turned: until when it held, since when not (None: since the present), and what was committed between.

    `how` says how that is known. `loses` are commits before it that a restore by time cannot keep.
    """

    good: Edge
    bad: Edge | None
    changes: Changes
    how: str
    loses: int = 0


@dataclass
class Archived:
    """The archive of one server.

    `ask` opens a copy and tells whether it holds there; how many looks may follow is None where nobody knows.
    """

    own: Own
    now: Now
    ask: Callable[[Copy, int | None], bool | None]
    seconds: float
    passed_over: list[str] = field(default_factory=list)
    oldest: Edge | None = None
    """The oldest base, where it does not hold in any: only own backups are older."""
    _answers: dict[str, dict[int, bool | None]] = field(default_factory=dict)
    _lead: tuple[Base, Leading, ExitStack] | None = None

    def turned(self) -> Turned | None:
        """Return where it turned, None where it never held. Raises Refused where it holds at the archive's end.

        The newest base comes first, and in each the commit that is suspected: then what was made after the base is
        found as well. Where it held around none of them, places along the newest one's WAL are tried.
        """
        if self.now.system is not None:
            self.own.check_is(self.now.system)
        bases = self._bases()
        if not bases:
            return None
        self.oldest = Edge(bases[0].began_after, f"it does not hold in base {bases[0].name}")
        try:
            bad: Base | None = None
            for base in bases[: -MOST_BASES - 1 : -1]:
                if (turned := self._along(base, bad)) is not None:
                    return turned
                bad = base if self._answers[base.name][0] is False else bad
            return self._along(bases[-1], strides=MOST_STRIDES)
        finally:
            self._leave()

    def _bases(self) -> Sequence[Base]:
        """Return the bases that lead to the present, oldest first."""
        try:
            self.passed_over += self.own.found.unusable
        except Refused as error:
            self.passed_over.append(str(error).rstrip("."))
            return []
        found = []
        timeline = self.now.timeline or self.own.control.timeline
        for base in reversed(self.own.found.bases):
            if base.system != self.own.control.system:
                self.passed_over.append(f"base {base.name}: it is of another system")
            elif base.timeline != timeline:
                why = f"it is of timeline {base.timeline}, the server is on {timeline} since it was recovered"
                self.passed_over.append(f"base {base.name}: {why}")
            else:
                try:
                    check_base(base, self.own.installed, contents=False)
                    found.append(base)
                except CheckError as error:
                    self.passed_over.append(f"base {base.name}: {reason(error)}")
        return found

    def _look(self, lead: Leading, place: int, left: int | None) -> bool | None:
        holds = self.ask(LedCopy(lead, place), left)
        if holds:
            lead.held_at(place)
        return holds

    def _along(self, base: Base, bad: Base | None = None, *, strides: int = 0) -> Turned | None:
        """Search along the WAL of a base, up to another one in which it does not hold; None where no place is good.

        Where it does not hold in the base itself, so many places are tried, from the newest on.
        """
        lead = self._leading(base)
        lead.read(self.now.flushed if bad is None else bad.end)
        trail = lead.trail
        places = trail.places if bad is None else trail.places - 1
        asked = self._answers.setdefault(base.name, {})
        search = Bisection(places, lambda place, left: self._look(lead, place, left), ALL, asked)
        if self.now.timeline is None and bad is None and search.ask(places - 1):
            raise Refused(NOTHING_FAILED.format(trail.at(places - 1)))
        self._suspected(search, trail.suspects(MOST_SUSPECTS))
        if search.good is None and not search.ask(0) and not strides:
            return None
        search.most = len(asked) + max(strides, 2 * places.bit_length() + SPARE)
        good, after = search.run()
        return None if good is None else self._told(trail, lead.wal, good, after, looks=len(asked), known_bad=bad)

    def _suspected(self, search: Bisection, suspects: Sequence[int]) -> None:
        """Ask around the commits that deleted or replaced most rows: mostly it is one of them, as two looks prove."""
        for suspect in suspects:
            if search.good is None or search.good < suspect - 1 < search.bad - 1:
                search.ask(suspect - 1)
            if search.good == suspect - 1 and suspect < search.bad:
                search.ask(suspect)

    def _told(self, trail: Trail, wal: Wal, good: int, bad: int, *, looks: int, known_bad: Base | None) -> Turned:
        how = f"base {trail.base.name}, led along its WAL to {looks} places and asked there"
        how = "; ".join((how, *self.passed_over))
        there = spoken(trail.position(good)) if good else f"the end of base {trail.base.name}"
        if bad <= good or (bad >= trail.places and known_bad is None):
            held = Edge(trail.at(good), f"it holds at {there}, the last commit that can be reached")
            return Turned(held, None, Changes(unknown=trail.fault), how)
        first, last = trail.at(good + 1), trail.at(bad)
        point = min(trail.at(number) for number in range(good + 1, bad + 1)) - MOMENT
        newest = [Change(trail.at(number), {}, spoken(trail.position(number))) for number in range(bad, good, -1)]
        if bad == good + 1:
            did = deeds(self.own.database, wal, trail.base.start, trail.position(bad))
            newest = [msgspec.structs.replace(newest[0], did=did)]
        return Turned(
            Edge(point, f"it holds at {there}, and the next commit is later than this instant"),
            Edge(last, f"it does not hold at {spoken(trail.position(bad))}, right after that commit"),
            Changes(bad - good, first, last, tuple(newest[:LISTED])),
            how,
            good - trail.restored(point),
        )

    def _leading(self, base: Base) -> Leading:
        """Return the copies of a base: those that are open, or new ones."""
        if self._lead is None or self._lead[0] is not base:
            self._leave()
            stack = ExitStack()
            lead = stack.enter_context(leading(self.own, base, flushed=self.now.flushed, seconds=self.seconds))
            self._lead = (base, lead, stack)
        return self._lead[1]

    def _leave(self) -> None:
        if self._lead is not None:
            self._lead[2].close()
            self._lead = None
