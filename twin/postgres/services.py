"""Keep the sessions that Supabase's own services hold in `postgres`: superusers' ones, which `postgres` cannot end.

Source: what `pg_stat_activity` of a hosted project shows (the workers of pg_cron and pg_net, Realtime, the exporter of
metrics; documentation of 2026-11). While one of them is in it, the database can be neither renamed nor dropped.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from twin.postgres.server import ADMINISTRATOR, PORT

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

_NAMES = ("pg_net worker", "postgres_exporter")
_COME_BACK = 0.05
"""Seconds until a service that lost its session tries again."""


class Services:
    """The sessions of one server, held from `begin` to `end`; cut off, they come back by themselves."""

    def __init__(self, sockets: Path, password: str) -> None:
        self._host = str(sockets)
        self._password = password
        self._held: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Connect, and return once every service is in."""
        if not self._held:
            entered = [asyncio.Event() for _ in _NAMES]
            self._held = [asyncio.create_task(self._hold(*each)) for each in zip(_NAMES, entered, strict=True)]
            await asyncio.gather(*(one.wait() for one in entered))

    async def end(self) -> None:
        """Disconnect."""
        for task in self._held:
            task.cancel()
        await asyncio.gather(*self._held, return_exceptions=True)
        self._held = []

    async def _hold(self, name: str, entered: asyncio.Event) -> None:
        import psycopg  # noqa: PLC0415 - only who asks for the services pays its import

        while True:
            with suppress(psycopg.Error):
                connection = await psycopg.AsyncConnection.connect(
                    host=self._host,
                    port=PORT,
                    user=ADMINISTRATOR,
                    password=self._password,
                    dbname="postgres",
                    application_name=name,
                    autocommit=True,
                )
                async with connection:
                    entered.set()
                    await _until_cut(connection)
            await asyncio.sleep(_COME_BACK)


async def _until_cut(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    """Wait for what never comes: raises psycopg.Error when the session ends."""
    async for _ in connection.notifies():
        pass
