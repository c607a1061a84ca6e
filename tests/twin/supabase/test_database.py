"""Recovery with its lagging status, settings, and SQL through the API."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.twin import serving
from twin import supabase

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.supabase.conftest import Plane

RESTORE = "/database/backups/restore-pitr"


def start(plane: Plane, target: int) -> None:
    """Start a recovery and check the answer: 201, no body."""
    answer = plane.http.post(plane.project + RESTORE, json={"recovery_time_target_unix": target})
    assert (answer.status_code, answer.content) == (201, b"")


def test_a_recovery_shows_late_and_in_order(plane: Plane) -> None:
    """The status stays healthy for a moment, then restoring while the engine works, coming up, healthy."""
    target = int(time.time()) - 60
    start(plane, target)
    assert plane.status == "ACTIVE_HEALTHY"
    assert plane.noted.recovered == []
    plane.until(lambda: plane.status == "RESTORING")
    plane.until(lambda: plane.noted.recovered == [target])
    (health,) = plane.ask("GET", "/health", params={"services": "db"})
    assert (health["status"], health["healthy"]) == ("COMING_UP", False)
    assert plane.refused("POST", "/database/query", json={"query": "select 1"})[0] == 544
    plane.noted.state = "running"
    plane.until(lambda: plane.status == "COMING_UP")
    plane.until(lambda: plane.status == "ACTIVE_HEALTHY")
    start(plane, target)


def test_a_failed_recovery_is_told(plane: Plane) -> None:
    """When the engine fails the project ends as RESTORE_FAILED, unhealthy, and can be restored again."""
    start(plane, int(time.time()) - 60)
    plane.until(lambda: plane.noted.recovered != [])
    plane.noted.state = "failed: recovery ended before configured recovery target was reached"
    plane.until(lambda: plane.status == "RESTORE_FAILED")
    (health,) = plane.ask("GET", "/health", params={"services": "db"})
    assert (health["status"], health["error"]) == ("UNHEALTHY", plane.noted.state)
    start(plane, int(time.time()) - 60)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 400, "recovery_time_target_unix: Expected number, received another type"),
        (
            {"recovery_time_target_unix": 1700000000.5},
            400,
            "recovery_time_target_unix: Expected number, received another type",
        ),
        ({"recovery_time_target_unix": 1_600_000_000}, 422, "recovery time target is out of range"),
        ({"recovery_time_target_unix": 9_000_000_000}, 422, "recovery time target is out of range"),
    ],
)
def test_a_wrong_point_is_refused(plane: Plane, body: dict[str, float], status: int, text: str) -> None:
    """Only a whole second between the earliest backup and now starts a recovery."""
    assert plane.refused("POST", RESTORE, json=body) == (status, text)
    assert plane.status == "ACTIVE_HEALTHY"


def test_two_recoveries_do_not_run_at_once(plane: Plane) -> None:
    """A second request while the first is on its way is refused."""
    start(plane, int(time.time()) - 60)
    assert plane.refused("POST", RESTORE, json={"recovery_time_target_unix": int(time.time()) - 60})[0] == 400


def test_a_recovery_goes_on_after_a_restart(plane: Plane, tmp_path: Path) -> None:
    """A plane that is made anew on the folder of one that was killed brings the recovery to its end."""
    start(plane, int(time.time()) - 60)
    plane.until(lambda: plane.noted.recovered != [])
    left = json.loads((tmp_path / "supabase.json").read_text("utf-8"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "supabase.json").write_text(json.dumps(left), encoding="utf-8")
    noted = serving.Noted()
    with serving.served(lambda: supabase.app(serving.home(other), noted.engines(), lag=0.0)):
        plane.until(lambda: json.loads((other / "supabase.json").read_text("utf-8"))["status"] == "ACTIVE_HEALTHY")
    assert noted.recovered == []


def test_backups_show_both_ends(plane: Plane) -> None:
    """The window's ends are whole seconds; an end that is not known is absent."""
    answer = plane.ask("GET", "/database/backups")
    assert answer["pitr_enabled"] is True
    assert answer["physical_backup_data"] == {"earliest_physical_backup_date_unix": 1_700_000_000}


def test_settings_are_kept(plane: Plane) -> None:
    """Only overrides are shown; an unknown one is refused."""
    sent = {"track_commit_timestamp": True, "restart_database": True}
    assert plane.ask("PUT", "/config/database/postgres", json=sent) == {"track_commit_timestamp": True}
    assert plane.ask("GET", "/config/database/postgres") == {"track_commit_timestamp": True}
    assert plane.refused("PUT", "/config/database/postgres", json={"fsync": False}) == (
        400,
        "Unrecognized key(s) in object: 'fsync'",
    )


def test_a_query_without_a_database_times_out(plane: Plane, tmp_path: Path) -> None:
    """Nobody answers at the database's address: 544."""
    assert plane.refused("POST", "/database/query", json={"query": ""}) == (400, "query: Required")
    engines = plane.noted.engines("postgresql://postgres@127.0.0.1:1/postgres")
    with serving.served(lambda: supabase.app(serving.home(tmp_path / "two"), engines)) as there:
        answer = plane.http.post(f"{there}{plane.project}/database/query", json={"query": "select 1"})
    assert (answer.status_code, answer.json()["message"]) == (544, "Connection terminated due to connection timeout")
