"""Rulesets by the API: whole, by phase, rule by rule, with their versions; what is refused and what is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane

FIREWALL = "http_request_firewall_custom"
RATE = {"characteristics": ["cf.colo.id", "ip.src"], "period": 10, "requests_per_period": 5, "mitigation_timeout": 10}


def rule(path: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a rule's own fields
    """Return a rule that blocks a path."""
    return {"action": "block", "expression": f'http.request.uri.path eq "{path}"', **more}


def ask(plane: Plane, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401 - the provider's JSON
    """Make a call below the zone's rulesets, expect success, return the result."""
    answer = plane.http.request(method, f"zones/{plane.zone}/rulesets{path}", **more)
    assert answer.is_success, answer.text
    return answer.json()["result"] if answer.content else None


def refused(plane: Plane, method: str, path: str, **more: Any) -> tuple[int, int, str]:  # noqa: ANN401
    """Make a call below the zone's rulesets, expect a refusal."""
    answer = plane.http.request(method, f"zones/{plane.zone}/rulesets{path}", **more)
    error = answer.json()["errors"][0]
    return answer.status_code, error["code"], error["message"]


def paths(ruleset: dict[str, Any]) -> list[str]:
    """Return what the rules of a ruleset block."""
    return [str(one["expression"]).split('"')[1] for one in ruleset["rules"]]


def test_a_phase_is_replaced_whole(plane: Plane) -> None:
    """PUT makes the ruleset or a version of it; a rule with the same ref keeps its id, unchanged its version too."""
    phase = f"/phases/{FIREWALL}/entrypoint"
    assert refused(plane, "GET", phase)[:2] == (404, 10003)
    first = ask(plane, "PUT", phase, json={"rules": [rule("/a", ref="a"), rule("/b", ref="b")]})
    assert (first["name"], first["kind"], first["version"], first["phase"]) == ("default", "zone", "1", FIREWALL)
    changed = [rule("/a", ref="a"), rule("/c", ref="b"), rule("/d")]
    second = ask(plane, "PUT", phase, json={"rules": changed, "description": "more"})
    assert (second["id"], second["version"], paths(second)) == (first["id"], "2", ["/a", "/c", "/d"])
    assert [one["id"] for one in second["rules"][:2]] == [one["id"] for one in first["rules"]]
    assert [one["version"] for one in second["rules"]] == ["1", "2", "1"]
    assert ask(plane, "GET", phase) == second
    (listed,) = ask(plane, "GET", "")
    assert "rules" not in listed


def test_rules_come_and_go_one_by_one(plane: Plane) -> None:
    """Added at a place, changed in place or moved, removed; each time the whole ruleset is answered."""
    made = ask(plane, "PUT", f"/phases/{FIREWALL}/entrypoint", json={"rules": [rule("/a"), rule("/b")]})
    one, (a, b) = f"/{made['id']}", (each["id"] for each in made["rules"])
    assert paths(ask(plane, "POST", f"{one}/rules", json=rule("/c"))) == ["/a", "/b", "/c"]
    assert paths(ask(plane, "POST", f"{one}/rules", json=rule("/d", position={"before": b}))) == [
        "/a",
        "/d",
        "/b",
        "/c",
    ]
    first = ask(plane, "POST", f"{one}/rules", json=rule("/e", position={"index": 1}))
    assert paths(first) == ["/e", "/a", "/d", "/b", "/c"]
    moved = ask(plane, "PATCH", f"{one}/rules/{a}", json={"description": "a", "position": {"after": b}})
    assert paths(moved) == ["/e", "/d", "/b", "/a", "/c"]
    off = ask(plane, "PATCH", f"{one}/rules/{a}", json={"enabled": False})
    assert (paths(off)[3], off["rules"][3]["enabled"], off["rules"][3]["id"]) == ("/a", False, a)
    assert off["rules"][3]["version"] == "3"
    assert paths(ask(plane, "DELETE", f"{one}/rules/{b}")) == ["/e", "/d", "/a", "/c"]
    assert refused(plane, "DELETE", f"{one}/rules/{b}")[:2] == (404, 10002)
    nowhere = rule("/f", position={"before": "none"})
    assert refused(plane, "POST", f"{one}/rules", json=nowhere)[2] == "position.before names no rule of this ruleset"


def test_old_versions_stay_until_they_are_deleted(plane: Plane) -> None:
    """Each write is a version; an old one is read whole and can be deleted, the newest cannot."""
    phase = f"/phases/{FIREWALL}/entrypoint"
    made = ask(plane, "PUT", phase, json={"rules": [rule("/a")]})
    ask(plane, "PUT", phase, json={"rules": [rule("/b")]})
    one = f"/{made['id']}/versions"
    assert [row["version"] for row in ask(plane, "GET", one)] == ["2", "1"]
    assert paths(ask(plane, "GET", f"{one}/1")) == paths(ask(plane, "GET", f"{phase}/versions/1")) == ["/a"]
    assert refused(plane, "DELETE", f"{one}/2")[2] == "the latest version of a ruleset cannot be deleted"
    ask(plane, "DELETE", f"{one}/1")
    assert [row["version"] for row in ask(plane, "GET", f"{phase}/versions")] == ["2"]
    ask(plane, "DELETE", f"/{made['id']}")
    assert ask(plane, "GET", "") == []


