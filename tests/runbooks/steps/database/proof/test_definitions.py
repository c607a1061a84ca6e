"""Going back takes the schema back too: what may differ from the present is told from what may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.databases.subjects import DEPOT, copy
from runbooks.steps.database.proof.comparing import Weight
from runbooks.steps.database.proof.definitions import Definitions, differences, read_definitions
from runbooks.steps.database.proof.manifest import Kind
from runbooks.steps.database.proof.reading import read_objects

if TYPE_CHECKING:
    from benchmarks.databases.server import Server
    from runbooks.steps.database.proof.comparing import Finding

pytestmark = pytest.mark.twin

BEFORE = """
alter table depot.parcels add column old text;
grant select on depot.parcels to depot_reader
"""
AFTER = """
alter table depot.parcels add column later text;
create table depot.added (id int primary key);
create or replace function depot.touch() returns trigger language plpgsql as $$ begin return null; end $$;
drop policy "clerks see all" on depot.parcels
"""


@pytest.fixture(scope="module")
def noted(server: Server) -> Definitions:
    """Give a present in which something was defined before a point, and something after it."""
    copy(server, DEPOT, "point")
    server.run(BEFORE, "point")
    point = server.run("select clock_timestamp()")[0][0]
    copy(server, "point", "present")
    server.run(AFTER, "present")
    with server.door("present").reading() as session:
        return read_definitions(session, point)


def found(server: Server, noted: Definitions, database: str, statement: str = "") -> list[Finding]:
    """Return how a recovered database differs, after something was done to it."""
    copy(server, "point", database)
    if statement:
        server.run(statement, database)
    with server.door(database).reading() as session:
        return differences(noted, read_objects(session).definitions)


def test_what_changed_since_is_a_note(server: Server, noted: Definitions) -> None:
    """A healthy recovery differs by what was defined, altered and dropped after the point, and raises no alarm."""
    seen = found(server, noted, "healthy")
    assert [str(finding) for finding in seen if finding.weight is Weight.FAULT] == []
    assert {
        (Kind.COLUMN, "depot.parcels.later"),
        (Kind.TABLE, "depot.added"),
        (Kind.FUNCTION, "depot.touch()"),
        (Kind.POLICY, 'depot.parcels."clerks see all"'),
    } <= {(finding.what, finding.where) for finding in seen}


@pytest.mark.parametrize(
    ("statement", "what", "where"),
    [
        ('drop policy "own rows" on depot.customers', Kind.POLICY, 'depot.customers."own rows"'),
        ("drop index depot.parcels_code_key", Kind.INDEX, "depot.parcels_code_key"),
        ("alter table depot.parcels drop column old", Kind.COLUMN, "depot.parcels.old"),
        ("revoke select on depot.moves from depot_reader", Kind.GRANT, "table depot.moves to depot_reader"),
        ("alter view depot.open_parcels rename to closed_parcels", Kind.VIEW, "depot.open_parcels"),
        ("alter type depot.state rename value 'lost' to 'gone'", Kind.TYPE, "depot.state"),
    ],
)
def test_what_was_settled_must_be_there(
    server: Server, noted: Definitions, statement: str, what: Kind, where: str
) -> None:
    """What nobody touched since the point and is not as in the present was lost by the recovery."""
    seen = found(server, noted, f"lost_{what}".replace(" ", "_"), statement)
    assert (what, where) in {(finding.what, finding.where) for finding in seen}
    if what is not Kind.VIEW:  # a name that the present lacks: it may have been renamed since
        assert (what, where) in {(f.what, f.where) for f in seen if f.weight is Weight.FAULT}
