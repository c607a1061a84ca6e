"""The end of a restore: what it goes by is who was kept and what is only there, not how large that is at the moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from runbooks import finish_restore
from runbooks.clients.cloudflare import Origin
from runbooks.model.errors import Exit
from runbooks.steps.database.renaming import FORMER, kept

if TYPE_CHECKING:
    from runbooks.clients.postgres import Postgres
    from tests.runbooks.desk import Desk

pytestmark = pytest.mark.twin

NOTE = f"{FORMER}r when backup 2026-11-20T03-00-00Z took its place at 2026-11-20T03:05:00Z"
NAME = "kept_one"
ELSEWHERE = Origin("db.example.com", 5432, "postgres", "app")
GROWS = """
do $$ begin for n in 1 .. 1000 loop
  execute format('create or replace function f%s() returns int language sql as %L', n, 'select 1');
end loop; end $$
"""


def test_a_former_database_is_dropped_though_its_size_changes(desk: Desk, database: Postgres) -> None:
    """Being looked at makes it larger: the plan still holds, and it is dropped."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"create database {NAME} template template0".encode())
        connection.execute(f"comment on database {NAME} is '{NOTE}'".encode())
    made = finish_restore.book(database, origin=lambda: (ELSEWHERE, ""))
    sizes: list[int] = []

    def gather() -> finish_restore.Facts:
        facts = made.gather()
        sizes.append(facts.bytes[NAME])
        with psycopg.connect(database.named(NAME).url, autocommit=True) as connection:
            connection.execute(GROWS)
        return facts

    outcome = desk.run(replace(made, gather=gather))
    assert (outcome.exit, outcome.text) == (Exit.DONE, "")
    assert len(set(sizes)) == 2
    with database.reading() as session:
        assert kept(session) == []
