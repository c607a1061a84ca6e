"""Loading an own backup into a new database of a running server against `psql < backup.sql`, and `pg_restore -j2`.

Ours proves every file first, and analyses the tables at the end; `verify` is the comparison of every table after it,
which no peer does. The server is a running one: it logs what is written, as the operated one must.

The limit is out of reach on two processors. At 0.3 GB psql and its server need 5.7 s of processor time: 4.3 s for COPY
in the server (0.8 s of them for its log), 0.8 s for the indexes, 0.3 s for psql itself. Shared out evenly between two
that is 0.5 x, before anything is unpacked (0.8 s) or analysed (0.4 s). COPY's binary form would need 2.6 s instead of
4.3 s; but a backup must open without us, by pg_restore alone, and on another version. On more processors the ratio
falls: psql uses one.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.backup import ID, back_up, fill
from benchmarks.databases.server import Server, serving
from benchmarks.pairs import alternate
from runbooks.clients.postgres_programs import Programs
from runbooks.clients.stores.files import FolderFiles
from runbooks.engine.step import Sight
from runbooks.model.errors import NotSo
from runbooks.steps.backups.beside import Beside, find_equal, have_on_this_machine, load_beside
from runbooks.steps.backups.catalog import Catalog

LIMIT: Final = 0.33
NEW: Final = "new"


def measure(runs: int, *, gigabytes: float = 0.3) -> dict[str, Any]:
    """Return seconds of all on so many gigabytes of tables, and of the comparison."""
    with serving() as server, tempfile.TemporaryDirectory(prefix="ems-ops-") as name:
        folder = Path(name)
        fill(server, gigabytes)
        back_up(server, folder / "backups")
        plain = folder / "backup.sql"
        subprocess.run([server.program("pg_dump"), f"--file={plain}", f"--dbname={server.url()}"], check=True)
        verified: list[float] = []
        result = alternate(lambda: _ours(server, folder, verified), lambda: _psql(server, plain), runs)
        restored = [_pg_restore(server, folder / "backups" / ID / "dump") for _ in range(runs)]
        return {
            "name": "restore_dump",
            **result,
            "limit": LIMIT,
            "peer_is": "psql < backup.sql",
            "pg_restore_j2": round(median(restored), 4),
            "ratio_pg_restore_j2": round(result["ours"] / median(restored), 3),
            "verify": round(median(verified), 4),
            "plain_bytes": plain.stat().st_size,
        }


def _ours(server: Server, folder: Path, verified: list[float]) -> float:
    catalog = Catalog(FolderFiles(folder / "backups"))
    programs = Programs(server.door(), folder)
    beside = Beside(programs, catalog, catalog.get(ID), folder / "home", None, "postgres", NEW)
    began = time.perf_counter()
    have_on_this_machine(beside, name="have").holds(Sight())
    load_beside(beside, name="load").act(Sight())
    took = time.perf_counter() - began
    began = time.perf_counter()
    find_equal(beside, (), after_failure=lambda _sight: ("", ""), name="verify").act(Sight())
    verified.append(time.perf_counter() - began)
    server.run(f"drop database {NEW}")
    return took


def _psql(server: Server, plain: Path) -> float:
    server.run(f"create database {NEW}")
    words = [str(server.program("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", f"--dbname={server.url(NEW)}"]
    began = time.perf_counter()
    with plain.open("rb") as script:
        done = subprocess.run(words, stdin=script, stdout=subprocess.DEVNULL, check=False)
    took = time.perf_counter() - began
    server.run(f"drop database {NEW}")
    if done.returncode:
        message = "psql failed"
        raise NotSo(message)
    return took


def _pg_restore(server: Server, dump: Path) -> float:
    server.run(f"create database {NEW}")
    began = time.perf_counter()
    subprocess.run([server.program("pg_restore"), "-j2", f"--dbname={server.url(NEW)}", dump], check=True)
    took = time.perf_counter() - began
    server.run(f"drop database {NEW}")
    return took
