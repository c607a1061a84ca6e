"""Run one PostgreSQL server on one data directory, on a UNIX socket only, and speak to it as its administrator."""

from __future__ import annotations

import asyncio
import signal
import struct
from typing import TYPE_CHECKING

from twin import processes
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from twin.postgres.programs import Programs

ADMINISTRATOR = "supabase_admin"
"""The superuser at Supabase; `postgres`, which its customers get, is none."""
PORT = 5432
_POLL = 0.004
_PROTOCOL = 3 << 16


class Server:
    """One postmaster: `start`, `stop`, `ask` it in SQL."""

    def __init__(
        self, programs: Programs, owned: processes.Processes, *, sockets: Path, log: Path, password: str
    ) -> None:
        self.programs = programs
        self.socket = sockets / f".s.PGSQL.{PORT}"
        self.log = log
        self._owned = owned
        self._password = password
        self._process: processes.Process | None = None
        self._logged = 0

    @property
    def alive(self) -> bool:
        """Say whether the postmaster runs."""
        return self._process is not None and self._process.returncode is None

    def environment(self) -> dict[str, str]:
        """Return what PostgreSQL's client programs need to reach the server; nothing of the caller's environment."""
        return {
            "PGHOST": str(self.socket.parent),
            "PGPORT": str(PORT),
            "PGUSER": ADMINISTRATOR,
            "PGDATABASE": "postgres",
            "PGPASSWORD": self._password,
            "PGPASSFILE": "/dev/null",
            "PGCLIENTENCODING": "UTF8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TZ": "UTC",
        }

    async def launch(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        """Start the postmaster on `data` and return at once."""
        given = {"unix_socket_directories": str(self.socket.parent), "port": str(PORT), **(settings or {})}
        options = [word for key, value in given.items() for word in ("-c", f"{key}={value}")]
        with self.log.open("ab") as log:
            self._logged = log.seek(0, 2)
            self._process = await self._owned.start(
                [self.programs["postgres"], "-D", data, *options],
                log=log,
                environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"},
                owner=self.programs.owner,
                # Immediate shutdown: a SIGKILL would leave busy backends behind.
                orphaned=signal.SIGQUIT,
            )

    async def answers(self, within: float) -> None:
        """Wait until the server takes sessions. UnableError with its last words when it ends or takes too long."""
        try:
            async with asyncio.timeout(within):
                while not await self._takes_sessions():
                    if not self.alive:
                        raise UnableError("PostgreSQL did not start: " + self._last_words())
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            message = f"PostgreSQL did not answer within {within:.0f} s: {self._last_words()}"
            raise UnableError(message) from None

    async def stop(self, *, immediate: bool = False, within: float = 10) -> None:
        """Stop the server: fast (open sessions are cut, a checkpoint is written), or immediately as in a crash."""
        process = self._process
        if process is None:
            return
        await self._owned.end(process, signal.SIGQUIT if immediate else signal.SIGINT, within=within)
        self._process = None

    async def ask(self, sql: str, **extra: str) -> str:
        """Run a psql script as the administrator and return its unaligned output."""
        return await processes.run(
            [self.programs["psql"], "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            environment=self.environment() | extra,
            text=sql,
        )

    async def _takes_sessions(self) -> bool:
        """Say whether the server asks for a password rather than answering that it is starting up."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.socket)
        except OSError:
            return False
        pairs = f"user\0{ADMINISTRATOR}\0database\0postgres\0\0".encode()
        try:
            writer.write(struct.pack("!ii", 8 + len(pairs), _PROTOCOL) + pairs)
            return await reader.read(1) == b"R"
        except OSError:
            return False
        finally:
            writer.close()

    def _last_words(self) -> str:
        with self.log.open("rb") as log:
            log.seek(max(self._logged, log.seek(0, 2) - 4000))
            lines = log.read().decode(errors="replace").splitlines()
        telling = [line for line in lines if "FATAL" in line or "PANIC" in line] or lines[-1:]
        return telling[-1] if telling else "it said nothing"
