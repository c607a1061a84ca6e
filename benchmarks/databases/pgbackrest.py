"""The peer: pgBackRest with a PostgreSQL of the system's own. Debian's 2.45 knows PostgreSQL 15, not yet 18."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from benchmarks.databases.server import as_user, free_port, give

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

PREFIX: Final = Path("/usr/lib/postgresql/15")
INSTALL: Final = "apt-get install pgbackrest postgresql-15"
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1", "shared_buffers": "128MB", "max_wal_size": "64GB", "autovacuum": "off",
    "archive_mode": "on", "wal_level": "replica", "timezone": "UTC", "track_commit_timestamp": "on",
    "checkpoint_timeout": "1d",
}  # fmt: skip
"""As the copy of ours is set up, where it matters: nothing is written in between for nothing."""


@dataclass(frozen=True)
class Peer:
    """One cluster below `folder`, with a stanza that archives and backs it up."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        """Return its data folder."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """Return its address."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL, each statement for itself; return the rows of the last one."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def does(self, *words: str | Path) -> None:
        """Run a command as the cluster's user."""
        log = (self.folder / "commands").open("ab")
        with log:
            subprocess.run(list(map(str, words)), cwd=self.folder, check=True, stdout=log, stderr=log, **as_user())

    def rest(self, *words: str) -> None:
        """Run pgBackRest."""
        self.does("pgbackrest", f"--config={self.folder / 'conf'}", "--stanza=main", *words)

    def start(self) -> None:
        """Start it, and wait until it answers and is in no recovery."""
        log = self.folder / "log"
        self.does(PREFIX / "bin" / "pg_ctl", "-D", self.data, "-W", "-l", log, "-s", "start")
        until = time.monotonic() + 600.0
        while True:
            try:
                if not self.run("select pg_is_in_recovery()")[0][0]:
                    return
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop it in order."""
        self.does(PREFIX / "bin" / "pg_ctl", "-D", self.data, "-w", "-m", "fast", "-s", "stop")

    def restore(self, point: datetime) -> float:
        """Restore to a point into an empty folder, up to a server that answers; return the seconds it took."""
        shutil.rmtree(self.data)
        self.data.mkdir(mode=0o700)
        give(self.data)
        began = time.perf_counter()
        target = f"--target={point:%Y-%m-%d %H:%M:%S.%f}+00"
        self.rest("restore", "--type=time", target, "--target-action=promote", "--target-timeline=current")
        self.start()
        return time.perf_counter() - began


@contextmanager
def peer(folder: Path) -> Iterator[Peer]:
    """Give a cluster that runs, with an empty stanza."""
    if shutil.which("pgbackrest") is None or not (PREFIX / "bin" / "postgres").is_file():
        message = f"pgBackRest and PostgreSQL 15 of the system are measured against: {INSTALL}"
        raise SystemExit(message)
    for path in (folder, *(folder / name for name in ("repo", "lock", "logs", "spool"))):
        path.mkdir()
        give(path)
    made = Peer(folder, free_port())
    words = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-k"]
    made.does(PREFIX / "bin" / "initdb", "-D", made.data, *words)
    archive = f"pgbackrest --config={folder / 'conf'} --stanza=main archive-push %p"
    told = SETTINGS | {"port": str(made.port), "unix_socket_directories": str(folder), "archive_command": archive}
    with (made.data / "postgresql.conf").open("a") as file:
        file.writelines(f"{key} = '{value}'\n" for key, value in told.items())
    (folder / "conf").write_text(
        f"[global]\nrepo1-path={folder}/repo\nlock-path={folder}/lock\nlog-path={folder}/logs\n"
        f"spool-path={folder}/spool\ncompress-type=none\nprocess-max=2\nstart-fast=y\nlog-level-console=off\n"
        f"[main]\npg1-path={made.data}\npg1-port={made.port}\npg1-socket-path={folder}\npg1-user=postgres\n"
    )
    made.start()
    try:
        made.rest("stanza-create")
        yield made
    finally:
        if (made.data / "postmaster.pid").exists():
            made.stop()
