"""The proof inside a recovered database: faults that are planted are named, a healthy one raises no alarm."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psycopg
import pytest

from infra.shapes import Hazards, Outgoing
from infra.stack import Check, Heartbeat, Stack
from runbooks.clients.postgres_programs import Programs
from runbooks.commands.frame import ROOT
from runbooks.engine.step import Sight, Yes
from runbooks.model.errors import NotSo, Refused
from runbooks.model.settings import load
from runbooks.steps.backups.proving import check_faults
from runbooks.steps.database.copies import DUMP, LATER, OWN, copy_present, keep_later_writes, read_manifest, way_back
from runbooks.steps.database.present import Present, check_own_address, losses, owed, read_present
from runbooks.steps.database.proof.definitions import note_definitions
from runbooks.steps.database.server import TableRows, end_other_sessions, look_at, written_after
from runbooks.steps.database.statements import refuse_wrong_statements
from runbooks.steps.database.verification import Beats, Expected, last_beat, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.clients.postgres import Postgres
    from runbooks.engine.step import Step

pytestmark = pytest.mark.twin

HEARTBEAT = Heartbeat(table="proof.heartbeat", column="beat_at", interval_seconds=60)
TRUE = Check(name="orders are there", sql="select exists (select from proof.orders where note not like '%after%')")
NO_AMCHECK = (
    "order within indexes and pages of tables (amcheck): "
    'permission denied to create extension "amcheck" (SQLSTATE 42501)'
)
SCHEMA = """
drop schema if exists proof cascade;
create schema proof;
create table proof.orders (id int primary key, note text);
create table proof.empty (id int);
create table proof.heartbeat (beat_at timestamptz not null);
insert into proof.orders select n, 'before' from generate_series(1, 10) n;
"""


@pytest.fixture
def owner(database: Postgres) -> Iterator[psycopg.Connection]:
    """Give a fresh schema with ten orders, written before what follows, and the owner's connection."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("drop schema proof cascade")


@pytest.fixture
def point(owner: psycopg.Connection) -> datetime:
    """Give an instant after the orders, with a heartbeat just before it."""
    owner.execute("insert into proof.heartbeat values (clock_timestamp() - interval '1 second')")
    row = owner.execute("select clock_timestamp()").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return] # a timestamptz


def expected(database: Postgres, point: datetime) -> Expected:
    """Return what the present says of the point, as a plan holds it."""
    present = read_present(database, point, HEARTBEAT)
    assert present is not None
    return owed(point, present)


def proof(database: Postgres, wanted: Expected, *checks: Check, noted: Path | None = None) -> Step:
    """Return the step as the book has it; the server counts as started now, as after a recovery."""
    return verify(
        database,
        wanted,
        heartbeat=HEARTBEAT,
        checks=checks or (TRUE,),
        noted=noted,
        seconds=60.0,
        after_failure=lambda _: ("next", "undo"),
        name="verify",
    )


def fault(step: Step) -> str:
    """Return what the proof complains of."""
    with pytest.raises(NotSo) as raised:
        step.act(Sight())
    assert raised.value.next_command == "next"
    assert str(raised.value).endswith("The application stays stopped. To serve it as it is nevertheless: undo")
    return str(raised.value)


def restarted_later(monkeypatch: pytest.MonkeyPatch, *, at: datetime | None = None) -> None:
    """Let the server seem to have started after everything that was written so far, or at an instant."""
    from runbooks.steps.database import verification  # noqa: PLC0415 - only for this

    def later(session: object) -> object:
        server = look_at(session)  # type: ignore[arg-type] # what the step hands over
        return msgspec.structs.replace(server, started_at=at or server.now + timedelta(seconds=1))

    monkeypatch.setattr(verification, "look_at", later)


@pytest.fixture
def _restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server seem to have started later."""
    restarted_later(monkeypatch)


def test_a_healthy_database_is_proven(
    database: Postgres, point: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing later, nothing missing, every check true: all is asked but what Supabase does not let its owner ask."""
    restarted_later(monkeypatch)
    note = note_definitions(database, tmp_path, point, name="note")
    assert not isinstance(note.holds(Sight()), Yes)
    note.act(Sight())
    assert isinstance(note.holds(Sight()), Yes)
    step = proof(database, expected(database, point), noted=tmp_path)
    step.act(Sight())
    held = step.holds(Sight())
    assert isinstance(held, Yes)
    rows = held.evidence["rows"]
    assert isinstance(rows, dict)
    assert (rows["proof.orders"], rows["proof.empty"]) == (10, 0)
    assert held.evidence["not_checked"] == [NO_AMCHECK]
    assert held.evidence["notes"] == []
    assert isinstance(held.evidence["proven_by_digest"], int)
    assert held.evidence["proven_by_digest"] >= 3


