"""The database over its life: recovered to a second, guarded by address, failing honestly."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest

from twin.home import open_state
from twin.postgres.database import Database
from twin.processes import Processes
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.twin


@asynccontextmanager
async def database(state: Path) -> AsyncIterator[Database]:
    """Give a database that is up and has its first base backup."""
    opened = open_state(state, account=None, zone=None, project=None)
    public = socket.create_server(("127.0.0.1", 0))
    public.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    made = Database(opened, Processes(state, opened.sockets), public)
    try:
        await made.begin()
        await made.listen()
        await made.start()
        while made.cluster.earliest_point() is None:  # noqa: ASYNC110 - it only says so
            await asyncio.sleep(0.01)
        yield made
    finally:
        await made.stop()
        opened.close()


async def ask(url: str, sql: LiteralString, *values: Any) -> list[Any]:  # noqa: ANN401 - SQL's own values
    """Run one statement as the owner."""

    def run() -> list[Any]:
        with psycopg.connect(url, autocommit=True) as session:
            found = session.execute(sql, values)
            return found.fetchall() if found.description else []

    return await asyncio.to_thread(run)


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a session."""
    return psycopg.connect(url)


async def recovered(made: Database, at: int) -> None:
    """Recover and wait."""
    await made.cluster.recover(at)
    assert made.cluster.state == "recovering"
    while made.cluster.state == "recovering":  # noqa: ASYNC110 - it only says so
        await asyncio.sleep(0.01)
    assert made.cluster.state == "running"


async def next_second() -> int:
    """Wait for a new second and return it."""
    at = math.floor(time.time()) + 1
    await asyncio.sleep(at - time.time() + 0.05)
    return at


async def write(url: str, *, until: int) -> None:
    """Insert a row every few milliseconds until a second later than `until`."""

    def run() -> None:
        with psycopg.connect(url, autocommit=True) as session:
            while time.time() < until + 0.5:
                session.execute("insert into kept default values")
                time.sleep(0.005)

    await asyncio.to_thread(run)


COUNT: LiteralString = "select count(*), max(id), md5(string_agg(id::text, ',' order by id)) from kept"


def test_recovery_keeps_what_was_committed_by_the_second_and_nothing_after(tmp_path: Path) -> None:
    """Rows by commit time are the same set after it; it can be repeated, taken back, and follow an idle time."""

    async def story() -> None:
        async with database(tmp_path / "état un") as made:
            await ask(made.url, "create table kept (id serial primary key)")
            point = await next_second()
            await write(made.url, until=point)
            sql: LiteralString = COUNT + " where pg_xact_commit_timestamp(xmin) <= to_timestamp(%s)"
            expected = await ask(made.url, sql, point)
            everything = await ask(made.url, COUNT)
            assert expected != everything
            idle = await next_second()
            await ask(made.url, "truncate kept")
            await recovered(made, point)
            assert await ask(made.url, COUNT) == expected
            await recovered(made, idle)  # the recovery taken back; the last commit lies before this second
            assert await ask(made.url, COUNT) == everything
            await ask(made.url, "insert into kept default values")
            await recovered(made, point)
            assert await ask(made.url, COUNT) == expected

    asyncio.run(story())


def test_points_out_of_reach_are_refused(tmp_path: Path) -> None:
    """Before the first base backup and in the future: nothing is touched."""

    async def story() -> None:
        async with database(tmp_path / "state") as made:
            with pytest.raises(UnableError, match="before the first base backup"):
                await made.cluster.recover(1)
            with pytest.raises(UnableError, match="in the future"):
                await made.cluster.recover(int(time.time()) + 60)
            assert made.cluster.state == "running"
            assert await ask(made.url, "select 1") == [(1,)]

    asyncio.run(story())


def test_a_failed_recovery_says_so_and_keeps_the_old_data(tmp_path: Path) -> None:
    """With a damaged base backup the state is failed with PostgreSQL's reason; the old data can be started again."""

    async def story() -> None:
        async with database(tmp_path / "state") as made:
            await ask(made.url, "create table kept as select 7 as id")
            point = await next_second()
            (base,) = made.cluster._folder.glob("base-*")
            (base / "global" / "pg_control").write_bytes(b"noise")
            await made.cluster.recover(point)
            while made.cluster.state == "recovering":  # noqa: ASYNC110 - it only says so
                await asyncio.sleep(0.01)
            assert made.cluster.state.startswith("failed: PostgreSQL did not start: ")
            with pytest.raises(psycopg.OperationalError, match="is being restored"):
                await ask(made.url, "select 1")
            await made.cluster.resume()
            assert await ask(made.url, "select id from kept") == [(7,)]

    asyncio.run(story())


def test_only_allowed_addresses_come_in(tmp_path: Path) -> None:
    """Restricting to the operator keeps the operator in and cuts what comes from Cloudflare; to others, the reverse."""

    async def story() -> None:
        async with database(tmp_path / "state") as made:
            made.egress.with_name(".s.PGSQL.5432").symlink_to(made.egress)  # the name that libpq looks for
            folder, password = made.egress.parent, urlsplit(made.url).password
            from_cloudflare = f"postgresql://postgres:{password}@/postgres?host={folder}"
            inside = await asyncio.to_thread(connect, from_cloudflare)
            await made.restrict(("127.0.0.1/32",))
            assert await ask(made.url, "select 1") == [(1,)]
            with pytest.raises(psycopg.OperationalError):
                await asyncio.to_thread(inside.execute, "select 1")
            inside.close()
            with pytest.raises(psycopg.OperationalError, match=r"allow_list: \{203, 0, 113, 10\}"):
                await asyncio.to_thread(connect, from_cloudflare)
            await made.restrict(("203.0.113.0/24",))
            with pytest.raises(psycopg.OperationalError, match=r"allow_list: \{127, 0, 0, 1\}"):
                await ask(made.url, "select 1")

    asyncio.run(story())


def test_the_owner_has_what_supabase_gives(tmp_path: Path) -> None:
    """`postgres` is no superuser, yet may do what schemas, dumps and runbooks do; the platform's parts are there."""

    async def story() -> None:
        async with database(tmp_path / "state") as made:
            assert await ask(made.url, "select usesuper from pg_user where usename = current_user") == [(False,)]
            await ask(made.url, "create role app login; create schema ops; create extension pg_trgm")
            await ask(made.url, "set session_replication_role = replica")
            await ask(made.url, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'nobody'")
            hashed = "select encode(digest('a', 'sha256'), 'hex') = encode(sha256('a'), 'hex')"
            assert await ask(made.url, hashed) == [(True,)]
            # RFC 4231, test case 2
            signed: LiteralString = "select encode(hmac('what do ya want for nothing?', 'Jefe', 'sha256'), 'hex')"
            expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            assert await ask(made.url, signed) == [(expected,)]
            assert await ask(made.url, "select count(*) from auth.users") == [(0,)]
            assert await ask(made.url, "select uuid_generate_v4() <> gen_random_uuid()") == [(True,)]

    asyncio.run(story())


def test_a_recovery_that_was_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """The twin ends in the middle of a recovery; started again it recovers to the same second."""

    async def story() -> None:
        async with database(tmp_path / "state") as made:
            await ask(made.url, "create table kept as select 1 as id")
            point = await next_second()
            await ask(made.url, "drop table kept")
            await made.cluster.recover(point)
        async with database(tmp_path / "state") as again:
            while again.cluster.state == "recovering":  # noqa: ASYNC110 - it only says so
                await asyncio.sleep(0.01)
            assert await ask(again.url, "select id from kept") == [(1,)]

    asyncio.run(story())
