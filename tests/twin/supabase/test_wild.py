"""What goes wrong in recoveries as users have seen it, brought about by the twin's own controls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin import serving
from tests.twin.supabase.conftest import LAG, Plane
from twin import supabase
from twin.supabase.wild import BREAKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twin.supabase.wild import Wild

RESTORE = "/database/backups/restore-pitr"
OPERATOR = {"dbAllowedCidrs": ["127.0.0.1/32"], "dbAllowedCidrsV6": []}


class Broken(Plane):
    """A plane in which something is broken."""

    wild: Wild

    def restores(self) -> int:
        """Ask for a recovery, see it accepted, return its target."""
        target = int(time.time()) - 60
        answer = self.http.post(self.project + RESTORE, json={"recovery_time_target_unix": target})
        assert (answer.status_code, answer.content) == (201, b"")
        return target

    def comes_to(self, status: str) -> None:
        """Wait for a status."""
        self.until(lambda: self.status == status)


@pytest.fixture
def broken(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Broken]:
    """Give a plane in which what the test names is broken."""
    import httpx  # noqa: PLC0415 - this fixture alone needs it

    noted = serving.Noted()
    app = None

    def make() -> Any:  # noqa: ANN401 - aiohttp's application
        nonlocal app
        app = supabase.app(serving.home(tmp_path), noted.engines(), lag=LAG)
        return app

    token = serving.TOKENS["SUPABASE_ACCESS_TOKEN"]
    with (
        serving.served(make) as address,
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}) as http,
    ):
        assert app is not None
        made = Broken(http, noted)
        made.wild = app[supabase.STORE].wild
        made.wild.break_({"what": request.param, "seconds": -10})
        yield made


@pytest.mark.parametrize("broken", ["restore-ignored"], indirect=True)
def test_a_recovery_that_is_accepted_and_forgotten(broken: Broken) -> None:
    """The status stays, the engine is never asked, and another request is taken."""
    broken.restores()
    broken.restores()
    assert (broken.status, broken.noted.recovered) == ("ACTIVE_HEALTHY", [])


@pytest.mark.parametrize("broken", ["restore-pretended"], indirect=True)
def test_a_recovery_that_only_shows(broken: Broken) -> None:
    """The status goes all the way, which no other recovery may disturb; the engine is never asked."""
    target = broken.restores()
    body = {"recovery_time_target_unix": target}
    assert broken.refused("POST", RESTORE, json=body)[0] == 400
    broken.until(lambda: broken.http.post(broken.project + RESTORE, json=body).status_code == 201)
    assert (broken.noted.recovered, broken.noted.done) == ([], [])


@pytest.mark.parametrize("broken", ["restore-restarted"], indirect=True)
def test_a_recovery_that_is_a_restart(broken: Broken) -> None:
    """The server stops and starts on the data that it had."""
    broken.restores()
    broken.until(lambda: broken.noted.done == ["interrupt", "resume"])
    assert broken.noted.recovered == []


@pytest.mark.parametrize("broken", ["restore-stuck"], indirect=True)
def test_a_recovery_that_is_stuck(broken: Broken) -> None:
    """The server is down, and the status stays for as long as it is."""
    broken.noted.state = "stopped"
    broken.restores()
    broken.until(lambda: broken.noted.done == ["interrupt"])
    assert broken.status == "RESTORING"
    broken.wild.heal()
    broken.noted.state = "running"
    broken.comes_to("ACTIVE_HEALTHY")


@pytest.mark.parametrize(
    ("broken", "status", "done", "later"),
    [
        ("restore-empty", "ACTIVE_HEALTHY", ["empty"], 0),
        ("restore-inactive", "INACTIVE", [], 0),
        ("restore-shifted", "ACTIVE_HEALTHY", [], -10),
    ],
    indirect=["broken"],
)
def test_how_a_recovery_ends(broken: Broken, status: str, done: list[str], later: int) -> None:
    """It ends as healthy with nothing in it or at another time; or it falls back to INACTIVE, and nobody gets in."""
    target = broken.restores()
    broken.until(lambda: broken.noted.recovered == [target + later])
    broken.noted.state = "running"
    broken.comes_to(status)
    assert broken.noted.done == done
    assert broken.noted.restricted[-1] == (() if status == "INACTIVE" else ("0.0.0.0/0", "::/0"))


@pytest.mark.parametrize("broken", ["restore-odd"], indirect=True)
def test_a_status_that_nobody_knows(broken: Broken) -> None:
    """It stands where RESTORING would."""
    broken.restores()
    broken.comes_to("RESTORING_FROM_BACKUP")


@pytest.mark.parametrize(
    ("broken", "status"),
    [("restrictions-stored", "stored"), ("restrictions-unheld", "applied")],
    indirect=["broken"],
)
def test_restrictions_that_do_not_hold(broken: Broken, status: str) -> None:
    """They stay stored, or are said to be applied: the engine is never told."""
    broken.ask("POST", "/network-restrictions/apply", json=OPERATOR)
    time.sleep(3 * LAG)
    assert broken.ask("GET", "/network-restrictions")["status"] == status
    assert broken.noted.restricted == [("0.0.0.0/0", "::/0")]


@pytest.mark.parametrize(
    ("broken", "ends"), [("archive-none", []), ("archive-stopped", ["earliest", "latest"])], indirect=["broken"]
)
def test_an_archive_that_does_not_reach(broken: Broken, ends: list[str]) -> None:
    """Recovery is enabled, and there is no backup, or none that grows."""
    answer = broken.ask("GET", "/database/backups")
    assert answer["pitr_enabled"] is True
    assert list(answer["physical_backup_data"]) == [f"{end}_physical_backup_date_unix" for end in ends]


@pytest.mark.parametrize("broken", ["restore-shifted"], indirect=True)
def test_what_is_no_time_is_refused(broken: Broken) -> None:
    """A shift is a whole number of seconds; one into the future fails as at the engine; each break says what it is."""
    with pytest.raises(ValueError, match="seconds is a whole number, not 'an hour'"):
        broken.wild.break_({"what": "restore-shifted", "seconds": "an hour"})
    broken.wild.break_({"what": "restore-shifted", "seconds": 3600})
    broken.restores()
    broken.comes_to("RESTORE_FAILED")
    assert all(BREAKS.values())
