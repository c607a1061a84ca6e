"""What the edge is told: hosts, routes, runnable versions; and that a restarted twin remembers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.twin import serving
from twin import cloudflare
from twin.world import WorkerTarget

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.cloudflare.conftest import Plane

ORIGIN = {
    "scheme": "postgres",
    "host": "127.0.0.1",
    "port": 5432,
    "database": "postgres",
    "user": "postgres",
    "password": "pw",
}


def released(plane: Plane, name: str) -> WorkerTarget:
    """Release a Worker and return the target that leads to it."""
    version = plane.version(plane.worker(name))
    plane.deploy(name, version)
    return WorkerTarget(name, ((version, 100.0),))


def test_the_most_specific_route_wins(plane: Plane) -> None:
    """Routes answer by pattern, longest first, only under a proxied record; a custom domain stands behind them."""
    whole, part, own = released(plane, "whole"), released(plane, "part"), released(plane, "own")
    routes = f"zones/{plane.zone}/workers/routes"
    for pattern, script in (("www.example.com/*", "whole"), ("www.example.com/api/*", "part")):
        plane.http.post(routes, json={"pattern": pattern, "script": script}).raise_for_status()
    assert plane.routing.target("www.example.com", "/api/x") is None
    record = {"type": "A", "name": "www", "content": "192.0.2.1", "ttl": 1, "proxied": True}
    plane.http.post(f"zones/{plane.zone}/dns_records", json=record).raise_for_status()
    assert plane.routing.target("www.example.com", "/api/x?y=/z") == part
    assert plane.routing.target("WWW.example.com:8080", "/") == whole
    assert plane.routing.target("other.example.com", "/api/x") is None
    plane.ask("PUT", "workers/domains", json={"hostname": "own.example.com", "service": "own"})
    assert plane.routing.target("own.example.com", "/api/x") == own
    for pattern in ("own.example.com/api/*", "https://own.example.com/exact", "http://own.example.com/plain*"):
        plane.http.post(routes, json={"pattern": pattern, "script": "whole"}).raise_for_status()
    reached = {path: plane.routing.target("own.example.com", path) for path in ("/api/x", "/", "/exact", "/plain")}
    assert reached == {"/api/x": whole, "/": own, "/exact": whole, "/plain": own}
    assert plane.routing.target("own.example.com", "/exact?a=1") == own


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"pattern": "www.example.com/*", "script": "none"}, 400, 10019),
        ({"pattern": "www.other.test/*"}, 400, 10022),
        ({"pattern": "notexample.com/*"}, 400, 10022),
        ({"pattern": "www.example.com/*.png"}, 400, 10022),
        ({"pattern": "www.*.example.com/"}, 400, 10022),
        ({"pattern": "www.example.com/?a=1*"}, 400, 10022),
        ({"pattern": "www.example.com/taken"}, 409, 10020),
        ({}, 400, 10021),
    ],
)
def test_a_wrong_route_is_refused(plane: Plane, body: dict[str, str], status: int, code: int) -> None:
    """A route to no script, of another zone, with stars inside or a query, twice, or without a pattern."""
    routes = f"zones/{plane.zone}/workers/routes"
    plane.http.post(routes, json={"pattern": "www.example.com/taken"}).raise_for_status()
    answer = plane.http.post(routes, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)


def test_a_hyperdrive_binding_is_resolved_and_never_shown(plane: Plane) -> None:
    """The runtime gets the origin with its password; no answer has it; a change restarts what uses it."""
    config = plane.ask("POST", "hyperdrive/configs", json={"name": "db", "origin": ORIGIN})
    assert "password" not in config["origin"]
    version = plane.version(plane.worker(), {"type": "hyperdrive", "name": "DB", "id": config["id"]})
    plane.deploy("api", version)
    (binding,) = plane.routing.runnable("api", version).bindings
    assert binding == {"type": "hyperdrive", "name": "DB", "id": config["id"], "origin": ORIGIN}
    shown = plane.http.get(f"{plane.account}/workers/scripts/api/versions/{version}").text
    assert "origin" not in shown
    plane.noted.switched.clear()
    changed = {"origin": {"port": 5433}}
    assert plane.ask("PATCH", f"hyperdrive/configs/{config['id']}", json=changed)["origin"]["port"] == 5433
    assert plane.noted.switched == ["api"]
    assert plane.routing.runnable("api", version).bindings[0]["origin"]["port"] == 5433


@pytest.mark.parametrize(
    ("caching", "shown"),
    [
        (None, {"disabled": False}),
        ({"max_age": 30}, {"disabled": False, "max_age": 30}),
        ({"disabled": True, "max_age": 30}, {"disabled": True}),
    ],
)
def test_hyperdrive_shows_no_caching_that_was_not_asked_for(
    plane: Plane, caching: dict[str, Any] | None, shown: dict[str, Any]
) -> None:
    """A default in the answer would be a difference for the Pulumi provider after each refresh."""
    made = plane.ask("POST", "hyperdrive/configs", json={"name": "db", "origin": ORIGIN, "caching": caching})
    assert made["caching"] == shown
    at = f"hyperdrive/configs/{made['id']}"
    assert plane.ask("GET", at)["caching"] == shown
    assert plane.ask("PATCH", at, json={"name": "other"})["caching"] == shown


@pytest.mark.parametrize(
    ("binding", "code"),
    [
        ({"type": "hyperdrive", "name": "DB", "id": "0" * 32}, 10021),
        ({"type": "kv_namespace", "name": "KV", "namespace_id": "0" * 32}, 10041),
        ({"type": "r2_bucket", "name": "B", "bucket_name": "none"}, 10085),
        ({"type": "plain_text", "name": "A"}, 10021),
        ({"name": "A"}, 10021),
    ],
)
def test_a_binding_to_nothing_is_refused(plane: Plane, binding: dict[str, str], code: int) -> None:
    """A version that binds what the account does not have is not made."""
    worker = plane.worker()
    sent = {
        "main_module": "i.js",
        "compatibility_date": "2026-04-01",
        "modules": [{"name": "i.js", "content_type": "application/javascript+module", "content_base64": "Ly8="}],
        "bindings": [binding],
    }
    assert plane.refused("POST", f"workers/workers/{worker}/versions", json=sent)[:2] == (400, code)
    assert plane.ask("GET", f"workers/workers/{worker}/versions") == []


def test_the_account_answers_after_a_restart(plane: Plane, tmp_path: Path) -> None:
    """A plane that is made anew on the same folder serves the same versions, records and domains."""
    target = released(plane, "api")
    plane.ask("PUT", "workers/domains", json={"hostname": "api.example.com", "service": "api"})
    plane.ask("PUT", "workers/scripts/api/schedules", json=[{"cron": "* * * * *"}])
    _, again = cloudflare.app(serving.home(tmp_path), serving.Noted().engines())
    assert again.target("api.example.com", "/") == target
    assert again.runnable("api", target.split[0][0]) == plane.routing.runnable("api", target.split[0][0])
    assert again.records() == plane.routing.records()
    assert again.crons() == (("api", "* * * * *"),)
    assert (tmp_path / "cloudflare.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyError):
        again.runnable("api", "nothing")
