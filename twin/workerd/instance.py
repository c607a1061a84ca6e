"""Run one version of a Worker as a workerd process, and send it requests."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import aiohttp

from twin.workerd import config
from twin.world import UnrunnableError

if TYPE_CHECKING:
    from pathlib import Path

    from twin.processes import Process, Processes
    from twin.world import Runnable

_START_LIMIT = 15.0
_DRAIN_LIMIT = 30.0
_LAST_WORDS = 0.1  # seconds in which it tells of its last requests (tail.js)
_POLL = 0.002
_CPU_OF_PROCESS = 2  # clock_getcpuclockid(3) of the GNU C library: all threads of one process
_LARGEST_LINE = 128 << 10  # Cloudflare's limit of all request headers together


class Instance:
    """A running version. `busy` counts the requests in it, `ended` tells when it died without being told to."""

    def __init__(self, runnable: Runnable, folder: Path, log: Path) -> None:
        self.script = runnable.script
        self.version = runnable.version
        self.fingerprint = repr(runnable)
        self.busy = 0
        self.stopping = False
        self.started = 0.0
        self._runnable = runnable
        self._folder = folder
        self._log = log
        self._process: Process | None = None
        self._sessions: tuple[aiohttp.ClientSession, ...] = ()

    @property
    def durable(self) -> bool:
        """Say whether it has Durable Objects: of those only one version may run."""
        return bool(self._runnable.classes)

    @property
    def app(self) -> aiohttp.ClientSession:
        """Return the client of the app's own socket."""
        return self._sessions[0]

    async def start(self, program: Path, owned: Processes, ways: config.Ways) -> None:
        """Start it and return when it listens. UnrunnableError carries the runtime's complaint."""
        self._folder.mkdir(mode=0o700)
        written = config.write(self._runnable, self._folder, ways)
        with self._log.open("ab") as log:
            begun = log.seek(0, 2)
            self._process = await owned.start(
                [program, "serve", "--experimental", written.file],
                log=log,
                environment={"PATH": "/usr/bin:/bin", "TZ": "UTC", **written.environment},
                folder=self._folder,
            )
        await self._listens(written, begun)
        self.started = time.monotonic()
        for path in self._folder.iterdir():  # the configuration holds the database's password
            if path not in {written.app, written.control}:
                path.unlink()
        self._sessions = (_session(written.app), _session(written.control))

    async def fire(self, cron: str, at: float) -> str:
        """Call the scheduled handler for this expression and Unix time; return its outcome, "ok" when it went well."""
        body = json.dumps({"cron": cron, "at": int(at * 1000)})
        async with self._sessions[1].post("http://control/", data=body) as answer:
            told: dict[str, Any] = await answer.json(content_type=None)
            return str(told["outcome"])

    def cpu(self) -> float:
        """Return the processor time that the process has used, in seconds; 0 where the system does not tell (macOS)."""
        if self._process is None or self._process.returncode is not None or sys.platform != "linux":
            return 0.0
        try:
            return time.clock_gettime((~self._process.pid << 3) | _CPU_OF_PROCESS)
        except OSError:  # it has just ended
            return 0.0

    async def ended(self) -> int:
        """Wait for the process to end."""
        return -1 if self._process is None else await self._process.wait()

    async def drain(self, owned: Processes, *, within: float = _DRAIN_LIMIT) -> None:
        """Let the requests in it finish, then stop it."""
        try:
            async with asyncio.timeout(within):
                while self.busy:  # noqa: ASYNC110 - the counter is touched by every request, an event would cost more
                    await asyncio.sleep(0.05)
                await asyncio.sleep(_LAST_WORDS)
        except TimeoutError:
            pass
        finally:
            await self.stop(owned)

    async def stop(self, owned: Processes) -> None:
        """Stop it now."""
        self.stopping = True
        for session in self._sessions:
            await session.close()
        if self._process is not None:
            await owned.end(self._process, signal.SIGTERM, within=0.5)
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _listens(self, written: config.Written, begun: int) -> None:
        process = self._process
        try:
            async with asyncio.timeout(_START_LIMIT):
                while not await _answers(written.control):
                    if process is None or process.returncode is not None:
                        raise UnrunnableError(self._complaint(begun))
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            message = f"the runtime did not listen within {_START_LIMIT:.0f} s"
            raise UnrunnableError(message) from None

    def _complaint(self, begun: int) -> str:
        with self._log.open("rb") as log:
            log.seek(begun)
            lines = log.read(8000).decode(errors="replace").splitlines()
        wanted = [line for line in lines if not line.startswith("stack: ")]
        return "\n".join(wanted).replace(str(self._folder) + os.sep, "").strip() or "the runtime ended without a word"


async def _answers(socket: Path) -> bool:
    """Say whether the control worker answers. To connect is not enough: workerd listens before it reads the code."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"HEAD / HTTP/1.1\r\nhost: control\r\nconnection: close\r\n\r\n")
        return bool(await reader.read(1))
    except OSError:
        return False
    finally:
        writer.close()


def _session(socket: Path) -> aiohttp.ClientSession:
    """Return a client that passes everything on as it is."""
    return aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(socket), limit=0, keepalive_timeout=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        timeout=aiohttp.ClientTimeout(total=None),
        max_line_size=_LARGEST_LINE,
        max_field_size=_LARGEST_LINE,
    )
