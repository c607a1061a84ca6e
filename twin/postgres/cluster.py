"""The twin's database over its life: created, started, backed up, recovered to a point in time, stopped."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from twin import processes
from twin.postgres import recovery, settings
from twin.postgres.history import Base, Era, History
from twin.postgres.server import ADMINISTRATOR, Server
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twin.postgres.programs import Programs

_PLATFORM = Path(__file__).parent / "platform.sql"
_EMPTY = """
set client_min_messages = warning;
select format('drop schema %I cascade', nspname) from pg_namespace
 where nspname !~ '^pg_' and nspname not in ('information_schema', 'auth', 'storage', 'extensions') \\gexec
create schema public authorization pg_database_owner;
"""
_START_LIMIT = 60.0
_STANDS = """
select timeline_id, (select extract(epoch from timestamp) from pg_last_committed_xact()) from pg_control_checkpoint()
"""
_log = logging.getLogger("twin.postgres")


class Cluster:
    """One database with its archive and base backups.

    Its states: "running", "recovering", "stopped" or "failed: <text>".
    `closed` is called with the reason before sessions must end, `opened` when they may come back.
    """

    def __init__(
        self, programs: Programs, server: Server, *, closed: Callable[[str], None], opened: Callable[[], None]
    ) -> None:
        self._state = "stopped"
        self._programs = programs
        self._server = server
        self._closed = closed
        self._opened = opened
        self._folder = programs.data
        self._file = self._folder / "history.json"
        self._history = History.load(self._file)
        self._creation: asyncio.Task[str] | None = None
        self._backup: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """Return what the control plane reports; a server that died by itself is stopped."""
        return "stopped" if self._state == "running" and not self._server.alive else self._state

    async def begin(self, administrator_password: str) -> None:
        """Start what takes longest, the creation or the start of the server, and return at once."""
        self._sweep()
        if self._history.data:
            data = self._folder / self._history.data
            # Its process is gone (we hold the state); in a container another one may have its number by now.
            (data / "postmaster.pid").unlink(missing_ok=True)
            await self._server.launch(data)
        else:
            self._creation = asyncio.create_task(self._create(administrator_password))
            await asyncio.sleep(0)

    async def start(self, owner_password: str) -> None:
        """Bring the database up and open it; a first base backup, or an unfinished recovery, follows behind."""
        if self._creation is not None:
            await self._creation
            await self._server.launch(self._folder / "data-1")
        await self._server.answers(_START_LIMIT)
        if self._creation is not None:
            platform = _PLATFORM.read_text(encoding="utf-8")
            await self._server.ask(platform, TWIN_OWNER_PASSWORD=owner_password)
            self._history = History(data="data-1", eras=[Era(timeline=1, since=0.0)])
            self._history.save(self._file)
        if self._history.pending is not None:
            self._state = "recovering"
            self._recovery = asyncio.create_task(self._recover(self._history.pending))
            return
        self._open()

    async def stop(self) -> None:
        """Stop the server in order."""
        for task in (self._creation, self._recovery):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, UnableError):
                    await task
        await self._end_backup()
        await self._server.stop(within=1.2)
        self._state = "stopped"

    def earliest_point(self) -> float | None:
        """Return the first point (Unix seconds) that can be recovered to; None until the first base backup is done."""
        return self._history.earliest

    def latest_point(self) -> float | None:
        """Return the last point that can be recovered to: now, because a recovery archives what is missing first."""
        return None if self._history.earliest is None else time.time()

    async def recover(self, at: int) -> None:
        """Begin the recovery to a Unix second and return: commits at or before it are kept, none after it.

        UnableError when the point is in the future or before the first base backup, or one is under way.
        """
        if self.state == "recovering":
            message = "a recovery is under way"
            raise UnableError(message)
        if at > time.time():
            message = f"the point {at} lies in the future"
            raise UnableError(message)
        self._history.target(at)
        self._history.pending = at
        self._history.save(self._file)
        self._state = "recovering"
        self._recovery = asyncio.create_task(self._recover(at))

    async def interrupt(self) -> None:
        """Stop the server as someone's mistake would: sessions end, the state says stopped."""
        await self._end_backup()
        self._closed("the database system is shut down")
        await self._server.stop()
        self._state = "stopped"

    async def empty(self) -> None:
        """Take away every schema but the server's and the platform's own, as where nothing was recovered."""
        await self._server.ask(_EMPTY)

    async def resume(self) -> None:
        """Start the server again after `interrupt` or a failed recovery; nothing when it runs."""
        if self.state in {"running", "recovering"}:
            return
        await self._server.launch(self._folder / self._history.data)
        await self._server.answers(_START_LIMIT)
        await self._follow()
        self._open()

    async def _follow(self) -> None:
        """Begin an era where somebody recovered the data folder while the server stood: its timeline is another."""
        said = await self._server.ask(_STANDS)
        timeline, last = said.strip().split("|")
        former = self._history.era
        if int(timeline) != former.timeline:
            forked_at = float(last or time.time())
            self._history.eras.append(
                Era(int(timeline), since=time.time(), parent=former.timeline, forked_at=forked_at)
            )

    def _open(self) -> None:
        self._state = "running"
        self._history.era.sealed = None
        self._history.save(self._file)
        self._opened()
        if not any(base.timeline == self._history.era.timeline for base in self._history.bases):
            self._backup = asyncio.create_task(self._back_up())

    async def _recover(self, at: int) -> None:
        old = self._folder / self._history.data
        try:
            await self._end_backup()
            self._closed("the database system is being restored")
            await recovery.seal(self._server, self._history, self._folder)
            self._history.save(self._file)
            target = self._history.target(at)
            new = await recovery.replay(self._server, self._programs, target, self._folder)
        except (UnableError, OSError) as error:
            _log.error("recovery to %d failed: %s", at, error)
            await self._server.stop(immediate=True)
            self._history.pending = None
            self._history.save(self._file)
            self._state = f"failed: {error}"
            return
        timeline = int((await self._server.ask("select timeline_id from pg_control_checkpoint()")).strip())
        self._history.eras.append(
            Era(timeline=timeline, since=time.time(), parent=target.era.timeline, forked_at=target.time)
        )
        self._history.data = new.name
        self._history.pending = None
        self._history.save(self._file)
        self._open()
        await asyncio.to_thread(shutil.rmtree, old, ignore_errors=True)

    async def _create(self, password: str) -> str:
        data = self._folder / "data-1"
        archive = self._folder / "archive"
        archive.mkdir(mode=0o700)
        self._programs.own(archive)
        secret = self._folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password, encoding="utf-8")
        self._programs.own(secret)
        said = await processes.run(
            [
                self._programs["initdb"],
                *("-D", data, "-U", ADMINISTRATOR, "--pwfile", secret, "-A", "scram-sha-256"),
                *("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *("--no-sync", "--no-instructions", "--wal-segsize=1"),  # MB: an archived switch costs one segment
            ],
            environment={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
            owner=self._programs.owner,
        )
        secret.unlink()
        settings.write(self._programs, data)
        return said

    async def _back_up(self) -> None:
        """Take a base backup; it counts once it is whole."""
        era = self._history.era
        name = f"base-{era.timeline}-{len(self._history.bases)}"
        shutil.rmtree(self._folder / name, ignore_errors=True)  # of an earlier try that was cut short
        try:
            await processes.run(
                [
                    self._programs["pg_basebackup"],
                    *("-D", self._folder / name, "-c", "fast", "-X", "stream", "--no-sync"),
                ],
                environment=self._server.environment(),
                owner=self._programs.owner,
            )
        except UnableError as error:
            _log.error("base backup failed: %s", error)
            return
        self._history.bases.append(Base(name=name, timeline=era.timeline, end=time.time()))
        self._history.save(self._file)

    async def _end_backup(self) -> None:
        if self._backup is not None and not self._backup.done():
            self._backup.cancel()
            with suppress(asyncio.CancelledError):
                await self._backup
        self._backup = None

    def _sweep(self) -> None:
        """Remove what a killed twin left half made."""
        known = {self._history.data, *(base.name for base in self._history.bases)}
        for path in self._folder.glob("*-*"):
            if path.name not in known:
                shutil.rmtree(path)
        if not self._history.data:
            shutil.rmtree(self._folder / "archive", ignore_errors=True)
