"""The audit log: every change once, readable in both versions, filtered, paged, kept over restarts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.serving import ACCOUNT, ZONE
from twin.cloudflare.access.trail import Trail

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.cloudflare.conftest import Plane

ALL = {"since": "2020-01-01", "before": "2100-01-01T00:00:00Z"}
RECORD = {"type": "A", "name": "api", "content": "192.0.2.1", "ttl": 300}


def entries(plane: Plane, **filters: str) -> list[dict[str, Any]]:
    """Return what version 2 lists, newest first."""
    answer = plane.http.get(f"{plane.account}/logs/audit", params=ALL | filters)
    assert answer.is_success, answer.text
    rows: list[dict[str, Any]] = answer.json()["result"]
    return rows


def test_every_change_is_written_down_once_and_reads_are_not(plane: Plane) -> None:
    """A creation, a change and a deletion leave three entries that say who, what, where, from where."""
    zone = plane.zone
    made = plane.http.post(f"zones/{zone}/dns_records", json=RECORD, headers={"user-agent": "ops/1"})
    record = made.json()["result"]["id"]
    plane.http.patch(f"zones/{zone}/dns_records/{record}", json={"comment": "changed"})
    plane.http.get(f"zones/{zone}/dns_records/{record}")
    assert plane.http.post(f"zones/{zone}/dns_records", json={"type": "A"}).status_code == 400
    plane.http.delete(f"zones/{zone}/dns_records/{record}")
    listed = entries(plane)
    assert [row["action"]["type"] for row in listed] == ["delete", "update", "create"]
    first = listed[-1]
    assert first["action"]["description"] == f"record A api.{ZONE} created"
    assert first["actor"] | {"id": "", "token_id": ""} == {
        "id": "",
        "token_id": "",
        "token_name": "twin",
        "email": "operator@example.com",
        "type": "user",
        "context": "api_token",
        "ip_address": "127.0.0.1",
    }
    assert first["actor"]["token_id"] == plane.http.get("user/tokens/verify").json()["result"]["id"]
    assert first["raw"] == {
        "cf_ray_id": made.headers["cf-ray"].partition("-")[0],
        "method": "POST",
        "status_code": 200,
        "uri": f"/client/v4/zones/{zone}/dns_records",
        "user_agent": "ops/1",
    }
    resource = {"id": record, "product": "dns_records", "type": "dns_records", "scope": "zones"}
    assert {row["resource"]["id"] for row in listed} == {record}
    assert first["resource"] == resource | {"request": None, "response": None}
    assert (first["account"]["id"], first["zone"]["name"]) == (ACCOUNT, ZONE)


def test_what_changed_is_named_by_its_path(plane: Plane) -> None:
    """A nested object is told by the innermost word, a secret by its name; the value is nowhere."""
    worker = plane.worker()
    version = plane.version(worker)
    deployment = plane.deploy("api", version)["id"]
    plane.ask("PUT", "workers/scripts/api/secrets", json={"name": "KEY", "text": "planted", "type": "secret_text"})
    plane.ask("PUT", "workers/scripts/api/schedules", json=[{"cron": "* * * * *"}])
    told = [(row["resource"]["product"], row["resource"]["type"], row["resource"]["id"]) for row in entries(plane)]
    assert told == [
        ("workers", "schedules", "api"),
        ("workers", "secrets", "KEY"),
        ("workers", "deployments", deployment),
        ("workers", "versions", version),
        ("workers", "workers", worker),
    ]
    assert "planted" not in json.dumps(entries(plane))


def test_filters_take_and_leave_out(plane: Plane) -> None:
    """A filter may be repeated, `.not` turns it round, time bounds it; since and before must be given."""
    zone = plane.zone
    plane.worker()
    plane.http.post(f"zones/{zone}/dns_records", json=RECORD)
    assert len(entries(plane, resource_product="dns_records")) == 1
    assert len(entries(plane, **{"resource_product.not": "dns_records"})) == 1
    assert len(entries(plane, zone_name=ZONE, action_type="create")) == 1
    assert entries(plane, actor_email="somebody@example.com") == []
    when = entries(plane)[0]["action"]["time"]
    assert [row["action"]["time"] for row in entries(plane, since=when)] == [when]
    assert when not in [row["action"]["time"] for row in entries(plane, before=when)]
    both = plane.http.get(f"{plane.account}/logs/audit", params=[*ALL.items(), *(("raw_method", m) for m in "XY")])
    assert both.json()["result"] == []
    assert plane.refused("GET", "logs/audit?since=2026-01-01") == (400, 10021, "before is required")
    assert plane.refused("GET", "logs/audit?since=yesterday&before=2027-01-01")[2].startswith("invalid since parameter")


def test_pages_are_linked_by_a_cursor(plane: Plane) -> None:
    """`result_info.cursors.after` leads through all entries and is empty on the last page; a made-up one is refused."""
    for name in ("a", "b", "c"):
        plane.worker(name)
    seen: list[str] = []
    cursor = ""
    while True:
        params = ALL | {"limit": "2", "direction": "asc"} | ({"cursor": cursor} if cursor else {})
        body = plane.http.get(f"{plane.account}/logs/audit", params=params).json()
        seen += [row["action"]["description"] for row in body["result"]]
        cursor = body["result_info"]["cursors"]["after"]
        if not cursor:
            break
    assert [text.split()[1] for text in seen] == ["a", "b", "c"]
    refused = plane.http.get(f"{plane.account}/logs/audit", params=ALL | {"cursor": "AAAA"})
    assert refused.json()["errors"][0]["message"] == "invalid cursor parameter"


def test_the_first_version_tells_the_same(plane: Plane) -> None:
    """`audit_logs` lists the same changes in the older shape, with its own filters and pages."""
    zone = plane.zone
    plane.worker()
    plane.http.post(f"zones/{zone}/dns_records", json=RECORD)
    newest, oldest = plane.ask("GET", "audit_logs")
    assert [newest["id"], oldest["id"]] == [row["id"] for row in entries(plane)]
    assert (newest["resource"]["type"], newest["metadata"]["zone_name"]) == ("dns_records", ZONE)
    assert newest["owner"] == {"id": ACCOUNT}
    for query, count in (
        (f"zone.name={ZONE}", 1),
        ("actor.ip=127.0.0.0/8", 2),
        ("actor.ip=192.0.2.1", 0),
        ("action.type=delete", 0),
        ("per_page=1", 1),
        ("before=2020-01-01", 0),
    ):
        assert len(plane.ask("GET", f"audit_logs?{query}")) == count, query
    assert plane.refused("GET", "audit_logs?actor.ip=here") == (400, 10021, "invalid actor.ip parameter")


def test_a_torn_line_is_dropped_and_the_rest_is_kept(tmp_path: Path) -> None:
    """What was written before a kill is still there; half a line is not, and does not spoil the next one."""
    file = tmp_path / "audit.ndjson"
    Trail(file).add({"id": "1"})
    with file.open("a", encoding="utf-8") as torn:
        torn.write('{"id": "é')
    Trail(file).add({"id": "2"})
    assert [entry["id"] for entry in Trail(file).entries] == ["1", "2"]


@pytest.mark.parametrize("path", ["logs/audit?since=2020-01-01&before=2100-01-01", "audit_logs"])
def test_reading_the_log_leaves_no_entry(plane: Plane, path: str) -> None:
    """Looking at the log is no change."""
    plane.ask("GET", path)
    assert entries(plane) == []
