"""Recover a database to a point in time: seal the present, copy a base backup, replay the archive, promote.

Each rule answers a trap that was reproduced with PostgreSQL 18: always a target and an explicit timeline, a zone
on the time, success read from the server itself and not from a start command's exit code.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from twin import processes
from twin.postgres import settings
from twin.world import UnableError

if TYPE_CHECKING:
    from pathlib import Path

    from twin.postgres.history import History, Target
    from twin.postgres.programs import Programs
    from twin.postgres.server import Server

_SEAL = """
select pg_current_xact_id()::xid as marker \\gset
select extract(epoch from pg_xact_commit_timestamp(:'marker'::xid)), pg_walfile_name(pg_switch_wal());
"""
"""A transaction that only takes an id writes a commit record and changes no row: a commit beyond any target, without
which PostgreSQL ends in an error where nothing was committed after the point."""
_ARCHIVE_LIMIT = 60.0
_START_LIMIT = 60.0
_REPLAY_LIMIT = 3600.0
_POLL = 0.004


async def seal(server: Server, history: History, folder: Path) -> None:
    """Commit the era's last, empty transaction, wait until it is archived, stop the server.

    A server that is down is started for it. A sealed era (an earlier try failed after it) stays as it is.
    """
    if history.era.sealed is None:
        if not server.alive:
            await server.launch(folder / history.data)
            await server.answers(_START_LIMIT)
        sealed, segment = (await server.ask(_SEAL)).split("|")
        await _archived(folder / "archive" / segment)
        history.era.sealed = float(sealed)
    # In order, not at once: an immediate shutdown right after a start waits 5 s for a child that missed the signal.
    await server.stop()


async def _archived(segment: Path) -> None:
    try:
        async with asyncio.timeout(_ARCHIVE_LIMIT):
            while not os.access(segment, os.F_OK):  # noqa: ASYNC110 - another process makes it, nothing tells
                await asyncio.sleep(_POLL)
    except TimeoutError:
        message = f"WAL segment {segment.name} was not archived within {_ARCHIVE_LIMIT:.0f} s"
        raise UnableError(message) from None


async def replay(server: Server, programs: Programs, target: Target, folder: Path) -> Path:
    """Make a data directory from the target's base, replay the archive up to the target, leave the server running."""
    new = folder / f"data-{_number(folder)}"
    cloned = ["--reflink=auto"] if sys.platform == "linux" and shutil.which("cp") == "/usr/bin/cp" else []
    await processes.run(
        ["cp", "-a", *cloned, folder / target.base.name, new],
        environment={"PATH": "/usr/bin:/bin"},
        owner=programs.owner,
    )
    signal_file = new / "recovery.signal"
    signal_file.touch(mode=0o600)
    programs.own(signal_file)
    await server.launch(
        new,
        settings.RECOVERY
        | {
            "recovery_target_time": datetime.fromtimestamp(target.time, UTC).isoformat(timespec="microseconds"),
            "recovery_target_inclusive": "on" if target.inclusive else "off",
            "recovery_target_timeline": str(target.era.timeline),
        },
    )
    await server.answers(_REPLAY_LIMIT)
    if await server.ask("select pg_is_in_recovery()") != "f":
        message = "PostgreSQL answers but did not leave recovery"
        raise UnableError(message)
    return new


def _number(folder: Path) -> int:
    """Return the next unused number of a data directory."""
    numbers = (path.name.partition("-")[2] for path in folder.glob("data-*"))
    return 1 + max(int(number) for number in numbers if number.isdigit())
