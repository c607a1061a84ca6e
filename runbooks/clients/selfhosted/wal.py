"""Archived WAL: which segments follow each other without a gap, and what was committed in them when.

A server that replays without a target ends silently at the first gap or damaged record. So every segment is looked at
before anything is stopped: its size, its place, its timeline and system, and by `pg_waldump` each of its records.
"""

from __future__ import annotations

import os
import re
import struct
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runbooks.clients import child
from runbooks.clients.selfhosted.installed import LONG, Installed
from runbooks.model.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
END: Final = re.compile(
    rb"tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*?desc: (COMMIT|ABORT)(?:_PREPARED)? (?:\d+: )?"
    rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC"
)
ROW: Final = re.compile(rb"tx: +(\d+), .*?desc: (?:DELETE|UPDATE|HOT_UPDATE) ")
PARTS: Final = re.compile(rb"; subxacts: ([\d ]+)")
DROPPED: Final = b"; rels: "
MANY: Final = 1_000_000_000
"""What dropped files count as: `truncate` and `drop table` write no record for each row."""
CRASHED: Final = re.compile(
    r"error in WAL record at ([0-9A-F]+/[0-9A-F]+): (?:invalid record length at .* got 0"
    r"|invalid magic number 0000|unexpected pageaddr|record with incorrect prev-link)"
)
"""What follows the last record: zeros, or what an older segment of the same file held. A wrong checksum is damage."""
HEADER: Final = struct.Struct("=HHIQIxxxxQII")
"""A segment's first page: magic, flags, timeline, address, rest of a record, system, segment size, block size
(PostgreSQL 18, src/include/access/xlog_internal.h: XLogLongPageHeaderData)."""
ADDRESSES: Final = 0x1_0000_0000


