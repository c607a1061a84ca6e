"""The expression by which one row of a table becomes a number: equal rows give equal numbers, in any database.

PostgreSQL's own hash functions are used where equal hashes mean equal values and survive a dump. Not so with enums (it
is the label's object id that is hashed), case-insensitive text, intervals (a day equals 24 hours), and types that have
none (json, xml, tsvector, points): those go through their text.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from runbooks.clients.postgres import sql
from runbooks.steps.database.proof.manifest import Form

if TYPE_CHECKING:
    from runbooks.clients.postgres import Session

EXACT: Final = (
    *("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "name", "bytea"),
    *("date", "time", "timestamp", "timestamptz", "uuid", "oid", "inet", "cidr", "macaddr", "jsonb", "char"),
)
"""Types whose default hash tells all values apart that a person would."""

# `direct`: the hash function of the type that SQL may call, where it takes exactly this type.
COLUMNS: Final = """
with hashes as (
  select distinct on (o.opcintype) o.opcintype as type, p.proname
    from pg_opclass o join pg_am m on m.oid = o.opcmethod and m.amname = 'hash'
    join pg_amproc a on a.amprocfamily = o.opcfamily and a.amproclefttype = o.opcintype
     and a.amprocrighttype = o.opcintype and a.amprocnum = 2
    join pg_proc p on p.oid = a.amproc
   where o.opcdefault and p.pronamespace = 'pg_catalog'::regnamespace and p.proargtypes[0] = o.opcintype
   order by o.opcintype)
select a.attrelid, a.attname,
       a.attnotnull and not exists (select from pg_constraint n where n.conrelid = a.attrelid and n.contype = 'n'
                                       and not n.convalidated and a.attnum = any(n.conkey)),
       coalesce(e.typname, t.typname) = any(%s) and t.typtype = 'b' and coalesce(l.collisdeterministic, true) as exact,
       case when t.typelem = 0 or t.typlen <> -1 then h.proname end as direct,
       t.typname in ('varchar', 'bpchar') as letters,
       (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid in (t.oid, t.typelem)),
       k.child
  from pg_attribute a join pg_type t on t.oid = a.atttypid
  join lateral (select exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid
                                where c.oid = a.attrelid and not c.relispartition) as child) k on true
  left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
  left join hashes h on h.type = t.oid
  left join pg_collation l on l.oid = a.attcollation
 where a.attrelid = any(%s) and a.attnum > 0 and not a.attisdropped
 order by a.attrelid, case when k.child then a.attname end, a.attnum
"""


class Column(NamedTuple):
    """One column, and how it may be hashed. `of_child`: its table inherits, and a dump gives it another place there."""

    name: str
    not_null: bool
    exact: bool
    direct: str | None
    letters: bool
    labels: str | None
    of_child: bool


def columns_of(session: Session, tables: list[int]) -> dict[int, list[Column]]:
    """Return the columns of tables, by the table's object id."""
    found: dict[int, list[Column]] = {table: [] for table in tables}
    for table, *column in session.rows(COLUMNS, (list(EXACT), tables)):
        found[table].append(Column(*column))
    return found


def signature(columns: list[Column]) -> str:
    """Return what must be equal for hashes of rows to be comparable: the columns, in order, and how each is hashed."""
    said = [(column.name, column.exact, column.direct, column.letters, column.labels) for column in columns]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def row_number(columns: list[Column], form: Form) -> sql.Composable:
    """Return the expression for a row `t`: 64 bits, a bigint.

    Every column is hashed with a seed of its own, what has no function to call as one record; then all of it is hashed
    again, so that values which change places between rows or columns do not cancel out.
    """
    if not columns:
        return sql.SQL("0::bigint")
    if form is Form.TEXT and columns[0].of_child:
        whole = sql.SQL(", ").join(_plain(column) for column in columns)
        return sql.SQL("hashtextextended(row({})::text, 0)").format(whole)
    if form is Form.TEXT:
        return sql.SQL("hashtextextended(t::text, 0)")
    parts, rest = [], []
    for seed, column in enumerate(columns, 1):
        part = _direct(column, seed)
        if part is None:
            rest.append(_plain(column))
        else:
            parts.append(part)
    if rest:
        parts.append(sql.SQL("hash_record_extended(row({}), 0)").format(sql.SQL(", ").join(rest)))
    # nothing where it must not be, as in damaged pages: the row still counts
    return sql.SQL("coalesce(hashint8extended({}, 0), 0)").format(sql.SQL(" # ").join(parts))


def _direct(column: Column, seed: int) -> sql.Composable | None:
    """Return one call that hashes a column, None where there is none."""
    value = sql.SQL("t.{}").format(sql.Identifier(column.name))
    if not column.exact:
        call = sql.SQL('hashtextextended({}::text collate "C", {})').format(value, sql.Literal(seed))
    elif column.letters:
        call = sql.SQL("hashtextextended({}::text, {})").format(value, sql.Literal(seed))
    elif column.direct is None:
        return None
    else:
        call = sql.SQL("{}({}, {})").format(sql.Identifier(column.direct), value, sql.Literal(seed))
    # nothing is hashed to nothing: another seed stands for it
    return call if column.not_null else sql.SQL("coalesce({}, {})").format(call, sql.Literal(-seed))


def _plain(column: Column) -> sql.Composable:
    return sql.SQL("t.{}").format(sql.Identifier(column.name))