def test_a_dry_run_changes_nothing(plane: Plane) -> None:
    """It is checked and answered as if, and not kept."""
    shown = ask(plane, "PUT", f"/phases/{FIREWALL}/entrypoint?dry_run=true", json={"rules": [rule("/a")]})
    assert (paths(shown), ask(plane, "GET", "")) == (["/a"], [])


@pytest.mark.parametrize(
    ("phase", "change", "code", "text"),
    [
        (FIREWALL, {"expression": ""}, 10021, "expression is required"),
        (
            FIREWALL,
            {"action": "redirect"},
            20016,
            "'redirect' is not a valid value for action because",
        ),
        (
            FIREWALL,
            {"expression": "http.host eq"},
            20127,
            "parse filter expression: Filter parsing error (1:13)",
        ),
        ("http_ratelimit", {}, 20120, "a rule of this phase needs ratelimit"),
        (
            "http_ratelimit",
            {"ratelimit": RATE | {"period": 7}},
            20121,
            "period 7 is none of 10, 60, 120, 300, 600",
        ),
        ("http_ratelimit", {"ratelimit": RATE | {"characteristics": ["ip.src"]}}, 20155, "must include cf.colo.id"),
        ("http_ratelimit", {"ratelimit": RATE | {"requests_per_period": 0}}, 20122, "requests_per_period is required"),
        ("http_nothing", {}, 20023, "unknown phase 'http_nothing'"),
    ],
)
def test_what_the_provider_refuses(plane: Plane, phase: str, change: dict[str, Any], code: int, text: str) -> None:
    """A rule that cannot be is refused by what is wrong, with its place; nothing is kept."""
    body = {"rules": [rule("/a") | change]}
    status, told, message = refused(plane, "PUT", f"/phases/{phase}/entrypoint", json=body)
    assert (status, told) == (400, code)
    assert text in message
    assert ask(plane, "GET", "") == []


def test_a_second_ruleset_of_a_phase_is_refused(plane: Plane) -> None:
    """With the provider's text and pointer; kind and phase of one cannot be changed."""
    body = {"name": "a", "kind": "zone", "phase": FIREWALL, "rules": []}
    made = ask(plane, "POST", "", json=body)
    text = f"'zone' is not a valid value for kind because exceeded maximum number of zone rulesets for phase {FIREWALL}"
    assert refused(plane, "POST", "", json=body) == (400, 20217, text)
    other = body | {"phase": "http_ratelimit"}
    assert refused(plane, "PUT", f"/{made['id']}", json=other)[2] == "kind and phase of a ruleset cannot be changed"


def test_a_rule_that_the_edge_does_not_act_on_is_kept_and_told(plane: Plane) -> None:
    """The answer says which rule and why; a setting that needs TLS is told so too."""
    body = {"rules": [{"action": "block", "expression": "cf.threat_score gt 5", "description": "threats"}]}
    answer = plane.http.put(f"zones/{plane.zone}/rulesets/phases/{FIREWALL}/entrypoint", json=body).json()
    assert answer["result"]["rules"][0]["expression"] == "cf.threat_score gt 5"
    assert answer["messages"][0]["message"] == (
        f"kept, not applied: {FIREWALL} rule 'threats': the twin does not know field 'cf.threat_score'"
    )
    told = plane.http.patch(f"zones/{plane.zone}/settings/always_use_https", json={"value": "on"}).json()
    assert (told["result"]["value"], "has no TLS" in told["messages"][0]["message"]) == ("on", True)


def test_each_phase_asks_for_a_permission_of_its_own(plane: Plane) -> None:
    """Who may write the firewall may not write cache rules, but may read both."""
    groups = plane.http.get("user/tokens/permission_groups", params={"name": "Zone WAF Write"}).json()["result"]
    resources = {f"com.cloudflare.api.account.zone.{plane.zone}": "*"}
    policy = {"effect": "allow", "resources": resources, "permission_groups": [{"id": groups[0]["id"]}]}
    token = plane.http.post("user/tokens", json={"name": "waf", "policies": [policy]}).json()["result"]["value"]
    headers = {"Authorization": f"Bearer {token}"}
    phases = f"zones/{plane.zone}/rulesets/phases"
    cache = {"rules": [{"action": "set_cache_settings", "expression": "true"}]}
    firewall = plane.http.put(f"{phases}/{FIREWALL}/entrypoint", json={"rules": [rule("/a")]}, headers=headers)
    caching = plane.http.put(f"{phases}/http_request_cache_settings/entrypoint", json=cache, headers=headers)
    assert (firewall.status_code, caching.status_code, caching.json()["errors"][0]["code"]) == (200, 403, 9109)
    assert len(plane.http.get(f"zones/{plane.zone}/rulesets", headers=headers).json()["result"]) == 1
