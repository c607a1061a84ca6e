"""A program is made real once, and after that only what differs is."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.twin import serving

if TYPE_CHECKING:
    from tests.twin.apply.conftest import Declared, Project, Resources

CODE = b"export default { async fetch() { return new Response('ok') } }"


def version(message: str = "app 1", text: str = "x") -> Declared:
    """Return the declaration of a version of the Worker `api`."""
    module = {"name": "index.js", "contentType": "application/javascript+module"}
    props = {
        "workerId": {"$id": "worker"},
        "mainModule": "index.js",
        "compatibilityDate": "2026-04-01",
        "modules": [{**module, "contentBase64": base64.b64encode(CODE).decode()}],
        "bindings": [{"name": "Z", "type": "plain_text", "text": text}, {"name": "DB", "type": "hyperdrive"}],
        "annotations": {"workersMessage": message},
    }
    props["bindings"][1]["id"] = {"$id": "database"}  # type: ignore[index]
    return "WorkerVersion", props, {"retain_on_delete": True}


def release(**changes: Any) -> Resources:  # noqa: ANN401 - declarations of any shape
    """Return a Worker with a database, one version, and all traffic on that."""
    origin = {"scheme": "postgres", "host": "127.0.0.1", "port": 5432, "database": "d", "user": "u"}
    origin["password"] = {"$secret": "hush-hush"}
    versions = [{"versionId": {"$id": "version"}, "percentage": 100}]
    declared: Resources = {
        "worker": ("Worker", {"name": "api"}, {}),
        "database": ("HyperdriveConfig", {"name": "db", "origin": origin}, {"protect": True}),
        "version": version(),
        "live": ("WorkersDeployment", {"scriptName": "api", "strategy": "percentage", "versions": versions}, {}),
        "cron": ("WorkersCronTrigger", {"scriptName": "api", "schedules": [{"cron": "* * * * *"}]}, {}),
    }
    declared["cron"][2]["depends_on"] = ["live"]
    return {name: each for name, each in {**declared, **changes}.items() if each is not None}


def test_up_makes_everything_with_real_ids(project: Project) -> None:
    """Each resource is created once, in dependency order, and sees the ids of those before it."""
    done = project.apply(release(), outputs={"version": {"$id": "version"}, "hidden": {"$secret": "hush-hush"}})
    assert done.code == 0, done.error
    assert set(done.actions.values()) == {"create"}
    assert done.summary["changes"] == 5
    assert done.summary["outputs"] == {"version": done.ids["version"], "hidden": "[secret]"}
    bodies = {path.rpartition("/")[2]: body for method, path, body in project.api.calls if method != "GET"}
    assert bodies["deployments"]["versions"] == [{"version_id": done.ids["version"], "percentage": 100}]
    assert bodies["versions"]["bindings"][0] == {"name": "DB", "type": "hyperdrive", "id": done.ids["database"]}
    assert bodies["schedules"] == [{"cron": "* * * * *"}]
    assert bodies["configs"]["origin"]["password"] == "hush-hush"
    assert "accountId" not in json.dumps(bodies)
    assert "account_id" not in json.dumps(bodies)
    assert "programs may print" in done.error


def test_no_secret_is_written(project: Project) -> None:
    """The state folder holds no secret, only what compares it."""
    assert project.apply(release()).code == 0
    kept = b"".join(file.read_bytes() for file in project.state.iterdir())
    assert b"hush-hush" not in kept
    assert b"hmac-sha256:" in kept
    assert (project.state / "apply.json").stat().st_mode & 0o077 == 0
    assert (project.state / "apply.key").stat().st_mode & 0o077 == 0


def test_the_same_program_again_makes_no_call(project: Project) -> None:
    """An apply without changes asks the provider nothing at all and gives the same outputs."""
    first = project.apply(release(), outputs={"version": {"$id": "version"}})
    again = project.apply(release(), outputs={"version": {"$id": "version"}})
    assert set(again.actions.values()) == {"same"}
    assert (again.summary["changes"], project.api.calls) == (0, [])
    assert again.summary["outputs"] == first.summary["outputs"]


def test_only_what_changed_is_changed(project: Project) -> None:
    """A changed schedule is one request, a changed secret another; everything else stays."""
    project.apply(release())
    cron: Declared = ("WorkersCronTrigger", {"scriptName": "api", "schedules": []}, {})
    changed = project.apply(release(cron=cron))
    assert {name: action for name, action in changed.actions.items() if action != "same"} == {"cron": "update"}
    assert project.api.sent() == [("PUT", "workers/scripts/api/schedules")]
    rotated = release(cron=cron)
    rotated["database"][1]["origin"]["password"] = {"$secret": "new-hush"}
    done = project.apply(rotated)
    assert {name: action for name, action in done.actions.items() if action != "same"} == {"database": "update"}
    assert project.api.calls[0][2]["origin"]["password"] == "new-hush"


def test_new_code_is_a_new_version_and_a_new_deployment(project: Project) -> None:
    """A version is never changed: its successor is uploaded, traffic moves, and nothing is deleted."""
    first = project.apply(release())
    done = project.apply(release(version=version("app 2", "y")))
    changed = {name: action for name, action in done.actions.items() if action != "same"}
    assert changed == {"version": "replace", "live": "replace"}
    assert done.ids["version"] != first.ids["version"]
    worker = first.ids["worker"]
    assert project.api.sent() == [
        ("POST", f"workers/workers/{worker}/versions"),
        ("POST", "workers/scripts/api/deployments"),
    ]


def test_a_pinned_deployment_stays_while_new_code_is_uploaded(project: Project) -> None:
    """Traffic declared on a fixed version is left alone by an upload."""
    first = project.apply(release())
    pinned = [{"versionId": first.ids["version"], "percentage": 100}]
    live: Declared = ("WorkersDeployment", {"scriptName": "api", "strategy": "percentage", "versions": pinned}, {})
    done = project.apply(release(version=version("app 2"), live=live))
    changed = {name: action for name, action in done.actions.items() if action != "same"}
    assert changed == {"version": "replace"}


def test_what_is_no_longer_declared_goes_newest_first(project: Project) -> None:
    """Removed resources are deleted in reverse order; versions and deployments without a request."""
    routes: Resources = {
        "worker": ("Worker", {"name": "api"}, {}),
        "namespace": ("WorkersKvNamespace", {"title": "flags"}, {"depends_on": ["worker"]}),
    }
    done = project.apply(routes)
    gone = project.apply({})
    assert gone.actions == {"namespace": "delete", "worker": "delete"}
    assert project.api.sent() == [
        ("DELETE", f"storage/kv/namespaces/{done.ids['namespace']}"),
        ("DELETE", f"workers/workers/{done.ids['worker']}"),
    ]
    assert json.loads((project.state / "apply.json").read_text())["resources"] == {}


def test_a_replaced_resource_is_removed_after_its_successor_exists(project: Project) -> None:
    """A project under a new name is created first, then the old one is deleted."""
    project.apply({"site": ("PagesProject", {"name": "one", "productionBranch": "main"}, {})})
    done = project.apply({"site": ("PagesProject", {"name": "two", "productionBranch": "main"}, {})})
    assert done.actions == {"site": "replace"}
    assert project.api.sent() == [("POST", "pages/projects"), ("DELETE", "pages/projects/one")]


def test_a_custom_domain_that_moves_is_not_deleted(project: Project) -> None:
    """The provider answers a PUT by host name with the id it had: deleting the predecessor would delete it."""
    two: Resources = {name: ("Worker", {"name": name}, {}) for name in ("one", "two")}
    host = {"accountId": serving.ACCOUNT, "hostname": "api.example.com", "zoneId": {"$zone": "example.com"}}
    for service in ("one", "two"):
        declared: Resources = {
            **two,
            "host": ("WorkersCustomDomain", {**host, "service": service}, {"depends_on": ["one", "two"]}),
        }
        done = project.apply(declared)
        assert done.code == 0, done.error
    assert done.actions["host"] == "replace"
    assert [method for method, _ in project.api.sent()] == ["PUT"]


def test_preview_changes_nothing(project: Project) -> None:
    """A preview tells the same actions, makes no call and leaves no state."""
    planned = project.apply(release(), "--preview")
    assert set(planned.actions.values()) == {"create"}
    assert (planned.summary["changes"], project.api.calls) == (5, [])
    assert not (project.state / "apply.json").exists()
    project.apply(release())
    planned = project.apply(release(version=version("app 2")), "--preview")
    changed = {name: action for name, action in planned.actions.items() if action != "same"}
    assert changed == {"version": "replace", "live": "replace"}
    assert project.api.calls == []
    removed = release()
    del removed["cron"]
    assert project.apply(removed, "--preview").actions["cron"] == "delete"


def test_destroy_keeps_what_is_protected(project: Project) -> None:
    """Everything is removed but protected resources, which an ordinary apply refuses to remove or replace."""
    project.apply(release())
    refused = project.apply({})
    assert (refused.code, project.api.sent()) == (1, [])
    assert "HyperdriveConfig database: it is protected" in refused.error
    done = project.apply({}, "--destroy")
    assert done.actions.pop("database") == "same"
    assert set(done.actions.values()) == {"delete"}
    assert [path.partition("/")[0] for _, path in project.api.sent()] == ["workers"]
