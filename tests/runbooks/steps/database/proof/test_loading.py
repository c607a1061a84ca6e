"""A backup by a role that is no superuser comes back as it was; one that could not come back is not begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from runbooks.clients.postgres import Postgres
from runbooks.clients.postgres_programs import Programs
from runbooks.clients.stores.files import FolderFiles
from runbooks.engine.step import Sight, Yes
from runbooks.model.errors import Refused
from runbooks.steps.backups.beside import Beside, find_equal, load_beside
from runbooks.steps.backups.catalog import Catalog
from runbooks.steps.backups.dumping import Dump
from runbooks.steps.backups.source import left_out
from runbooks.steps.backups.storing import publish, store
from runbooks.steps.database.server import answers_us
from tests.runbooks.steps.database.proof.test_dress import database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.databases.server import Server

ID = "2026-11-20T03-00-00Z"
OWNED = """
create role keeper login createdb;
create database club owner keeper;
"""
LOG = """
create table log (id serial primary key, at date); create view days as select at from log;
create table uses (log int references log); create table boards (id int primary key, next int references boards);
create table years (at int) partition by list (at); create table year partition of years for values in (1);
create table guarded (id int); create policy p on guarded using (exists (select from log));
create function counted() returns bigint begin atomic select count(*) from log; end;
"""


@pytest.fixture(scope="module")
def log(server: Server) -> Iterator[Postgres]:
    """Give a database with a table that much else needs."""
    with database(server, "create database logged", "database logged"):
        server.run(LOG, "logged")
        yield server.door("logged")


def test_a_schema_that_is_there_already_gets_its_owner_back(server: Server, tmp_path: Path) -> None:
    """`public` of another owner than in a new database, as in projects from before version 15: it is found equal."""
    with database(server, OWNED, "database fresh", "database club", "role keeper"):
        server.run("alter schema public owner to keeper", "club")
        own = Postgres(server.url("club").replace("postgres@", "keeper@"), statement_seconds=600)
        with psycopg.connect(own.url, autocommit=True) as connection:
            connection.execute("create table t as select 1 as x")
        catalog, programs = Catalog(FolderFiles(tmp_path / "dumps")), Programs(own, tmp_path)
        dump = Dump(programs, tmp_path / "dumps", ID, (), None, 0, 18)
        dump.make(Sight(run="r"))
        for step in (store(catalog, dump.draft, ID, name="s"), publish(catalog, dump.draft, ID, name="p")):
            step.act(Sight())
        beside = Beside(programs, catalog, catalog.get(ID), tmp_path, None, "club", "fresh")
        assert load_beside(beside, name="load").act(Sight(run="r")) == {"left_out": []}
        held = find_equal(beside, (), after_failure=lambda _sight: ("", ""), name="verify").holds(Sight())
        assert isinstance(held, Yes), held


@pytest.mark.parametrize(
    ("patterns", "needs"),
    [
        (("public.log",), "constraint uses_log_fkey on table uses needs"),
        (("public.log", "public.uses"), r"function counted\(\) needs"),
        (("public.log_id_seq",), "default value for column id of table log needs"),
        (("public.years",), "table year needs"),
    ],
)
def test_what_others_need_is_not_left_out(log: Postgres, patterns: tuple[str, ...], needs: str) -> None:
    """A backup without it could never be loaded: refused, naming what needs it."""
    with log.reading() as session, pytest.raises(Refused, match=needs):
        left_out(session, patterns, file="Pulumi.x.yaml")


def test_what_nobody_else_needs_may_be_left_out(log: Postgres) -> None:
    """A table that only refers to itself, partitions with their parent, one that needs another, a view."""
    with log.reading() as session:
        found = left_out(session, ("public.boards", "public.year*", "public.uses", "public.days"), file="")
    assert found == tuple(f'"public"."{name}"' for name in ("boards", "days", "uses", "year", "years"))


def test_who_is_not_let_in_is_told_so(server: Server) -> None:
    """A wrong role or database is no lost server: a restore must not go on without looking at what is there."""
    for url in (server.url("nowhere"), server.url().replace("postgres@", "nobody@")):
        door = Postgres(url)
        with pytest.raises(Refused, match=r'".*" does not exist\. The server is there.*EMS_DATABASE_URL that gets in'):
            answers_us(door, agreed=False)
        assert not answers_us(door, agreed=True)
    assert not answers_us(Postgres("postgresql://postgres@127.0.0.1:1/postgres"), agreed=False)
    assert answers_us(server.door(), agreed=False)
