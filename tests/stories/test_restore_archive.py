"""A server of our own goes back by its base backups and WAL: verified while it serves, exchanged, and taken back."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from benchmarks.databases.selfhosted import SelfHosted, selfhosted
from tests.stories.conftest import Operator, Said, at_work
from tests.stories.test_restore import LATE, LATE_ROWS, ROWS, a_second_passes, health

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.twin


@pytest.fixture(scope="module")
def server() -> Iterator[SelfHosted]:
    """Give a server of our own."""
    with selfhosted() as server:
        yield server


@pytest.fixture(scope="module")
def house(root: Any, tmp_path_factory: pytest.TempPathFactory, server: SelfHosted) -> Iterator[Operator]:  # noqa: ANN401
    """Give an operator of a twin whose database is on that server, with a base backup."""
    with at_work(root, tmp_path_factory.mktemp("house")) as made:
        operator = replace(made, environment={**os.environ, "EMS_DATABASE_URL": server.url})
        operator.edit("ems-ops:database", archive=msgspec.to_builtins(server.told))
        up = operator.types("twin.up")
        assert up.code == 0, up.text
        server.base("first")
        server.archive()
        yield operator


def kept(server: SelfHosted) -> list[str]:
    """Return what recoveries have left beside the data folder."""
    return [path.name for work in server.folder.glob("data.ems-ops-*") for path in sorted(work.iterdir())]


def value(server: SelfHosted, statement: str) -> Any:  # noqa: ANN401 - one value of any type
    """Return what the server answers."""
    return server.run(statement)[0][0]


def step(said: Said, name: str) -> dict[str, Any]:
    """Return what a step of a run saw."""
    result: dict[str, Any] = said.document["results"][name]
    return result


def test_an_accident_is_taken_back_and_the_restore_as_well(house: Operator, server: SelfHosted) -> None:
    """Rows are back, the service answers; undone, the present is as it was; finished, nothing is kept."""
    rows = value(server, ROWS)
    assert rows > 0
    point = a_second_passes()
    server.run(LATE)
    server.run("truncate public.bookings cascade")

    planned = house.types("restore", f"--point={point}", "--dry-run")
    assert planned.code == 0, planned.text
    assert planned.document["plan"]["facts"]["strategy"] == "archive"
    assert "pitr cannot: database.archive is declared" in planned.document["plan"]["summary"]
    assert "public.horses 1 rows" in planned.document["plan"]["losses"][0]
    assert (value(server, ROWS), kept(server)) == (0, [])

    done = house.consents("restore", f"--point={point}")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert (value(server, ROWS), value(server, LATE_ROWS), health(house)) == (rows, 0, 200)
    assert step(done, "look")["rows"]["public.bookings"] == step(done, "verify")["rows"]["public.bookings"] == rows
    assert kept(server) == ["definitions.json", "former", "note.json"]

    undone = house.consents("runs.undo")
    assert (undone.code, undone.document["status"]) == (0, "undone"), undone.text
    assert (value(server, ROWS), value(server, LATE_ROWS), health(house), kept(server)) == (0, 1, 200, [])

    again = house.consents("restore", f"--point={point}", "--strategy=archive")
    assert (again.code, value(server, ROWS), value(server, LATE_ROWS)) == (0, rows, 0), again.text
    finished = house.consents("restore.finish")
    assert (finished.code, kept(server)) == (0, []), finished.text
    assert "the former data folder, kept by run" in finished.document["plan"]["losses"][0]


def test_a_server_that_is_dead_is_restored_from_what_is_archived(house: Operator, server: SelfHosted) -> None:
    """What is not archived yet is named; once it is there, its last transaction is reached without any after it."""
    server.base("second")
    a_second_passes()
    rows, late = value(server, ROWS), value(server, LATE_ROWS)
    server.run(LATE)
    server.stop("immediate")
    refused = house.consents("restore", "--point=1s ago")
    assert refused.code == 2, refused.text
    reason = "base second: the server does not answer and WAL of it is not archived: 0000000"
    assert reason in refused.document["text"], refused.text
    copied = os.system(refused.document["next_command"])  # noqa: S605 - what the operator is told to type
    assert copied == 0
    done = house.consents("restore", "--point=1s ago")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert (value(server, ROWS), value(server, LATE_ROWS), health(house)) == (rows, late + 1, 200)
    assert kept(server) == ["former", "note.json"]
