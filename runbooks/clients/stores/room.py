"""How much a disk of this machine still takes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Room(NamedTuple):
    """A file system, by its device number, and its free bytes for us."""

    device: int
    free: int


def room_at(path: Path) -> Room:
    """Return the room where a file or folder is, or would be made. Raises OSError."""
    there = next((one for one in (path, *path.parents) if one.exists()), path)
    return Room(there.stat().st_dev, shutil.disk_usage(there).free)
