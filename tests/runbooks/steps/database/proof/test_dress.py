"""A database that takes another one's place is like it in what no dump carries; nobody rewrites one that is read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runbooks.model.errors import Refused, Unreachable
from runbooks.model.reconciliation import LOAD_BACKUP
from runbooks.steps.backups.dumping import Looked
from runbooks.steps.database.dress import GRANTS, OWN, SETTINGS, create_like, dress, locale_of
from runbooks.steps.database.proof.reading import held, read_manifest
from runbooks.steps.database.renaming import refuse_prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.databases.server import Server

CLUB = """
create role "arbiter one"; create role member;
create database club template template0 locale_provider builtin builtin_locale 'C.UTF-8' connection limit 7;
alter database club owner to "arbiter one";
alter database club set search_path = "$user", public, 'Odd, name"', 'Club';
alter role member in database club set search_path = '';
alter database club set "club.season" = 'it''s 50%, or less';
alter database club set datestyle = 'ISO, DMY';
revoke connect, temporary on database club from public;
grant connect on database club to member with grant option;
"""


@contextmanager
def database(server: Server, made: str, *names: str) -> Iterator[None]:
    """Run what makes databases and roles, and drop these at the end."""
    for statement in filter(str.strip, made.split(";\n")):
        server.run(statement)
    try:
        yield
    finally:
        for name in names:
            force = " with (force)" if name.startswith("database") else ""
            server.run(f"drop {name}{force}")


def test_a_database_is_made_and_dressed_like_another(server: Server) -> None:
    """Its locale, its settings with lists of names, who may connect and pass that on, its limit and its owner."""
    made = ("database fresh", "database club", 'role "arbiter one"', "role member")
    with database(server, CLUB, *made), server.door("template1").commanding(LOAD_BACKUP) as session:
        session.run(create_like("fresh", locale_of(session, "club")))
        assert dress(session, "fresh", like="club") == []
        for query in (SETTINGS, GRANTS, OWN):
            assert session.rows(query, ("fresh",)) == session.rows(query, ("club",))
        assert locale_of(session, "fresh") == locale_of(session, "club")
        assert locale_of(session, "fresh")["provider"] == "builtin"
        assert not session.value("select has_database_privilege('pg_monitor', 'fresh', 'connect')")


def test_a_prepared_transaction_is_named_before_anything_is_stopped(server: Server) -> None:
    """A database with one cannot be renamed: refused, with the command that ends it, which does."""
    with database(server, "create database club", "database club"):
        server.run("begin; create table t (); prepare transaction 'it''s one'", "club")
        with (
            server.door("club").reading() as session,
            pytest.raises(Refused, match=r"prepared in it.*it's one") as told,
        ):
            refuse_prepared(session)
        assert (
            told.value.next_command == """psql "$EMS_DATABASE_URL" -c 'rollback prepared '"'"'it'"'"''"'"'s one'"'"''"""
        )
        server.run("rollback prepared 'it''s one'", "club")
        with server.door("club").reading() as session:
            refuse_prepared(session)


def test_a_table_that_is_emptied_beside_a_snapshot_is_noticed(server: Server) -> None:
    """Its rows are in no snapshot any more: it counts as not read, and a dump that had no lock yet is not taken."""
    with database(server, "create database club", "database club"):
        server.run("create table t as select generate_series(1, 9); create table u as table t", "club")
        door = server.door("club")
        with held(door) as snapshot, door.reading(snapshot=snapshot.id) as session:
            Looked(session, ()).once()
            server.run("truncate t", "club")
            manifest = read_manifest(door, snapshot=snapshot)
            assert {name: rows.rows for name, rows in manifest.tables.items()} == {"public.u": 9}
            assert "public.t: it was emptied or rewritten meanwhile" in manifest.unchecked
            Looked(session, ('"public"."t"',)).once()
            with pytest.raises(Unreachable, match=r'^"public"\."t": emptied or rewritten right when the backup began'):
                Looked(session, ()).once()


def test_the_largest_value_of_a_sequences_column_may_be_no_number(server: Server) -> None:
    """NaN is larger than every number: the column is named as not compared."""
    with database(server, "create database club", "database club"):
        server.run("create sequence s; create table t (n numeric default nextval('s')); "
                   "insert into t default values; insert into t values ('NaN')", "club")  # fmt: skip
        manifest = read_manifest(server.door("club"))
        assert manifest.sequences["public.s"].largest is None
        assert "largest public.t.n: it is NaN" in manifest.unchecked
