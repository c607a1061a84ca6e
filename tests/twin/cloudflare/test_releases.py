"""Versions, deployments and secrets of Workers on the wire."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.cloudflare.conftest import SOURCE
from twin.world import WorkerTarget

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")


def upload(plane: Plane, method: str, path: str, **metadata: Any) -> Any:  # noqa: ANN401 - the provider's JSON
    """Upload by multipart as wrangler does."""
    whole = {"main_module": "index.js", "bindings": [], "compatibility_date": "2026-04-01", **metadata}
    files = {
        "metadata": (None, json.dumps(whole)),
        "index.js": ("index.js", SOURCE, "application/javascript+module"),
    }
    return plane.ask(method, path, files=files)


def secret(name: str, text: str) -> dict[str, str]:
    """Return a secret binding."""
    return {"type": "secret_text", "name": name, "text": text}


def test_a_release_goes_live_and_is_seen_by_both_apis(plane: Plane) -> None:
    """A version uploaded as JSON and deployed is live for the edge and listed by the script API."""
    worker = plane.worker()
    version = plane.version(worker, {"type": "plain_text", "name": "A", "text": "1"}, message="app 1")
    deployment = plane.deploy("api", version)
    assert UUID.match(version)
    assert UUID.match(deployment["id"])
    assert TIME.match(deployment["created_on"])
    assert plane.routing.live("api") == ((version, 100.0),)
    assert plane.noted.switched == ["api"]
    shown = plane.ask("GET", f"workers/scripts/api/versions/{version}")
    assert shown["annotations"] == {"workers/message": "app 1", "workers/triggered_by": "version_upload"}
    assert shown["resources"]["bindings"] == [{"type": "plain_text", "name": "A", "text": "1"}]
    assert shown["resources"]["script"]["handlers"] == ["fetch", "scheduled"]
    assert shown["resources"]["script_runtime"]["compatibility_flags"] == ["nodejs_compat"]
    runnable = plane.routing.runnable("api", version)
    assert (runnable.main_module, runnable.modules[0].body) == ("index.js", SOURCE)


def test_deployments_are_newest_first_and_old_ones_still_answer(plane: Plane) -> None:
    """The list's first entry is live; after a rollback the replaced deployment can still be read by id."""
    worker = plane.worker()
    one, two = plane.version(worker), plane.version(worker)
    first = plane.deploy("api", one)
    second = plane.deploy("api", two)
    back = plane.deploy("api", one)
    listed = plane.ask("GET", "workers/scripts/api/deployments")["deployments"]
    assert [row["id"] for row in listed] == [back["id"], second["id"], first["id"]]
    assert plane.ask("GET", f"workers/scripts/api/deployments/{second['id']}") == second
    assert plane.refused("DELETE", f"workers/scripts/api/deployments/{back['id']}")[:2] == (400, 10021)
    plane.ask("DELETE", f"workers/scripts/api/deployments/{first['id']}")
    assert plane.refused("GET", f"workers/scripts/api/deployments/{first['id']}")[:2] == (404, 10025)


def test_a_message_on_a_deployment_is_kept(plane: Plane) -> None:
    """The annotation by which a runbook finds its own deployment again comes back."""
    version = plane.version(plane.worker())
    sent = {
        "strategy": "percentage",
        "versions": [{"version_id": version, "percentage": 100}],
        "annotations": {"workers/message": "rollback · request 7"},
    }
    plane.ask("POST", "workers/scripts/api/deployments", json=sent)
    live = plane.ask("GET", "workers/scripts/api/deployments")["deployments"][0]
    assert live["annotations"] == {
        "workers/message": "rollback · request 7",
        "workers/triggered_by": "deployment",
    }


@pytest.mark.parametrize(
    ("versions", "code"),
    [
        ([], 10021),
        ([("known", 50)], 10021),
        ([("known", 60), ("known", 60)], 10021),
        ([("known", 101)], 10021),
        ([("known", "100")], 10021),
        ([("known", 40), ("known", 30), ("known", 30)], 10021),
        ([("00000000-0000-4000-8000-000000000000", 100)], 10025),
    ],
)
def test_a_wrong_split_is_refused(plane: Plane, versions: list[tuple[str, Any]], code: int) -> None:
    """One or two known versions whose percentages total 100, nothing else; and nothing is changed."""
    known = plane.version(plane.worker())
    parts = [{"version_id": known if name == "known" else name, "percentage": share} for name, share in versions]
    sent = {"strategy": "percentage", "versions": parts}
    assert plane.refused("POST", "workers/scripts/api/deployments", json=sent)[:2] == (400, code)
    assert plane.ask("GET", "workers/scripts/api/deployments")["deployments"] == []


