"""Folders for what must not be seen and must not stay: removed at their end, and after a kill by the next command."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX: Final = "ems-ops-private-"
NAME: Final = re.compile(rf"{PREFIX}(\d+)-.*")


@contextmanager
def private_folder() -> Iterator[Path]:
    """Give an empty folder that only we can read; what processes that are gone have left is removed first."""
    remove_left()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-") as folder:
        yield Path(folder)


def remove_left() -> None:
    """Remove the folders of processes that are gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        name = NAME.fullmatch(folder.name)
        if name and not _alive(int(name[1])) and folder.stat().st_uid == os.geteuid():
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
