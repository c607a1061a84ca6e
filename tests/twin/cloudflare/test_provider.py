"""The requests that the real Pulumi provider sends, replayed: created, read back, changed, deleted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.twin.serving import ACCOUNT

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane

REQUESTS: Final = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "conformance" / "pulumi_requests.jsonl").read_text("utf-8").splitlines()
]
"""Recorded on 2026-11-23 from the CLI 3.259 with the provider of SDK 6.23.1; values are made up."""

ECHO: Final = {
    "storage/kv/namespaces": ("id", "title"),
    "dns_records": ("id", "name", "type", "content", "ttl", "proxied", "comment", "tags"),
    "r2/buckets": ("name", "storage_class", "location"),
    "workers/workers": ("id", "name", "logpush", "tags", "tail_consumers", "subdomain", "observability"),
    "workers/routes": ("id", "pattern", "script"),
    "pages/projects": ("name", "production_branch", "deployment_configs"),
    "hyperdrive/configs": ("id", "name", "origin", "caching", "origin_connection_limit"),
    "workers/domains": ("id", "hostname", "service", "zone_id"),
}
"""The fields without which a refresh shows a difference (facts, by resource)."""


def sent(method: str, path: str) -> list[Any]:
    """Return the recorded bodies of a call; ids in the path are `{…}`."""
    return [row["body"] for row in REQUESTS if (row["method"], row["path"]) == (method, path)]


def contains(have: object, want: object) -> bool:
    """Tell whether an answer has all that was sent: objects by their keys, secret values left out."""
    if isinstance(want, dict):
        if want.get("type") == "secret_text":
            return isinstance(have, dict) and have.get("text") is None and have.get("value", "") == ""
        return isinstance(have, dict) and all(contains(have.get(key), value) for key, value in want.items())
    if isinstance(want, list):
        return isinstance(have, list) and len(have) == len(want) and all(map(contains, have, want))
    return have == want


def lifetime(plane: Plane, collection: str, creates: list[Any], changes: list[Any]) -> None:
    """Create by each body, read back, change the last one, delete all, and see that they are gone."""
    fields = next(names for part, names in ECHO.items() if collection.endswith(part))
    made: list[str] = []
    for body in creates:
        result = plane.http.post(collection, json=body).raise_for_status().json()["result"]
        made.append(f"{collection}/{result['id']}")
        read = plane.http.get(made[-1]).raise_for_status().json()["result"]
        assert {key: read[key] for key in fields} == {key: result[key] for key in fields}
        shown = {k: v for k, v in body.items() if k not in {"origin", "name"}}
        assert contains(read, shown), read
    for body in changes:
        plane.http.put(made[0], json=body).raise_for_status()
        read = plane.http.get(made[0]).json()["result"]
        assert contains(read, {k: v for k, v in body.items() if k not in {"origin", "settings"}}), read
    for path in made:
        plane.http.delete(path).raise_for_status()
        gone = plane.http.get(path)
        assert gone.status_code == 404
        assert gone.json()["success"] is False


@pytest.mark.parametrize("collection", ["storage/kv/namespaces", "hyperdrive/configs", "workers/workers"])
def test_account_resources_live_and_die(plane: Plane, collection: str) -> None:
    """Namespaces, Hyperdrive configs and Workers: what is sent on create and change is read back."""
    path = f"/accounts/{{account_id}}/{collection}"
    lifetime(plane, f"{plane.account}/{collection}", sent("POST", path), sent("PUT", path + "/{id}"))


def test_records_live_and_die(plane: Plane) -> None:
    """Records of each recorded kind; short names come back whole, tags and comments are kept."""
    path = "/zones/{zone_id}/dns_records"
    lifetime(plane, f"zones/{plane.zone}/dns_records", sent("POST", path), sent("PUT", path + "/{id}"))


def test_routes_live_and_die(plane: Plane) -> None:
    """A route to a Worker is created, changed and deleted."""
    plane.worker("hello")
    path = "/zones/{zone_id}/workers/routes"
    lifetime(plane, f"zones/{plane.zone}/workers/routes", sent("POST", path), sent("PUT", path + "/{id}"))


def test_custom_domain_lives_and_dies(plane: Plane) -> None:
    """A custom domain is attached by PUT, read by id and detached."""
    plane.worker("ems-api")
    (body,) = sent("PUT", "/accounts/{account_id}/workers/domains")
    made = plane.ask("PUT", "workers/domains", json=body | {"zone_id": plane.zone})
    assert plane.ask("GET", f"workers/domains/{made['id']}") == made
    assert set(ECHO["workers/domains"]) < set(made)
    plane.ask("DELETE", f"workers/domains/{made['id']}")
    assert plane.refused("GET", f"workers/domains/{made['id']}")[0] == 404


def test_buckets_live_and_die(plane: Plane) -> None:
    """A bucket is created in camelCase, shown in snake_case, changed by a header."""
    for body in sent("POST", "/accounts/{account_id}/r2/buckets"):
        made = plane.ask("POST", "r2/buckets", json=body, headers={"cf-r2-jurisdiction": "default"})
        assert (made["name"], made["storage_class"]) == (body["name"], "Standard")
        plane.ask("PATCH", f"r2/buckets/{body['name']}", headers={"cf-r2-storage-class": "InfrequentAccess"})
        assert plane.ask("GET", f"r2/buckets/{body['name']}")["storage_class"] == "InfrequentAccess"
        assert plane.refused("POST", "r2/buckets", json=body)[:2] == (409, 10004)
        plane.ask("DELETE", f"r2/buckets/{body['name']}")
        assert plane.refused("GET", f"r2/buckets/{body['name']}")[:2] == (404, 10006)


def test_versions_schedules_and_deployments_are_read_back(plane: Plane) -> None:
    """A Worker's recorded life: two versions, deployments, cron schedules, and the fields a refresh compares."""
    worker = plane.worker("hello")
    namespace = plane.ask("POST", "storage/kv/namespaces", json={"title": "kv"})["id"]
    for body in sent("POST", "/accounts/{account_id}/workers/workers/{id}/versions"):
        body["bindings"][1]["namespace_id"] = namespace
        made = plane.ask("POST", f"workers/workers/{worker}/versions", json=body)
        read = plane.ask("GET", f"workers/workers/{worker}/versions/{made['id']}?include=modules")
        assert contains(read, body), read
        (release,) = sent("POST", "/accounts/{account_id}/workers/scripts/hello/deployments")
        release["versions"][0]["version_id"] = made["id"]
        deployed = plane.ask("POST", "workers/scripts/hello/deployments", json=release)
        assert contains(plane.ask("GET", f"workers/scripts/hello/deployments/{deployed['id']}"), release)
    for body in sent("PUT", "/accounts/{account_id}/workers/scripts/hello/schedules"):
        plane.ask("PUT", "workers/scripts/hello/schedules", json=body)
        assert contains(plane.ask("GET", "workers/scripts/hello/schedules")["schedules"], body)
        assert plane.routing.crons() == tuple(("hello", row["cron"]) for row in body)
    plane.ask("PUT", "workers/scripts/hello/schedules", json=[])
    assert plane.routing.crons() == ()
    assert plane.refused("PUT", "workers/scripts/hello/schedules", json=[{"cron": "soon"}])[:2] == (400, 10100)


