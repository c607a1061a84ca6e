"""Count and hash every table on one snapshot, with several connections, in pieces, within a budget of time."""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from runbooks.clients.postgres import sql
from runbooks.model.errors import CheckError
from runbooks.steps.database.proof.hashing import columns_of, row_number
from runbooks.steps.database.proof.manifest import Contents, Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runbooks.clients.postgres import Postgres, Session

Row: TypeAlias = tuple[Any, ...]
PIECE: Final = 64 << 20
"""Bytes that one statement reads: long enough to cost nothing, short enough to share out and to stop in time."""
PAGE: Final = 8192
LARGE_OBJECTS: Final = "large objects"
PINNED: Final = (
    "select set_config('datestyle', 'ISO, YMD', true), set_config('intervalstyle', 'postgres', true),"
    " set_config('extra_float_digits', '1', true), set_config('bytea_output', 'hex', true),"
    " set_config('xmloption', 'content', true), set_config('search_path', 'pg_catalog', true),"
    " set_config('idle_in_transaction_session_timeout', '0', true),"
    " set_config('max_parallel_workers_per_gather', '0', true), set_config('lock_timeout', '30s', true)"
)
"""What the text of a value depends on; no parallel query, since we are several already; no long wait for who changes a
table."""

TABLES: Final = """
select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, m.amname = 'heap', pg_relation_size(c.oid),
       pg_table_size(c.oid), has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'),
         c.relispopulated,
       exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_am m on m.oid = c.relam
 where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname !~ '^pg_'
   and n.nspname <> 'information_schema'
 order by 2
"""

# A large object is read whole: how its pages lie depends on how it was written.
BLOBS: Final = (
    "select count(*), coalesce(sum(hash_record_extended(row(lo_get(oid)), oid::bigint)), 0)"
    " from pg_largeobject_metadata"
)


REWRITTEN: Final = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and c.relfilenode is distinct from pg_relation_filenode(c.oid)
"""
"""Tables whose rows are in another file now than on the snapshot: emptied, altered or packed anew meanwhile. A snapshot
does not show what was in them. Of a table that this transaction has read, it cannot happen later."""
STILL: Final = "select relfilenode = pg_relation_filenode(oid) from pg_class where oid = {}::regclass"


class Piece(NamedTuple):
    """A part of a table, in pages; `label` is the table's name, `bytes` what it will read, about.

    `table` is its name in SQL where its rows must be those of the snapshot.
    """

    label: str
    statement: sql.Composed | str
    bytes: int
    table: str = ""


class Contained(NamedTuple):
    """What a database contains: every table, the large objects, and what was not read, a line each."""

    tables: dict[str, Contents]
    large_objects: Contents | None
    unread: tuple[str, ...]


@dataclass
class Reading:
    """What was read so far, by table; and the tables that were not, with the reason."""

    rows: dict[str, int] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    done: int = 0

    more: dict[str, list[Row]] = field(default_factory=dict)

    def contents(self, label: str, *, fresh: bool | None = None) -> Contents:
        """Return a table's count and digest: the sum of its hashes, in hexadecimal, modulo 2^128."""
        return Contents(self.rows[label], f"{self.sums[label] % (1 << 128):032x}", fresh)


def read_contents(
    database: Postgres,
    snapshot: str,
    *,
    form: Form,
    jobs: int,
    until: float | None,
    report: Callable[[int, int], None],
) -> Contained:
    """Return every table's contents, those of the large objects, and what was not read.

    `until` is a monotonic instant after which nothing new is begun; `report` gets bytes done and bytes in all.
    """
    with database.reading(snapshot=snapshot) as session:
        session.rows(PINNED)
        pieces, unchecked = _pieces(session, form)
    found = read_pieces(database, snapshot, pieces, jobs=jobs, until=until, report=report)
    unchecked += [f"{label}: {why}" for label, why in sorted(found.failed.items())]
    views = {label[: -len(QUERY)] for label in found.rows if label.endswith(QUERY)}
    tables = {}
    for label in sorted(found.rows.keys() - found.failed.keys()):
        if label.endswith(QUERY) or label == LARGE_OBJECTS:
            continue
        fresh = found.contents(label) == found.contents(label + QUERY) if label in views else None
        tables[label] = found.contents(label, fresh=fresh)
    blobs = found.contents(LARGE_OBJECTS) if LARGE_OBJECTS in found.rows else None
    return Contained(tables, blobs, tuple(unchecked))


QUERY: Final = ": its query"
"""Marks what a materialized view would hold if it were refreshed now."""


