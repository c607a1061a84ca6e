"""Schema and data on a real PostgreSQL, as the owner that is no superuser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from tests.examples.conftest import EXAMPLE, Twin, psql

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.twin
Connection = psycopg.Connection[tuple[Any, ...]]


def one(database: Connection, query: str) -> Any:  # noqa: ANN401 - the single value that a query gives
    """Return the single value of a query."""
    row = database.execute(sql.SQL(query)).fetchone()
    assert row is not None
    return row[0]


def test_the_owner_is_no_superuser(database: Connection) -> None:
    """What the schema needs is what Supabase gives."""
    assert one(database, "select current_user || ' ' || current_setting('is_superuser')") == "postgres off"


def test_the_schema_holds_when_run_again(twin: Twin, database: Connection) -> None:
    """A second run prints nothing and loses nothing."""
    before = one(database, "select count(*) from public.bookings")
    assert psql(twin.database, "-f", str(EXAMPLE / "database" / "schema.sql")) == ""
    assert one(database, "select count(*) from public.bookings") == before > 1000


def test_foreign_keys_hold(database: Connection) -> None:
    """Every reference of every table finds its row."""
    keys = database.execute(
        """select conrelid::regclass::text, confrelid::regclass::text, a.attname
             from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
            where contype = 'f' and connamespace in ('public'::regnamespace, 'ops'::regnamespace)
              and array_length(conkey, 1) = 1"""
    ).fetchall()
    assert len(keys) == 10
    for table, target, column in keys:
        lost = f"select count(*) from {table} t left join {target} r on r.id = t.{column} where r.id is null"  # noqa: S608 - names from the catalogue
        assert one(database, f"{lost} and t.{column} is not null") == 0, (table, column)


def test_money_adds_up(database: Connection) -> None:
    """An invoice is the sum of its lines, and what was paid is what was invoiced."""
    assert (
        one(
            database,
            """select count(*) from public.invoices i
             join (select invoice_id, sum(amount_cents) as cents from public.invoice_lines group by 1) l
               on l.invoice_id = i.id
            where l.cents <> i.total_cents or i.total_cents = 0""",
        )
        == 0
    )
    assert one(
        database,
        "select sum(due_cents) = (select sum(total_cents) from public.invoices "
        "where status = 'issued') from public.rider_balances",
    )


def test_new_rows_follow_the_last(database: Connection) -> None:
    """Ids and invoice numbers go on after the generated ones."""
    with database.transaction(force_rollback=True):
        row = database.execute(
            "insert into public.invoices (rider_id) values (1) "
            "returning id = (select max(id) + 1 from public.invoices), number ~ '^F[0-9]{4}-[0-9]{7}$'"
        ).fetchone()
    assert row == (True, True)


def test_statistics_and_the_materialised_view_are_filled(database: Connection) -> None:
    """The planner knows the tables, and the monthly view counts every generated booking."""
    assert one(database, "select reltuples > 1000 from pg_class where oid = 'public.bookings'::regclass")
    generated = one(database, "select count(*) from public.bookings where created_at < '2026-01-01'")
    assert one(database, "select sum(bookings)::bigint from public.monthly_activity") == generated


def test_truncating_bookings_loses_what_depends_on_them(database: Connection) -> None:
    """`truncate public.bookings cascade` takes the invoices' lines along and leaves invoices and payments."""
    with database.transaction(force_rollback=True):
        database.execute("truncate public.bookings cascade")
        left = [
            one(database, f"select count(*) from public.{table}")  # noqa: S608 - names of this file
            for table in ("bookings", "invoice_lines", "invoices", "payments")
        ]
    assert left[:2] == [0, 0]
    assert min(left[2:]) > 0


@pytest.mark.parametrize(
    ("role", "query", "seen"),
    [
        ("anon", "select count(*) > 0 from public.horses", [True]),
        ("anon", "select count(*) from public.riders", None),
        ("anon", "select public.next_invoice_number()", None),
        ("anon", "select count(*) from ops.audit", None),
        ("anon", "insert into public.bookings (lesson_id, rider_id) values (1, 1)", None),
        ("authenticated", "select id from public.riders", [5]),
        ("authenticated", "select distinct rider_id from public.bookings", [5]),
        ("authenticated", "select distinct rider_id from public.rider_balances", [5]),
        ("authenticated", "insert into public.bookings (lesson_id, rider_id) values (1, 5) returning rider_id", [5]),
        ("authenticated", "insert into public.bookings (lesson_id, rider_id) values (1, 6)", None),
        ("authenticated", "update public.riders set phone = '+33 6 39 98 00 00' returning id", [5]),
        ("service_role", "select count(*) > 1 from public.riders", [True]),
        ("ems_reporting", "select count(*) > 1 from public.bookings", [True]),
        ("ems_reporting", "select count(*) from ops.accounts", None),
    ],
)
def test_row_security(database: Connection, role: str, query: str, seen: Sequence[object] | None) -> None:
    """Each role sees and does what its policies allow; a signed-in rider is rider 5 here."""
    subject = "00000000-0000-4000-9000-000000000005"
    with database.transaction(force_rollback=True):
        database.execute("update public.riders set user_id = %s where id = 5", [subject])
        if role == "ems_reporting":
            database.execute("grant ems_reporting to postgres")
        database.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        database.execute(
            "select set_config('request.jwt.claims', jsonb_build_object('sub', %s::text)::text, true)", [subject]
        )
        if seen is None:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                database.execute(sql.SQL(query))
        else:
            assert [row[0] for row in database.execute(sql.SQL(query))] == seen