def number(lsn: str) -> int:
    """Return a position in the WAL, such as `0/1A2B`, as a number."""
    high, _, low = lsn.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def spoken(position: int) -> str:
    """Return a position as PostgreSQL writes it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:08X}"


def readable(status: os.stat_result, owner: child.Owner) -> bool:
    """Tell whether a user may read a file."""
    if owner.uid == 0:
        return True
    mine = 0o400 if status.st_uid == owner.uid else 0o040 if status.st_gid == owner.gid else 0o004
    return bool(status.st_mode & mine)


@dataclass(frozen=True)
class Ended:
    """The end of one transaction: where its record begins, when it was, and whether what it did holds.

    `changed` are the rows that it deleted or replaced, where that is asked for; to have dropped files counts as many.
    """

    lsn: int
    at: datetime
    committed: bool = True
    changed: int = 0


@dataclass(frozen=True)
class Scan:
    """What was read. `last` ended at or before the point, `after` is the first one later; `newest` was met last.

    `fault` says why nothing further could be read, where that was no orderly end.
    """

    last: Ended | None
    after: Ended | None
    newest: Ended | None
    fault: str


@dataclass(frozen=True)
class Stretch:
    """Segments without a gap: the first, how many, and in words why the next one does not follow ("": the end)."""

    first: int
    count: int
    broken: str


@dataclass(frozen=True)
class Wal:
    """A folder of WAL of one system and one timeline; `size` is that of a segment in bytes."""

    folder: Path
    installed: Installed
    system: str
    timeline: int
    size: int

    def name(self, segment: int) -> str:
        """Return the file name of a segment."""
        each = ADDRESSES // self.size
        return f"{self.timeline:08X}{segment // each:08X}{segment % each:08X}"

    def stretch(self, start: int) -> Stretch:
        """Return the segments that follow each other from the one that holds the position `start`."""
        first = segment = start // self.size
        while not (wrong := self._wrong(segment)):
            segment += 1
        names = (path.name for path in self.folder.iterdir() if SEGMENT.fullmatch(path.name))
        later = [name for name in names if name.startswith(f"{self.timeline:08X}") and name > self.name(segment)]
        there = (self.folder / self.name(segment)).exists()
        broken = wrong if there or later or segment == first else ""
        return Stretch(first, segment - first, broken)

    def scan(self, start: int, stretch: Stretch, point: datetime) -> Scan:
        """Read every record from a position on, until a transaction ended later than the point."""
        last = newest = None
        if not stretch.count:
            return Scan(None, None, None, stretch.broken)
        try:
            for one in self._ends(start, (stretch.first + stretch.count) * self.size):
                newest = one
                if one.at > point:
                    return Scan(last, one, newest, "")
                last = one
        except CheckError as error:
            return Scan(last, None, newest, "" if self._ended(str(error), stretch) else str(error))
        return Scan(last, None, newest, stretch.broken)

    def each_end(self, start: int, stretch: Stretch, met: Callable[[Ended], None], *, until: int | None = None) -> str:
        """Show every end from a position on to `met`; return why nothing further can be read, "" at an orderly end."""
        if not stretch.count:
            return stretch.broken
        end = (stretch.first + stretch.count) * self.size
        try:
            for one in self._ends(start, min(end, until or end), rows=True):
                met(one)
        except CheckError as error:
            return "" if self._ended(str(error), stretch) else str(error)
        return stretch.broken

    def _ends(self, start: int, end: int, *, rows: bool = False) -> Iterator[Ended]:
        """Yield the end of every transaction in the order of the WAL. Raises CheckError at what cannot be read."""
        words = ["-p", str(self.folder), "-t", str(self.timeline), "-s", spoken(start), "-e", spoken(end)]
        command = self.installed.words("pg_waldump", *words, "-r", "Transaction", *(("-r", "Heap") if rows else ()))
        changed: dict[bytes, int] = {}
        with tempfile.TemporaryFile() as stderr:
            reader = child.start(command, folder=Path("/"), environment=self.installed.seen, stderr=stderr)
            try:
                for line in child.lines(reader, seconds=LONG):
                    if b"DELETE " in line or b"UPDATE " in line:
                        if (of := ROW.search(line)) is not None:
                            changed[of[1]] = changed.get(of[1], 0) + 1
                    elif (found := END.search(line)) is not None:
                        at = datetime.fromisoformat(found[4].decode()).replace(tzinfo=UTC)
                        by = _changed(changed, found[1], line) if rows else 0
                        yield Ended(number(found[2].decode()), at, found[3] == b"COMMIT", by)
                code = reader.wait(child.GRACE)
            finally:
                child.stop(reader)
            if code:
                raise CheckError(child.tail(stderr).removeprefix("pg_waldump: error: "))

    def _ended(self, said: str, stretch: Stretch) -> bool:
        """Tell whether that is how the WAL of a server ends that died: in the last segment, with nothing after it."""
        where = CRASHED.search(said)
        return (
            where is not None
            and not stretch.broken
            and number(where[1]) // self.size == stretch.first + stretch.count - 1
        )

    def _wrong(self, segment: int) -> str:
        """Return why a segment is not the one that belongs there, nothing when it is."""
        name = self.name(segment)
        try:
            with (self.folder / name).open("rb") as file:
                head, bytes_, status = file.read(HEADER.size), file.seek(0, 2), os.fstat(file.fileno())
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            return f"WAL segment {name} " + (f"is missing in {self.folder}" if missing else f"cannot be read: {error}")
        if bytes_ != self.size:
            return f"WAL segment {name} has wrong size: {bytes_} instead of {self.size}"
        owner = self.installed.owner
        if owner is not None and not readable(status, owner):
            return f"WAL segment {name} cannot be read by the server's user {owner.uid}: chown it"
        _, _, timeline, address, _, system, size, _ = HEADER.unpack(head)
        if str(system) != self.system:
            return f"WAL segment {name} is from different database system: {system} instead of {self.system}"
        if (timeline > self.timeline, address, size) != (False, segment * self.size, self.size):
            return f"WAL segment {name} is not what its name says: timeline {timeline}, address {spoken(address)}"
        return ""


def _changed(rows: dict[bytes, int], transaction: bytes, end: bytes) -> int:
    """Return how many rows a transaction changed, its parts' own included, and forget them."""
    parts = PARTS.search(end)
    by = [transaction, *(parts[1].split() if parts else ())]
    return min(MANY, sum(rows.pop(one, 0) for one in by) + (MANY if DROPPED in end else 0))
