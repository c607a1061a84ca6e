"""PostgreSQL's programs where the user that runs them can reach them. PostgreSQL refuses to run as root."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.child import Owner


def within_reach(installed: Path, owner: Owner | None, folder: Path) -> Path:
    """Return the folder of the programs (`…/bin`), copied below `folder` once where `owner` could not enter it."""
    if owner is None or reachable(installed / "bin", owner):
        return installed / "bin"
    package, copy = installed.parent, folder / "programs"
    if not copy.exists():
        copy.mkdir(mode=0o755)
        for part in (f"{package.name}/{installed.name}", f"{package.name}.libs"):  # the libraries lie beside it
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, copy / part, symlinks=True)
    return copy / package.name / installed.name / "bin"


def reachable(path: Path, owner: Owner) -> bool:
    """Tell whether a user may enter a folder and every folder above it."""
    for folder in (path, *path.parents):
        status = folder.stat()
        mine = 0o100 if status.st_uid == owner.uid else 0o010 if status.st_gid == owner.gid else 0o001
        if not status.st_mode & mine:
            return False
    return True
