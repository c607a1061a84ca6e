"""Copies of a base backup that are led along its WAL, looked at, and thrown away: nobody else ever sees them.

Recovery only goes forward. So one folder stands where the check held last, and each look is a copy of that folder,
led further: the WAL is replayed once in all, and never from the base again.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from runbooks.clients.selfhosted.files import clone, copy_base, make_folder
from runbooks.clients.selfhosted.wal import spoken
from runbooks.model.errors import Refused
from runbooks.steps.archive.work import MARK, Work, copy_for, work_named
from runbooks.steps.searching.trail import Trail, gather, read_trail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from runbooks.clients.postgres import Postgres
    from runbooks.clients.selfhosted.bases import Base
    from runbooks.clients.selfhosted.wal import Wal
    from runbooks.steps.archive.own import Own

ENDING: Final = "find-"
AGAIN: Final = 64 << 20
"""Bytes of WAL that are rather replayed again than written out at the end of a look: half a second, in both cases."""
FOLDERS: Final = 2  # as large as the base: where it held last, and the look


@dataclass
class Leading:
    """One base, its WAL, and the folders of its copies. `seconds` bounds a statement that is asked of a copy."""

    own: Own
    wal: Wal
    work: Work
    seconds: float
    trail: Trail
    _stands_at: int | None = field(default=None, init=False)
    _goes_on: bool = field(default=False, init=False)
    _written_at: int = field(default=0, init=False)
    _leads_from: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Begin with the base."""
        self._written_at = self.trail.base.start

    def read(self, until: int | None) -> None:
        """Read the places that the base can be led to, up to a position: before, there is only the base itself."""
        self.trail = read_trail(self.trail.base, self.wal, until)

    @property
    def stand(self) -> Path:
        """Return the folder in which the check held last."""
        return self.work.folder / "stand"

    @contextmanager
    def led(self, place: int, report: Callable[[int, int], None]) -> Iterator[Postgres]:
        """Give a server that stands at a place, gone at the end. Raises ActError with its words where it cannot."""
        base, owner, fresh = self.trail.base, self.own.installed.owner, self.work.fresh
        begins = base.start if self._stands_at is None else self.trail.position(self._stands_at)
        to_come = max(0, self.trail.position(place) - begins)
        shutil.rmtree(fresh, ignore_errors=True)

        def copied(done: int, total: int) -> None:
            report(done, total + to_come)

        if self._stands_at is None:
            copy_base(base, fresh, self.own.installed, report=copied)
        else:
            clone(self.stand, fresh, owner, report=copied)
        in_order = self.trail.position(place) - self._written_at > AGAIN
        copy = copy_for(self.own, base, fresh, wal=self.wal.folder)
        copy = replace(copy, settings={**copy.settings, "fsync": "off"})  # nobody goes back to it
        try:
            copy.start(
                self.trail.target(place),
                lambda position: report(base.bytes + min(max(0, position - begins), to_come), base.bytes + to_come),
            )
            self._goes_on = not copy.free_tables()  # what is a server of its own goes no further
            yield replace(copy.door, statement_seconds=self.seconds)
        finally:
            copy.stop(in_order=in_order)
        self._leads_from = self.trail.position(place) if in_order else self._written_at

    def held_at(self, place: int) -> None:
        """Keep what was just looked at: the next look begins there."""
        if self._goes_on:
            shutil.rmtree(self.stand, ignore_errors=True)
            self.work.fresh.rename(self.stand)
            self._stands_at, self._written_at = place, self._leads_from


@dataclass(frozen=True)
class LedCopy:
    """A base, led to one place of its trail, as something that can be asked."""

    leading: Leading
    place: int

    @property
    def at(self) -> datetime:
        """Return when the last commit in it was."""
        return self.leading.trail.at(self.place)

    @property
    def name(self) -> str:
        """Return what it is called."""
        trail = self.leading.trail
        there = f" at {spoken(trail.position(self.place))}" if self.place else ""
        return f"base {trail.base.name}{there}"

    @contextmanager
    def opened(self, report: Callable[[int, int], None]) -> Iterator[Postgres]:
        """Give a server that holds it."""
        with self.leading.led(self.place, report) as database:
            yield database


@contextmanager
def leading(own: Own, base: Base, *, flushed: int | None, seconds: float) -> Iterator[Leading]:
    """Give the copies of one base a folder beside the server's own, gone at the end. Raises Refused without room."""
    sweep(own)
    work = work_named(own, f"{ENDING}{os.getpid()}")
    _check_room(work, base)
    make_folder(work.folder, own.installed.owner)
    try:
        yield Leading(own, gather(own, base, work.folder / "wal", flushed), work, seconds, Trail(base))
    finally:
        work.remove()


def sweep(own: Own) -> None:
    """Remove what a killed search has left."""
    for folder in own.data.parent.glob(f"{own.data.name}{MARK}{ENDING}*"):
        pid = folder.name.rpartition("-")[2]
        if pid.isdigit() and not _lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _check_room(work: Work, base: Base) -> None:
    where, need = work.folder.parent, FOLDERS * base.bytes
    if not os.access(where, os.W_OK | os.X_OK):
        message = f"{where}: expected to be allowed to make a folder there for copies of base {base.name}."
        raise Refused(message)
    if (free := shutil.disk_usage(where).free) < need:
        message = (
            f"{where}: expected {need / 1e9:.1f} GB for two copies of base {base.name}, {free / 1e9:.1f} GB are free."
        )
        raise Refused(message)
