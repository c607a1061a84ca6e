"""Read the manifest of a database: on a snapshot of its own, or on the one that a dump is taken from.

`with held(database) as snapshot:` holds one while `pg_dump --snapshot=…` (`snapshot.id`) and
`read_manifest(database, snapshot=snapshot)` read what it shows, in any order or at once.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack, contextmanager
from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from runbooks.clients.postgres import sql
from runbooks.model.errors import CheckError
from runbooks.steps.database.proof.access import AROUND
from runbooks.steps.database.proof.contents import PINNED, Contained, read_contents
from runbooks.steps.database.proof.manifest import FORMAT, Form, Kind, Manifest, SequenceValue
from runbooks.steps.database.proof.schema import MINE, RELATIONS, STRUCTURE
from runbooks.steps.database.server import look_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runbooks.clients.postgres import Postgres, Session

LINES: Final = re.compile(r"\s*\n\s*")
JOBS: Final = 2
"""Connections that read at the same time: more would be felt by the application."""

ONLY_DEFINITIONS: Final = Contained({}, None, ("rows of all tables: only definitions were read",))
PLACE: Final = """
select current_database(),
       (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text
"""

# The columns that a sequence fills: those that own it, and those whose default asks it.
SEQUENCES: Final = """
with filled as (
  select d.objid as sequence, d.refobjid as "table", d.refobjsubid as "column" from pg_depend d
   where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
     and d.refobjsubid > 0
  union
  select d.refobjid, f.adrelid, f.adnum from pg_depend d join pg_attrdef f on f.oid = d.objid
   where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass)
select format('%I.%I', n.nspname, c.relname), pg_sequence_last_value(c.oid), s.seqincrement,
       has_sequence_privilege(c.oid, 'select') or has_sequence_privilege(c.oid, 'usage'),
       (select array_agg(array[f."table"::regclass::text, quote_ident(a.attname)] order by 1)
          from filled f join pg_attribute a on a.attrelid = f."table" and a.attnum = f."column"
         where f.sequence = c.oid and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype,
           'numeric'::regtype) and not s.seqcycle)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_sequence s on s.seqrelid = c.oid
 where {mine} and c.relpersistence <> 't' order by 1
"""


class Snapshot(msgspec.Struct, frozen=True):
    """A snapshot that is held: its id for other sessions, and what is not bound to snapshots.

    `at` is right after it was taken: what was committed later is not shown. Sequences move on in any transaction: those
    values are from before, so a dump of the snapshot is never behind them.
    """

    id: str
    at: datetime
    sequences: dict[str, SequenceValue]
    unchecked: tuple[str, ...]


class Objects(NamedTuple):
    """Every object's definition by kind and name, the transactions that wrote it, and the kinds that were not read.

    Where a kind does not tell who wrote it (roles), there are none.
    """

    definitions: dict[Kind, dict[str, str]]
    writers: dict[tuple[Kind, str], frozenset[str]]
    unchecked: tuple[str, ...]


@contextmanager
def held(database: Postgres) -> Iterator[Snapshot]:
    """Hold a snapshot for as long as the block runs. It keeps vacuum from cleaning up: do not hold it for days."""
    with database.reading() as session:
        found, at = session.rows("select pg_export_snapshot(), clock_timestamp()")[0]
        session.rows(PINNED)
        sequences, unchecked = read_sequences(session)
        yield Snapshot(found, at, sequences, tuple(unchecked))


def read_manifest(
    database: Postgres,
    *,
    snapshot: Snapshot | None = None,
    form: Form = Form.HASH,
    jobs: int = JOBS,
    seconds: float | None = None,
    contents: bool = True,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Manifest:
    """Return what a database holds, and what of it could not be read.

    `snapshot` is one that is held (by `held`); without it one is taken. `form` TEXT compares across major versions of
    PostgreSQL. After `seconds` no further table is begun. Without `contents`, only definitions. `report` gets bytes
    done and bytes in all. Raises Unreachable when the database does not answer.
    """
    until = None if seconds is None else time.monotonic() + seconds
    with ExitStack() as own:
        shown = snapshot or own.enter_context(held(database))
        with database.reading(snapshot=shown.id) as session:
            server = look_at(session)
            name, place = session.rows(PLACE)[0]
            objects = read_objects(session)
        found = ONLY_DEFINITIONS
        if contents:
            found = read_contents(database, shown.id, form=form, jobs=jobs, until=until, report=report)
    return Manifest(
        format=FORMAT,
        at=server.now,
        database=name,
        server=server,
        lsn=place,
        form=form,
        tables=found.tables,
        sequences=shown.sequences,
        large_objects=found.large_objects,
        objects=objects.definitions,
        unchecked=(*shown.unchecked, *objects.unchecked, *found.unread),
    )


def read_objects(session: Session) -> Objects:
    """Return the definition of every object."""
    session.rows(PINNED)
    objects: dict[Kind, dict[str, str]] = {}
    writers: dict[tuple[Kind, str], frozenset[str]] = {}
    unchecked = []
    for kind, query in (STRUCTURE | AROUND).items():
        if kind is Kind.CRON and not _has_cron(session):
            continue
        try:
            with session.attempt():
                found = session.rows(sql.SQL(query).format(mine=MINE, relations=RELATIONS))
        except CheckError as error:
            unchecked.append(f"every {kind}: {str(error).partition(': ')[2]}")
            continue
        objects[kind] = {name: LINES.sub(" ", text or "").strip() for name, text, _ in sorted(found)}
        writers |= {(kind, name): frozenset(filter(None, by or ())) for name, _, by in found}
    return Objects(objects, writers, tuple(unchecked))


def read_sequences(session: Session) -> tuple[dict[str, SequenceValue], list[str]]:
    """Return every sequence's last value beside the largest one in its columns, and what could not be told."""
    sequences, unchecked = {}, []
    for label, last, step, readable, columns in session.rows(sql.SQL(SEQUENCES).format(mine=MINE)):
        if not readable:
            unchecked.append(f"sequence {label}: our role may not read it")
            continue
        largest: list[int] = []
        for table, name in columns or ():
            query = f"select {'max' if step > 0 else 'min'}({name}) from {table}"  # noqa: S608 - quoted by the server
            try:
                with session.attempt():
                    value = session.value(query)
            except CheckError as error:
                unchecked.append(f"largest {table}.{name}: {str(error).partition(': ')[2]}")
            else:
                if value is not None and not isfinite(value):  # a numeric column may hold NaN, which is the largest
                    unchecked.append(f"largest {table}.{name}: it is {value}")
                elif value is not None:
                    largest.append(int(value))
        extreme = (max if step > 0 else min)(largest, default=None)
        sequences[label] = SequenceValue(last, extreme, step, tuple(map(".".join, columns or ())))
    return sequences, unchecked


def _has_cron(session: Session) -> bool:
    """Tell whether pg_cron's table is there; asked by its name, for its schema may be closed to us."""
    query = (
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'cron' and c.relname = 'job')"
    )
    return bool(session.value(query))
