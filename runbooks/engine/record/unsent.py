"""What one process could not send to the ops home: a folder, locked as long as that process lives."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from runbooks.engine.record.folder import DRAFT, Folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK: Final = "lock"


class Unsent:
    """In `logs` whole logs, each with what the ops home already held; in `objects` whatever was put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = Folder(folder / "logs")
        self.objects = Folder(folder / "objects")

    def names(self, folder: str) -> list[str]:
        """Return what lies directly in a folder, of both."""
        return [*self.logs.names(folder), *self.objects.names(folder)]

    def has(self, name: str) -> bool:
        """Say whether a log or an object of this name is here."""
        return self.logs.exists(name) or self.objects.exists(name)

    def where(self, name: str) -> str:
        """Return the path of what is here."""
        return (self.logs if self.logs.exists(name) else self.objects).where(name)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Say whether its process is over; then nobody else gets it while the block runs."""
        try:
            lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # somebody else has just sent it
            yield False
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(lock)


def begun(pending: Path) -> tuple[Unsent, int]:
    """Make a folder below `pending` for this process; return it with its lock, which ends with the process."""
    name = f"{time.time_ns():020d}-{os.getpid()}"
    draft = pending / f"{DRAFT}{name}"
    draft.mkdir(parents=True, mode=0o700)
    lock = os.open(draft / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Nobody looks at a draft: there is no moment in which it has its name and no lock.
    return Unsent(draft.rename(pending / name)), lock


def files(kind: Folder) -> list[str]:
    """Return the name of everything that is kept in one of the two, sorted."""
    found = [path for path in kind.root.rglob("*") if path.is_file() and not path.name.startswith(DRAFT)]
    return sorted(path.relative_to(kind.root).as_posix() for path in found)
