"""An ops home in a local folder: a name is a path below it, a log is one file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

DRAFT: Final = "draft-"
"""How a file is named until it is whole."""


class Folder:
    """An ops home in the folder `root`, which is made when something is written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def where(self, name: str) -> str:
        """Return the path."""
        return str(self.root / name)

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, without drafts that a crash left."""
        try:
            return sorted(path.name for path in (self.root / folder).iterdir() if not path.name.startswith(DRAFT))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def exists(self, name: str) -> bool:
        """Look for the path. Asked before every entry: a string costs a tenth of a Path."""
        try:
            os.stat(f"{self.root}/{name}")  # noqa: PTH116 - see above
        except FileNotFoundError:
            return False
        return True

    def get(self, name: str) -> bytes | None:
        """Return the file's bytes."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def put_new(self, name: str, content: bytes) -> bool:
        """Link a complete file to the name: a link is made by exactly one."""
        draft = self._draft(name, content, durable=True)
        try:
            (self.root / name).hardlink_to(draft)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        _flush_folder(draft.parent)
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Rename a complete file over the old one."""
        self._draft(name, content, durable=False).replace(self.root / name)

    def claim_log(self, name: str) -> bool:
        """Make the folder that the file will lie in, which no two logs share."""
        folder = (self.root / name).parent
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return False
        _flush_folder(folder.parent)
        return True

    def abandon_log(self, name: str) -> None:
        """Remove its folder, which must be empty."""
        (self.root / name).parent.rmdir()

    def read_log(self, name: str) -> bytes:
        """Return the file's bytes."""
        return self.get(name) or b""

    def open_log(self, name: str, *, size: int) -> FolderLog:
        """Open the file for appending after `size` bytes."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return FolderLog(path, size=size)

    def _draft(self, name: str, content: bytes, *, durable: bool) -> Path:
        draft = (self.root / name).with_name(f"{DRAFT}{os.getpid()}-{os.urandom(4).hex()}")
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
        """Write one line at the end that we know of. Raises OSError, also when somebody else wrote or deleted it."""
        now = os.fstat(self._file)
        if now.st_size != self._size or not now.st_nlink:
            message = "another process has written to it" if now.st_nlink else "it was deleted"
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


def _flush_folder(path: Path) -> None:
    """Put the names in a folder on disk: a file without its name is lost with the power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
