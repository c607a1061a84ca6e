"""What would fill a disk is refused with what is needed and what is free; what is not known is said."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from infra.shapes import Archive
from runbooks.model.errors import Refused, Unreachable
from runbooks.steps.backups.room import (
    Need,
    dump_bytes,
    refuse_without_room,
    refuse_without_server_room,
    server_free,
)
from runbooks.steps.database.copies import BACKUPS, CopiedFile, folder_of, needed
from runbooks.steps.database.copies import Manifest as Copied
from runbooks.steps.database.server import Server as Seen

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.postgres import Session
    from runbooks.clients.supabase import Supabase
    from runbooks.steps.backups.catalog import Manifest

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class Server:
    """A backup of a server, the session that tells of its WAL, and the provider that tells of its disk."""

    def __init__(self, *, bytes_: int, wal: int, free: int | None) -> None:
        self.server, self.bytes, self.wal, self.free = self, bytes_, wal, free

    def value(self, _query: str) -> int:
        """Tell how much WAL is kept at most."""
        return self.wal

    def disk_free(self) -> int:
        """Tell what is free."""
        if self.free is None:
            message = "GET /config/disk/util: no answer."
            raise Unreachable(message)
        return self.free


def test_what_is_needed_on_one_disk_is_added_up(tmp_path: Path) -> None:
    """Each fits alone, both do not: the refusal names each place, what for, what is free, and the next command."""
    free = shutil.disk_usage(tmp_path).free
    half = Need(tmp_path / "a" / "b", free * 2 // 3, "for the dump")
    refuse_without_room([half], next_command="-")
    with pytest.raises(Refused) as refused:
        refuse_without_room([half, Need(tmp_path, free * 2 // 3, "for the database")], next_command="df")
    assert f"GB in {tmp_path}/a/b for the dump; " in str(refused.value)
    assert f"in {tmp_path} for the database, free " in str(refused.value)
    assert (str(refused.value).endswith("Nothing was begun."), refused.value.next_command) == (True, "df")


def test_a_dump_grows_with_the_last_one() -> None:
    """A quarter more than the last; without one a third of the database."""
    assert (dump_bytes(1000, 10**9), dump_bytes(0, 9000)) == (1250, 3000)


def test_a_copy_of_the_present_grows_with_the_last_one(tmp_path: Path) -> None:
    """The newest copy that says how large it is tells; without one a third of the database is taken."""
    assert needed(tmp_path, 9000) == Need(tmp_path / BACKUPS, 3000, "for the copy of the present")
    here = Seen(18, NOW, "1", 1, 1, NOW, in_recovery=False, commit_times=True, bytes=9000, seen_as=None)
    for name, size in (("2026-11-01T00-00-00Z", 500), ("2026-11-02T00-00-00Z", 1000)):
        folder = folder_of(tmp_path, name)
        folder.mkdir(parents=True)
        told = Copied(name, NOW, here, 1, (), (CopiedFile("dump/toc.dat", size, ""),))
        (folder / "manifest.json").write_bytes(msgspec.json.encode(told))
    (folder_of(tmp_path, "2026-11-03T00-00-00Z")).mkdir()
    assert needed(tmp_path, 9000).bytes == 1250


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (2_000_000_000, "the server's disk has 2.0 GB free, of which it takes 1.3 GB for the database beside"),
        (
            None,
            "assumed that the server's disk has 1.3 GB for the database beside the present one and its WAL: GET /con",
        ),
    ],
)
def test_the_servers_disk_is_asked_for_or_assumed(free: int | None, said: str, tmp_path: Path) -> None:
    """The provider tells; where it does not, the plan says what is assumed and why."""
    it: Any = Server(bytes_=1_000_000_000, wal=50_000_000, free=free)
    told = refuse_without_server_room(
        cast("Session", it), cast("Manifest", it), lambda: server_free(cast("Supabase", it), None, tmp_path),
        next_command="-",
    )  # fmt: skip
    assert told.startswith(said)


def test_a_server_of_our_own_is_looked_at_where_it_is(tmp_path: Path) -> None:
    """Its data folder is on this machine, also before it is there; the refusal tells both figures."""
    archive = Archive(bases="b", wal="w", data="data", stop=("stop",), start=("start",))
    it: Any = Server(bytes_=10**16, wal=0, free=None)
    with pytest.raises(Refused, match=r"needed 12500000\.0 GB for the database beside the present"):
        refuse_without_server_room(it, it, lambda: server_free(it, archive, tmp_path), next_command="-")
