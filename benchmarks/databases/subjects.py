"""The healthy databases that are copied and broken: the example's own, and a depot with every kind of object."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.databases.server import Server

ROOT: Final = Path(__file__).resolve().parents[2]
DEPOT: Final = "depot"
EXAMPLE: Final = "ems"
SETTINGS: Final = """
select datname, setting from pg_db_role_setting join pg_database d on d.oid = setdatabase, unnest(setconfig) setting
 where setrole = 0
"""
"""What `alter database … set` has set: a copy of a database does not bring it."""


def load_depot(server: Server) -> None:
    """Make the database `depot`."""
    _load(server, DEPOT, (Path(__file__).parent / "everything.sql").read_bytes())


def load_example(server: Server) -> None:
    """Make the database `ems`, with the example's schema and generated rows."""
    folder = ROOT / "examples" / "ems" / "database"
    words = [sys.executable, str(folder / "generate.py"), "--horses", "20", "--years", "1"]
    rows = subprocess.run(words, capture_output=True, check=True).stdout
    _load(server, EXAMPLE, (folder / "schema.sql").read_bytes() + rows)


def copy(server: Server, source: str, target: str) -> None:
    """Copy a database file by file: the copy is as healthy, and as broken, as the source; with its settings."""
    server.run(f'create database "{target}" template "{source}" strategy file_copy')
    for database, setting in server.run(SETTINGS):
        if database == source:
            name, _, value = setting.partition("=")
            server.run(f"alter database \"{target}\" set {name} = '{value}'")


def dump_and_load(
    server: Server,
    source: str,
    target: str,
    *,
    dump: Path,
    options: str = "template template0",
    into: Server | None = None,
) -> None:
    """Copy a database as a backup does: by `pg_dump`, into a new database of any server by `pg_restore`."""
    other = into or server
    words: list[Sequence[str | Path]] = [
        [server.program("pg_dump"), "--format=custom", f"--file={dump}", f"--dbname={server.url(source)}"],
        [server.program("pg_restore"), "--exit-on-error", f"--dbname={other.url(target)}", dump],
    ]
    other.run(f'create database "{target}" {options}')
    for command in words:
        subprocess.run(command, check=True, capture_output=True)


def _load(server: Server, database: str, script: bytes) -> None:
    server.run(f'create database "{database}"')
    words = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", server.url(database)]
    subprocess.run([str(server.program("psql")), *words], input=script, check=True, capture_output=True)
