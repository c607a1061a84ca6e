"""The database door: what only reads cannot write, and errors say whether asking again helps."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.postgres import Postgres
from runbooks.clients.postgres_programs import Programs, _fits
from runbooks.model.errors import ActError, CheckError, Refused, Unreachable
from runbooks.model.reconciliation import SPOIL

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def programs(database: Postgres, tmp_path: Path) -> Programs:
    """Give PostgreSQL's programs for the real database."""
    return Programs(database, tmp_path)


@pytest.mark.twin
def test_a_reading_session_cannot_write(database: Postgres) -> None:
    """The server itself refuses a write in a session that was not asked to write, on one snapshot."""
    with (
        pytest.raises(CheckError, match="cannot execute CREATE TABLE in a read-only transaction"),
        database.reading() as session,
    ):
        session.rows("create table public.nothing ()")
    with database.reading() as session:
        assert session.value("show default_transaction_read_only") == "on"
        assert session.value("show transaction_isolation") == "repeatable read"
        assert session.value("show application_name") == "ems-ops"
        assert session.value("show row_security") == "off"


@pytest.mark.twin
def test_a_writing_session_commits(database: Postgres) -> None:
    """What was written in a session that was asked to write is there afterwards."""
    with database.writing(SPOIL) as session:
        session.connection.execute("create table public.written (id int)")
    with database.reading() as session:
        assert session.value("select to_regclass('public.written') is not null")
    with database.writing(SPOIL) as session:
        session.connection.execute("drop table public.written")


def test_a_plan_opens_no_writing_session() -> None:
    """The door of a plan refuses before it connects."""
    locked = Postgres("postgresql://x@127.0.0.1:1/x", read_only=True)
    with pytest.raises(Refused, match="a plan only reads"), locked.writing(SPOIL):
        pass


@pytest.mark.twin
def test_a_server_that_goes_before_the_session_ends(database: Postgres) -> None:
    """A connection that is lost between the last answer and the end of the transaction is "later", as any other."""
    with pytest.raises(Unreachable, match=r"Database 127\.0\.0\.1:\d+/\w+: "), database.reading() as session:  # noqa: PT012 - the end of the session raises
        us = session.value("select pg_backend_pid()")
        with database.writing(SPOIL) as another:
            assert another.value("select pg_terminate_backend(%s, 5000)", (us,))


@pytest.mark.twin
def test_a_statement_has_its_limit(database: Postgres) -> None:
    """A statement that takes too long is given up, and may be asked again."""
    quick = Postgres(database.url, statement_seconds=0.1)
    with pytest.raises(Unreachable, match="statement timeout"), quick.reading() as session:
        session.rows("select pg_sleep(2)")


@pytest.mark.twin
def test_what_fails_can_be_attempted(database: Postgres) -> None:
    """A statement that fails in an attempt leaves the transaction usable."""
    with database.reading() as session:
        with pytest.raises(CheckError, match="division by zero"), session.attempt():
            session.rows("select 1 / 0")
        assert session.value("select 1") == 1
        assert session.truth("select true")
        assert not session.truth("select null")


def test_nobody_there_is_unreachable() -> None:
    """A refused connection says where, without user and password, and that asking again may help."""
    gone = Postgres("postgresql://me:secret@127.0.0.1:1/stable")
    with pytest.raises(Unreachable, match=r"^Database 127\.0\.0\.1:1/stable: ") as raised, gone.reading():
        pass
    assert "secret" not in str(raised.value)
    assert raised.value.retryable


@pytest.mark.twin
def test_a_wrong_password_is_no_later(database: Postgres) -> None:
    """A refused login is not asked again, and the password is not shown."""
    head, _, tail = database.url.partition("postgres:")
    wrong = Postgres(f"{head}postgres:wrong-password@{tail.partition('@')[2]}")
    with pytest.raises((CheckError, Unreachable)) as raised, wrong.reading():
        pass
    assert "wrong-password" not in str(raised.value)


def test_what_is_no_url_is_refused() -> None:
    """A connection string that is none is refused with the form that is expected."""
    with pytest.raises(Refused, match="expected postgresql://user:password@host:port/database"):
        Postgres("nonsense://x").address()


def test_a_remote_database_is_spoken_to_over_tls() -> None:
    """TLS is required beyond loopback, and what the URL says itself is kept; the password stays out."""
    plain, password = Postgres("postgresql://me:secret@db.example.com/postgres").address()
    assert "sslmode=require" in plain
    assert "secret" not in plain
    assert password == "secret"
    assert "sslmode=verify-full" in Postgres("postgresql://me@db.example.com/x?sslmode=verify-full").address()[0]
    assert "sslmode=disable" in Postgres("postgresql://me@127.0.0.1/x").address()[0]


