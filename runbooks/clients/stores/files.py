"""Large files in a folder or in an object store: written from a file, read in pieces, never held whole.

A file is there whole or not at all. What must exist only once is put only if absent.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PIECE: Final = 8 << 20
"""Bytes that are read or sent at a time: S3 and R2 take parts from 5 MiB on."""
DRAFT: Final = "draft-"
"""How a file is named until it is whole. One that a killed process left is counted, taken away, or gone by the next."""


class Files(Protocol):
    """What is needed of a place. A name is a relative path with slashes. Every failure is an OSError."""

    def where(self, name: str) -> str:
        """Return where a name lies, as the operator would look it up."""

    def names(self, folder: str) -> list[str]:
        """Return what lies directly in a folder (an empty one: the place itself), sorted."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Return every file below a folder by its name there, with its bytes."""

    def get(self, name: str) -> bytes | None:
        """Return the content of a small file; None when there is none."""

    def put_new(self, name: str, content: bytes) -> bool:
        """Write a small file unless there is one; say whether it is as given now."""

    def put_file(self, name: str, source: Path, *, report: Callable[[int], None] = lambda _bytes: None) -> None:
        """Write a large file from one of this machine, over what is there. `report` gets the bytes of each piece."""

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the content. Raises FileNotFoundError."""

    def delete(self, name: str) -> None:
        """Take a file away; one that is not there is no failure. Of a folder, what is empty goes."""

    def path(self, name: str) -> Path | None:
        """Return the file or folder on this machine; None where it is elsewhere."""


class FolderFiles:
    """Files below a folder, which is made when something is written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def where(self, name: str) -> str:
        """Return the path."""
        return str(self.root / name)

    def names(self, folder: str) -> list[str]:
        """List the folder, without drafts that a crash left."""
        try:
            return sorted(path.name for path in (self.root / folder).iterdir() if not path.name.startswith(DRAFT))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def sizes(self, folder: str) -> dict[str, int]:
        """Walk the folder."""
        top = self.root / folder
        found = (path for path in top.rglob("*") if path.is_file())
        return {path.relative_to(top).as_posix(): path.stat().st_size for path in found}

    def get(self, name: str) -> bytes | None:
        """Read the file."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put_new(self, name: str, content: bytes) -> bool:
        """Link a complete file to the name: a link is made by exactly one."""
        draft = self._draft(name)
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            (self.root / name).hardlink_to(draft)
        except FileExistsError:
            return self.get(name) == content
        finally:
            draft.unlink()
        return True

    def put_file(self, name: str, source: Path, *, report: Callable[[int], None] = lambda _bytes: None) -> None:
        """Give the file a second name where it lies on the same disk, else copy it."""
        draft = self._draft(name)
        try:
            draft.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, draft)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
        draft.replace(self.root / name)
        draft.unlink(missing_ok=True)  # renamed to a name that the same file has already, it stays
        report(source.stat().st_size)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Read the file piece by piece."""
        with (self.root / name).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def delete(self, name: str) -> None:
        """Remove the file, and the folders that it leaves empty; of a folder what is empty."""
        path = self.root / name
        if path.is_dir():
            empty = [path, *(below for below in path.rglob("*") if below.is_dir())]
            for folder in sorted(empty, reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            return
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def path(self, name: str) -> Path | None:
        """Return the path."""
        return self.root / name

    def _draft(self, name: str) -> Path:
        draft = (self.root / name).with_name(f"{DRAFT}{os.getpid()}-{secrets.token_hex(4)}")
        draft.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for former in draft.parent.glob(f"{DRAFT}*"):
            if former.is_file():  # a folder is a backup that is being made
                former.unlink(missing_ok=True)
        return draft
