"""Pages of tables and indexes: by the extension amcheck where it may be used, else by reading both and comparing.

Where it is not there it is created and used in a transaction that is rolled back, if our role may do that, and never
stays. Supabase lets the role `postgres` do so since its pull request supabase/postgres#2240 (opened 2026-06-26), but in
`pg_catalog`, whatever schema is asked for (`supautils.extensions_parameter_overrides`); projects on older images refuse
it ("omitted because may be unsafe", ansible/files/postgresql_config/supautils.conf.j2). Read 2026-11-28.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from runbooks.clients.postgres import sql
from runbooks.model.errors import CheckError
from runbooks.steps.database.proof.comparing import Weight
from runbooks.steps.database.proof.contents import conditions
from runbooks.steps.database.proof.hashing import columns_of, row_number
from runbooks.steps.database.proof.manifest import Form
from runbooks.steps.database.proof.questions import Question, Remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.clients.postgres import Postgres, Session
    from runbooks.steps.database.proof.hashing import Column

INSTALLED: Final = """
select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace
 where e.extname = 'amcheck'
"""
UNIQUENESS: Final = 170_000  # server_version_num since which bt_index_check looks for doubles as well

RELATIONS: Final = """
select c.oid, format('%I.%I', n.nspname, c.relname), m.amname, pg_relation_size(c.oid)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_am m on m.oid = c.relam
  left join pg_index i on i.indexrelid = c.oid
 where c.relkind in ('r', 'm', 'i', 't') and c.relpersistence <> 't' and n.nspname !~ '^pg_(?!toast$)'
   and n.nspname <> 'information_schema' and coalesce(i.indisvalid and i.indisready, true)
   and (c.relkind <> 't' or c.oid >= 16384) and m.amname in ('heap', 'btree')
 order by 2
"""

# Keys of plain columns; `parts` are their names, `filter` is a partial index's condition.
KEYS: Final = """
select format('%I.%I', n.nspname, c.relname), quote_ident(c.relname), i.indrelid, i.indrelid::regclass::text,
       i.indisunique, pg_relation_size(i.indexrelid) + pg_relation_size(i.indrelid),
       array_agg(a.attname::text order by k.place), pg_get_expr(i.indpred, i.indrelid), i.indnullsnotdistinct,
       array_agg(case when i.indoption[k.place - 1] & 1 = 1 then 'desc' else 'asc' end
                 || case when i.indoption[k.place - 1] & 2 = 2 then ' nulls first' else ' nulls last' end
                 order by k.place)
  from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam and m.amname = 'btree'
  join pg_class t on t.oid = i.indrelid and t.relkind in ('r', 'm')
  join pg_namespace n on n.oid = c.relnamespace, unnest(i.indkey) with ordinality k(number, place)
  join pg_attribute a on true
 where a.attrelid = i.indrelid and a.attnum = k.number and k.place <= i.indnkeyatts and 0 <> all(i.indkey)
   and i.indisvalid and i.indisready and n.nspname !~ '^pg_' and has_table_privilege(i.indrelid, 'select')
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e')
 group by 1, 2, 3, 4, 5, 6, 8, 9 order by 1
"""


def page_questions(database: Postgres, session: Session, *, until: float) -> list[Question]:
    """Return the questions about pages: amcheck's, or else our own, with a line that says what those leave out."""
    schema = session.value(INSTALLED)
    if schema is not None:
        return [_one(schema, *row) for row in session.rows(RELATIONS)]
    refused = _why_not(database)
    if not refused:
        whole = session.value("select pg_database_size(current_database())")
        return [Question("pages (amcheck)", whole, lambda _session: _rehearse(database, until))]
    missing = Question("order within indexes and pages of tables (amcheck)", 0, None, refused)
    keys = [Key(*row) for row in session.rows(KEYS)]
    columns = columns_of(session, [key.oid for key in keys])
    return [missing, *(_compared(key, columns[key.oid]) for key in keys)]


def _why_not(database: Postgres) -> str:
    """Return why amcheck cannot be created here, nothing when it can."""
    try:
        with database.rehearsing() as session:
            _create(session)
    except CheckError as error:
        return str(error).partition(": ")[2]
    return ""


def _create(session: Session) -> str:
    """Create amcheck in a schema of its own, and return the one that it came into."""
    session.run("create schema ems_ops_amcheck")
    session.run("create extension amcheck schema ems_ops_amcheck")
    return str(session.value(INSTALLED))


