"""Large files in an object store that speaks S3: sent in parts, read by ranges, listed page by page."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore

from runbooks.clients.storage import Bucket, told
from runbooks.clients.stores.files import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE: Final = timedelta(seconds=120)
"""How long one part of a file may take: 8 MiB over half a megabit a second."""


class BucketFiles(Bucket):
    """A bucket with room for large files."""

    patience = PATIENCE

    def sizes(self, folder: str) -> dict[str, int]:
        """List every object below the prefix."""
        with told():
            found = [item for page in obstore.list(self._store, folder or None) for item in page]
        start = len(folder) + 1 if folder else 0
        return {item["path"][start:]: item["size"] for item in found}

    def put_file(self, name: str, source: Path, *, report: Callable[[int], None] = lambda _bytes: None) -> None:
        """Send it at once where it is small, else in parts: it is an object once the last one has arrived."""
        if source.stat().st_size <= PIECE:
            with told():
                obstore.put(self._store, name, source.read_bytes(), use_multipart=False)
            report(source.stat().st_size)
            return

        def parts() -> Iterator[bytes]:
            with source.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
                    report(len(piece))

        with told():
            obstore.put(self._store, name, parts(), use_multipart=True, chunk_size=PIECE, max_concurrency=4)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Ask for one range after the other."""
        with told():
            size = obstore.head(self._store, name)["size"]
        for start in range(0, size, PIECE):
            with told():
                piece = obstore.get_range(self._store, name, start=start, end=min(start + PIECE, size)).to_bytes()
            yield piece

    def delete(self, name: str) -> None:
        """Delete the object."""
        with told(), suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def path(self, _name: str) -> Path | None:
        """Say that nothing of it is on this machine."""
        return None
