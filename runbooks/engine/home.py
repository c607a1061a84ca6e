"""Where operations are remembered: runs and leases. A folder here; the Protocol leaves room for an object store."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOURNAL: Final = "journal.jsonl"

NATO: Final = (
    *("alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima"),
    *("mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey"),
    *("xray", "yankee", "zulu"),
)


class Log(Protocol):
    """The open end of one journal."""

    def append(self, line: bytes, *, durable: bool) -> None:
        """Add one whole line or nothing; when `durable`, return only once it is on disk. Raises OSError."""

    def close(self) -> None:
        """Let go of it."""


class Home(Protocol):
    """What the engine needs of a place: nothing is ever overwritten but a lease by its own holder."""

    def claim(self, run: str) -> bool:
        """Make the place of a run; say False when there is one already."""

    def abandon(self, run: str) -> None:
        """Take away the place of a run that wrote nothing."""

    def runs(self) -> list[str]:
        """Return the ids of all runs, oldest first."""

    def where(self, run: str) -> Path:
        """Return where the journal of a run lies."""

    def read(self, run: str) -> bytes:
        """Return the journal as it is; nothing when none was begun."""

    def log(self, run: str, *, size: int) -> Log:
        """Open the journal's end after its first `size` bytes and drop what follows them."""

    def newest_lease(self, stack: str) -> tuple[int, bytes]:
        """Return the highest fence and what its holder wrote; 0 when there never was one."""

    def put_lease(self, stack: str, fence: int, content: bytes) -> bool:
        """Write the lease of this fence, if there is none; say whether it was us."""

    def renew_lease(self, stack: str, fence: int, content: bytes) -> None:
        """Replace the lease of our own fence."""

    def superseded(self, stack: str, fence: int) -> bool:
        """Say whether a higher fence was handed out."""


def run_ids(now: datetime) -> Iterator[str]:
    """Yield ids for a run that begins now: they sort by time and can be spoken over a phone.

    The word goes by the second (26 words a minute), the digit counts; `2026-11-23-2114-tango-7`, time in UTC.
    """
    moment = now.astimezone(UTC)
    first = moment.second * len(NATO) // 60
    for word in NATO[first:]:
        for digit in range(1, 10):
            yield f"{moment:%Y-%m-%d-%H%M}-{word}-{digit}"
    yield from (f"{moment:%Y-%m-%d-%H%M}-zulu-{number}" for number in count(10))


class Folder:
    """An ops home in a local folder: `runs/<run id>/journal.jsonl`, `leases/<stack>/<fence>.json`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._leases = root / "leases"

    def claim(self, run: str) -> bool:
        """Make `runs/<run>`; say False when it is there. Raises OSError when the folder cannot be written."""
        runs = self.root / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        try:
            (runs / run).mkdir(mode=0o700)
        except FileExistsError:
            return False
        _flush_folder(runs)
        return True

    def abandon(self, run: str) -> None:
        """Remove `runs/<run>`; it must be empty."""
        (self.root / "runs" / run).rmdir()

    def runs(self) -> list[str]:
        """Return the names of the folders in `runs/`, sorted, which is by time."""
        runs = self.root / "runs"
        return sorted(entry.name for entry in os.scandir(runs) if entry.is_dir()) if runs.is_dir() else []

    def where(self, run: str) -> Path:
        """Return the path of the journal."""
        return self.root / "runs" / run / JOURNAL

    def read(self, run: str) -> bytes:
        """Return the journal's bytes; nothing when the file is not there."""
        try:
            return self.where(run).read_bytes()
        except FileNotFoundError:
            return b""

    def log(self, run: str, *, size: int) -> FolderLog:
        """Open the journal for appending after `size` bytes. Raises OSError."""
        return FolderLog(self.where(run), size=size)

    def newest_lease(self, stack: str) -> tuple[int, bytes]:
        """Return the lease with the highest number."""
        folder = self._leases / stack
        fences = [int(path.stem) for path in folder.glob("*.json")] if folder.is_dir() else []
        fence = max(fences, default=0)
        return fence, (self._lease(stack, fence).read_bytes() if fence else b"")

    def put_lease(self, stack: str, fence: int, content: bytes) -> bool:
        """Link a complete file to the fence's name: a link is made by exactly one."""
        draft = self._draft(stack, content, durable=True)
        try:
            self._lease(stack, fence).hardlink_to(draft)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def renew_lease(self, stack: str, fence: int, content: bytes) -> None:
        """Rename a complete file over our own."""
        self._draft(stack, content, durable=False).replace(self._lease(stack, fence))

    def superseded(self, stack: str, fence: int) -> bool:
        """Look for the next number: fences are handed out without gaps and never taken away."""
        # Asked before every entry: a string costs a tenth of a Path.
        return os.path.exists(f"{self._leases}/{stack}/{_file(fence + 1)}")  # noqa: PTH110

    def _lease(self, stack: str, fence: int) -> Path:
        return self._leases / stack / _file(fence)

    def _draft(self, stack: str, content: bytes, *, durable: bool) -> Path:
        draft = self._leases / stack / f"draft-{os.getpid()}-{os.urandom(4).hex()}"
        draft.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        return draft


class FolderLog:
    """The end of a journal file. A line that could not be written whole is taken back."""

    def __init__(self, path: Path, *, size: int) -> None:
        self._path = path
        self._size = size
        self._new = not path.exists()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._file).st_size > size:
            os.ftruncate(self._file, size)
            os.fsync(self._file)

    def append(self, line: bytes, *, durable: bool) -> None:
        """Write one line at the end that we know of. Raises OSError, and when somebody else has written."""
        if os.fstat(self._file).st_size != self._size:
            message = "another process has written to it"
            raise OSError(message)
        rest = line
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if durable:
                self._flush()
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _flush(self) -> None:
        os.fsync(self._file)
        if self._new:
            _flush_folder(self._path.parent)
            self._new = False


def _file(fence: int) -> str:
    return f"{fence:08d}.json"


def _flush_folder(path: Path) -> None:
    """Put the names in a folder on disk: a file without its name is lost with the power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
