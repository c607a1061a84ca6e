"""What other products have and do raises no alarm: in a dump that was loaded, and after going back to a point."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.databases.subjects import copy, dump_and_load
from runbooks.steps.database.proof.comparing import Weight, compare, faults
from runbooks.steps.database.proof.definitions import read_definitions
from runbooks.steps.database.proof.inspection import inspect
from runbooks.steps.database.proof.kept import read_kept
from runbooks.steps.database.proof.manifest import FROM_A_DUMP, Form, Kind
from runbooks.steps.database.proof.reading import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.databases.server import Server

pytestmark = pytest.mark.twin

ODD = """
create schema "Odd.one";
create type "Odd.one".span as range (subtype = float8);
create table "Odd.one"."Kinds" ("Kind.Id" serial primary key, label text);
insert into "Odd.one"."Kinds" values (1, 'given by hand'), (7, 'and so again');
create materialized view "Odd.one".passed as select clock_timestamp() > '2020-01-01' as passed, now() as looked_at;
create table "Odd.one".rows (id int primary key, at date);
alter table "Odd.one".rows add constraint late check (id > 5) not valid;
create table "Odd.one".by_day (id int, at date) partition by range (at);
create table "Odd.one".days (id int, at date);
create materialized view "Odd.one".later as select 1 as a with no data;
create function "Odd.one".nothing() returns trigger language plpgsql as 'begin return null; end';
create trigger off before insert on "Odd.one".rows for each row execute function "Odd.one".nothing();
alter table "Odd.one".rows disable trigger off;
create table "Odd.one".parent (a int);
create table "Odd.one".child (b text, c int) inherits ("Odd.one".parent);
alter table "Odd.one".parent add column later text default 'x';
insert into "Odd.one".child values (1, 'b', 2, 'd');
create publication odd for table "Odd.one".child;
create table "Odd.one".not_yet (a int, b text);
insert into "Odd.one".not_yet values (null, 'x'), (null, 'y');
alter table "Odd.one".not_yet add constraint a_is_there not null a not valid;
create role odd_guest login valid until '2020-01-01'
"""
SINCE = """
alter table "Odd.one".rows drop constraint late;
alter function "Odd.one".nothing() rename to something;
alter table "Odd.one".by_day attach partition "Odd.one".days for values from ('2026-01-01') to ('2027-01-01');
refresh materialized view "Odd.one".later;
alter role odd_guest password 'x';
create role odd_newcomer login
"""
PLACED = """
create schema place;
create function place.it() returns event_trigger language plpgsql as
  $$begin alter extension amcheck set schema pg_catalog; end$$;
create event trigger place_it on ddl_command_end when tag in ('CREATE EXTENSION') execute function place.it()
"""
"""What supautils does at Supabase, by a trigger."""
ROLES = "drop role if exists odd_newcomer; alter role odd_guest password null"
BROKEN = 'select setval(\'"Odd.one"."Kinds_Kind.Id_seq"\', 1); delete from "Odd.one"."Kinds" where "Kind.Id" > 1'


@pytest.fixture(scope="module")
def odd(server: Server) -> str:
    """Give a database of odd things."""
    server.run("create database odd", "template1")
    server.run(ODD, "odd")
    return "odd"


def test_what_a_dump_fills_anew_is_no_fault(server: Server, odd: str, tmp_path: Path) -> None:
    """Views of the clock, ids that are given by hand and a range type's functions are as good as before."""
    dump_and_load(server, odd, "odd_loaded", dump=tmp_path / "dump")
    for form in Form:
        before = read_manifest(server.door(odd), form=form)
        findings = compare(before, read_manifest(server.door("odd_loaded"), form=form), aspects=FROM_A_DUMP)
        assert faults(findings) == []
    assert (Kind.SEQUENCE_VALUE, Weight.NOTE) in {(finding.what, finding.weight) for finding in findings}
    assert before.sequences['"Odd.one"."Kinds_Kind.Id_seq"'].largest == 7
    owned = {*before.objects[Kind.OWNER], *before.objects[Kind.GRANT]}
    assert [name for name in owned if "span(" in name] == []


def test_a_sequence_that_fell_behind_is_a_fault(server: Server, odd: str) -> None:
    """Where the sequence was ahead of its column before, one that is behind now is called so."""
    copy(server, odd, "odd_ahead")
    server.run(BROKEN, "odd_ahead")
    findings = compare(read_manifest(server.door("odd_ahead")), read_manifest(server.door(odd)), aspects=FROM_A_DUMP)
    assert Kind.SEQUENCE_VALUE in {finding.what for finding in faults(findings)}


def test_amcheck_is_used_where_the_platform_puts_it(server: Server) -> None:
    """Supabase makes it in pg_catalog, whatever schema is asked for: it is asked there, and nothing of it stays."""
    copy(server, "depot", "depot_placed")
    server.run(PLACED, "depot_placed")
    answers = inspect(server.door("depot_placed"), None, until=time.monotonic() + 60)
    assert [text for text in answers.of(Weight.FAULT) if not text.startswith("role ")] == []  # roles are the server's
    assert [text for text in answers.of(Weight.UNCHECKED) if "amcheck" in text] == []
    assert server.run("select extname from pg_extension where extname = 'amcheck'", "depot_placed") == []


def test_what_was_put_right_since_the_point_is_no_fault(server: Server, odd: str) -> None:
    """What was renamed, dropped, validated, attached, refreshed or made after the point was otherwise at the point."""
    point = server.run("select clock_timestamp()")[0][0]
    kept = {table.table: table for table in read_kept(server.door(odd), point).tables}
    assert (kept['"Odd.one".not_yet'].kept, kept['"Odd.one".child'].kept) == (2, 1)
    copy(server, odd, "odd_present")
    server.run(SINCE, "odd_present")
    with server.door("odd_present").reading() as session:
        noted = read_definitions(session, point)
    server.run(ROLES)
    answers = inspect(server.door(odd), noted, until=time.monotonic() + 60)
    assert answers.of(Weight.FAULT) == []
    notes = "\n".join(answers.of(Weight.NOTE))
    for said in (
        "role odd_newcomer: there is no such role; what connects as it will fail, unless it was made",
        "role odd_guest: it has no password any more",
        "role odd_guest: its password is valid until 2020-01-01 00:00:00+00 only, it cannot log in, as in the present",
        'constraint "Odd.one".rows.late: not valid',
        'view "Odd.one".later: not populated',
        "already: the next insert fails, as in the present",
    ):
        assert said in notes
