"""Base backups as `pg_basebackup` makes them, full or incremental: one folder each, with a manifest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.selfhosted.wal import number
from runbooks.model.errors import CheckError, OpsError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from runbooks.clients.selfhosted.installed import Installed

START: Final = re.compile(r"^START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) ", re.MULTILINE)
BUILDS_ON: Final = re.compile(r"^INCREMENTAL FROM LSN: ([0-9A-F]+/[0-9A-F]+)$", re.MULTILINE)


class _Range(msgspec.Struct, rename="pascal"):
    timeline: int
    start: str = msgspec.field(name="Start-LSN")
    end: str = msgspec.field(name="End-LSN")


class _File(msgspec.Struct, rename="pascal"):
    size: int


class _Manifest(msgspec.Struct):
    files: list[_File] = msgspec.field(name="Files")
    ranges: list[_Range] = msgspec.field(name="WAL-Ranges")


@dataclass(frozen=True)
class Base:
    """One base: usable for points whose record lies at or after `end`. `parts` are its folders, the full one first.

    `began_after` is the time of a checkpoint before its begin (to the second), `bytes` what its parts hold.
    """

    name: str
    parts: tuple[Path, ...]
    system: str
    timeline: int
    start: int
    end: int
    began_after: datetime
    bytes: int


@dataclass(frozen=True)
class Found:
    """The bases of a folder, the newest first, and what lies there that is none, with its reason."""

    bases: tuple[Base, ...]
    unusable: tuple[str, ...]


def bases_in(folder: Path, installed: Installed) -> Found:
    """Read every base below a folder."""
    there = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found, wrong = [], []
    for path in there:
        try:
            found.append(_read(path, there, installed))
        except OpsError as error:
            wrong.append(f"{path.name}: {error}")
    return Found(tuple(sorted(found, key=lambda base: (base.timeline, base.end), reverse=True)), tuple(wrong))


def check_base(base: Base, installed: Installed, *, contents: bool) -> None:
    """Compare a base with its manifest: names and sizes, with `contents` every byte. Raises CheckError.

    The WAL that came with it is not looked at: the archive's is, whole.
    """
    for part in base.parts:
        installed.printed("pg_verifybackup", *([] if contents else ["-s"]), "-n", "-q", part)


def _read(path: Path, others: list[Path], installed: Installed) -> Base:
    manifest, label = _manifest(path), _label(path)
    parts = _parts(path, others)
    spread = [part.name for part in parts if (part / "tablespace_map").exists() or _tablespaces(part)]
    if spread:
        message = f"{', '.join(spread)} has tablespaces outside its folder, which are not restored here"
        raise CheckError(message)
    start = START.search(label)
    if not start or len(manifest.ranges) != 1:
        message = f"expected one range of WAL on one timeline, got {len(manifest.ranges)}"
        raise CheckError(message)
    control = installed.control(path)
    size = sum(file.size for part in parts for file in _manifest(part).files)
    needs = manifest.ranges[0]
    begin, end = number(start[1]), number(needs.end)
    return Base(path.name, parts, control.system, needs.timeline, begin, end, control.checkpoint_at, size)


def _parts(path: Path, others: list[Path]) -> tuple[Path, ...]:
    """Return what an incremental base builds on, the full one first, itself last."""
    builds_on = BUILDS_ON.search(_label(path))
    if not builds_on:
        return (path,)
    for other in others:
        start = START.search(_label(other)) if (other / "backup_label").is_file() else None
        if start and other != path and number(start[1]) == number(builds_on[1]):
            return (*_parts(other, [one for one in others if one != path]), path)
    message = f"it builds on a base that began at {builds_on[1]}, which is not there"
    raise CheckError(message)


def _tablespaces(path: Path) -> bool:
    spaces = path / "pg_tblspc"
    return spaces.is_dir() and any(spaces.iterdir())


def _label(path: Path) -> str:
    try:
        return (path / "backup_label").read_text("utf-8", "replace")
    except OSError as error:
        message = f"expected a base backup of pg_basebackup in plain format: {error.strerror}: backup_label"
        raise CheckError(message) from None


def _manifest(path: Path) -> _Manifest:
    try:
        return msgspec.json.decode((path / "backup_manifest").read_bytes(), type=_Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"expected its backup_manifest, it cannot be read: {error}"
        raise CheckError(message) from None