@pytest.mark.usefixtures("_restarted")
@pytest.mark.parametrize(
    "planted",
    [
        ("insert into proof.orders values (11, 'late')", "proof.orders holds 1 rows from after the point"),
        ("update proof.orders set note = 'late' where id < 4", "proof.orders holds 3 rows from after the point"),
        (
            "insert into proof.heartbeat values (clock_timestamp())",
            "proof.heartbeat: newest .* is later than the point",
        ),
        ("delete from proof.orders where id < 4", "table proof.orders: expected at least 10 rows, got 7"),
        ("truncate proof.orders", "expected at least 10 rows, got 0.*check “orders are there” is not true"),
        ("drop table proof.orders", "expected at least 10 rows, got no table.*check “orders are there” failed"),
        ("delete from proof.heartbeat", "heartbeat proof.heartbeat: expected the beat of .*, got None"),
        ("drop table proof.heartbeat", "heartbeat proof.heartbeat: the table is not there"),
    ],
)
def test_planted_faults_are_named(
    database: Postgres, owner: psycopg.Connection, point: datetime, planted: tuple[str, str]
) -> None:
    """Each fault that a wrong recovery would show is named, and none of them passes."""
    statement, said = planted
    wanted = expected(database, point)
    owner.execute(statement.encode())
    step = proof(database, wanted)
    with pytest.raises(NotSo, match=said):
        step.act(Sight())


@pytest.mark.usefixtures("_restarted")
def test_a_table_that_was_renamed_since_is_found(
    database: Postgres, owner: psycopg.Connection, point: datetime
) -> None:
    """After going back a table has its former name again, and its rows are still held to what they were."""
    owner.execute("alter table proof.orders rename to purchases")
    wanted = expected(database, point)
    owner.execute("alter table proof.purchases rename to orders")
    proof(database, wanted).act(Sight())
    owner.execute("delete from proof.orders where id < 4")
    with pytest.raises(NotSo, match=r"table proof\.purchases: expected at least 10 rows, got 7"):
        proof(database, wanted).act(Sight())


@pytest.mark.usefixtures("_restarted")
def test_a_rule_of_the_clock_does_not_hold_for_ever(
    database: Postgres, owner: psycopg.Connection, point: datetime
) -> None:
    """Rows that obeyed `at > now()` when they were written need not obey it any more."""
    owner.execute(
        "alter table proof.empty add column at timestamptz default now() + interval '50 ms' check (at > now());"
        " insert into proof.empty values (1)"
    )
    later = owner.execute("select pg_sleep(0.1), clock_timestamp()").fetchone()
    assert later is not None
    step = proof(database, Expected(point, None, (), Beats(known=True)))
    with pytest.raises(NotSo) as raised:  # of what came after the point, nothing else
        step.act(Sight())
    assert "break check" not in str(raised.value)


