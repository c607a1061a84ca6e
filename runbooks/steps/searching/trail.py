"""Every transaction that a base's WAL holds, in its order: the places between which an archive is searched.

Read from the archive, and what is not archived yet from the server's own folder: nothing is written there for it, and
no segment is ended before its time.
"""

from __future__ import annotations

import shutil
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from runbooks.clients.selfhosted.files import give
from runbooks.clients.selfhosted.paused import Target
from runbooks.clients.selfhosted.wal import SEGMENT

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.selfhosted.bases import Base
    from runbooks.clients.selfhosted.wal import Ended, Wal
    from runbooks.steps.archive.own import Own

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT: Final = timedelta(microseconds=1)


@dataclass
class Trail:
    """What one base and its WAL can be led to. Place 0 is the base as it is, place n has its first n commits since.

    `fault` says why nothing further could be read, "" where that is all there is. It takes some twenty bytes
    a transaction: a busy day is read into memory whole.
    """

    base: Base
    fault: str = ""
    before: datetime | None = None
    _at: array[int] = field(default_factory=lambda: array("q"))
    _lsn: array[int] = field(default_factory=lambda: array("Q"))
    _commits: array[int] = field(default_factory=lambda: array("Q"))
    _changed: array[int] = field(default_factory=lambda: array("L"))

    @property
    def places(self) -> int:
        """Return how many places there are."""
        return len(self._commits) + 1

    def met(self, end: Ended) -> None:
        """Take in the next transaction."""
        if end.lsn < self.base.end:
            self.before = end.at
            return
        if end.committed:
            self._commits.append(len(self._at))
            self._changed.append(end.changed)
        self._at.append((end.at - EPOCH) // MOMENT)
        self._lsn.append(end.lsn)

    def at(self, place: int) -> datetime:
        """Return when the last commit of a place was; of the base itself, when it was begun at the latest."""
        if place == 0:
            return self.before or self.base.began_after
        return EPOCH + self._at[self._commits[place - 1]] * MOMENT

    def position(self, place: int) -> int:
        """Return where the last commit of a place stands in the WAL, or where the base ends."""
        return self._lsn[self._commits[place - 1]] if place else self.base.end

    def target(self, place: int) -> Target:
        """Return where a copy of the base stops to be at a place."""
        return Target(self.position(place), inclusive=True) if place else Target(None, inclusive=True)

    def suspects(self, most: int) -> list[int]:
        """Return the places whose commits changed most rows, at most so many, the newest first: it is noticed soon."""
        found = nlargest(most, range(len(self._changed)), key=lambda number: (self._changed[number], number))
        return sorted((number + 1 for number in found if self._changed[number]), reverse=True)

    def restored(self, point: datetime) -> int:
        """Return the place that a restore to a point gives: it stops at the first transaction that ended later.

        Sessions that commit at the same time may stand in the WAL in another order than their times say.
        """
        last = (point - EPOCH) // MOMENT
        stop = next((number for number, at in enumerate(self._at) if at > last), len(self._at))
        return bisect_left(self._commits, stop)


def read_trail(base: Base, wal: Wal, until: int | None) -> Trail:
    """Read what a base can be led to, up to a position; None: as far as there is WAL."""
    trail = Trail(base)
    trail.fault = wal.each_end(base.start, wal.stretch(base.start), trail.met, until=until)
    return trail


def gather(own: Own, base: Base, folder: Path, flushed: int | None) -> Wal:
    """Make a folder of the WAL of a base, for the server's user.

    What is archived is linked; what only the server has is copied: it may go away there at any time. `flushed` is how
    far that is written, None where the server does not run.
    """
    folder.mkdir(mode=0o700)
    give([folder], own.installed.owner)
    wal = replace(own.wal_of(base), folder=folder)
    first = wal.name(base.start // wal.size)
    for path in own.wal_folder.iterdir():
        wanted = SEGMENT.fullmatch(path.name) and path.name[:8] == first[:8] and path.name >= first
        if wanted or path.suffix == ".history":
            (folder / path.name).symlink_to(path)
    if not (own.data / "pg_wal").is_dir() or own.control.timeline != base.timeline:
        return wal
    stretch = wal.stretch(base.start)
    here = replace(wal, folder=own.data / "pg_wal")
    rest = here.stretch((stretch.first + stretch.count) * wal.size)
    for segment in range(rest.first, rest.first + rest.count):
        if flushed is not None and segment * wal.size >= flushed:
            break
        name = wal.name(segment)
        (folder / name).unlink(missing_ok=True)  # one that is just being archived
        shutil.copyfile(here.folder / name, folder / name)
        give([folder / name], own.installed.owner)
    return wal
