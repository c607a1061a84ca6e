"""Look at the product as its users and its database admin do, until something is wrong or all is well again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from runbooks.model.errors import CheckError
from runbooks.steps.cloudflare.edge import health_faults, smoke_faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.stack import Api, Smoke, Stack, Web
    from runbooks.clients.edge import Edge
    from runbooks.clients.postgres import Postgres

EVERY: Final = 0.1  # seconds between looks
WIDTH: Final = 4  # requests at the same time: a look must be shorter than what it measures


@dataclass(frozen=True)
class Look:
    """One look: when it began and ended, the database's time of it, and every fault; none means that all is well."""

    began: datetime
    ended: datetime
    database_time: datetime | None
    faults: tuple[str, ...]


@dataclass
class Watch:
    """Health contract, smoke checks, the stack's database checks, and the rows of the table that only grows.

    `last_good` is the last look that found no fault.
    """

    stack: Stack
    edge: Edge
    postgres: Postgres
    also: Callable[[], list[str]] = list
    """What a scenario looks at beside that: its faults, a line each."""
    last_good: Look | None = None
    most_rows: int = field(default=0, init=False)

    def look(self) -> Look:
        """Look once at everything."""
        began = datetime.now(UTC)
        with ThreadPoolExecutor(WIDTH) as pool:
            at_edge = [pool.submit(self._health), *(pool.submit(self._smoke, *check) for check in self._checks())]
            database_time, faults = self._database()
            faults = [fault for future in at_edge for fault in future.result()] + self._also() + faults
        look = Look(began, datetime.now(UTC), database_time, tuple(faults))
        if not faults:
            self.last_good = look
        return look

    def until_faulty(self, seconds: float) -> Look | None:
        """Look until something is wrong; None when nothing was within `seconds`."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            look = self.look()
            if look.faults:
                return look
            time.sleep(EVERY)
        return None

    def until_good(self, seconds: float) -> Look:
        """Look until all is well, or return the last look when it was not within `seconds`. Counts rows anew."""
        self.most_rows = 0
        until = time.monotonic() + seconds
        look = self.look()
        while look.faults and time.monotonic() < until:
            time.sleep(EVERY)
            look = self.look()
        return look

    def _checks(self) -> tuple[tuple[str, Smoke], ...]:
        parts: tuple[Api | Web, ...] = (self.stack.api, *self.stack.sites)
        return tuple((part.host, smoke) for part in parts for smoke in part.smoke)

    def _also(self) -> list[str]:
        try:
            return self.also()
        except CheckError as error:
            return [str(error)]

    def _health(self) -> list[str]:
        api = self.stack.api
        try:
            answer = self.edge.get(api.host, api.health.path)
        except CheckError as error:
            return [f"health: {error}"]
        return [f"health: {fault}" for fault in health_faults(answer, api.health, version=None, now=datetime.now(UTC))]

    def _smoke(self, host: str, smoke: Smoke) -> list[str]:
        try:
            return [f"smoke: {fault}" for fault in smoke_faults(self.edge.get(host, smoke.path), smoke)]
        except CheckError as error:
            return [f"smoke: {error}"]

    def _database(self) -> tuple[datetime | None, list[str]]:
        """Ask the database on one snapshot."""
        table = self.stack.drill.workload.table
        faults: list[str] = []
        try:
            with self.postgres.reading() as session:
                at: datetime = session.value("select now()")  # when the transaction began: no later than its snapshot
                rows = int(session.value(f"select count(*) from {table}"))  # noqa: S608 - the stack file's own SQL
                if rows < self.most_rows:
                    faults.append(f"database: {table} had {self.most_rows} rows, it has {rows}")
                self.most_rows = max(rows, self.most_rows)
                faults += [
                    f"database: “{check.name}” does not hold"
                    for check in self.stack.database.checks
                    if not session.truth(check.sql)
                ]
        except CheckError as error:
            return None, [f"database: {error}"]
        return at, faults
