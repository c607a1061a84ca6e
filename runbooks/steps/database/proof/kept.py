"""The rows that were there at a point and still are: how many, and their digest, told by commit times.

A row that nobody wrote since the point was in the table at the point, as it is now. So a recovered table holds at least
those rows; and where it holds exactly as many, it must have their digest. That proves a table byte for byte without
anything that was written down before, unless rows of it were altered or deleted after the point.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import sql
from runbooks.steps.database.proof.contents import PAGE, PINNED, conditions, cut, read_pieces
from runbooks.steps.database.proof.hashing import columns_of, row_number
from runbooks.steps.database.proof.manifest import Form
from runbooks.steps.database.server import TableRows, Written, look_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.postgres import Postgres
    from runbooks.steps.database.proof.contents import Piece, Reading

JOBS: Final = 2

TABLES: Final = """
select c.oid, format('%I.%I', n.nspname, c.relname), m.amname = 'heap', pg_relation_size(c.oid), pg_table_size(c.oid),
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_am m on m.oid = c.relam
 where c.relkind = 'r' and c.relpersistence = 'p' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 2
"""


def read_kept(
    database: Postgres,
    point: datetime,
    *,
    until: datetime | None = None,
    seconds: float | None = None,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Written:
    """Return of every table its rows, those written after the point (not after `until`), and the digest of the others.

    Without commit times in the server, and for what is not read within `seconds`, nothing is known. Raises Unreachable.
    """
    limit = None if seconds is None else time.monotonic() + seconds
    with database.reading() as session:
        snapshot = session.value("select pg_export_snapshot()")
        session.rows(PINNED)
        known = look_at(session).commit_times
        listed = session.rows(TABLES)
        columns = columns_of(session, [row[0] for row in listed])
        pieces: list[Piece] = []
        for oid, label, heap, bytes_, whole, readable in listed:
            if readable and known:
                select = partial(_select, row_number(columns[oid], Form.HASH), point, until)
                pieces += cut(label, select, pages=bytes_ // PAGE if heap else 0, whole=whole)
        pieces.sort(key=lambda piece: -piece.bytes)
        found = read_pieces(database, snapshot, pieces, jobs=JOBS, until=limit, report=report)
    tables = [_table(found, label) for _, label, *_ in listed]
    newest = [moment for rows in found.more.values() for *_, moment in rows if moment is not None]
    ordered = sorted(tables, key=lambda table: (-(table.after or 0), -(table.rows or 0)))
    return Written(tuple(ordered), max(newest, default=None))


def _select(
    number: sql.Composable, point: datetime, until: datetime | None, source: sql.Composable, *where: sql.Composable
) -> sql.Composed:
    late = sql.SQL("at > {}").format(sql.Literal(point))
    new = sql.SQL("false") if until is None else sql.SQL("at > {}").format(sql.Literal(max(point, until)))
    return sql.SQL(
        "select count(*), coalesce(sum(h) filter (where ({late}) is not true), 0), count(*) filter (where {late}),"
        " count(*) filter (where {new}), max(at)"
        " from (select {number} as h, pg_xact_commit_timestamp(t.xmin) as at from {source} t{where}) rows"
    ).format(late=late, new=new, number=number, source=source, where=conditions(*where))


def _table(found: Reading, label: str) -> TableRows:
    if label not in found.rows or label in found.failed:
        return TableRows(label, None, None)
    late, new = (sum(int(rows[column]) for rows in found.more[label]) for column in (0, 1))
    return TableRows(label, found.rows[label], late - new, new, found.contents(label).digest)
