"""Lost data comes back from an own backup: verified beside the present, put in its place, and taken back again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.stories.conftest import Operator, at_work
from tests.stories.test_backups import begin
from tests.stories.test_restore import LATE, LATE_ROWS, ROWS, health, recoveries, sql

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.twin


@pytest.fixture(scope="module")
def house(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Give an operator of a twin with data, a backup, and an accident after it."""
    with at_work(root, tmp_path_factory.mktemp("house")) as operator:
        assert operator.types("twin.up").code == 0
        yield operator


def databases(operator: Operator) -> list[str]:
    """Return the databases that restores made or kept."""
    with psycopg.connect(operator.addresses.database_url, autocommit=True) as connection:
        found = connection.execute("select datname from pg_database where datname like 'postgres_%' order by 1")
        return [name for (name,) in found]


def backed_up(operator: Operator) -> str:
    """Make a backup and return its id."""
    made = operator.consents("backup")
    assert made.code == 0, made.text
    time.sleep(1.01)
    return str(made.document["plan"]["facts"]["backup"])


def plan_of(said: Any) -> str:  # noqa: ANN401 - what a command said
    """Return what a plan says in words."""
    return str(said.document["plan"]["summary"]) + "\n".join(said.document["plan"]["losses"])


def test_a_backup_takes_the_place_of_the_present_and_gives_it_back(house: Operator) -> None:
    """Rows are back, the service answers; undone, the present is as it was; finished, nothing is kept."""
    operator, rows = house, sql(house, ROWS)
    backup = backed_up(operator)
    sql(operator, LATE)
    sql(operator, "truncate public.bookings cascade")

    planned = operator.types("restore", "--point=1s ago", "--strategy=dump", "--dry-run")
    assert (planned.code, databases(operator)) == (0, []), planned.text
    assert f"backup {backup} (never proven: invoke backup.verify) is the newest whole one" in plan_of(planned)
    assert f"public.bookings: 0 rows now, {rows} in the backup" in plan_of(planned)
    assert "of them written since" in plan_of(planned)

    done = operator.consents("restore", "--point=1s ago", "--strategy=dump")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert (sql(operator, ROWS), sql(operator, LATE_ROWS), health(operator)) == (rows, 0, 200)
    assert [name.startswith("postgres_former_") for name in databases(operator)] == [True]
    assert done.document["results"]["verify"]["rows"]["public.bookings"] == rows
    assert recoveries(operator) == 0

    undone = operator.consents("runs.undo")
    assert (undone.code, undone.document["status"]) == (0, "undone"), undone.text
    assert (sql(operator, ROWS), sql(operator, LATE_ROWS), health(operator), databases(operator)) == (0, 1, 200, [])

    again = operator.consents("restore", f"--point=backup:{backup}")
    assert (again.code, again.document["plan"]["facts"]["strategy"]) == (0, "dump"), again.text
    finished = operator.consents("restore.finish")
    assert (finished.code, databases(operator)) == (0, []), finished.text
    assert "public.horses 1" in finished.document["plan"]["losses"][0]
    assert (sql(operator, ROWS), health(operator)) == (rows, 200)

    sql(operator, LATE)
    once_more = operator.consents("restore", f"--point=backup:{backup}")  # what stands there came from the same backup
    assert (once_more.code, sql(operator, LATE_ROWS)) == (0, 0), once_more.text
    assert operator.consents("restore.finish").code == 0


def test_killed_while_it_loads_it_goes_on_and_nothing_is_half(house: Operator) -> None:
    """The present is untouched until the new database is whole; resumed, it is loaded anew and takes its place."""
    operator, rows = house, sql(house, ROWS)
    backup = backed_up(operator)
    sql(operator, "truncate public.bookings cascade")
    running = begin(operator, "restore", f"--point=backup:{backup}", "--yes", "--reason=a story")
    until = time.monotonic() + 60
    while not databases(operator) and time.monotonic() < until:
        time.sleep(0.05)
    running.kill()
    running.communicate()
    assert (sql(operator, ROWS), health(operator)) == (0, 503)
    resumed = operator.consents("runs.resume")
    assert (resumed.code, resumed.document["status"]) == (0, "done"), resumed.text
    assert (sql(operator, ROWS), health(operator)) == (rows, 200)
    assert operator.consents("restore.finish").code == 0


def test_a_backup_that_is_not_good_is_refused_before_anything_is_stopped(house: Operator) -> None:
    """Flipped bytes are found before the stop: the older good one is taken, or named where one was asked for."""
    operator = house
    older, newer = backed_up(operator), backed_up(operator)
    folder = Path(operator.types("backup.list").document["where"]) / newer / "dump"
    file = max(folder.glob("*.dat.gz"), key=lambda one: one.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    writes = len([call for call in operator.control.calls() if call.effect])

    refused = operator.consents("restore", f"--point=backup:{newer}")
    assert refused.code == 2, refused.text
    reason = f"backup {newer} is not good: dump/{file.name} is not what was written: its SHA-256 differs from the"
    assert refused.document["text"].startswith(reason)
    assert f"Nothing was stopped. Good: {older}." in refused.document["text"]
    assert f"--point=backup:{older}" in refused.document["next_command"]
    planned = operator.types("restore", "--point=1s ago", "--strategy=dump", "--dry-run")
    assert planned.document["plan"]["facts"]["reached"]["backup"] == older
    assert reason in plan_of(planned)
    assert len([call for call in operator.control.calls() if call.effect]) == writes

    early = operator.consents("restore", "--point=2001-01-01T00:00:00Z", "--strategy=dump")
    assert (early.code, "There is no own backup from before 2001-01-01T00:00:00Z; the first is " in early.text) == (
        2,
        True,
    ), early.text
    nowhere = operator.consents("restore", "--point=backup:2001")
    assert (nowhere.code, "expected one backup in" in nowhere.document["text"]) == (2, True), nowhere.text