def test_pages_projects_are_patched_deeply(plane: Plane) -> None:
    """The recorded merge patches change one variable and keep its siblings and its type."""
    bodies = sent("POST", "/accounts/{account_id}/pages/projects")
    plain, full = bodies[0], bodies[-1]
    plane.ask("POST", "pages/projects", json=plain)
    plane.ask("PATCH", "pages/projects/site", json={"production_branch": "prod"})
    assert plane.ask("GET", "pages/projects/site")["production_branch"] == "prod"
    plane.ask("POST", "pages/projects", json=full)
    assert contains(plane.ask("GET", "pages/projects/site-full"), full)
    for body in sent("PATCH", "/accounts/{account_id}/pages/projects/site-full"):
        plane.ask("PATCH", "pages/projects/site-full", json=body)
    read = plane.ask("GET", "pages/projects/site-full")
    assert read["build_config"] == {"build_command": "npm run build2", "destination_dir": "dist"}
    assert read["deployment_configs"]["production"]["env_vars"] == {
        "A": {"type": "plain_text", "value": "2"},
        "S": {"type": "secret_text", "value": ""},
    }
    (domain,) = sent("POST", "/accounts/{account_id}/pages/projects/site/domains")
    plane.ask("POST", "pages/projects/site/domains", json=domain)
    assert plane.ask("GET", "pages/projects/site/domains/docs.example.com")["status"] == "pending"
    plane.ask("DELETE", "pages/projects/site/domains/docs.example.com")
    for name in ("site", "site-full"):
        plane.ask("DELETE", f"pages/projects/{name}")
        assert plane.refused("GET", f"pages/projects/{name}")[:2] == (404, 8000007)


@pytest.mark.parametrize("collection", ["alerting/v3/destinations/webhooks", "alerting/v3/policies", "logpush/jobs"])
def test_who_is_told_lives_and_dies(plane: Plane, collection: str) -> None:
    """Destinations, policies and Logpush jobs: what is sent is read back, a secret never is."""
    path, mine = f"/accounts/{{account_id}}/{collection}", f"{plane.account}/{collection}"
    for body in sent("POST", path):
        made = plane.http.post(mine, json=body).raise_for_status().json()["result"]
        one = f"{mine}/{made['id']}"
        for change in (body, *sent("PUT", path + "/{id}")):
            plane.http.put(one, json=change).raise_for_status()
            read = plane.http.get(one).raise_for_status().json()["result"]
            assert contains(read, {key: value for key, value in change.items() if key != "secret"}), read
            assert "hush" not in str(read)
        assert isinstance(made["id"], int) is ("logpush" in collection)
        assert [row["id"] for row in plane.http.get(mine).json()["result"]] == [made["id"]]
        plane.http.delete(one).raise_for_status()
        assert plane.http.get(one).status_code == 404


