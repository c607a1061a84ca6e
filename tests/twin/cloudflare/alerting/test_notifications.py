"""What happens on a real twin reaches a real webhook: health checks through the edge, Pages deployments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.running import eventually
from twin.cloudflare.alerting.dispatch import TEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.twin.cloudflare.alerting.conftest import Hearer
    from tests.twin.cloudflare.live import Live

pytestmark = pytest.mark.twin

GOOD = "export default { async fetch() { return Response.json({ status: 'OK' }) } }"
BAD = "export default { async fetch() { return new Response('broken', { status: 500 }) } }"
WRONG = "export default { async fetch() { return new Response('another page') } }"
HEALTH = "health_check_status_notification"


@pytest.fixture
def told(twin: Live, hearer: Hearer) -> Iterator[Hearer]:
    """Give a webhook with a secret that hears everything, and take all policies away afterwards."""
    destination = {"name": "on call", "url": hearer.url, "secret": "planted"}
    webhook = twin.ask("POST", "A/alerting/v3/destinations/webhooks", json=destination)["id"]
    for alert_type in (HEALTH, "pages_event_alert"):
        mechanisms = {"webhooks": [{"id": webhook}]}
        policy = {"name": alert_type, "alert_type": alert_type, "mechanisms": mechanisms}
        twin.ask("POST", "A/alerting/v3/policies", json=policy)
    yield hearer
    for kind in ("policies", "destinations/webhooks"):
        for row in twin.ask("GET", f"A/alerting/v3/{kind}"):
            twin.ask("DELETE", f"A/alerting/v3/{kind}/{row['id']}")


def health_check(twin: Live, name: str, **more: Any) -> str:  # noqa: ANN401
    """Declare a health check of a Worker, performed every second."""
    expected = {"path": "/health", "expected_codes": ["2xx"], "expected_body": "ok"}
    sent = {"name": name, "address": f"{name}.ems.example", "type": "HTTPS", "interval": 1, "http_config": expected}
    return str(twin.ask("POST", "Z/healthchecks", json=sent | more)["id"])


def status(twin: Live, check: str) -> tuple[str, str]:
    """Return what a health check shows."""
    row = twin.ask("GET", f"Z/healthchecks/{check}")
    return row["status"], row["failure_reason"]


def test_an_unhealthy_service_is_told_and_its_recovery_too(twin: Live, told: Hearer) -> None:
    """Two failures in a row make it unhealthy; start and end are joined; the first healthy look is no news."""
    good, bad, wrong = twin.worker("api", GOOD, BAD, WRONG)
    check = health_check(twin, "api", consecutive_fails=2)
    assert status(twin, check)[0] in {"unknown", "healthy"}
    assert eventually(lambda: status(twin, check) == ("healthy", ""), within=10)
    assert told.about(HEALTH) == []
    twin.deploy("api", bad)
    assert eventually(lambda: len(told.about(HEALTH)) == 1, within=15)
    assert status(twin, check) == ("unhealthy", "Response code mismatch error: 500")
    twin.deploy("api", wrong)
    assert eventually(lambda: status(twin, check) == ("unhealthy", "Response body mismatch error"), within=10)
    twin.deploy("api", good)
    assert eventually(lambda: len(told.about(HEALTH)) == 2, within=15)
    started, ended = told.about(HEALTH)
    assert (started["alert_event"], ended["alert_event"]) == ("ALERT_STATE_EVENT_START", "ALERT_STATE_EVENT_END")
    assert started["alert_correlation_id"] == ended["alert_correlation_id"]
    assert started["data"] | {"status_change_time": "", "time_since_last_failure": ""} == {
        "account_name": "twin",
        "account_tag": twin.account,
        "failing_regions": "Global",
        "health_check_id": check,
        "health_check_name": "api",
        "new_health_status": "Unhealthy",
        "new_status": "Unhealthy",
        "old_status": "Healthy",
        "origin_ip": "api.ems.example",
        "reason": "Response code mismatch error: 500",
        "status_change_time": "",
        "time_since_last_failure": "",
        "zone_name": "ems.example",
        "zone_tag": twin.zone,
    }
    assert {secret for secret, _ in told.heard} == {"planted"}
    assert told.heard[0][1] == {"text": TEST}
    newest = twin.ask("GET", "A/alerting/v3/history", params={"per_page": "1"})[0]
    assert json.loads(newest["alert_body"]) == ended
    assert (newest["mechanism"], newest["mechanism_type"], newest["name"]) == ("on call", "webhook", HEALTH)
    twin.ask("DELETE", f"Z/healthchecks/{check}")


def test_a_host_that_nobody_serves_and_a_suspended_check(twin: Live) -> None:
    """An address that leads nowhere is unhealthy with the edge's status; a suspended check is not performed."""
    check = health_check(twin, "nobody")
    assert eventually(lambda: status(twin, check) == ("unhealthy", "Response code mismatch error: 530"), within=10)
    twin.ask("PATCH", f"Z/healthchecks/{check}", json={"suspended": True})
    assert status(twin, check) == ("suspended", "")
    twin.ask("DELETE", f"Z/healthchecks/{check}")


