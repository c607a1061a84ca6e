"""The rows that were there at a point and still are: how many, and their digest, told by commit times.

A row that nobody wrote since the point was in the table at the point, as it is now. So a recovered table holds at least
those rows; and where it holds exactly as many, it must have their digest. That proves a table byte for byte without
anything that was written down before, but for parts in which rows were altered or deleted after the point.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from runbooks.clients.postgres import sql
from runbooks.steps.database.proof.contents import PAGE, PINNED, conditions, cut, read_pieces
from runbooks.steps.database.proof.hashing import columns_of, row_number, signature
from runbooks.steps.database.proof.manifest import Form
from runbooks.steps.database.server import TableRows, Written, look_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.postgres import Postgres
    from runbooks.steps.database.proof.contents import Piece, Reading

JOBS: Final = 2
PARTS: Final = 64
"""Parts that a table's digest has: a row that was altered after the point hides one of them, not the whole table."""

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
    tables = [_table(found, label, oid, signature(columns[oid])) for oid, label, *_ in listed]
    newest = [moment for rows in found.more.values() for _, _, moment, _ in rows if moment is not None]
    ordered = sorted(tables, key=lambda table: (-(table.after or 0), -(table.rows or 0)))
    return Written(tuple(ordered), max(newest, default=None))


def _select(
    number: sql.Composable, point: datetime, until: datetime | None, source: sql.Composable, *where: sql.Composable
) -> sql.Composed:
    late = sql.SQL("at > {}").format(sql.Literal(point))
    new = sql.SQL("false") if until is None else sql.SQL("at > {}").format(sql.Literal(max(point, until)))
    return sql.SQL(
        "select coalesce(sum(n), 0), 0, sum(late), sum(new), max(newest), array_agg(array[part, kept, total])"
        " from (select h & {last} as part, count(*) as n, count(*) filter (where ({late}) is not true) as kept,"
        " coalesce(sum(h) filter (where ({late}) is not true), 0) as total, count(*) filter (where {late}) as late,"
        " count(*) filter (where {new}) as new, max(at) as newest"
        " from (select {number} as h, pg_xact_commit_timestamp(t.xmin) as at from {source} t{where}) rows group by 1) x"
    ).format(last=sql.Literal(PARTS - 1), late=late, new=new, number=number, source=source, where=conditions(*where))


def _table(found: Reading, label: str, oid: int, form: str) -> TableRows:
    if label not in found.rows or label in found.failed:
        return TableRows(label, None, None, oid=oid)
    late, new = (sum(int(rows[column] or 0) for rows in found.more[label]) for column in (0, 1))
    parts: dict[int, Part] = {}
    for *_, listed in found.more[label]:
        for number, rows, total in listed or ():
            before = parts.get(int(number), Part(0, 0))
            parts[int(number)] = Part(before.rows + int(rows), (before.total + int(total)) % (1 << 64))
    return TableRows(label, found.rows[label], late - new, new, f"{form} {_written(parts)}", oid)


class Part(NamedTuple):
    """A part of a table's kept rows, chosen by their hash: how many, and the sum of their hashes modulo 2^64."""

    rows: int
    total: int


class Likeness(NamedTuple):
    """How the kept rows of the present are found again: so many are not, at least; so many parts could not be told.

    Of a table whose columns are others than in the present, nothing can.
    """

    missing: int
    hidden: int


def likeness(wanted: str, got: str) -> Likeness:
    """Compare the digests of one table in the present and in what was recovered.

    A part with fewer rows has lost some, one with as many must be equal. One with more holds rows that were altered or
    deleted after the point: they hide whether others of it are missing.
    """
    (form, *before_parts), (form_now, *now_parts) = wanted.split(), got.split()
    if form != form_now:
        return Likeness(0, PARTS)
    before, now = _read_back(before_parts), _read_back(now_parts)
    missing = hidden = 0
    for number in before.keys() | now.keys():
        old, new = before.get(number, Part(0, 0)), now.get(number, Part(0, 0))
        if new.rows > old.rows:
            hidden += 1
        else:
            missing += old.rows - new.rows or int(old.total != new.total)
    return Likeness(missing, hidden)


def _written(parts: dict[int, Part]) -> str:
    """Return a digest as text: `part:rows:sum` in hexadecimal, for every part that has rows."""
    return " ".join(f"{number:x}:{part.rows:x}:{part.total:x}" for number, part in sorted(parts.items()) if part.rows)


def _read_back(digest: list[str]) -> dict[int, Part]:
    words = (word.split(":") for word in digest)
    return {int(number, 16): Part(int(rows, 16), int(total, 16)) for number, rows, total in words}