def test_a_canary_with_zero_percent_is_allowed(plane: Plane) -> None:
    """The API takes 0 %, which the provider's schema does not."""
    worker = plane.worker()
    one, two = plane.version(worker), plane.version(worker)
    parts = [{"version_id": one, "percentage": 100}, {"version_id": two, "percentage": 0}]
    plane.ask("POST", "workers/scripts/api/deployments", json={"strategy": "percentage", "versions": parts})
    assert plane.routing.live("api") == ((one, 100.0), (two, 0.0))


def test_a_rollback_over_a_changed_secret_needs_force(plane: Plane) -> None:
    """A version that was active before its secret changed is refused with 10220, and let through with force."""
    worker = plane.worker()
    one = plane.version(worker, secret("SECRET", "old"), secret("SECRET_TWO", "old"))
    plane.deploy("api", one)
    two = plane.version(worker, secret("SECRET", "new"), secret("SECRET_TWO", "new"))
    plane.deploy("api", two)
    sent = {"strategy": "percentage", "versions": [{"version_id": one, "percentage": 100}]}
    text = (
        "A secret has changed since this version was active. If you are sure this is ok, add a ?force=true query "
        "parameter to allow the rollback. The following secrets have changed: SECRET, SECRET_TWO"
    )
    assert plane.refused("POST", "workers/scripts/api/deployments", json=sent) == (400, 10220, text)
    assert plane.routing.live("api") == ((two, 100.0),)
    plane.deploy("api", one, query="?force=true")
    assert plane.routing.live("api") == ((one, 100.0),)


def test_a_version_without_secrets_in_between_changes_nothing(plane: Plane) -> None:
    """Stopping by a version that has no secrets and going back needs no force."""
    worker = plane.worker()
    app, stop = plane.version(worker, secret("KEY", "k")), plane.version(worker)
    for version in (app, stop, app, stop, app):
        plane.deploy("api", version)
    assert plane.routing.live("api") == ((app, 100.0),)


def test_deployable_ignores_paging_and_ends_at_a_hundred(plane: Plane) -> None:
    """The list of what can be rolled back to has the 100 newest, whatever page is asked for."""
    worker = plane.worker()
    ids = [plane.version(worker) for _ in range(103)]
    query = {"deployable": "true", "page": "5", "per_page": "2"}
    items = plane.ask("GET", "workers/scripts/api/versions", params=query)["items"]
    assert [item["id"] for item in items] == ids[:2:-1]
    page = plane.http.get(f"{plane.account}/workers/scripts/api/versions", params={"page": 11, "per_page": 10}).json()
    assert [item["id"] for item in page["result"]["items"]] == ids[2::-1]
    assert page["result_info"] == {"page": 11, "per_page": 10, "count": 3, "total_count": 103, "total_pages": 11}
    old = {"strategy": "percentage", "versions": [{"version_id": ids[0], "percentage": 100}]}
    assert plane.refused("POST", "workers/scripts/api/deployments", json=old)[:2] == (400, 10025)


def test_inherit_takes_the_binding_with_its_value(plane: Plane) -> None:
    """An inherited secret has the old value for the runtime, and is never shown."""
    worker = plane.worker()
    one = plane.version(worker, secret("KEY", "value"))
    two = plane.version(worker, {"type": "inherit", "name": "KEY"})
    three = plane.version(worker, {"type": "inherit", "name": "NEW", "old_name": "KEY", "version_id": "latest"})
    for version, name in ((two, "KEY"), (three, "NEW")):
        assert plane.routing.runnable("api", version).bindings == (
            {"type": "secret_text", "name": name, "text": "value"},
        )
        shown = plane.ask("GET", f"workers/workers/{worker}/versions/{version}?include=modules")
        assert shown["bindings"] == [{"type": "secret_text", "name": name}]
    sent = {"main_module": "index.js", "bindings": [{"type": "inherit", "name": "NONE"}]}
    files = {"metadata": (None, json.dumps(sent)), "index.js": ("index.js", SOURCE, "application/javascript+module")}
    strict = "workers/scripts/api/versions?bindings_inherit=strict"
    assert plane.refused("POST", strict, files=files)[:2] == (400, 10057)
    sent["bindings"] = [{"type": "inherit", "name": "KEY", "version_id": one}]
    by_id = {**files, "metadata": (None, json.dumps(sent))}
    status, code, text = plane.refused("POST", strict, files=by_id)
    assert (status, code) == (400, 10057)
    assert text.endswith("is invalid, only the literal 'latest' is supported by this API")
    dropped = plane.ask("POST", "workers/scripts/api/versions", files=files)
    assert dropped["resources"]["bindings"] == []


