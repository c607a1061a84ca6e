"""A PostgreSQL server of our own with base backups and a WAL archive, and the commands that start and stop it.

`python -m benchmarks.databases.selfhosted start|stop FOLDER` is what a stack file names as `start` and `stop`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from benchmarks.databases.server import as_user, free_port, give, reachable_programs
from infra.shapes import Archive
from runbooks.clients.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "40",
    "max_prepared_transactions": "4",
    "io_workers": "1",
    "wal_level": "replica",
    "max_wal_size": "4GB",
    "archive_mode": "on",
    "summarize_wal": "on",
    "track_commit_timestamp": "on",
    "autovacuum": "off",
    "timezone": "Asia/Tokyo",  # a server's own zone must not matter
    "log_timezone": "America/New_York",
    "fsync": "off",  # of the server that is lost; whoever recovers it does it in earnest
}


@dataclass(frozen=True)
class SelfHosted:
    """One server below `folder`: `data`, `bases`, `wal`. `prefix` holds its programs."""

    folder: Path
    prefix: Path
    port: int

    @property
    def data(self) -> Path:
        """Return its data folder."""
        return self.folder / "data"

    @property
    def bases(self) -> Path:
        """Return where its base backups are."""
        return self.folder / "bases"

    @property
    def wal(self) -> Path:
        """Return its archive."""
        return self.folder / "wal"

    @property
    def url(self) -> str:
        """Return its address, as a superuser."""
        return f"postgresql://postgres:none@127.0.0.1:{self.port}/postgres"

    @property
    def door(self) -> Postgres:
        """Return the door that the runbooks use."""
        return Postgres(self.url, statement_seconds=600.0)

    @property
    def told(self) -> Archive:
        """Return what a stack file tells of it."""
        python = (sys.executable, "-m", "benchmarks.databases.selfhosted")
        return Archive(
            bases=str(self.bases), wal=str(self.wal), data=str(self.data), programs=str(self.prefix),
            stop=(*python, "stop", str(self.folder)), start=(*python, "start", str(self.folder)),
        )  # fmt: skip

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL, each statement for itself; return the rows of the last one."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def program(self, name: str, *words: str | Path) -> str:
        """Run one of PostgreSQL's programs as the server's user, and return what it printed."""
        command = [str(self.prefix / "bin" / name), *map(str, words)]
        done = subprocess.run(command, cwd=self.folder, check=True, capture_output=True, **as_user())
        return str(done.stdout, "utf-8")

    def start(self) -> None:
        """Start it; it stays."""
        words = ["-D", str(self.data), "-w", "-t", "60", "-l", str(self.folder / "log"), "-s", "start"]
        command = [str(self.prefix / "bin" / "pg_ctl"), *words]
        subprocess.run(command, cwd=self.folder, check=True, stdin=subprocess.DEVNULL, **as_user())

    def stop(self, mode: str = "fast") -> None:
        """Stop it in order, or as in a crash (`immediate`)."""
        self.program("pg_ctl", "-D", self.data, "-w", "-m", mode, "-s", "stop")

    def base(self, name: str, *, on: str = "") -> Path:
        """Take a base backup, incremental `on` another one where that is given."""
        more = [f"--incremental={self.bases / on / 'backup_manifest'}"] if on else []
        self.program(
            "pg_basebackup", "-D", self.bases / name, "-d", self.url, "-c", "fast", "-X", "stream", "--no-sync", *more
        )
        return self.bases / name

    def archive(self) -> None:
        """Have everything so far in the archive: a transaction, a new segment, and the old one archived."""
        self.run("select pg_current_xact_id()")
        name = self.run("select pg_walfile_name(pg_switch_wal())")[0][0]
        while not (self.wal / name).exists():
            pass

    @property
    def kept(self) -> Path:
        """Return where `keep` keeps its folders."""
        return self.folder.with_name("kept")

    def keep(self) -> None:
        """Keep data, bases and archive as they are now, with all of it archived."""
        self.archive()
        self.stop()
        subprocess.run(["/bin/cp", "-a", str(self.folder), str(self.kept)], check=True)
        self.start()

    def take_back(self) -> None:
        """Bring back what was kept, and nothing besides."""
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        subprocess.run(["/bin/rm", "-rf", str(self.folder)], check=True)
        subprocess.run(["/bin/cp", "-a", str(self.kept), str(self.folder)], check=True)
        self.start()

    def at(self) -> Any:  # noqa: ANN401 - a moment
        """Return the server's time."""
        return self.run("select clock_timestamp()")[0][0].astimezone(UTC)


@contextmanager
def selfhosted(*, segment_megabytes: int = 1, **settings: str) -> Iterator[SelfHosted]:
    """Give a server that runs; it and its folder are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ems-ops-") as name:
        top = Path(name)
        top.chmod(0o755)
        prefix = reachable_programs(top)
        folder = top / "server"
        for path in (folder, folder / "bases", folder / "wal"):
            path.mkdir()
            give(path)
        server = SelfHosted(folder, prefix, free_port())
        server.program(
            "initdb", "-D", server.data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions",
            "-E", "UTF8", "--locale=C.UTF-8", f"--wal-segsize={segment_megabytes}",
        )  # fmt: skip
        archive = f"test ! -f {server.wal}/%f && cp %p {server.wal}/%f.part && mv {server.wal}/%f.part {server.wal}/%f"
        told = {**SETTINGS, "port": str(server.port), "archive_command": archive, **settings}
        with (server.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in told.items())
        (folder / "prefix.json").write_text(json.dumps([str(prefix), server.port]))
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():
                with suppress(subprocess.CalledProcessError):
                    server.stop("immediate")


def main(verb: str, folder: str) -> None:
    """Start or stop the server of a folder."""
    os.chdir(ROOT)
    prefix, port = json.loads((Path(folder) / "prefix.json").read_text())
    server = SelfHosted(Path(folder), Path(prefix), port)
    {"start": server.start, "stop": server.stop}[verb]()


if __name__ == "__main__":
    main(*sys.argv[1:])