def test_another_database_is_noticed(database: Postgres, point: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster with another identity is not the one that was recovered, however healthy."""
    restarted_later(monkeypatch)
    wanted = expected(database, point)
    assert wanted.server is not None
    other = msgspec.structs.replace(wanted.server, system_identifier="1")
    step = proof(database, Expected(point, other, wanted.tables, wanted.beats))
    assert "it is another database: expected system 1, got" in fault(step)


def test_what_the_platform_writes_after_it_is_no_fault(
    database: Postgres, owner: psycopg.Connection, point: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows written since the server started again are new, not left over."""
    wanted = expected(database, point)
    restarted_later(monkeypatch, at=point)
    owner.execute("insert into proof.orders values (12, 'by a service, after the restart')")
    proof(database, wanted).act(Sight())


def test_without_a_present_the_heartbeat_must_bracket(
    database: Postgres, owner: psycopg.Connection, point: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is known of before, a beat within two intervals before the point is asked for, and it is said."""
    restarted_later(monkeypatch)
    unknown = Expected(point, None, (), Beats(known=False))
    step = proof(database, unknown)
    step.act(Sight())
    held = step.holds(Sight())
    assert held.evidence["not_checked"] == [
        "row counts and system identity: the database did not answer before",
        "definitions: those of the present were not noted before",
        NO_AMCHECK,
    ]
    owner.execute("update proof.heartbeat set beat_at = beat_at - interval '3 minutes'")
    late = fault(proof(database, unknown))
    assert "expected a beat between" in late


def test_checks_that_fail_are_told_apart(database: Postgres, point: datetime) -> None:
    """A check that is false, one that is null and one that is no SQL are each named, and the others still run."""
    checks = (
        Check(name="false", sql="select false"),
        Check(name="null", sql="select null::bool"),
        Check(name="broken", sql="select from nowhere"),
        TRUE,
    )
    said = fault(proof(database, expected(database, point), *checks))
    assert "check “false” is not true; check “null” is not true; check “broken” failed" in said
    assert "orders are there" not in said


def test_losses_are_counted_by_commit_time(database: Postgres, owner: psycopg.Connection, point: datetime) -> None:
    """New and altered rows after the point are counted a table, most first; the plan's line names them."""
    owner.execute("insert into proof.empty values (1)")
    owner.execute("update proof.orders set note = 'late' where id < 4")
    with database.reading() as session:
        written = written_after(session, point)
        mine = [table for table in written.tables if table.table.startswith("proof.") and table.after]
        assert last_beat(session, None, point) == Beats(known=True)
        assert last_beat(session, HEARTBEAT, point).last is not None
    assert mine == [TableRows("proof.orders", 10, 3), TableRows("proof.empty", 1, 1)]
    assert [table.kept for table in mine] == [7, 0]
    present = read_present(database, point, HEARTBEAT)
    line = losses(present)[0]
    assert line.startswith("everything written after it. Seen now: proof.orders 3 rows, proof.empty 1 rows   newest ")


def test_what_cannot_be_told_is_said(database: Postgres, point: datetime) -> None:
    """A plan says when it knows nothing: no database, no commit times, tables not counted."""
    assert losses(None)[0].endswith("how much cannot be told, the database does not answer")
    present = read_present(database, point, HEARTBEAT)
    assert present is not None
    blind = msgspec.structs.replace(present, server=msgspec.structs.replace(present.server, commit_times=False))
    assert losses(blind)[0].endswith("track_commit_timestamp is off")
    partly: Present = msgspec.structs.replace(present, tables=(TableRows("big", None, None),))
    assert losses(partly)[1:] == ("not counted: big",)


def test_we_do_not_shut_ourselves_out(database: Postgres) -> None:
    """An address that the server sees and the operators' list lacks is refused before anything is stopped."""
    with database.reading() as session:
        server = look_at(session)
    check_own_address(server, ("198.51.100.0/24",), file="Pulumi.x.yaml")
    ours = msgspec.structs.replace(server, seen_as="9.9.9.9/32")
    check_own_address(ours, ("9.9.9.0/24",), file="Pulumi.x.yaml")
    with pytest.raises(Refused, match=r"expected this machine's address 9\.9\.9\.9 in 198\.51\.100\.0/24"):
        check_own_address(ours, ("198.51.100.0/24",), file="Pulumi.x.yaml")


def test_sessions_of_others_are_ended(database: Postgres, owner: psycopg.Connection) -> None:
    """A session of the application is found, ended, and gone; ours stays."""
    step = end_other_sessions(database, name="end sessions")
    assert not isinstance(step.holds(Sight()), Yes)
    step.act(Sight())
    with pytest.raises(psycopg.OperationalError):
        owner.execute("select 1")
    assert isinstance(step.holds(Sight()), Yes)


def test_a_copy_is_whole_or_not_there(database: Postgres, owner: psycopg.Connection, tmp_path: Path) -> None:
    """A copy has its manifest and every file, notices a file that was cut, and keeps what is written after it."""
    programs = Programs(database, tmp_path)
    step = copy_present(programs, tmp_path, "b1", name="copy")
    assert not isinstance(step.holds(Sight()), Yes)
    step.act(Sight())
    held = step.holds(Sight())
    assert isinstance(held, Yes)
    place = tmp_path / "backups" / "b1"
    manifest = read_manifest(place)
    assert manifest is not None
    assert {OWN, f"{DUMP}/toc.dat"} <= {file.name for file in manifest.files}
    assert " TABLE proof orders postgres" in (place / OWN).read_text("utf-8")

    owner.execute("insert into proof.orders values (99, 'while the copy was made')")
    keep = keep_later_writes(programs, tmp_path, "b1", name="keep")
    assert not isinstance(keep.holds(Sight()), Yes)
    keep.act(Sight())
    kept = keep.holds(Sight())
    assert kept.evidence["rows"] == {"proof.orders": 1}
    csv = (place / LATER / "proof.orders.csv").read_text("utf-8")
    assert csv == "id,note\n99,while the copy was made\n"

    assert f"--use-list={place / OWN}" in way_back(tmp_path, "b1")
    (place / DUMP / "toc.dat").write_bytes(b"cut")
    assert not isinstance(step.holds(Sight()), Yes)


def test_a_heartbeat_whose_column_is_gone_in_the_present_can_be_taken_back(
    database: Postgres, owner: psycopg.Connection, point: datetime
) -> None:
    """A migration renamed it: the plan can be made; afterwards its column is expected, and a beat near the point."""
    owner.execute("alter table proof.heartbeat rename beat_at to beaten_at")
    wanted = expected(database, point)
    assert wanted.beats == Beats(known=False)
    with pytest.raises(NotSo, match=r"heartbeat proof\.heartbeat: it has no column beat_at"):
        proof(database, wanted).act(Sight())
    owner.execute("alter table proof.heartbeat rename beaten_at to beat_at")
    with pytest.raises(NotSo, match=r"expected a beat between"):  # this server did not start after any
        proof(database, wanted).act(Sight())


def test_a_heartbeat_that_there_is_none_of_is_said_not_to_be_looked_at(
    database: Postgres, owner: psycopg.Connection, point: datetime
) -> None:
    """Its name may be a slip in the stack file: then nothing bounds the point."""
    owner.execute("drop table proof.heartbeat")
    step = proof(database, expected(database, point))
    step.act(Sight())
    held = step.holds(Sight())
    assert isinstance(held, Yes)
    assert "heartbeat: there is no table proof.heartbeat" in held.evidence["not_checked"]  # type: ignore[operator] # a list


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("selec 1", r"syntax error.*SQLSTATE 42601"),
        ("delete from proof.orders", "SQLSTATE 25006"),
        ("select 7 from proof.orders limit 1", "got 7, no boolean"),
        ("select true, false", "got 1 rows, 2 values"),
        ("set local search_path = ''", "didn't produce"),
    ],
)
def test_a_check_that_is_none_is_refused_before_anything_is_stopped(
    database: Postgres, owner: psycopg.Connection, sql: str, said: str
) -> None:
    """By its name and what is wrong; it would fail after every restore, and is no fault of any backup."""
    stack = with_statements(Check(name="slip", sql=sql))
    with pytest.raises(Refused, match=said) as told:
        refuse_wrong_statements(database, stack, file=Path("Pulumi.x.yaml"))
    assert str(told.value).startswith("Pulumi.x.yaml: ems-ops:database.checks “slip”: expected a query for one boolean")
    with pytest.raises(Refused, match=said):
        check_faults(database, stack.database.checks)
    assert owner.execute("select count(*) from proof.orders").fetchone() == (10,)


