"""A PostgreSQL of our own for a while: made, started, thrown away. What is proven there touches nobody.

PostgreSQL refuses to run as root; then the server runs as `postgres` or `nobody`, from a copy of its programs where
that user could not reach them. Only this machine reaches it, by a password that nobody is told.
"""

from __future__ import annotations

import os
import pwd
import secrets
import socket
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from runbooks.clients import child
from runbooks.clients.postgres import Postgres
from runbooks.clients.postgres_programs import own_program
from runbooks.clients.scratch.folder import private_folder
from runbooks.clients.scratch.programs import within_reach
from runbooks.model.errors import ActError, Refused, Unreachable

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ADMINISTRATOR: Final = "ems_ops_scratch"
STARTS_WITHIN: Final = 60.0
STATEMENT: Final = 4 * 3600.0
SETTINGS: Final = {
    "autovacuum": "off",
    "fsync": "off",  # its data lives no longer than the proof
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "logging_collector": "off",
    "maintenance_work_mem": "256MB",  # indexes are built in memory
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "shared_buffers": "128MB",
    "synchronous_commit": "off",
    "track_commit_timestamp": "off",
    "wal_level": "minimal",  # what is loaded into a table of the same transaction is not logged
}


@dataclass(frozen=True)
class Missing:
    """An extension that this build has not, as SQL functions that say so when they are called."""

    name: str
    version: str
    script: str


@contextmanager
def scratch(environment: Mapping[str, str], *, extensions: Sequence[Missing] = ()) -> Iterator[Postgres]:
    """Make a server, give the way into its database `postgres` as its superuser, and remove every trace of it.

    `environment` is what its programs see. Raises Refused where it cannot run here, ActError with its words.
    """
    with private_folder() as folder:
        folder.chmod(0o711)
        server = _Server(folder, _owner(), {name: environment[name] for name in ("PATH",) if name in environment})
        server.initialise(extensions)
        with server.running() as postgres:
            yield postgres


@dataclass(frozen=True)
class _Server:
    """One server below `folder`, run by `owner` where we are root."""

    folder: Path
    owner: child.Owner | None
    environment: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    def initialise(self, extensions: Sequence[Missing]) -> None:
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(secrets.token_urlsafe(24))
        self.data.mkdir(mode=0o700)
        self._own(self.password_file, self.data)
        words: list[str | Path] = [
            "-D",
            self.data,
            "-U",
            ADMINISTRATOR,
            f"--pwfile={self.password_file}",
            "--auth=scram-sha-256",
        ]
        words += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        with tempfile.TemporaryFile() as stderr:
            made = self._start("initdb", words, stderr)
            made.wait(STARTS_WITHIN)
            if code := child.stop(made):
                message = f"initdb: expected exit 0, got {code}: {child.tail(stderr)}"
                raise ActError(message)
        shelf = self.folder / "share" / "extension"
        shelf.mkdir(parents=True, mode=0o755)
        for one in extensions:
            (shelf / f"{one.name}.control").write_text(f"default_version = '{one.version}'\nrelocatable = false\n")
            (shelf / f"{one.name}--{one.version}.sql").write_text(one.script)
        lines = {**SETTINGS, "extension_control_path": f"$system:{self.folder / 'share'}"}
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in lines.items())

    @contextmanager
    def running(self) -> Iterator[Postgres]:
        port = _free_port()
        words: list[str | Path] = ["-D", self.data, "-c", f"port={port}", "-c", f"unix_socket_directories={self.data}"]
        password = self.password_file.read_text()
        url = f"postgresql://{ADMINISTRATOR}:{password}@127.0.0.1:{port}/postgres"
        postgres = Postgres(url, statement_seconds=STATEMENT)
        with tempfile.TemporaryFile() as stderr:
            server = self._start("postgres", words, stderr)
            try:
                _until_it_answers(postgres, server, stderr)
                yield postgres
            finally:
                child.stop(server)

    def _start(self, name: str, words: Sequence[str | Path], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        program = str(self._programs / name)
        environment = {**self.environment, "TZ": "UTC", "LC_ALL": "C"}
        return child.start(
            [program, *map(str, words)], folder=self.folder, environment=environment, stderr=stderr, owner=self.owner
        )

    @property
    def _programs(self) -> Path:
        return within_reach(own_program("postgres").parent.parent, self.owner, self.folder)

    def _own(self, *paths: Path) -> None:
        for path in paths:
            if self.owner is not None:
                os.chown(path, self.owner.uid, self.owner.gid)


def _until_it_answers(postgres: Postgres, server: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            with postgres.reading() as session:
                session.value("select 1")
                return
        except Unreachable:
            if server.poll() is not None or time.monotonic() > until:
                message = f"a PostgreSQL of our own did not start on {postgres.where}: {child.tail(stderr)}"
                raise ActError(message) from None
            time.sleep(0.02)


def _owner() -> child.Owner | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return child.Owner(entry.pw_uid, entry.pw_gid)
    message = "PostgreSQL does not run as root, and there is no user postgres or nobody: prove backups as another user."
    raise Refused(message)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
