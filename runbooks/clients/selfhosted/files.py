"""Data folders: copied beside the present one, exchanged with it by renaming, and removed."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runbooks.model.errors import ActError, CheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runbooks.clients.child import Owner
    from runbooks.clients.selfhosted.bases import Base
    from runbooks.clients.selfhosted.installed import Installed

WORKERS: Final = 4
NOT_OF_A_COPY: Final = ("postmaster.pid", "postmaster.opts", "standby.signal")
OF_THE_PRESENT: Final = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")
"""How the server is set up is no data of a point: what stands in the present folder stays."""


def make_folder(path: Path, owner: Owner | None) -> None:
    """Make a folder that only the server's user may enter."""
    path.mkdir(mode=0o700)
    _own([path], owner)


def copy_base(base: Base, into: Path, installed: Installed, *, report: Callable[[int, int], None]) -> None:
    """Make a data folder of a base, or of all parts of an incremental one, ready to be recovered.

    Raises ActError. `report` gets bytes done and bytes in all, where they can be told.
    """
    try:
        if len(base.parts) == 1:
            _copy_tree(base.parts[0], into, report=report)
        else:
            _combine(base.parts, into, installed)
        for name in NOT_OF_A_COPY:
            (into / name).unlink(missing_ok=True)
        (into / "recovery.signal").touch(mode=0o600)
        into.chmod(0o700)
        if installed.owner is not None:
            _own([into, *into.rglob("*")], installed.owner)
    except (OSError, CheckError) as error:
        message = f"copying base {base.name} to {into} failed: {error}"
        raise ActError(message) from None


def clone(source: Path, into: Path, owner: Owner | None, *, report: Callable[[int, int], None]) -> None:
    """Make another data folder of one whose server is stopped. Raises ActError."""
    try:
        _copy_tree(source, into, report=report)
        (into / "postmaster.pid").unlink(missing_ok=True)
        _own([into, *into.rglob("*")], owner)
    except OSError as error:
        message = f"copying {source} to {into} failed: {error}"
        raise ActError(message) from None


def give(paths: Sequence[Path], owner: Owner | None) -> None:
    """Give what we made to the server's user, where that is another one."""
    _own(paths, owner)


def keep_settings(present: Path, fresh: Path, owner: Owner | None) -> list[str]:
    """Give a recovered folder the settings of the present one, and the branches that its server knows of.

    The server that ends a recovery takes the next unused timeline: it must see those that were used already.
    """
    names = [name for name in OF_THE_PRESENT if (present / name).is_file()]
    branches = [f"pg_wal/{path.name}" for path in (present / "pg_wal").glob("*.history")]
    for name in (*names, *branches):
        shutil.copy2(present / name, fresh / name)
    _own([fresh / name for name in (*names, *branches)], owner)
    return names


def exchange(data: Path, fresh: Path, former: Path) -> None:
    """Put `fresh` in the place of `data`, which becomes `former`; whatever of it is done already stays done."""
    if data.exists() and not former.exists():
        data.rename(former)
    if fresh.exists() and not data.exists():
        fresh.rename(data)
    for folder in (data.parent, former.parent):
        sync(folder)


def sync(folder: Path) -> None:
    """Have the names in a folder on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy_tree(source: Path, into: Path, *, report: Callable[[int, int], None]) -> None:
    """Copy a folder by several threads, the largest files first; shared blocks where the file system has them."""
    into.mkdir(mode=0o700)
    files: list[tuple[int, Path]] = []
    for folder, below, names in os.walk(source):
        here = Path(folder)
        for name in below:
            if (here / name).is_symlink():
                message = f"{here / name} is a symbolic link"
                raise OSError(message)
            made = into / (here / name).relative_to(source)
            made.mkdir(mode=0o700)
        files += [((here / name).stat().st_size, here / name) for name in names]
    total, done = sum(size for size, _ in files), 0
    with ThreadPoolExecutor(WORKERS) as pool:
        ordered = sorted(files, key=lambda one: one[0], reverse=True)
        copied = pool.map(lambda one: _copy_file(one[1], into / one[1].relative_to(source)), ordered)
        for (size, _), _ in zip(ordered, copied, strict=True):
            done += size
            report(done, total)


def _copy_file(source: Path, into: Path) -> None:
    if sys.platform != "linux":
        shutil.copyfile(source, into)
        return
    with source.open("rb", buffering=0) as old, into.open("xb", buffering=0) as new:
        os.fchmod(new.fileno(), 0o600)
        try:
            while os.copy_file_range(old.fileno(), new.fileno(), 1 << 30):
                pass
        except OSError:  # two file systems of which the kernel copies nothing to each other
            old.seek(0)
            new.truncate(0)
            new.seek(0)
            shutil.copyfileobj(old, new, 1 << 20)


def _combine(parts: Sequence[Path], into: Path, installed: Installed) -> None:
    how = ["--copy-file-range"] if sys.platform == "linux" else []
    # the server that recovers the copy has all of it on disk before it begins
    installed.printed("pg_combinebackup", *how, "--no-sync", "-o", into, *parts)


def _own(paths: Sequence[Path], owner: Owner | None) -> None:
    if owner is not None:
        for path in paths:
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
