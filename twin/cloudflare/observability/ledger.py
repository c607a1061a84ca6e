"""Keep what flowed in one SQLite file: written behind, a bounded number of rows, read outside of the edge's way."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twin.cloudflare.observability import messages
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twin.cloudflare.observability.messages import Invocation, Json
    from twin.world import Handled

Result = TypeVar("Result")

_log = logging.getLogger("twin.traffic")

KEPT = {"requests": 200_000, "events": 50_000}
"""The newest rows of each table: some 90 MB in all."""
_BEHIND = 0.2  # seconds
_SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = off;
pragma case_sensitive_like = on;
create table if not exists requests (
  id integer primary key, key text, at integer, public integer, site integer, service text, version text, status text,
  cron text, host text, method text, path text, code integer, content text, size integer, visitor text, agent text,
  wall integer, cpu integer, first integer);
create index if not exists requests_at on requests (at);
create index if not exists requests_key on requests (key);
create table if not exists events (id integer primary key, at integer, weight real, event text);
create index if not exists events_at on events (at);
"""


@dataclass(frozen=True)
class Observed:
    """An invocation whose Worker keeps logs: each stands for `weight` of them, the rest were not sampled."""

    told: Json
    request: str
    account: str
    weight: float


@dataclass
class Batch:
    """What waits to be written."""

    requests: list[tuple[Handled, str, int]] = field(default_factory=list)
    statuses: list[tuple[str, str]] = field(default_factory=list)
    observed: list[Observed] = field(default_factory=list)


class Ledger:
    """The requests and events of the account."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            message = f"{file} cannot be used: {error}. Remove it: only the recorded traffic is in it"
            raise UnableError(message) from None
        self._database.create_aggregate("quantile", 3, cast("Any", Quantile))  # typed for one argument
        self._database.create_function("sqrt", 1, math.sqrt, deterministic=True)  # not every SQLite is built with it
        self._database.create_function("regexp", 2, _regexp, deterministic=True)
        self._thread = ThreadPoolExecutor(1, "ledger")  # one: reads see all that was handed over before
        self._batch = Batch()
        self._due: asyncio.TimerHandle | None = None
        self._closed = False  # what still flows while the twin stops is not recorded

    def request(self, handled: Handled, status: str, at: int) -> None:
        """Take one request or cron event; `status` is GraphQL's word, empty for what no Worker answered."""
        self._batch.requests.append((handled, status, at))
        self._later()

    def restate(self, key: str, status: str) -> None:
        """Correct how a request went that is already there: its Worker failed after it had answered."""
        self._batch.statuses.append((status, key))
        self._later()

    def observed(self, one: Invocation, told: Json, *, account: str, rate: float) -> None:
        """Take an invocation of a Worker that keeps logs."""
        self._batch.observed.append(Observed(told, one.handled.key, account, 1 / rate))
        self._later()

    async def read(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        """Answer a question from all that was taken before."""
        self._hand_over()
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, self._database)

    def close(self) -> None:
        """Write what waits and close the file."""
        self._hand_over()
        self._closed = True
        self._thread.shutdown()
        self._database.close()

    def _later(self) -> None:
        if self._due is None and not self._closed:
            self._due = asyncio.get_running_loop().call_later(_BEHIND, self._hand_over)

    def _hand_over(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
            batch, self._batch = self._batch, Batch()
            self._thread.submit(self._write, batch)

    def _write(self, batch: Batch) -> None:
        """Write a batch whole; when that fails it is lost, and the log says so: traffic goes on without its record."""
        database = self._database
        rows = [row for one in batch.observed for row in _events(one)]
        try:
            database.execute("begin")
            database.executemany(f"insert into requests values (null{', ?' * 19})", map(_row, batch.requests))
            database.executemany("update requests set status = ? where key = ?", batch.statuses)
            database.executemany("insert into events values (null, ?, ?, ?)", rows)
            for table, kept in KEPT.items():
                database.execute(f"delete from {table} where id <= (select max(id) from {table}) - {kept}")
            database.execute("commit")
        except sqlite3.Error as error:
            _log.error("%d requests are not recorded: %s", len(batch.requests), error)
            if database.in_transaction:
                database.execute("rollback")


def _row(taken: tuple[Handled, str, int]) -> tuple[Any, ...]:
    one, status, at = taken
    agent = one.headers.get("user-agent", "")
    return (
        one.key,
        at,
        one.public,
        one.site,
        one.service,
        one.version,
        status,
        one.cron,
        one.host.partition(":")[0].lower(),
        one.method,
        one.path,
        one.status,
        one.content.partition(";")[0],
        one.size,
        one.visitor,
        agent,
        *(round(seconds * 1_000_000) for seconds in (one.wall, one.cpu, one.first)),
    )


def _events(one: Observed) -> list[tuple[int, float, str]]:
    made = messages.events(one.told, request=one.request, account=one.account)
    return [(event["timestamp"], one.weight, json.dumps(event, separators=(",", ":"))) for event in made]


class Quantile:
    """`quantile(value, weight, share)` in SQL: the smallest value that at least this share does not exceed."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []
        self._share = 0.5

    def step(self, value: float | None, weight: float, share: float) -> None:
        """Take one value; what is missing or no number does not count."""
        self._share = share
        if isinstance(value, int | float):
            self._seen.append((value, weight))

    def finalize(self) -> float | None:
        """Return the value, None without any."""
        self._seen.sort()
        wanted = self._share * math.fsum(weight for _, weight in self._seen)
        reached = 0.0
        for value, weight in self._seen:
            reached += weight
            if reached >= wanted - 1e-9:
                return value
        return None


def _regexp(pattern: str, text: object) -> bool:
    return text is not None and re.search(pattern, str(text)) is not None
