"""SQL and recovery through the API on the real database."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.twin.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = "abcdefghijklmnopqrst"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Give a client of the Management API of a running twin, below its project."""
    state: Path = tmp_path_factory.mktemp("twin")
    with running(state, "--project", PROJECT) as twin:
        token = twin.line["tokens"]["SUPABASE_ACCESS_TOKEN"]
        base = f"{twin.line['supabase']}/v1/projects/{PROJECT}"
        with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}) as client:
            yield client


def query(api: httpx.Client, text: str, **more: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
    """Run SQL and return status and JSON."""
    answer = api.post("/database/query", json={"query": text, **more})
    return answer.status_code, answer.json()


def until_status(api: httpx.Client, wanted: str) -> None:
    """Wait until the project has a status, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while api.get(str(api.base_url).rstrip("/")).json()["status"] != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.twin
def test_rows_come_back_as_json(api: httpx.Client) -> None:
    """The recorded query, parameters, several statements, and errors with their SQLSTATE."""
    assert query(api, "SELECT 1") == (201, [{"?column?": 1}])
    assert query(api, "select $1::int + 1 as n", parameters=[2]) == (201, [{"n": 3}])
    assert query(api, "create table many (n int); insert into many values (7); select * from many") == (
        201,
        [{"n": 7}],
    )
    assert query(api, "select * from nowhere") == (
        400,
        {"message": 'Failed to run sql query: ERROR:  42P01: relation "nowhere" does not exist\n'},
    )
    refused = "Failed to run sql query: ERROR:  25006: cannot execute INSERT in a read-only transaction\n"
    assert query(api, "insert into many values (8)", read_only=True) == (400, {"message": refused})
    answer = api.post("/database/query/read-only", json={"query": "insert into many values (8)"})
    assert (answer.status_code, answer.json()) == (400, {"message": refused})


@pytest.mark.twin
def test_a_recovery_brings_a_dropped_table_back(api: httpx.Client) -> None:
    """The status goes through restoring, and what was there at the second is there again."""
    query(api, "create table kept (n int); insert into kept values (1)")
    time.sleep(1.1)
    point = int(time.time())
    time.sleep(1.1)
    query(api, "drop table kept")
    answer = api.post("/database/backups/restore-pitr", json={"recovery_time_target_unix": point})
    assert (answer.status_code, answer.content) == (201, b"")
    until_status(api, "RESTORING")
    until_status(api, "ACTIVE_HEALTHY")
    assert query(api, "select n from kept") == (201, [{"n": 1}])


@pytest.mark.twin
def test_restrictions_do_not_stop_the_platform(api: httpx.Client) -> None:
    """Closing the database to everyone leaves the API's own queries working."""
    api.post("/network-restrictions/apply", json={"dbAllowedCidrs": ["192.0.2.1/32"]})
    while api.get("/network-restrictions").json()["status"] != "applied":
        time.sleep(0.02)
    assert query(api, "SELECT 1")[0] == 201


@pytest.mark.twin
def test_only_changes_are_listed_as_effects(api: httpx.Client) -> None:
    """A POST that only asks has no effect in the twin's list of calls; one that changes says what."""
    api.post("/network-bans/retrieve")
    api.post("/database/query/read-only", json={"query": "select 1"})
    api.put("/config/database/postgres", json={"work_mem": "8MB"})
    calls = api.get(str(api.base_url.join("/__twin/calls"))).json()[-3:]
    assert [call["effect"] for call in calls] == [None, None, "settings work_mem overridden"]
