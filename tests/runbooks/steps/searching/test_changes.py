"""What was committed between two moments is told by the server itself, also what left no row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import psycopg
import pytest

from runbooks.model.errors import CheckError
from runbooks.steps.database.server import look_at
from runbooks.steps.searching.asking import verdict
from runbooks.steps.searching.changes import changes_between, recent_changes

if TYPE_CHECKING:
    from datetime import datetime

    from runbooks.clients.postgres import Postgres

pytestmark = pytest.mark.twin


def commit(database: Postgres, statement: str) -> datetime:
    """Run a statement and return when it was committed."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(statement.encode())
        row = connection.execute("select timestamp from pg_last_committed_xact()").fetchone()
        assert row is not None
        at: datetime = row[0]
        return at


def test_every_commit_is_counted_and_what_is_left_of_it_named(database: Postgres) -> None:
    """One wrote rows, one deleted them, one wrote others: times to the microsecond, and the rows that still are."""
    begin = commit(database, "create table if not exists public.spoken (word text)")
    with database.reading() as session:
        before = look_at(session)
    wrote = commit(database, "insert into public.spoken values ('a'), ('b')")
    deleted = commit(database, "delete from public.spoken where word = 'a'")
    end = commit(database, "insert into public.spoken values ('c')")
    with database.reading() as session:
        found = changes_between(session, before, begin, end)
        other = changes_between(session, msgspec.structs.replace(before, timeline=99), begin, end)
        none = changes_between(session, before, begin, wrote)
        recent = recent_changes(session, begin)
    assert (found.count, found.first, found.last) == (2, wrote, deleted)
    assert [(change.at, change.wrote) for change in found.newest] == [
        (deleted, {}),
        (wrote, {"public.spoken": 1}),
    ]
    assert (found.silent, found.suspect) == (1, deleted if not found.not_looked else None)
    assert (found.unknown, none.count, none.first) == ("", 0, None)
    assert (recent.last, deleted in {change.at for change in recent.newest}) == (end, True)
    assert other.unknown == "the database was recovered or replaced since, so its transactions are not those of then"
    commit(database, "drop table public.spoken")


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("", "syntax error"),
        ("select 1", "expected a query for one boolean, got int '1'"),
        ("select null::boolean", "expected a query for one boolean, got nothing"),
        ("select true where false", "expected a query for one boolean, got nothing"),
        ("select true, false", "subquery must return only one column"),
        ("values (true), (false)", "more than one row returned"),
        ("select tru from pg_class", 'column "tru" does not exist'),
        ("drop table public.horses", "syntax error"),
        ("copy (select true) to program 'true'", "syntax error"),
        ("select true); drop table public.horses; select (true", "cannot insert multiple commands"),
        ("with gone as (delete from pg_class returning true) select true", "data-modifying statement"),
    ],
)
def test_what_is_no_check_is_refused_by_the_server(database: Postgres, check: str, reason: str) -> None:
    """Only a query for one boolean is one: no command, not two statements, nothing that writes."""
    with database.reading() as session, pytest.raises(CheckError, match="(?i)" + reason.replace("'", ".")):
        verdict(session, check)


def test_a_check_may_end_with_a_semicolon_or_a_comment(database: Postgres) -> None:
    """As people write it: comments, a semicolon, a percent sign."""
    with database.reading() as session:
        assert verdict(session, "select 'x' like '%x' -- that is so") is True
        assert verdict(session, "select count(*) = 0 from pg_class;") is False
