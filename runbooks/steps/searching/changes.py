"""What was committed between two moments, by the server's commit times: also what only deleted has one.

A server keeps these times by transaction (`track_commit_timestamp`). What a transaction wrote is seen as long as the
rows are still there as it left them; one that only deleted is seen by its time alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import sql
from runbooks.model.errors import Unreachable
from runbooks.model.last_good import Change, Changes
from runbooks.steps.database.server import look_at, tables

if TYPE_CHECKING:
    from datetime import datetime

    from runbooks.clients.postgres import Session
    from runbooks.steps.database.server import Server

MOST_TRANSACTIONS: Final = 5_000_000
"""Transactions whose times are read: a second or two for a million of them (PostgreSQL 18, measured on the twin)."""
EXAMINED: Final = 1000  # commits whose rows are looked for, the newest
LISTED: Final = 20  # of which these are shown, at most
RECENT_TRANSACTIONS: Final = 1_000_000

FIRST_NORMAL: Final = 3  # transactions before it are the server's own (PostgreSQL 18, src/include/access/transam.h)
OFF: Final = "track_commit_timestamp is off"

SUMMARY: Final = """
select count(distinct at), min(at), max(at)
  from (select pg_xact_commit_timestamp(id::text::xid8::xid) as at from generate_series(%s::int8, %s::int8) id) times
 where at > %s and at < %s
"""
NEWEST: Final = """
select distinct at
  from (select pg_xact_commit_timestamp(id::text::xid8::xid) as at from generate_series(%s::int8, %s::int8) id) times
 where at > %s and at < %s order by at desc limit %s
"""


def changes_between(session: Session, before: Server, after: datetime, until: datetime) -> Changes:
    """Return what was committed after one moment and before another. `before` is the server as it was at the first."""
    server = look_at(session)
    if unknown := _why_unknown(server, before):
        return Changes(unknown=unknown)
    return _changes(session, (before.next_transaction - 1, server.next_transaction, after, until))


def recent_changes(session: Session, after: datetime) -> Changes:
    """Return what was committed after a moment, as far as the newest transactions tell."""
    server = look_at(session)
    if not server.commit_times:
        return Changes(unknown=OFF)
    first = max(FIRST_NORMAL, server.next_transaction - RECENT_TRANSACTIONS)
    return _changes(session, (first, server.next_transaction, after, server.now))


def _changes(session: Session, span: tuple[int, int, datetime, datetime]) -> Changes:
    try:
        with session.attempt():
            count, first, last = session.rows(SUMMARY, span)[0]
            newest = [at for (at,) in session.rows(NEWEST, (*span, EXAMINED))]
    except Unreachable:
        return Changes(unknown="the commit times could not be read in time")
    wrote, not_looked = _written(session, set(newest))
    silent = [at for at in newest if at not in wrote]
    listed = sorted([*silent, *(at for at in newest if at in wrote)][:LISTED], reverse=True)
    sure = len(silent) == 1 and not not_looked and count <= EXAMINED
    return Changes(
        count, first, last, tuple(Change(at, wrote.get(at, {})) for at in listed), tuple(not_looked),
        silent=len(silent), suspect=silent[0] if sure else None,
    )  # fmt: skip


def _why_unknown(server: Server, before: Server) -> str:
    if not server.commit_times:
        return OFF
    if server.system_identifier != before.system_identifier or server.timeline != before.timeline:
        return "the database was recovered or replaced since, so its transactions are not those of then"
    if server.next_transaction - before.next_transaction > MOST_TRANSACTIONS:
        return f"there were more than {MOST_TRANSACTIONS} transactions"
    return ""


def _written(session: Session, moments: set[datetime]) -> tuple[dict[datetime, dict[str, int]], list[str]]:
    """Count the rows that these commits wrote, by commit and table; return the tables of which that is not known."""
    wrote: dict[datetime, dict[str, int]] = {}
    not_looked = []
    for *name, readable in tables(session) if moments else ():
        label = ".".join(map(str, name))
        query = sql.SQL(
            "select at, count(*) from (select pg_xact_commit_timestamp(xmin) as at from only {}) rows"
            " where at = any(%s) group by at"
        ).format(sql.Identifier(*map(str, name)))
        try:
            with session.attempt():
                found = session.rows(query, ([*moments],)) if readable else None
        except Unreachable:
            found = None
        if found is None:
            not_looked.append(label)
        for at, rows in found or ():
            wrote.setdefault(at, {})[label] = rows
    return wrote, not_looked
