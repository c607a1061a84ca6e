"""`invoke backup` (dump, manifest of every table, digest of every file, stored on disk) against `pg_dump -Fd -j2`.

Both as they are: the peer compresses as it does by itself, and writes its files to disk; ours compresses less and
counts and hashes every row beside it. `peer_level_1` is the peer with our compression.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.databases.server import Server, serving
from benchmarks.digest import ROWS, TABLES
from benchmarks.pairs import alternate
from runbooks.clients.postgres_programs import Programs
from runbooks.clients.stores.files import FolderFiles
from runbooks.engine.step import Sight
from runbooks.steps.backups.catalog import Catalog
from runbooks.steps.backups.dumping import Dump
from runbooks.steps.backups.storing import publish, store

LIMIT: Final = 1.15
ID: Final = "2026-11-20T03-00-00Z"


def measure(runs: int, *, gigabytes: float = 0.3) -> dict[str, Any]:
    """Return seconds of both on so many gigabytes of tables."""
    with serving() as server, tempfile.TemporaryDirectory(prefix="ems-ops-") as name:
        fill(server, gigabytes)
        folder = Path(name)
        result = alternate(lambda: back_up(server, folder / "ours"), lambda: _peer(server, folder / "peer"), runs)
        level_1 = [_peer(server, folder / "peer", "-Z1") for _ in range(runs)]
        manifest = Catalog(FolderFiles(folder / "ours")).get(ID)
        peer = sum(file.stat().st_size for file in (folder / "peer").rglob("*"))
        same = round(median(level_1), 4)
        return {
            "name": "backup",
            **result,
            "limit": LIMIT,
            "peer_is": "pg_dump -Fd -j2",
            "peer_level_1": same,
            "ratio_level_1": round(result["ours"] / same, 3),
            "database_bytes": manifest.server.bytes,
            "rows": sum(manifest.rows.values()),
            "bytes": manifest.bytes,
            "peer_bytes": peer,
        }


def fill(server: Server, gigabytes: float) -> None:
    """Make tables of so many gigabytes."""
    for statement in TABLES.format(rows=int(ROWS * gigabytes)).split(";\n")[:-1]:
        server.run(statement)


def back_up(server: Server, place: Path) -> float:
    """Make a backup by the book's own steps, and return the seconds."""
    shutil.rmtree(place, ignore_errors=True)
    catalog = Catalog(FolderFiles(place))
    dump = Dump(Programs(server.door(), Path.cwd()), place, ID, (), None, 0, 18)
    began = time.perf_counter()
    dump.make(Sight(run="benchmark"))
    store(catalog, dump.draft, ID, name="store").act(Sight())
    publish(catalog, dump.draft, ID, name="publish").act(Sight())
    return time.perf_counter() - began


def _peer(server: Server, into: Path, *more: str) -> float:
    shutil.rmtree(into, ignore_errors=True)
    words = [str(server.program("pg_dump")), "-Fd", "-j2", *more, f"--file={into}", f"--dbname={server.url()}"]
    began = time.perf_counter()
    subprocess.run(words, check=True)
    return time.perf_counter() - began