def _rehearse(database: Postgres, until: float) -> list[Remark]:
    """Create amcheck, ask it about everything, and take it back."""
    remarks: list[Remark] = []
    with database.rehearsing() as session:
        schema = _create(session)
        for row in session.rows(RELATIONS):
            question = _one(schema, *row)
            if time.monotonic() > until or question.ask is None:
                remarks.append(Remark(Weight.UNCHECKED, f"{question.title}: there was no time left for it"))
                continue
            try:
                with session.attempt():
                    remarks += question.ask(session)
            except CheckError as error:
                remarks.append(Remark(Weight.FAULT, f"{question.title}: {str(error).partition(': ')[2]}"))
    return remarks


def _one(schema: str, oid: int, label: str, method: str, size: int) -> Question:
    """Return the question about one table or index."""
    if method == "heap":
        return Question(f"pages of {label}", size, lambda session: list(_heap(session, schema, oid, label)))
    return Question(f"index {label}", size, lambda session: _index(session, schema, oid, label))


def _heap(session: Session, schema: str, oid: int, label: str) -> Iterator[Remark]:
    found = session.rows(f"select blkno, msg from {schema}.verify_heapam({oid}) limit 3")  # noqa: S608 - an object id
    for block, text in found:
        yield Remark(Weight.FAULT, f"table {label}, page {block}: {text}")


def _index(session: Session, schema: str, oid: int, label: str) -> list[Remark]:
    doubles = int(session.value("show server_version_num")) >= UNIQUENESS
    arguments = f"{oid}, true, true" if doubles else f"{oid}, true"
    try:
        with session.attempt():
            session.rows(f"select {schema}.bt_index_check({arguments})")
    except CheckError as error:
        said = str(error).partition(": ")[2]
        return [Remark(Weight.UNCHECKED if "42501" in said else Weight.FAULT, f"index {label}: {said}")]
    return []


class Key(NamedTuple):
    """An index on plain columns: what it is on, in what order; `only` is the condition of a partial one."""

    label: str
    called: str
    oid: int
    table: str
    unique: bool
    size: int
    columns: list[str]
    only: str | None
    nulls_are_equal: bool
    order: list[str]


def _compared(key: Key, columns: list[Column]) -> Question:
    """Return the question whether an index leads to the same keys as the table itself, and to each once."""
    number = row_number([column for column in columns if column.name in key.columns], Form.HASH)
    names = [sql.Identifier(column) for column in key.columns]
    ordered = [sql.SQL("t.{} {}").format(name, sql.SQL(way)) for name, way in zip(names, key.order, strict=True)]
    parts = {
        "number": number,
        "table": sql.SQL(key.table),
        "where": conditions(*([sql.SQL("({})").format(sql.SQL(key.only))] if key.only else [])),
        "order": sql.SQL(", ").join(ordered),
    }
    scan = sql.SQL("select count(*), sum({number}) from only {table} t{where}").format(**parts)
    by_index = sql.SQL(
        "select count(*), sum(h) from (select {number} as h from only {table} t{where} order by {order}) x"
    ).format(**parts)

    def ask(session: Session) -> list[Remark]:
        _steer(session, "seqscan", "sort", "incremental_sort", "bitmapscan")
        plan = " ".join(row[0] for row in session.rows(sql.SQL("explain {}").format(by_index)))
        through = session.rows(by_index)[0] if f"using {key.called} on" in plan else None
        _steer(session, "indexscan", "indexonlyscan", "bitmapscan")
        direct = session.rows(scan)[0]
        _steer(session)
        if through is None:
            return [Remark(Weight.UNCHECKED, f"index {key.label}: the server reads these keys by another one")]
        if through != direct:
            text = f"index {key.label}: it leads to {through[0]} rows, {key.table} has {direct[0]}, or to other keys"
            return [Remark(Weight.FAULT, text)]
        twice = session.value(_doubles(key)) if key.unique else 0
        text = f"index {key.label}: {twice} keys stand in {key.table} more than once"
        return [Remark(Weight.FAULT, text)] if twice else []

    return Question(f"index {key.label}", key.size * 2, ask)


def _doubles(key: Key) -> sql.Composed:
    """Return the statement that counts keys which are there more than once."""
    names = [sql.Identifier(column) for column in key.columns]
    where = [sql.SQL("({})").format(sql.SQL(key.only))] if key.only else []
    where += [] if key.nulls_are_equal else [sql.SQL("{} is not null").format(name) for name in names]
    return sql.SQL("select count(*) from (select from only {} t{} group by {} having count(*) > 1) x").format(
        sql.SQL(key.table), conditions(*where), sql.SQL(", ").join(names)
    )


def _steer(session: Session, *off: str) -> None:
    """Leave the planner one way only, until it is steered again or the session ends."""
    every = ("seqscan", "sort", "incremental_sort", "bitmapscan", "indexscan", "indexonlyscan")
    for way in every:
        session.rows("select set_config(%s, %s, true)", (f"enable_{way}", "off" if way in off else "on"))
