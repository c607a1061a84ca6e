"""Several sessions at once, each on tables of its own, and what they committed when, written down outside.

A session inserts, updates, deletes, empties, alters and drops its tables, holds transactions open for long, and gives
some of them up. What it must find at a point is its state after the last of its commits that was not later.
"""

from __future__ import annotations

import random
import threading
import time
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_ROWS: Final = 60
LONG: Final = 0.4  # seconds that a long transaction is held open
PAUSE: Final = 0.002
GIVEN_UP: Final = 0.1
State: TypeAlias = "dict[str, list[tuple[Any, ...]] | None]"
"""The rows of each table in order of their id, None where there is no table."""


@dataclass
class Told:
    """What one session committed: the moments in order, and the state after each."""

    tables: tuple[str, ...]
    moments: list[datetime] = field(default_factory=list)
    states: list[State] = field(default_factory=list)

    def at(self, point: datetime) -> State:
        """Return the state at a point: after the last commit that was not later."""
        return self.states[bisect_right(self.moments, point) - 1]


@dataclass
class Ledger:
    """What all sessions committed. `given_up` counts transactions that were rolled back."""

    sessions: list[Told]
    given_up: int = 0

    @property
    def begins(self) -> datetime:
        """Return the first moment that every session has a state at."""
        return max(told.moments[0] for told in self.sessions)

    @property
    def ends(self) -> datetime:
        """Return the last commit."""
        return max(told.moments[-1] for told in self.sessions)

    @property
    def commits(self) -> int:
        """Return how many transactions were committed."""
        return sum(len(told.moments) for told in self.sessions)

    def at(self, point: datetime) -> State:
        """Return what the database holds at a point."""
        held: State = {}
        for told in self.sessions:
            held.update(told.at(point))
        return held

    def wrong(self, connection: psycopg.Connection[Any], point: datetime) -> list[str]:
        """Return the tables that are not what they were at the point."""
        expected = self.at(point)
        return [table for table, rows in expected.items() if _read(connection, table) != rows]


def work(url: str, *, sessions: int, seconds: float, seed: int) -> Ledger:
    """Let so many sessions work at once for a while, and return what they did."""
    ledger = Ledger([Told((f"own_{number}", f"more_{number}")) for number in range(sessions)])
    failed: list[BaseException] = []
    until = time.monotonic() + seconds

    def run(number: int) -> None:
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                _Session(connection, ledger, number, random.Random(seed + number)).work(until)  # noqa: S311 - a plan
        except BaseException as error:  # noqa: BLE001 - told to the caller
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return ledger


@dataclass
class _Session:
    connection: psycopg.Connection[Any]
    ledger: Ledger
    number: int
    chance: random.Random

    @property
    def told(self) -> Told:
        return self.ledger.sessions[self.number]

    def work(self, until: float) -> None:
        table, more = self.told.tables
        self._commit([f"create table {table} (id int primary key, n int, note text)"])
        acts = [self._some_rows] * 12 + [self._long] * 1 + [self._empty, self._other_table, self._column]
        while time.monotonic() < until:
            self._commit(self.chance.choice(acts)(table, more), give_up=self.chance.random() < GIVEN_UP)
            time.sleep(PAUSE * self.chance.random())

    def _some_rows(self, table: str, _more: str) -> list[str]:
        return [self._one_row(table) for _ in range(self.chance.randint(1, 4))]

    def _one_row(self, table: str) -> str:
        row, number = self.chance.randrange(MOST_ROWS), self.chance.randrange(1 << 30)
        put = f"insert into {table} (id, n, note) values ({row}, {number}, repeat('x', {number % 900}))"  # noqa: S608
        put += " on conflict (id) do update set n = excluded.n, note = excluded.note"
        change = f"update {table} set n = {number} where id <= {row}"  # noqa: S608
        take = f"delete from {table} where id between {row} and {row + 3}"  # noqa: S608
        return self.chance.choice([put, change, take])

    def _long(self, table: str, more: str) -> list[str]:
        """Return one that is held open, at times with a lock that nobody can read past."""
        locked = [f"truncate {table}"] if self.chance.choice((True, False)) else []
        return [*locked, *self._some_rows(table, more), f"select pg_sleep({LONG})", *self._some_rows(table, more)]

    def _empty(self, table: str, more: str) -> list[str]:
        return [f"truncate {table}", *self._some_rows(table, more)]

    def _other_table(self, _table: str, more: str) -> list[str]:
        if _read(self.connection, more) is None:
            return [f"create table {more} (id int primary key)", f"insert into {more} select generate_series(1, 20)"]
        return [f"drop table {more}"]

    def _column(self, table: str, _more: str) -> list[str]:
        name = f"c{self.chance.randrange(3)}"
        return [f"alter table {table} drop column if exists {name}", f"alter table {table} add {name} int default 7"]

    def _commit(self, statements: Iterable[str], *, give_up: bool = False) -> None:
        execute = self.connection.execute
        execute("begin")
        for statement in statements:
            execute(statement.encode())
        if give_up:
            self.ledger.given_up += 1
            execute("rollback")
            return
        row = execute("select pg_current_xact_id()::text").fetchone()
        state = {table: _read(self.connection, table) for table in self.told.tables}
        execute("commit")
        at = execute("select pg_xact_commit_timestamp(%s::text::xid)", (row[0] if row else None,)).fetchone()
        if at is None:
            message = "the server keeps no commit times"
            raise ValueError(message)
        self.told.moments.append(at[0].astimezone(UTC))
        self.told.states.append(state)


def _read(connection: psycopg.Connection[Any], table: str) -> list[tuple[Any, ...]] | None:
    there = connection.execute("select to_regclass(%s) is not null", (table,)).fetchone()
    if not there or not there[0]:
        return None
    return connection.execute(f"select * from {table} order by id".encode()).fetchall()  # noqa: S608 - our own names
