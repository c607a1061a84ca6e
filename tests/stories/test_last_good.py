"""The instant at which data went wrong is found in own backups and in commit times, and gone back to."""

from __future__ import annotations

import os
import shlex
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from benchmarks.sweeping.product import JOBS_REST
from runbooks.clients import twin
from tests.stories.conftest import Operator, Said
from tests.stories.test_restore import a_second_passes, health, sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.sweeping.place import Place

pytestmark = pytest.mark.twin

THERE = "select count(*) = 3 from public.horses where name like 'Found %'"
MAKE = """
insert into public.horses (name, sex, birth_date)
 select 'Found ' || n, 'mare', '2015-01-01' from generate_series(1, 3) n
"""
GONE = "delete from public.horses where name like 'Found %'"


@pytest.fixture(scope="module")
def operator(place: Place, root: Path) -> Iterator[Operator]:
    """Give an operator of the shared twin, whose stack file, ops home and backups are their own."""
    place.rest()
    point = place.direct()
    control = twin.control(place.stage.addresses.cloudflare)
    operator = Operator(root, point.stack_file, place.stage.addresses, dict(os.environ), control)
    sql(operator, JOBS_REST)
    yield operator
    control.transport.close()
    place.rest()


def find(operator: Operator, check: str) -> Said:
    """Look for the last instant at which a check held."""
    return operator.types("restore.find", f"--check={check}")


def test_what_holds_and_what_is_no_check_is_refused(operator: Operator) -> None:
    """Two statements in one, a check that holds, no backup to look into: each by its name, and nothing is changed."""
    calls = len([call for call in operator.control.calls() if call.effect])
    refused = {
        "select true); commit; drop table public.horses; select (true": "cannot insert multiple commands",
        "select true": "--check holds now, so there is nothing to find",
        "select false": "expected an own backup to look into, there is none",
    }
    for check, reason in refused.items():
        said = find(operator, check)
        assert (said.code, reason in said.document["text"]) == (2, True), (check, said.text)
        assert said.document["next_command"].startswith(("invoke restore.find --stack ", "invoke restore --stack "))
    assert len([call for call in operator.control.calls() if call.effect]) == calls


def test_deleted_rows_are_found_and_brought_back(operator: Operator) -> None:
    """The newest backup with the rows is found; commits tell until when; the command that is shown brings them back."""
    early = operator.consents("backup")
    assert early.code == 0, early.text
    never = find(operator, THERE)
    assert (never.code, "--check holds in none of the 1 backups" in never.document["text"]) == (2, True), never.text
    sql(operator, MAKE)
    a_second_passes()
    good = operator.consents("backup")
    assert good.code == 0, good.text
    a_second_passes()
    with psycopg.connect(operator.addresses.database_url, autocommit=True) as connection:
        connection.execute("begin")
        connection.execute(GONE)
        connection.execute("commit")
        deleted = connection.execute("select timestamp from pg_last_committed_xact()").fetchone()
    a_second_passes()
    late = operator.consents("backup")
    assert late.code == 0, late.text

    calls = len([call for call in operator.control.calls() if call.effect])
    found = find(operator, THERE)
    assert found.code == 0, found.text
    seen, said = found.document, found.text
    held, failed = datetime.fromisoformat(seen["good"]["at"]), datetime.fromisoformat(seen["bad"]["at"])
    backup = good.document["plan"]["facts"]["backup"]
    assert deleted is not None
    assert held < deleted[0] <= failed
    assert seen["how"] == "2 own backups restored and asked, then the database's own commit times"
    assert seen["assumes"].startswith("it held without a break until then")
    assert seen["good"]["why"].startswith(f"it holds in backup {backup}")
    assert [probe["holds"] for probe in seen["probes"]] == [False, False, True]
    assert [probe["into"] for probe in seen["probes"]][2] == f"backup {backup}"
    commits = [datetime.fromisoformat(change["at"]) for change in seen["changes"]["newest"]]
    assert (deleted[0] in commits, len(commits)) == (True, seen["changes"]["count"])
    assert seen["changes"]["newest"][commits.index(deleted[0])]["wrote"] == {}
    if seen["exact"]:
        assert (held + timedelta(microseconds=1), failed) == (deleted[0], deleted[0])
    assert f"look into backup {backup}" in said
    assert len([call for call in operator.control.calls() if call.effect]) == calls

    words = shlex.split(seen["next_command"])
    assert words[:2] == ["invoke", "restore"]
    done = operator.consents("restore", words[-1])
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert (sql(operator, THERE), health(operator)) == (True, 200)
