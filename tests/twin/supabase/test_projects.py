"""The door of the Supabase plane, projects, health, keys, pausing, and who may connect."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.twin.serving import PROJECT

if TYPE_CHECKING:
    from tests.twin.supabase.conftest import Plane

EVERYONE = ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", "Unauthorized"),
        ("Bearer nonsense", "JWT could not be decoded"),
        ("Bearer sbp_" + "1" * 40, "Unauthorized"),
    ],
)
def test_wrong_tokens_are_refused(plane: Plane, header: str, text: str) -> None:
    """A missing, a malformed and a wrong token get 401."""
    answer = plane.http.get("/v1/projects", headers={"Authorization": header})
    assert (answer.status_code, answer.json()) == (401, {"message": text})
    assert answer.headers["x-ratelimit-limit"] == "120"


def test_the_given_project_is_there_and_no_other(plane: Plane) -> None:
    """The list has the one project; another reference is 404; a call that is lacking names its file."""
    assert [row["ref"] for row in plane.http.get("/v1/projects").json()] == [PROJECT]
    other = plane.http.get("/v1/projects/zyxwvutsrqponmlkjihg")
    assert (other.status_code, other.json()) == (404, {"message": "Project not found"})
    assert plane.refused("GET", "/database/migrations") == (
        501,
        f"the twin does not answer GET /v1/projects/{PROJECT}/database/migrations: add it to twin/supabase/database.py",
    )
    assert plane.refused("GET", "/functions")[0] == 501


def test_calls_are_counted(plane: Plane) -> None:
    """Each answer says how many of 120 calls a minute are left."""
    left = [int(plane.http.get("/v1/projects").headers["x-ratelimit-remaining"]) for _ in range(3)]
    assert left == [119, 118, 117]


def test_health_needs_services(plane: Plane) -> None:
    """Services may be given once or often; an unknown one and none at all are refused."""
    rows = plane.ask("GET", "/health", params={"services": ["db", "auth", "rest,storage"]})
    assert [(row["name"], row["status"]) for row in rows] == [
        (name, "ACTIVE_HEALTHY") for name in ("db", "auth", "rest", "storage")
    ]
    assert rows[2]["info"] == {"db_schema": "public,graphql_public"}
    assert plane.refused("GET", "/health")[0] == 400
    assert plane.refused("GET", "/health", params={"services": "mail"})[1].endswith("received 'mail'")
    plane.noted.state = "stopped"
    (row,) = plane.ask("GET", "/health", params={"services": "db"})
    assert (row["healthy"], row["status"], row["error"]) == (False, "UNHEALTHY", "stopped")


def test_secret_keys_are_masked(plane: Plane) -> None:
    """Without reveal the secret key ends in dots; with it it is whole."""
    masked, whole = (plane.ask("GET", "/api-keys", params=query) for query in ({}, {"reveal": "true"}))
    assert re.fullmatch(r"sb_secret_.{5}·{26}", masked[3]["api_key"])
    assert whole[3]["api_key"].startswith(masked[3]["prefix"])
    assert "·" not in whole[3]["api_key"]


def test_giving_up_the_add_on_ends_recovery(plane: Plane) -> None:
    """The add-on says how far back a recovery reaches; without it there is none."""
    selected = plane.ask("GET", "/billing/addons")["selected_addons"]
    assert [row["variant"]["id"] for row in selected if row["type"] == "pitr"] == ["pitr_7"]
    plane.ask("DELETE", "/billing/addons/pitr_7")
    body = {"recovery_time_target_unix": 1_750_000_000}
    assert plane.refused("POST", "/database/backups/restore-pitr", json=body) == (
        400,
        "PITR is not enabled for this project.",
    )
    plane.ask("PATCH", "/billing/addons", json={"addon_variant": "pitr_28", "addon_type": "pitr"})
    assert plane.ask("GET", "/database/backups")["pitr_enabled"] is True
    assert plane.refused("PATCH", "/billing/addons", json={"addon_variant": "x", "addon_type": "pitr"})[0] == 400
    assert plane.refused("DELETE", "/billing/addons/pitr_7")[0] == 400


def test_a_paused_project_lets_nobody_in(plane: Plane) -> None:
    """Pausing closes the database, un-pausing opens it to whom it was open before."""
    assert plane.refused("POST", "/restore") == (400, "project is no longer in a paused state")
    plane.ask("POST", "/pause")
    assert plane.status == "PAUSING"
    plane.until(lambda: plane.status == "INACTIVE")
    assert plane.noted.restricted == [EVERYONE, ()]
    assert plane.refused("POST", "/pause")[0] == 400
    assert plane.ask("GET", "/restore")["available_versions"][0]["release_channel"] == "ga"
    plane.ask("POST", "/restore")
    plane.until(lambda: plane.status == "ACTIVE_HEALTHY")
    assert plane.noted.restricted == [EVERYONE, (), EVERYONE]


def test_restrictions_are_stored_and_then_applied(plane: Plane) -> None:
    """Apply replaces the lists; the engine is told when the status says so; opening up is at once."""
    body = {"dbAllowedCidrs": ["127.0.0.1/32"], "dbAllowedCidrsV6": []}
    stored = plane.ask("POST", "/network-restrictions/apply", json=body)
    assert (stored["status"], stored["config"]) == ("stored", body)
    assert stored["old_config"] == {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": ["::/0"]}
    plane.until(lambda: bool(plane.ask("GET", "/network-restrictions")["status"] == "applied"))
    assert plane.noted.restricted[-1] == ("127.0.0.1/32",)
    opened = plane.ask("POST", "/network-restrictions/apply", json={"dbAllowedCidrs": ["0.0.0.0/0"]})
    assert (opened["status"], plane.noted.restricted[-1]) == ("applied", ("0.0.0.0/0",))


def test_a_newer_restriction_replaces_one_on_its_way(plane: Plane) -> None:
    """Of two that follow each other quickly only the second takes effect."""
    for cidr in ("192.0.2.1/32", "192.0.2.2/32"):
        plane.ask("POST", "/network-restrictions/apply", json={"dbAllowedCidrs": [cidr]})
    plane.until(lambda: bool(plane.ask("GET", "/network-restrictions")["status"] == "applied"))
    assert plane.noted.restricted == [EVERYONE, ("192.0.2.2/32",)]


@pytest.mark.parametrize("body", [{"dbAllowedCidrs": ["here"]}, {"dbAllowedCidrs": ["::/0"]}])
def test_an_address_that_is_none_is_refused(plane: Plane, body: dict[str, list[str]]) -> None:
    """A wrong CIDR, or one of the other family, changes nothing."""
    assert plane.refused("POST", "/network-restrictions/apply", json=body)[0] == 400
    assert plane.ask("GET", "/network-restrictions")["status"] == "applied"


def test_patch_adds_and_removes(plane: Plane) -> None:
    """PATCH changes single addresses."""
    patch = {"add": {"dbAllowedCidrs": ["192.0.2.0/24"]}, "remove": {"dbAllowedCidrs": ["0.0.0.0/0"]}}
    answer = plane.ask("PATCH", "/network-restrictions", json=patch)
    assert {"address": "192.0.2.0/24", "type": "v4"} in answer["config"]["dbAllowedCidrs"]
    assert plane.ask("GET", "/network-restrictions")["config"]["dbAllowedCidrs"] == ["192.0.2.0/24"]


def test_bans_are_listed_and_lifted(plane: Plane) -> None:
    """There are none to begin with; lifting needs the list; the disk and the guard are shown."""
    assert plane.ask("POST", "/network-bans/retrieve") == {"banned_ipv4_addresses": []}
    assert plane.ask("POST", "/network-bans/retrieve/enriched") == {"banned_ipv4_addresses": []}
    assert plane.refused("DELETE", "/network-bans", json={}) == (400, "ipv4_addresses: Required")
    assert plane.ask("GET", "/readonly")["enabled"] is False
    sizes = plane.ask("GET", "/config/disk/util")["metrics"]
    assert sizes["fs_size_bytes"] >= sizes["fs_avail_bytes"] > 0