@pytest.mark.parametrize("collection", ["rulesets", "healthchecks"])
def test_what_guards_a_zone_lives_and_dies(plane: Plane, collection: str) -> None:
    """Rulesets of each recorded phase and health checks: all that is sent is read back, in its order."""
    path, mine = f"/zones/{{zone_id}}/{collection}", f"zones/{plane.zone}/{collection}"
    made = {}
    for body in sent("POST", path):
        result = plane.http.post(mine, json=body).raise_for_status().json()["result"]
        made[body["name"]] = f"{mine}/{result['id']}"
        assert contains(plane.http.get(made[body["name"]]).json()["result"], body)
    for body in sent("PUT", path + "/{id}"):
        plane.http.put(made[body["name"]], json=body).raise_for_status()
        assert contains(plane.http.get(made[body["name"]]).json()["result"], body)
    for one in made.values():
        plane.http.delete(one).raise_for_status()
        assert plane.http.get(one).status_code == 404


def test_a_phase_has_one_ruleset(plane: Plane) -> None:
    """A second ruleset of a phase, an unknown phase, and a rate limit without its rate are refused."""
    mine = f"zones/{plane.zone}/rulesets"
    body = sent("POST", "/zones/{zone_id}/rulesets")[0]
    plane.http.post(mine, json=body).raise_for_status()
    for wrong in (body, body | {"phase": "soon"}, body | {"rules": [{"action": "block", "expression": "true"}]}):
        assert plane.http.post(mine, json=wrong).status_code == 400


def test_settings_signing_and_retention_are_kept(plane: Plane) -> None:
    """Zone settings, DNSSEC and the lifecycle of a bucket: each change is read back."""
    zone = f"zones/{plane.zone}"
    for path in ("settings/min_tls_version", "dnssec"):
        for body in sent("PATCH", f"/zones/{{zone_id}}/{path}"):
            answered = plane.http.patch(f"{zone}/{path}", json=body).raise_for_status().json()["result"]
            assert contains(answered, body)
            assert contains(plane.http.get(f"{zone}/{path}").json()["result"], body)
    assert plane.http.get(f"{zone}/settings/min_tls_version").json()["result"]["id"] == "min_tls_version"
    assert plane.http.delete(f"{zone}/dnssec").status_code == 200
    for name, value, code in (("nothing", 1, 1003), ("min_tls_version", "1.4", 1007), ("http3", True, 1007)):
        refused = plane.http.patch(f"{zone}/settings/{name}", json={"value": value})
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, code)
    wrong = {"items": [{"id": "brotli", "value": "off"}, {"id": "ssl", "value": "none"}]}
    assert plane.http.patch(f"{zone}/settings", json=wrong).status_code == 400
    plane.http.patch(f"{zone}/settings", json={"items": [{"id": "http3", "value": "off"}]}).raise_for_status()
    every = {row["id"]: row["value"] for row in plane.http.get(f"{zone}/settings").json()["result"]}
    assert (every["brotli"], every["http3"], every["ssl"]) == ("on", "off", "full")
    plane.ask("POST", "r2/buckets", json={"name": "ems-backups"})
    for body in sent("PUT", "/accounts/{account_id}/r2/buckets/ems-backups/lifecycle"):
        plane.ask("PUT", "r2/buckets/ems-backups/lifecycle", json=body)
        assert plane.ask("GET", "r2/buckets/ems-backups/lifecycle")["rules"] == body["rules"]
    assert "lifecycle" not in plane.ask("GET", "r2/buckets/ems-backups")


def test_the_settings_of_a_script_are_what_the_provider_can_read(plane: Plane) -> None:
    """`WorkersScript` of the provider crashes without `placement`; a default that nobody set would differ for ever."""
    plane.deploy("api", plane.version(plane.worker()))
    shown = plane.ask("GET", "workers/scripts/api/settings")
    assert shown["placement"] == {}
    script = plane.ask("GET", "workers/services/api")["default_environment"]["script"]
    assert not {"limits", "observability"} & {*shown, *script}
    plane.ask("PATCH", "workers/scripts/api/script-settings", json={"observability": {"enabled": True}})
    assert plane.ask("GET", "workers/scripts/api/settings")["observability"]["enabled"] is True


def test_every_recorded_call_meets_a_handler(plane: Plane) -> None:
    """No request of the real provider is answered by 501 or 500."""
    for row in REQUESTS:
        path = row["path"].replace("{account_id}", ACCOUNT).replace("{zone_id}", plane.zone)
        path = re.sub(r"{[<\w]\w*>?}", "0" * 32, path)
        answer = plane.http.request(row["method"], path.lstrip("/"), json=row["body"])
        assert answer.status_code not in {500, 501}, (row["method"], path)