def test_a_secret_without_its_text_is_refused(plane: Plane) -> None:
    """Sending listed bindings back does not lose a secret silently."""
    worker = plane.worker()
    sent = {
        "main_module": "i.js",
        "compatibility_date": "2026-04-01",
        "modules": [{"name": "i.js", "content_type": "application/javascript+module", "content_base64": "Ly8="}],
        "bindings": [{"type": "secret_text", "name": "KEY"}],
    }
    assert plane.refused("POST", f"workers/workers/{worker}/versions", json=sent) == (
        400,
        10021,
        "invalid or missing text property for binding KEY",
    )


def test_upload_deploys_at_once_and_drops_unlisted_secrets(plane: Plane) -> None:
    """PUT of a script makes a version and sends all traffic to it; keep_bindings keeps secrets."""
    answer = upload(plane, "PUT", "workers/scripts/site", bindings=[secret("KEY", "v")])
    assert answer["deployment_id"] == plane.routing.live("site")[0][0].replace("-", "")
    upload(plane, "PUT", "workers/scripts/site", keep_bindings=["secret_text"])
    assert plane.ask("GET", "workers/scripts/site/secrets") == [{"name": "KEY", "type": "secret_text"}]
    upload(plane, "PUT", "workers/scripts/site")
    assert plane.ask("GET", "workers/scripts/site/secrets") == []
    raw = plane.http.get(f"{plane.account}/workers/scripts/site/content/v2")
    assert raw.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert raw.headers["cf-entrypoint"] == "index.js"
    assert SOURCE in raw.content


def test_a_version_that_cannot_start_leaves_the_old_one_live(plane: Plane) -> None:
    """When the runtime refuses the code, the answer is 10021 and traffic stays where it was."""
    worker = plane.worker()
    good, bad = plane.version(worker), plane.version(worker)
    plane.deploy("api", good)
    plane.noted.unrunnable = "Uncaught SyntaxError: Unexpected end of input"
    sent = {"strategy": "percentage", "versions": [{"version_id": bad, "percentage": 100}]}
    assert plane.refused("POST", "workers/scripts/api/deployments", json=sent) == (
        400,
        10021,
        "Uncaught SyntaxError: Unexpected end of input",
    )
    assert plane.routing.live("api") == ((good, 100.0),)


def test_secrets_make_versions_and_need_the_newest_to_be_live(plane: Plane) -> None:
    """A secret put is a version and a deployment; after a rollback it is refused with 10215."""
    upload(plane, "PUT", "workers/scripts/api")
    first = plane.routing.live("api")[0][0]
    plane.ask("PUT", "workers/scripts/api/secrets", json={**secret("KEY", "v")})
    second = plane.routing.live("api")[0][0]
    assert second != first
    assert plane.routing.runnable("api", second).bindings[0]["text"] == "v"
    assert plane.ask("GET", f"workers/scripts/api/versions/{second}")["annotations"] == {
        "workers/triggered_by": "secret"
    }
    plane.deploy("api", first)
    status, code, text = plane.refused("PUT", "workers/scripts/api/secrets", json=secret("KEY", "w"))
    assert (status, code) == (400, 10215)
    assert text.startswith("Secret edit failed. You attempted to modify a secret, but the latest version")
    plane.deploy("api", second)
    bulk = {"secrets": {"KEY": None, "NEW": secret("NEW", "n")}}
    assert plane.ask("PATCH", "workers/scripts/api/secrets-bulk", json=bulk) == {
        "NEW": {"name": "NEW", "type": "secret_text"}
    }
    plane.ask("DELETE", "workers/scripts/api/secrets/NEW?url_encoded=true")
    assert plane.refused("DELETE", "workers/scripts/api/secrets/NEW")[:2] == (404, 10056)


