"""The one transaction after which a check failed is found in base backups and WAL, and the server never notices."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from benchmarks.databases.selfhosted import ROOT, SelfHosted, selfhosted
from runbooks.model.errors import CheckError, Refused
from runbooks.steps.archive.own import Own
from runbooks.steps.searching.archived import Archived, Now, Turned, now_of
from runbooks.steps.searching.asking import told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from runbooks.steps.searching.copies import Copy

pytestmark = pytest.mark.twin


@dataclass
class Asking:
    """A search with one check; what it asked, and what it was told."""

    server: SelfHosted
    check: str
    asked: list[tuple[str, bool | None]] = field(default_factory=list)

    def into(self, copy: Copy, _left: int | None) -> bool | None:
        """Ask a copy as the book does."""
        try:
            with copy.opened(lambda _done, _total: None) as database, database.reading() as session:
                holds: bool | None = told(session, self.check)[0]
        except CheckError:
            holds = None
        self.asked.append((copy.name, holds))
        return holds

    def turned(self, *, dead: bool = False) -> Turned | None:
        """Search the server's archive."""
        own = Own(self.server.told, ROOT, dict(os.environ), self.server.door)
        now = Now(None, None)
        if not dead:
            with own.database.reading() as session:
                now = now_of(session)
        return Archived(own, now, self.into, 30.0).turned()


@pytest.fixture(scope="module")
def server() -> Iterator[SelfHosted]:
    """Give a server of our own with a table of pages, and a base."""
    with selfhosted() as server:
        server.run("create table pages (id int generated always as identity, words text)")
        server.run("insert into pages (words) select 'page ' || n from generate_series(1, 50) n")
        server.base("first")
        yield server


@contextmanager
def writing(server: SelfHosted) -> Iterator[psycopg.Connection[Any]]:
    """Give a session that commits each statement."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


def commit(connection: psycopg.Connection[Any], statement: str) -> datetime:
    """Run a statement and return when it was committed."""
    connection.execute(statement.encode())
    row = connection.execute("select timestamp from pg_last_committed_xact()").fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def left_over(server: SelfHosted) -> list[str]:
    """Return what lies beside the data folder."""
    return sorted(path.name for path in server.data.parent.glob("data.ems-ops-*"))


def segment(server: SelfHosted) -> str:
    """Return the segment that the server writes now."""
    return str(server.run("select pg_walfile_name(pg_current_wal_lsn())")[0][0])


def test_the_transaction_is_found_in_wal_that_is_not_archived_yet(server: SelfHosted) -> None:
    """Among many commits it is the one, to the microsecond, and what it did; two looks prove it, and write nothing."""
    with writing(server) as connection:
        for _ in range(30):
            before = commit(connection, "insert into pages (words) values ('more')")
        gone = commit(connection, "delete from pages where id <= 7")
        for _ in range(30):
            commit(connection, "insert into pages (words) values ('late')")
    writes_to = segment(server)
    asking = Asking(server, "select exists (select from pages where id = 3)")
    turned = asking.turned()
    assert turned is not None
    assert turned.bad is not None
    assert before < turned.good.at < turned.bad.at == gone
    assert (gone - turned.good.at).microseconds == 1
    assert (turned.changes.count, turned.changes.newest[0].did) == (1, ("public.pages: 7 rows deleted",))
    assert [holds for _, holds in asking.asked] == [True, False]
    assert (segment(server), left_over(server)) == (writes_to, [])


def test_another_suspect_and_a_rollback_do_not_mislead(server: SelfHosted) -> None:
    """A larger deletion and one that was rolled back are passed over; what was made after the base is searched too."""
    with writing(server) as connection:
        commit(connection, "create table later (id int)")
        commit(connection, "insert into later select generate_series(1, 9)")
        connection.execute("begin; delete from later; rollback")
        gone = commit(connection, "begin; savepoint one; delete from later where id > 5; release one; commit")
        commit(connection, "insert into later select generate_series(20, 60)")
        commit(connection, "delete from pages where id between 10 and 40")
    asking = Asking(server, "select count(*) >= 9 from later where id < 20")
    turned = asking.turned()
    assert turned is not None
    assert turned.bad is not None
    assert (turned.bad.at, turned.changes.newest[0].did) == (gone, ("public.later: 4 rows deleted",))
    assert [holds for _, holds in asking.asked] == [False, True, False]


def test_a_table_that_was_dropped_before_the_newest_base_is_found_from_an_older_one(server: SelfHosted) -> None:
    """The newest base is asked and does not hold; the older one leads to the moment of the drop."""
    with writing(server) as connection:
        gone = commit(connection, "drop table later")
        server.base("second")
        commit(connection, "insert into pages (words) values ('after the base')")
    asking = Asking(server, "select count(*) >= 0 from later")
    turned = asking.turned()
    assert turned is not None
    assert turned.bad is not None
    assert turned.bad.at == gone
    assert any("dropped" in did for did in turned.changes.newest[0].did)
    assert Asking(server, "select count(*) > 0 from never_there").turned() is None


def test_a_dead_server_is_searched_to_its_last_record(server: SelfHosted) -> None:
    """What only its own folder holds is read as well; a check that holds at the end has nothing to find."""
    with writing(server) as connection:
        gone = commit(connection, "truncate pages")
        last = commit(connection, "insert into pages (words) values ('the last')")
    server.stop("immediate")
    try:
        turned = Asking(server, "select count(*) > 5 from pages").turned(dead=True)
        assert turned is not None
        assert turned.bad is not None
        assert (turned.bad.at, turned.good.at < gone) == (gone, True)
        with pytest.raises(Refused, match=f"holds at the end of the archive, {last.astimezone(UTC):%Y-%m-%d}"):
            Asking(server, "select true").turned(dead=True)
    finally:
        server.start()


def test_what_a_killed_search_left_is_removed_by_the_next(server: SelfHosted) -> None:
    """A folder whose process is gone goes; nothing else beside the data folder does."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], check=True, capture_output=True)
    stale = server.data.with_name(f"data.ems-ops-find-{int(done.stdout)}")
    (stale / "stand").mkdir(parents=True)
    kept = server.data.with_name("data.ems-ops-20260101-000000")
    kept.mkdir()
    assert Asking(server, "select count(*) > 5 from pages").turned() is not None
    assert left_over(server) == [kept.name]
    kept.rmdir()
