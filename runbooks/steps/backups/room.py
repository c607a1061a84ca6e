"""Refuse what would fill a disk, before anything is touched: what is needed, what is free, or what is assumed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runbooks.clients.stores.room import room_at
from runbooks.model.errors import CheckError, Refused
from runbooks.steps.backups.fetching import FETCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infra.shapes import Archive
    from runbooks.clients.postgres import Session
    from runbooks.clients.supabase import Supabase
    from runbooks.steps.backups.catalog import Catalog, Manifest

GROWS: Final = 1.25  # a dump beside the last one; a database that is loaded beside the one that was dumped
COMPRESSES: Final = 3  # a dump is at most this part of its database: 5 to 27 were seen (gzip 1, rows of text)
MORE_ROOM: Final = "export TMPDIR=…"
"""What is typed where the temporary folder is too small: the path of another one."""
MOST_WAL: Final = "select pg_size_bytes(current_setting('max_wal_size'))"


@dataclass(frozen=True)
class Need:
    """So many bytes in a folder of this machine, and for what."""

    where: Path
    bytes: int
    what: str


def refuse_without_room(needs: Iterable[Need], *, next_command: str) -> None:
    """Raise Refused where a disk of this machine has less than all that is needed on it. Nothing was begun then."""
    disks: dict[int, tuple[int, list[Need]]] = {}
    for need in needs:
        try:
            room = room_at(need.where)
        except OSError:
            continue  # it says so itself where it is written
        disks.setdefault(room.device, (room.free, []))[1].append(need)
    for free, wanted in disks.values():
        needed = sum(need.bytes for need in wanted)
        if needed > free:
            parts = "; ".join(f"{_size(need.bytes)} in {need.where} {need.what}" for need in wanted)
            message = f"Not enough free disk on this machine: needed {parts}, free {_size(free)}. Nothing was begun."
            raise Refused(message, next_command=next_command)


def dump_bytes(expected: int, database: int) -> int:
    """Return what a dump may take: more than the last one, or what is most of its database where there was none."""
    return int(expected * GROWS) if expected else database // COMPRESSES


def fetched(catalog: Catalog, manifest: Manifest, home: Path) -> list[Need]:
    """Return what it takes to have a backup on this machine: nothing where it can be read where it lies."""
    if catalog.files.path(manifest.id) is not None and manifest.envelope is None:
        return []
    return [Need(home / FETCHED, manifest.bytes, f"to have backup {manifest.id} on this machine")]


def restored_here(catalog: Catalog, manifest: Manifest) -> list[Need]:
    """Return what it takes to restore a backup into a PostgreSQL of our own, in this machine's temporary folder."""
    place = Path(tempfile.gettempdir())
    brought = [Need(place, need.bytes, need.what) for need in fetched(catalog, manifest, place)]
    return [*brought, Need(place, int(manifest.server.bytes * GROWS), "for the database that is restored there")]


def server_free(supabase: Supabase, archive: Archive | None, root: Path) -> tuple[int | None, str]:
    """Return the free bytes of the database server's disk; or None, and why they are not known."""
    try:
        return (room_at(root / archive.data).free if archive else supabase.disk_free()), ""
    except (CheckError, OSError) as error:
        return None, str(error).rstrip(".")


def refuse_without_server_room(
    session: Session, manifest: Manifest, free: Callable[[], tuple[int | None, str]], *, next_command: str
) -> str:
    """Raise Refused where the server's disk cannot take the database a second time; return what is known or assumed."""
    needed = int(manifest.server.bytes * GROWS) + int(session.value(MOST_WAL))
    what = f"{_size(needed)} for the database beside the present one and its WAL"
    have, why = free()
    if have is None:
        return f"assumed that the server's disk has {what}: {why}"
    if needed > have:
        message = (
            f"Not enough free disk on the database server: needed {what}, free {_size(have)}. Nothing was begun. Give "
            "the server a larger disk, or drop what earlier restores have kept."
        )
        raise Refused(message, next_command=next_command)
    return f"the server's disk has {_size(have)} free, of which it takes {what}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"  # noqa: PLR2004 - a GB
