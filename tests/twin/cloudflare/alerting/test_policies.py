"""Who can be told of what: destinations are tried, everything that cannot be is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.twin.cloudflare.alerting.conftest import Hearer
    from tests.twin.cloudflare.conftest import Plane

WEBHOOKS = "alerting/v3/destinations/webhooks"
POLICY = {"name": "p", "alert_type": "incident_alert", "mechanisms": {"email": [{"id": "a@example.com"}]}}


def test_a_webhook_is_tried_before_it_is_kept(plane: Plane, hearer: Hearer) -> None:
    """One that does not take the test message is not kept; one that does shows when."""
    hearer.refusing = 1
    status, code, text = plane.refused("POST", WEBHOOKS, json={"name": "hook", "url": hearer.url})
    assert (status, code, text) == (400, 17102, "the webhook did not take the test message: it answered 503")
    assert plane.ask("GET", WEBHOOKS) == []
    made = plane.ask("POST", WEBHOOKS, json={"name": "hook", "url": hearer.url})["id"]
    assert plane.ask("GET", f"{WEBHOOKS}/{made}")["last_success"]
    nobody = {"name": "hook", "url": "http://127.0.0.1:1/"}
    assert "did not take the test message" in plane.refused("PUT", f"{WEBHOOKS}/{made}", json=nobody)[2]
    assert plane.ask("GET", f"{WEBHOOKS}/{made}")["url"] == hearer.url


def test_another_machine_is_never_called(plane: Plane) -> None:
    """An address that is not on loopback is kept, and neither tried nor called."""
    made = plane.ask("POST", WEBHOOKS, json={"name": "far", "url": "https://hooks.example.com/x", "secret": "s"})["id"]
    row = plane.ask("GET", f"{WEBHOOKS}/{made}")
    assert (row["url"], row["last_success"], row["type"]) == ("https://hooks.example.com/x", None, "generic")


@pytest.mark.parametrize(
    ("path", "change", "code", "text"),
    [
        ("alerting/v3/policies", {"alert_type": "workers_alert"}, 17000, "alert_type 'workers_alert' is invalid"),
        ("alerting/v3/policies", {"mechanisms": {"email": []}}, 17000, "mechanisms must name somebody to tell"),
        ("alerting/v3/silences", {}, 17001, "a list of silences is expected"),
    ],
)
def test_what_cannot_be_is_refused(plane: Plane, path: str, change: dict[str, Any], code: int, text: str) -> None:
    """An alert type that there is not, nobody to tell, a silence of nothing."""
    assert plane.refused("POST", path, json=POLICY | change) == (400, code, text)


def test_a_silence_names_a_policy_and_ends_after_it_starts(plane: Plane) -> None:
    """A policy that there is not is 404; times must be in order and be times."""
    span = {"policy_id": "none", "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"}
    assert plane.refused("POST", "alerting/v3/silences", json=[span])[:2] == (404, 17104)
    policy = plane.ask("POST", "alerting/v3/policies", json=POLICY)["id"]
    named = span | {"policy_id": policy}
    assert plane.refused("POST", "alerting/v3/silences", json=[named])[2] == "end_time must be after start_time"
    late = named | {"end_time": "tomorrow"}
    assert plane.refused("POST", "alerting/v3/silences", json=[late])[2] == "'tomorrow' is no RFC 3339 time"
    assert plane.ask("GET", "alerting/v3/silences") == []


def test_what_can_be_told_and_how(plane: Plane) -> None:
    """The list names what the twin sees happen; mail and webhooks are ways, PagerDuty is none."""
    assert set(plane.ask("GET", "alerting/v3/available_alerts")) == {"Health Checks", "Pages"}
    ways = plane.ask("GET", "alerting/v3/destinations/eligible")
    assert {name: rows[0]["eligible"] for name, rows in ways.items()} == {
        "email": True,
        "pagerduty": False,
        "webhooks": True,
    }
    assert plane.ask("GET", "alerting/v3/history") == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "two words"}, "name may have letters, digits, hyphens and underscores only"),
        ({"type": "ICMP"}, "type 'ICMP' is none of HTTP, HTTPS, TCP"),
        ({"interval": 0}, "interval must be a whole number, 1 at least"),
        ({"retries": "2"}, "retries must be a whole number, 0 at least"),
    ],
)
def test_a_health_check_that_cannot_be_is_refused(plane: Plane, change: dict[str, Any], text: str) -> None:
    """Name, type and numbers are checked."""
    sent = {"name": "api", "address": "api.example.com"} | change
    answer = plane.http.post(f"zones/{plane.zone}/healthchecks", json=sent)
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (400, text)