def test_a_deployment_of_a_site_is_told(twin: Live, told: Hearer) -> None:
    """Started and succeeded are told of one, started and failed of one whose files are missing; filters narrow."""
    project = twin.ask("POST", "A/pages/projects", json={"name": "web", "production_branch": "main"})
    webhook = twin.ask("GET", "A/alerting/v3/destinations/webhooks")[0]["id"]
    narrow = {
        "name": "failures only",
        "alert_type": "pages_event_alert",
        "filters": {"event": ["EVENT_DEPLOYMENT_FAILED"], "project_id": [project["id"]]},
        "mechanisms": {"webhooks": [{"id": webhook}], "email": [{"id": "on-call@example.com"}]},
    }
    twin.ask("POST", "A/alerting/v3/policies", json=narrow)
    path = f"accounts/{twin.account}/pages/projects/web/deployments"
    assert twin.api.post(path, files={"manifest": (None, "{}")}).is_success
    assert eventually(lambda: len(told.about("pages_event_alert")) == 2, within=5)
    missing = json.dumps({"/index.html": "0" * 32})
    assert twin.api.post(path, files={"manifest": (None, missing)}).status_code == 400
    assert eventually(lambda: len(told.about("pages_event_alert")) == 5, within=5)
    events = [body["data"]["event"].removeprefix("EVENT_DEPLOYMENT_") for body in told.about("pages_event_alert")]
    assert sorted(events) == ["FAILED", "FAILED", "STARTED", "STARTED", "SUCCESS"]
    assert {body["name"] for body in told.about("pages_event_alert")} == {"pages_event_alert", "failures only"}
    mails = (twin.state / "logs" / "mail.ndjson").read_text("utf-8").splitlines()
    assert [json.loads(mail)["to"] for mail in mails] == ["on-call@example.com"]


def test_a_webhook_that_refuses_is_tried_again_and_no_more(twin: Live, told: Hearer) -> None:
    """The second try arrives; after three it is given up, is not in the history, and the failure is dated."""
    sent = len(twin.ask("GET", "A/alerting/v3/history"))
    path = f"accounts/{twin.account}/pages/projects/web/deployments"
    told.refusing = 1
    twin.api.post(path, files={"manifest": (None, "{}")})
    assert eventually(lambda: len(told.heard) == 1 + 2 + 1, within=10)
    assert eventually(lambda: len(twin.ask("GET", "A/alerting/v3/history")) == sent + 2, within=5)
    told.refusing = 100
    twin.api.post(path, files={"manifest": (None, "{}")})
    assert eventually(lambda: len(told.heard) == 4 + 6, within=10)
    row = twin.ask("GET", "A/alerting/v3/destinations/webhooks")[0]
    assert row["last_failure"] > row["last_success"]
    assert len(twin.ask("GET", "A/alerting/v3/history")) == sent + 2
    assert "secret" not in row


def test_a_silenced_policy_says_nothing(twin: Live, told: Hearer) -> None:
    """While a silence lasts nobody is told; when it is over they are."""
    policy = next(p for p in twin.ask("GET", "A/alerting/v3/policies") if p["alert_type"] == "pages_event_alert")
    span = {"policy_id": policy["id"], "start_time": "2020-01-01T00:00:00Z", "end_time": "2100-01-01T00:00:00Z"}
    assert twin.ask("POST", "A/alerting/v3/silences", json=[span]) is None
    (silence,) = twin.ask("GET", "A/alerting/v3/silences")
    path = f"accounts/{twin.account}/pages/projects/web/deployments"
    twin.api.post(path, files={"manifest": (None, "{}")})
    moved = {"id": silence["id"], "end_time": "2021-01-01T00:00:00Z"}
    (shown,) = twin.ask("PUT", "A/alerting/v3/silences", json=[moved])
    assert (shown["start_time"], shown["end_time"]) == ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z")
    twin.api.post(path, files={"manifest": (None, "{}")})
    assert eventually(lambda: len(told.about("pages_event_alert")) == 2, within=5)
    twin.ask("DELETE", f"A/alerting/v3/silences/{silence['id']}")
    assert twin.ask("GET", "A/alerting/v3/silences") == []