def test_wrangler_finds_what_it_asks_before_a_deploy(plane: Plane) -> None:
    """A new name answers 404 with the right codes; a script that exists answers services, settings, subdomain."""
    assert plane.refused("GET", "workers/services/api")[:2] == (404, 10090)
    assert plane.refused("GET", "workers/scripts/api/deployments")[:2] == (404, 10007)
    assert plane.refused("GET", "workers/scripts/api/settings")[:2] == (404, 10007)
    upload(plane, "PUT", "workers/scripts/api?excludeScript=true&bindings_inherit=strict")
    service = plane.ask("GET", "workers/services/api")
    assert service["default_environment"]["script"]["handlers"] == ["fetch", "scheduled"]
    assert plane.ask("GET", "workers/scripts/api/settings")["compatibility_date"] == "2026-04-01"
    assert plane.ask("PATCH", "workers/scripts/api/script-settings", json={"logpush": True})["logpush"] is True
    assert plane.ask("GET", "workers/subdomain") == {"subdomain": "twin"}
    plane.ask("POST", "workers/scripts/api/subdomain", json={"enabled": True})
    assert plane.ask("GET", "workers/scripts/api/subdomain") == {"enabled": True, "previews_enabled": False}
    assert plane.routing.target("api.twin.workers.dev", "/") is not None
    assert [row["id"] for row in plane.ask("GET", "workers/scripts")] == ["api"]


def test_settings_are_changed_by_a_new_version_while_the_newest_is_live(plane: Plane) -> None:
    """PATCH settings deploys a copy with the change; after a rollback it is refused with 10214."""
    upload(plane, "PUT", "workers/scripts/api", bindings=[secret("KEY", "v")])
    first = plane.routing.live("api")[0][0]
    files = {"settings": (None, json.dumps({"compatibility_date": "2026-05-01"}))}
    assert plane.ask("PATCH", "workers/scripts/api/settings", files=files)["compatibility_date"] == "2026-05-01"
    assert plane.ask("GET", "workers/scripts/api/secrets") == [{"name": "KEY", "type": "secret_text"}]
    listed = {"bindings": [{"type": "secret_text", "name": "KEY"}, secret("NEW", "n")]}
    plane.ask("PATCH", "workers/scripts/api/settings", files={"settings": (None, json.dumps(listed))})
    live = plane.routing.runnable("api", plane.routing.live("api")[0][0])
    assert [binding["text"] for binding in live.bindings] == ["v", "n"]
    plane.deploy("api", first)
    assert plane.refused("PATCH", "workers/scripts/api/settings", files=files)[:2] == (400, 10214)


def test_a_renamed_worker_keeps_its_hosts(plane: Plane) -> None:
    """Routes, domains and the live version follow the new name; a taken name is refused."""
    worker = plane.worker()
    version = plane.version(worker)
    plane.deploy("api", version)
    plane.ask("PUT", "workers/domains", json={"hostname": "api.example.com", "service": "api"})
    plane.worker("other")
    assert plane.refused("PUT", f"workers/workers/{worker}", json={"name": "other"})[:2] == (400, 10021)
    plane.ask("PATCH", f"workers/workers/{worker}", json={"name": "new"})
    target = plane.routing.target("api.example.com", "/")
    assert isinstance(target, WorkerTarget)
    assert (target.script, target.split) == ("new", ((version, 100.0),))
    assert plane.noted.switched == ["api", "new", "api"]
    plane.ask("DELETE", "workers/services/new?force=true")
    assert plane.routing.target("api.example.com", "/") is None


def test_deleting_a_worker_takes_everything_with_it(plane: Plane) -> None:
    """Versions, routes, custom domains and their records go with the Worker; a second delete is 404."""
    worker = plane.worker()
    plane.deploy("api", plane.version(worker))
    host = {"hostname": "api.example.com", "service": "api", "zone_id": plane.zone}
    plane.ask("PUT", "workers/domains", json=host)
    route = {"pattern": "www.example.com/api/*", "script": "api"}
    plane.http.post(f"zones/{plane.zone}/workers/routes", json=route).raise_for_status()
    plane.ask("DELETE", f"workers/workers/{worker}")
    assert plane.routing.live("api") == ()
    assert plane.routing.records() == ()
    assert plane.ask("GET", "workers/domains") == []
    assert plane.http.get(f"zones/{plane.zone}/workers/routes").json()["result"] == []
    assert plane.refused("DELETE", f"workers/workers/{worker}") == (
        404,
        10007,
        "This Worker does not exist on your account.",
    )