def _pieces(session: Session, form: Form) -> tuple[list[Piece], list[str]]:
    """Return what has to be read, the largest first, and what cannot be."""
    listed = session.rows(TABLES)
    columns = columns_of(session, [row[0] for row in listed])
    pieces, unchecked = [Piece(LARGE_OBJECTS, BLOBS, PAGE)], []
    for oid, label, kind, heap, bytes_, whole, readable, populated, foreign in listed:
        if foreign or not readable:
            unchecked.append(f"{label}: " + ("it belongs to an extension" if foreign else "our role may not read it"))
        elif populated:
            number = row_number(columns[oid], form)
            pieces += cut(label, partial(_select, number), pages=bytes_ // PAGE if heap else 0, whole=whole)
            if kind == "m":
                pieces.append(Piece(label + QUERY, _select(number, _query_of(session, oid)), whole))
    return sorted(pieces, key=lambda piece: -piece.bytes), unchecked


def _query_of(session: Session, oid: int) -> sql.Composable:
    text = str(session.value("select pg_get_viewdef(%s::oid)", (oid,))).rstrip().rstrip(";")
    return sql.SQL("({})").format(sql.SQL(text))


def cut(label: str, select: Callable[..., sql.Composed], *, pages: int, whole: int) -> Iterator[Piece]:
    """Yield a table's pieces; the last one is open, as the table may have grown since it was measured.

    `select` makes a statement of the table and its conditions; `whole` is its size in bytes with what is stored aside.
    """
    table = sql.SQL("only {}").format(sql.SQL(label))
    count = max(1, min(pages, -(-whole // PIECE)))
    step = -(-pages // count) if pages else 0
    for first in range(0, max(pages, 1), max(step, 1)):
        where = [sql.SQL("t.ctid >= {}::tid").format(sql.Literal(f"({first},0)"))] if first else []
        if step and first + step < pages:
            where.append(sql.SQL("t.ctid < {}::tid").format(sql.Literal(f"({first + step},0)")))
        yield Piece(label, select(table, *where), max(whole // count, 1), label)


def _select(number: sql.Composable, source: sql.Composable, *where: sql.Composable) -> sql.Composed:
    return sql.SQL("select count(*), coalesce(sum({}), 0) from {} t{}").format(number, source, conditions(*where))


def conditions(*where: sql.Composable) -> sql.Composable:
    """Return a `where` clause, or nothing where there is no condition."""
    return sql.SQL(" where {}").format(sql.SQL(" and ").join(where)) if where else sql.SQL("")


def read_pieces(
    database: Postgres,
    snapshot: str,
    pieces: list[Piece],
    *,
    jobs: int,
    until: float | None,
    report: Callable[[int, int], None],
) -> Reading:
    """Let as many connections as there are jobs take piece after piece."""
    left, found, lock = deque(pieces), Reading(), Lock()
    total = sum(piece.bytes for piece in pieces)

    def work() -> None:
        with database.reading(snapshot=snapshot) as session:
            session.rows(PINNED)
            while left:
                with lock:
                    piece = left.popleft() if left else None
                if piece is None:
                    return
                late = until is not None and time.monotonic() > until
                answer = "there was no time left for it" if late else _one(session, piece)
                with lock:
                    _keep(found, piece, answer)
                    report(found.done, total)

    with ThreadPoolExecutor(max(1, min(jobs, len(pieces)))) as pool:
        for ended in [pool.submit(work) for _ in range(max(1, min(jobs, len(pieces))))]:
            ended.result()
    return found


def _one(session: Session, piece: Piece) -> Row | str:
    """Return count and sum of a piece, and what else it asks for; or why it could not be read."""
    try:
        with session.attempt():
            row = session.rows(piece.statement)[0]
        if piece.table and not session.value(sql.SQL(STILL).format(sql.Literal(piece.table))):
            return "it was emptied or rewritten meanwhile"
        return row  # noqa: TRY300 - the query after it may fail as well
    except CheckError as error:
        return str(error).partition(": ")[2]


def _keep(found: Reading, piece: Piece, answer: Row | str) -> None:
    found.done += piece.bytes
    if isinstance(answer, str):
        found.failed.setdefault(piece.label, answer)
        return
    found.rows[piece.label] = found.rows.get(piece.label, 0) + int(answer[0])
    found.sums[piece.label] = found.sums.get(piece.label, 0) + int(answer[1])
    found.more.setdefault(piece.label, []).append(answer[2:])