@pytest.mark.twin
def test_a_script_holds_whole_or_not_at_all(programs: Programs, tmp_path: Path) -> None:
    """An error in the last statement leaves nothing of the first, and is told."""
    script = tmp_path / "schema.sql"
    script.write_text("create table public.half (id int);\nselect 1 / 0;\n", "utf-8")
    with pytest.raises(ActError, match="division by zero"):
        programs.run_script(script)
    with programs.database.reading() as session:
        assert session.value("select to_regclass('public.half')") is None


@pytest.mark.twin
def test_half_a_stream_is_not_loaded(programs: Programs, tmp_path: Path) -> None:
    """A command that prints SQL and then fails has loaded nothing; one that ends well has loaded all."""
    code = "print('create table public.streamed (id int);'); import sys; sys.exit({})"
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text(code.format(3), "utf-8")
    good.write_text(code.format(0), "utf-8")
    with pytest.raises(ActError, match="expected SQL and exit 0, got exit 3"):
        programs.run_stream(["python", str(bad)])
    with programs.database.reading() as session:
        assert session.value("select to_regclass('public.streamed')") is None
    programs.run_stream([sys.executable, str(good)])
    with programs.database.writing(SPOIL) as session:
        session.connection.execute("drop table public.streamed")


@pytest.mark.twin
def test_settings_of_a_role_do_not_change_what_we_read(programs: Programs, tmp_path: Path) -> None:
    """A role may write dates as it likes, cut transactions off and speak another encoding: we read the same."""
    database = programs.database
    own = ("datestyle = 'German'", "transaction_timeout = '50ms'", "client_encoding = 'LATIN1'")
    with database.writing(SPOIL) as session:
        session.connection.execute('create table public."馬" (at timestamptz)')
        for setting in own:
            session.connection.execute(f"alter role current_user set {setting}".encode())
    try:
        with database.reading() as session:
            found = session.rows("select pg_sleep(0.2)::text, '2026-11-28T10:15:00Z'::timestamptz")
            assert found[0][1] == datetime(2026, 11, 28, 10, 15, tzinfo=UTC)
        programs.dump(tmp_path / "dump")
        assert any("馬" in line for line in programs.contents(tmp_path / "dump"))
    finally:
        with database.writing(SPOIL) as session:
            for setting in own:
                session.connection.execute(f"alter role current_user reset {setting.partition(' ')[0]}".encode())
            session.connection.execute('drop table public."馬"')


@pytest.mark.twin
def test_data_that_do_not_load_leave_no_schema_either(programs: Programs, tmp_path: Path) -> None:
    """A schema whose data fail is not there afterwards; what a schema sets for its session is not set for its data."""
    schema = tmp_path / "schema.sql"
    schema.write_text("create table public.whole (id int); select set_config('search_path', '', false);", "utf-8")
    insert = "print('insert into whole values ({});')"
    bad, good = tmp_path / "bad.py", tmp_path / "good.py"
    bad.write_text(insert.format("1 / 0"), "utf-8")
    good.write_text(insert.format("1"), "utf-8")
    with pytest.raises(ActError, match="division by zero"):
        programs.run_stream(["python", str(bad)], after=(schema,))
    with programs.database.reading() as session:
        assert session.value("select to_regclass('public.whole')") is None
    programs.run_stream(["python", str(good)], after=(schema,))
    with programs.database.writing(SPOIL) as session:
        assert session.value("select count(*) from public.whole") == 1
        session.connection.execute("drop table public.whole")


def test_a_remote_dump_needs_a_program_that_fits(tmp_path: Path) -> None:
    """Where a remote server's version cannot be asked, nothing is guessed."""
    remote = Programs(Postgres("postgresql://x@192.0.2.1:1/x?connect_timeout=2"), tmp_path)
    with pytest.raises(Unreachable):
        remote.find("pg_dump")


@pytest.mark.twin
def test_no_program_that_fits_is_said(database: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's programs are listed with the command that installs one; older ones than the server do not count."""
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n", "utf-8")
    old.chmod(0o755)
    monkeypatch.setattr(Postgres, "is_local", False)
    monkeypatch.setattr(Postgres, "address", lambda self: (f"{self.url}?sslmode=disable", None))
    with pytest.raises(Refused, match=r"expected a pg_dump of version 18 or newer .*pg_dump \(9\)") as raised:
        Programs(database, tmp_path, {"PATH": str(tmp_path)}).find("pg_dump")
    assert raised.value.next_command == "apt-get install postgresql-client-18"


@pytest.mark.parametrize(
    ("name", "major", "server", "fits"),
    [
        ("pg_dump", 14, 15, False),
        ("pg_dump", 18, 15, True),
        ("pg_restore", 16, 15, True),
        ("pg_restore", 17, 16, False),  # SET transaction_timeout: unrecognized configuration parameter
        ("pg_restore", 18, 17, True),
    ],
)
def test_a_program_fits_a_server(name: str, major: int, server: int, *, fits: bool) -> None:
    """None that is older; and no pg_restore that says more than the server understands."""
    assert _fits(name, major, server) is fits