def test_what_an_accident_may_have_done_to_a_check_is_not_refused(
    database: Postgres, owner: psycopg.Connection
) -> None:
    """A table that is gone, another type, a value that cannot be read: those may be what is taken back."""
    owner.execute("alter table proof.orders drop column note")
    gone = (
        "select exists (select from proof.gone)",
        "select note = 'x' from proof.orders",
        "select 'a'::int = 1",
        TRUE.sql,
    )
    outgoing = Outgoing(name="mails", waiting="select count(*) from proof.gone", hold="call proof.hold()",
                        held="select 0", release="update proof.orders set id = id")  # fmt: skip
    stack = with_statements(*(Check(name="c", sql=one) for one in gone), outgoing=outgoing)
    refuse_wrong_statements(database, stack, file=Path("Pulumi.x.yaml"))
    slip = with_statements(outgoing=msgspec.structs.replace(outgoing, hold="update proof.orders sett id = 1"))
    with pytest.raises(Refused, match=r"hazards\.outgoing “mails”\.hold: expected a statement, got .*42601"):
        refuse_wrong_statements(database, slip, file=Path("Pulumi.x.yaml"))


def with_statements(*checks: Check, outgoing: Outgoing | None = None) -> Stack:
    """Return the twin's stack file with these checks and this outgoing."""
    stack = load("twin", root=ROOT, environ={}).stack
    return msgspec.structs.replace(
        stack,
        database=msgspec.structs.replace(stack.database, checks=checks),
        hazards=Hazards(outgoing=(outgoing,) if outgoing else ()),
    )
