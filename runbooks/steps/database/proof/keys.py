"""Rules of the schema, asked of every row again: a recovered file may break what the server enforces on writes.

Foreign keys by anti-joins (also those that are not validated); checks, not-null, generated columns and bounds of
partitions in one scan a table.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from runbooks.clients.postgres import sql
from runbooks.steps.database.proof.comparing import Weight
from runbooks.steps.database.proof.questions import Question, Remark

if TYPE_CHECKING:
    from runbooks.clients.postgres import Session

MOST: Final = 1_000_000
"""Rows of a fault that are counted: more would take longer and say nothing new."""

CLOCK: Final = re.compile(
    r"\b(CURRENT_(DATE|TIME|TIMESTAMP)|LOCALTIME(STAMP)?)\b|\b(now|\w+_timestamp|timeofday|age)\("
)
"""What asks for the time, as the server writes expressions: a rule of that held when the row was written."""

KEYS: Final = """
select format('%s.%I', k.conrelid::regclass, k.conname), k.conrelid::regclass::text, k.confrelid::regclass::text,
       k.convalidated, c.relkind = 'p', pg_table_size(k.conrelid),
       (select array_agg(array[a.attname, b.attname, n.nspname, o.oprname] order by p.place)
          from unnest(k.conkey, k.confkey, k.conpfeqop) with ordinality p(child, parent, operator, place)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = p.child
          join pg_attribute b on b.attrelid = k.confrelid and b.attnum = p.parent
          join pg_operator o on o.oid = p.operator join pg_namespace n on n.oid = o.oprnamespace),
       has_table_privilege(k.conrelid, 'select') and has_table_privilege(k.confrelid, 'select')
  from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace m on m.oid = c.relnamespace
 where k.contype = 'f' and k.conparentid = 0 and m.nspname !~ '^pg_'
 order by 1
"""

# `conditions` hold for every row; the name of each says what is broken where one does not.
RULES: Final = """
with ruled as (
  select k.conrelid as "table", format('check %I', k.conname) as name, pg_get_expr(k.conbin, k.conrelid) as condition
    from pg_constraint k where k.contype = 'c' and k.conrelid <> 0 and k.convalidated
  union all
  select a.attrelid, format('not null %I', a.attname), format('num_nulls(%I) = 0', a.attname)
    from pg_attribute a where a.attnotnull and a.attnum > 0 and not a.attisdropped
     and not exists (select from pg_constraint k where k.conrelid = a.attrelid and k.contype = 'n'
                        and a.attnum = any(k.conkey) and not k.convalidated)
  union all
  select d.adrelid, format('generated column %I', a.attname),
         format('%I is not distinct from (%s)', a.attname, pg_get_expr(d.adbin, d.adrelid))
    from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
    join pg_type t on t.oid = a.atttypid
   where a.attgenerated = 's' and exists (select from pg_opclass o join pg_am m on m.oid = o.opcmethod
                                           where m.amname = 'btree' and o.opcdefault and o.opcintype = t.oid)
  union all
  select c.oid, 'bounds of the partition', pg_get_partition_constraintdef(c.oid) from pg_class c where c.relispartition)
select c.oid::regclass::text, pg_table_size(c.oid), array_agg(r.name order by r.name),
       array_agg(r.condition order by r.name), has_table_privilege(c.oid, 'select')
  from ruled r join pg_class c on c.oid = r."table" join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and r.condition is not null
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 group by c.oid order by 1
"""


class Key(NamedTuple):
    """A foreign key: its tables, and its pairs of columns (ours, theirs, schema and name of the operator)."""

    label: str
    child: str
    parent: str
    validated: bool
    partitioned: bool
    size: int
    pairs: list[list[str]]
    readable: bool


class Rules(NamedTuple):
    """What every row of a table must obey, by the names of the rules."""

    table: str
    size: int
    names: list[str]
    conditions: list[str]
    readable: bool


def key_questions(session: Session) -> list[Question]:
    """Return one question a foreign key: does every row have its counterpart."""
    return [_key(Key(*row)) for row in session.rows(KEYS)]


def rule_questions(session: Session) -> list[Question]:
    """Return one question a table: does every row obey its table's rules."""
    return [_rules(Rules(*row)) for row in session.rows(RULES)]


def _key(key: Key) -> Question:
    title = f"foreign key {key.label}"
    if not key.readable:
        return Question(title, 0, None, "our role may not read both tables")
    same = sql.SQL(" and ").join(
        sql.SQL("p.{} operator({}.{}) c.{}").format(
            sql.Identifier(theirs), sql.Identifier(space), sql.SQL(operator), sql.Identifier(ours)
        )
        for ours, theirs, space, operator in key.pairs
    )
    given = sql.SQL(" and ").join(sql.SQL("c.{} is not null").format(sql.Identifier(ours)) for ours, *_ in key.pairs)
    query = sql.SQL(
        "select count(*) from (select from {child} c where {given} and not exists (select from {parent} p where {same})"
        " limit {most}) x"
    ).format(
        child=sql.SQL(key.child if key.partitioned else f"only {key.child}"),
        given=given,
        parent=sql.SQL(key.parent),
        same=same,
        most=sql.Literal(MOST),
    )

    def ask(session: Session) -> list[Remark]:
        alone = session.value(query)
        said = f"{title}: {alone} rows of {key.child} have no counterpart in {key.parent}"
        if not alone:
            return []
        # one that is not validated promises nothing for old rows
        return [Remark(Weight.FAULT, said) if key.validated else Remark(Weight.NOTE, f"{said}; it is not validated")]

    return Question(title, key.size, ask)


def _rules(rules: Rules) -> Question:
    title = f"rules of {rules.table}"
    if not rules.readable:
        return Question(title, 0, None, "our role may not read it")
    counted = sql.SQL(", ").join(
        sql.SQL("count(*) filter (where ({}) is false)").format(sql.SQL(rule)) for rule in rules.conditions
    )
    query = sql.SQL("select {} from only {}").format(counted, sql.SQL(rules.table))

    def ask(session: Session) -> list[Remark]:
        broken = [(name, count) for name, count in zip(rules.names, session.rows(query)[0], strict=True) if count]
        clocks = {name for name, rule in zip(rules.names, rules.conditions, strict=True) if CLOCK.search(rule)}
        return [
            Remark(Weight.NOTE if name in clocks else Weight.FAULT, f"table {rules.table}: {count} rows break {name}")
            for name, count in broken
        ]

    return Question(title, rules.size, ask)
