"""Bodies of another shape: each guard refuses them by name, in the envelope, and keeps nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane

FIREWALL = "Z/rulesets/phases/http_request_firewall_custom/entrypoint"
RATES = "Z/rulesets/phases/http_ratelimit/entrypoint"
POLICIES, WEBHOOKS, SILENCES = (f"A/alerting/v3/{name}" for name in ("policies", "destinations/webhooks", "silences"))
BLOCK = {"action": "block", "expression": "true"}
ALERT = {"name": "a", "alert_type": "incident_alert"}
WORKERS = {"id": "e086da7e2179491d91ee5f35b3ca210a"}


def rated(**rate: Any) -> dict[str, Any]:  # noqa: ANN401 - what is garbage
    """Return a phase with one rate limit."""
    limit = {"characteristics": ["cf.colo.id"], "period": 10, "requests_per_period": 1}
    return {"rules": [BLOCK | {"ratelimit": limit | rate}]}


def token(**policy: Any) -> dict[str, Any]:  # noqa: ANN401 - what is garbage
    """Return a token with one policy."""
    good = {"effect": "allow", "permission_groups": [WORKERS], "resources": {"com.cloudflare.api.account.*": "*"}}
    return {"name": "a", "policies": [good | policy]}


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("PUT", FIREWALL, {"rules": "x"}, "rules must be a list"),
        ("PUT", FIREWALL, {"rules": [1]}, "rules must be a list of objects"),
        ("PUT", FIREWALL, {"rules": [BLOCK | {"expression": 5}]}, "expression must be a text"),
        ("PUT", FIREWALL, {"rules": [BLOCK | {"action_parameters": 7}]}, "action_parameters must be an object"),
        ("PUT", FIREWALL, {"rules": [BLOCK | {"enabled": "yes"}]}, "enabled must be true or false"),
        ("PUT", FIREWALL, {"name": ["x"]}, "name must be a text"),
        ("PUT", RATES, rated(characteristics=["cf.colo.id", 3]), "characteristics must be a list of texts"),
        ("PUT", RATES, rated(requests_per_period="many"), "requests_per_period must be a number"),
        ("PUT", RATES, rated(counting_expression="http.host eq"), "not a valid value for counting_expression"),
        ("POST", POLICIES, ALERT | {"mechanisms": "x"}, "mechanisms must be an object"),
        ("POST", POLICIES, ALERT | {"mechanisms": {"email": [{}]}}, "id is required"),
        ("POST", POLICIES, ALERT | {"alert_type": ["x"], "mechanisms": {}}, "alert_type must be a text"),
        ("POST", WEBHOOKS, {"name": "a", "url": "http://[::1"}, "url must be an address"),
        ("POST", WEBHOOKS, {"name": "a", "url": ["http://a"]}, "url must be a text"),
        ("POST", SILENCES, [1], "a list of silences is expected"),
        ("POST", SILENCES, [{"policy_id": ["x"]}], "policy_id must be a text"),
        ("PUT", SILENCES, [{"id": {}}], "id must be a text"),
        ("POST", "Z/healthchecks", {"name": "a", "address": "x", "http_config": "q"}, "http_config must be an object"),
        (
            "POST",
            "Z/healthchecks",
            {"name": "a", "address": "x", "http_config": {"header": {"h": 1}}},
            "h must be a list",
        ),
        ("POST", "user/tokens", token(effect=["allow"]), "effect must be a text"),
        ("POST", "user/tokens", token(permission_groups=["x"]), "permission_groups must be a list of objects"),
        ("POST", "user/tokens", token(permission_groups=[{"id": []}]), "Permission group [] is invalid"),
        ("POST", "user/tokens", token(resources={"com.cloudflare.x": {"y": []}}), "cannot be given {'y': []}"),
        ("POST", "user/tokens", token() | {"condition": "x"}, "an object is expected"),
        ("POST", "user/tokens", token() | {"condition": {"request_ip": {"in": [1]}}}, "in must be a list of texts"),
        ("POST", "Z/purge_cache", {"files": [1]}, "files must be addresses"),
        ("POST", "A/workers/workers", {"name": "a", "observability": {"logs": 5}}, "logs must be an object"),
        ("POST", "A/pages/projects", {"name": "a", "deployment_configs": {"production": 5}}, "production must be an"),
        ("POST", "A/hyperdrive/configs", {"name": "a", "origin": {"port": "many"}}, "port must be a number"),
        ("POST", "Z/dns_records/batch", {"posts": "x"}, "posts must be a list"),
        ("POST", "Z/dns_records", {"name": 5, "type": "A"}, "name must be a text"),
        ("PATCH", "Z/dnssec", {"status": ["active"]}, "The request could not be read"),
    ],
)
def test_garbage_is_refused_by_name(plane: Plane, method: str, path: str, body: object, text: str) -> None:
    """What is of another kind is 400 with its name; the twin does not stumble."""
    place = path.replace("A/", f"{plane.account}/").replace("Z/", f"zones/{plane.zone}/")
    answer = plane.http.request(method, place, json=body)
    assert answer.status_code == 400, answer.text
    assert text in answer.json()["errors"][0]["message"]
    assert plane.ask("GET", "audit_logs") == []


def test_what_a_handler_stumbles_over_names_the_place(plane: Plane) -> None:
    """It is the twin that may be wrong: the answer says which line looked at the request, and as what."""
    told = plane.http.patch(f"zones/{plane.zone}/dnssec", json={"status": ["active"]}).json()["messages"]
    assert re.match(r"twin/cloudflare/protection.py:\d+: TypeError: .* mend it there$", told[0])


def test_parameters_that_cannot_be_read_leave_the_rule_alone(plane: Plane) -> None:
    """The provider would look further into them; the twin keeps the rule, does nothing, and says so."""
    strange = BLOCK | {"action_parameters": {"response": {"status_code": "x"}}}
    path = f"zones/{plane.zone}/rulesets/phases/http_request_firewall_custom/entrypoint"
    answer = plane.http.put(path, json={"rules": [strange]})
    assert answer.is_success
    assert "cannot be read: ValueError" in answer.json()["messages"][0]["message"]
