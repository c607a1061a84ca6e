"""A server of our own back to a point, against pgBackRest, and against `cp -a` of its data folder.

Ours is the whole way of the strategy: base and WAL proven, copied, recovered, made a server of its own, exchanged with
the present folder, started and answering. The peer restores into an empty folder and starts; it skips the proof. Both
have a full backup, an incremental one and the WAL since, and the same rows before and after the point.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from datetime import UTC
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import psycopg

from benchmarks.backup import fill
from benchmarks.databases.pgbackrest import Peer, peer
from benchmarks.databases.selfhosted import ROOT, SelfHosted, selfhosted
from benchmarks.pairs import alternate
from runbooks.engine.step import Sight, Yes
from runbooks.model.errors import NotSo
from runbooks.steps.archive.own import Own
from runbooks.steps.archive.places import exchange_folders, start_server
from runbooks.steps.archive.recovering import WHOLE, Recovery, end_the_recovery, find_whole, recover_beside

if TYPE_CHECKING:
    from datetime import datetime

LIMIT: Final = 0.8
LIMIT_CP: Final = 4.0
BEFORE: Final = "update payments set amount = amount + 1 where id % 4 = 0"
WRITES: Final = """
update payments set amount = amount + 2 where id % 16 = 0; update bookings set note = 'x' where id % 16 = 0
"""
LATER: Final = "truncate payments"
KEPT: Final = "select (select count(*) from payments), (select sum(amount) from payments)"


def measure(runs: int, *, gigabytes: float = 0.3) -> dict[str, Any]:
    """Return seconds of both, and of `cp -a`, on so many gigabytes of tables."""
    with tempfile.TemporaryDirectory(prefix="ems-ops-") as name, selfhosted(segment_megabytes=16) as server:
        folder = Path(name)
        folder.chmod(0o755)
        with peer(folder / "peer") as other:
            fill(server, gigabytes)  # type: ignore[arg-type] # it only runs SQL
            fill(other, gigabytes)  # type: ignore[arg-type]
            server.base("base")
            other.rest("backup", "--type=full")
            for one in (server, other):
                one.run(BEFORE)
            server.base("more", on="base")
            other.rest("backup", "--type=incr")
            points = [_live(server), _live(other)]
            kept = [server.run(KEPT), other.run(KEPT)]
            for one in (server, other):
                one.run(LATER)
                one.stop()
            wal = [_wal_of(server, points[0], name) for name in ("more", "base")]
            result = alternate(
                lambda: _ours(server, points[0], kept[0]), lambda: _peer(other, points[1], kept[1]), runs
            )
            full = [_ours(server, points[0], kept[0], base="base") for _ in range(runs)]
            copied = [_cp(server.data, folder / "copy") for _ in range(runs)]
            size = sum(path.lstat().st_size for path in (server.bases / "base").rglob("*") if path.is_file())
    return {
        "name": "restore_archive",
        **result,
        "limit": LIMIT,
        "peer_is": "pgBackRest 2.45 (uncompressed, 2 processes) on a PostgreSQL 15 of its own: it does not know 18 yet",
        "cp": round(median(copied), 4),
        "ratio_cp": round(result["ours"] / median(copied), 3),
        "limit_cp": LIMIT_CP,
        "base_bytes": size,
        "wal_bytes": wal[0],
        "from_the_full_base": round(median(full), 4),
        "wal_bytes_from_the_full_base": wal[1],
        "ratio_cp_from_the_full_base": round(median(full) / median(copied), 3),
    }


def _live(server: SelfHosted | Peer) -> datetime:
    """Write for a while; return a point after which more is written."""
    server.run(WRITES)
    at: datetime = server.run("select clock_timestamp() at time zone 'utc'")[0][0]
    time.sleep(0.05)
    return at


def _recovery(server: SelfHosted, point: datetime, base: str) -> Recovery:
    own = Own(server.told, ROOT, dict(os.environ), server.door)
    return Recovery(own, base, point.replace(tzinfo=UTC), None, "bench")


def _wal_of(server: SelfHosted, point: datetime, base: str) -> int:
    recovery = _recovery(server, point, base)
    return recovery.reach().segments * recovery.own.control.segment


def _ours(server: SelfHosted, point: datetime, kept: list[tuple[Any, ...]], *, base: str = "more") -> float:
    began = time.perf_counter()
    recovery = _recovery(server, point, base)
    own = recovery.own
    held = find_whole(recovery).holds(Sight())
    sight = Sight(results={WHOLE: dict(held.evidence)} if isinstance(held, Yes) else {})
    recover_beside(recovery, name="recover").act(sight)
    end_the_recovery(recovery, name="prepare").act(sight)
    exchanged = exchange_folders(own, recovery.work, name="exchange")
    exchanged.act(sight)
    started = start_server(own, recovery.work, name="start")
    started.act(sight)
    while not isinstance(started.holds(sight), Yes):
        time.sleep(0.01)
    took = time.perf_counter() - began
    _check(server.url, kept)
    server.stop()
    exchanged.undo(sight)  # type: ignore[operator] # it has one
    recovery.work.remove()
    return took


def _peer(other: Peer, point: datetime, kept: list[tuple[Any, ...]]) -> float:
    took = other.restore(point)
    _check(other.url, kept)
    other.stop()
    return took


def _check(url: str, kept: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(url) as connection:
        found = connection.execute(KEPT.encode()).fetchall()
    if found != kept:
        message = f"{url}: expected {kept}, got {found}"
        raise NotSo(message)


def _cp(data: Path, into: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["/bin/cp", "-a", "--reflink=never", str(data), str(into)], check=True)
    took = time.perf_counter() - began
    subprocess.run(["/bin/rm", "-rf", str(into)], check=True)
    return took
