"""Choose the base and the record to stop at for a point: before anything is stopped, and only what is proven whole.

Where a recovery stops is told as a position that is known to be in the archive. A time alone fails where nothing was
committed after it ("recovery ended before configured recovery target was reached").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from runbooks.clients.selfhosted.bases import check_base
from runbooks.clients.selfhosted.paused import Target
from runbooks.clients.selfhosted.wal import Wal
from runbooks.model.errors import CheckError, Refused
from runbooks.steps.archive.own import reason

if TYPE_CHECKING:
    from runbooks.clients.selfhosted.bases import Base
    from runbooks.clients.selfhosted.wal import Scan, Stretch
    from runbooks.steps.archive.own import Own

MARGIN: Final = timedelta(seconds=2)
"""pg_control tells when a checkpoint began to the second; a base began after it."""


@dataclass(frozen=True)
class Chosen:
    """A base, and where to stop; no target where the WAL of the point is not archived yet (`waits`).

    `last` is when the last transaction that is kept ended. `passed_over` are newer bases, each with its reason.
    """

    base: Base
    target: Target | None
    last: datetime | None
    segments: int
    passed_over: tuple[str, ...]

    @property
    def waits(self) -> bool:
        """Tell whether the point's WAL must be archived first."""
        return self.target is None


@dataclass(frozen=True)
class Typed:
    """What can be typed where no base reaches a point: `again` is the restore, to which a point is added.

    `base` makes a base backup ("" where the server does not answer), `others` lists what there is beside bases.
    """

    again: str = "invoke restore --point="
    base: str = ""
    others: str = "invoke backup.list"


def choose(own: Own, point: datetime, *, timeline: int | None, typed: Typed = Typed()) -> Chosen:
    """Return the newest base that reaches the point. Raises Refused with a reason for each that does not.

    `timeline` is that of the server, None where it does not answer: then nothing more can be archived.
    """
    reasons = list(own.found.unusable)
    advice = None
    for base in own.found.bases:
        got = look(own, base, point, timeline=timeline)
        if isinstance(got, Chosen):
            return Chosen(base, got.target, got.last, got.segments, tuple(reasons))
        reasons.append(f"base {base.name}: {got.why}")
        earlier = f'{typed.again}"{got.until:%Y-%m-%dT%H:%M:%S.%fZ}" --strategy=archive' if got.until else None
        advice = advice or got.advice or earlier
    message = f"No base reaches {point:%Y-%m-%d %H:%M:%S.%f} UTC. {'; '.join(reasons)}."
    if typed.base and timeline not in {base.timeline for base in own.found.bases}:
        message += f" A base of now lets the next restore reach what is written from now on: {typed.base}."
        advice = advice or typed.base
    raise Refused(message, next_command=advice or typed.others)


@dataclass(frozen=True)
class CannotReach:
    """Why a base does not reach a point, and the command that would help, or the last point that it does reach."""

    why: str
    advice: str | None = None
    until: datetime | None = None


def look(own: Own, base: Base, point: datetime, *, timeline: int | None) -> Chosen | CannotReach:
    """Tell whether one base reaches the point, and where to stop then."""
    if why := _not_good(own, base):
        return CannotReach(why)
    wal = own.wal_of(base)
    stretch = wal.stretch(base.start)
    scan = wal.scan(base.start, stretch, point)
    if scan.last is None and base.began_after + MARGIN > point:
        return CannotReach(f"it began after the point, at {base.began_after:%Y-%m-%d %H:%M:%S} UTC or later")
    if scan.after is not None and scan.after.lsn < base.end:
        return CannotReach(f"it ended after the point: a transaction of {scan.after.at} is in it")
    if (stretch.first + stretch.count) * wal.size < base.end:
        left = _left_in(own, base, stretch) if timeline is None else None
        return left or CannotReach(f"the WAL that it needs itself is not there: {scan.fault or 'the archive ends'}")
    if scan.after is not None:
        # right after the last one that is kept: what comes before a later one's end may hold tables already
        stop = Target(scan.after.lsn, inclusive=False)
        if scan.last is not None and scan.last.lsn >= base.end:
            stop = Target(scan.last.lsn, inclusive=True)
        return Chosen(base, stop, _at(scan), stretch.count, ())
    return _without_later(own, base, scan, stretch, point, timeline=timeline)


def _not_good(own: Own, base: Base) -> str:
    """Return why a base must not be taken, by its names and sizes, nothing when it may."""
    if base.system != own.control.system:
        return f"it is of another system, {base.system} instead of {own.control.system}"
    try:
        check_base(base, own.installed, contents=False)
    except CheckError as error:
        return reason(error)
    return ""


def _without_later(
    own: Own, base: Base, scan: Scan, stretch: Stretch, point: datetime, *, timeline: int | None
) -> Chosen | CannotReach:
    """Go on where no transaction later than the point is in the archive: what is not there yet, or never will be."""
    last = scan.last
    to_the_end = Target(last.lsn, inclusive=True) if last and last.lsn >= base.end else Target(None, inclusive=True)
    to_last = Chosen(base, to_the_end, _at(scan), stretch.count, ())
    exactly = last is not None and last.at == point
    if scan.fault:
        reached = f"the last transaction before it ended at {last.at.isoformat()}" if last else "nothing is before it"
        return to_last if exactly else CannotReach(f"{scan.fault}; {reached}", until=last.at if last else None)
    if timeline is not None and timeline == base.timeline:
        return Chosen(base, None, _at(scan), stretch.count, ())
    now = timeline or (own.control.timeline if own.data.is_dir() else _newest_timeline(own))
    if now > base.timeline:
        why = (
            f"its timeline {base.timeline} ended before the point, the server went on on timeline {now}, of which "
            "there is no base that is old enough"
        )
        until = last.at if last and last.lsn >= base.end else None
        return to_last if exactly else CannotReach(why, until=until)
    return _left_in(own, base, stretch, point) or to_last


def _left_in(own: Own, base: Base, stretch: Stretch, point: datetime | None = None) -> CannotReach | None:
    """Tell of segments that only the folder of a dead server holds; with a point, only if transactions end in them."""
    folder = own.data / "pg_wal"
    if not folder.is_dir():
        return None
    wal = own.wal_of(base)
    start = (stretch.first + stretch.count) * wal.size
    here = Wal(folder, wal.installed, wal.system, wal.timeline, wal.size)
    rest = here.stretch(start)
    if not rest.count or (point is not None and here.scan(start, rest, point).newest is None):
        return None
    left = [wal.name(rest.first + number) for number in range(rest.count)]
    why = f"the server does not answer and WAL of it is not archived: {', '.join(left)} in {folder}"
    return CannotReach(why, f"cp -p {' '.join(str(folder / name) for name in left)} {own.wal_folder}/")


def _newest_timeline(own: Own) -> int:
    """Return the newest timeline that was ever archived: what else is known of a server whose folder is lost."""
    found = [int(path.name[:8], 16) for path in own.wal_folder.glob("*.history") if len(path.stem) == len("00000001")]
    return max(found, default=0)


def _at(scan: Scan) -> datetime | None:
    return scan.last.at if scan.last else None
