"""Whatever stops an apply in the middle, the next one finishes and nothing exists twice."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.twin.apply.conftest import Cut
from tests.twin.apply.test_up import release
from tests.twin.serving import TOKENS

if TYPE_CHECKING:
    from tests.twin.apply.conftest import Project, Resources

NAMED: Resources = {
    "worker": ("Worker", {"name": "api"}, {}),
    "flags": ("WorkersKvNamespace", {"title": "flags"}, {}),
    "text": ("DnsRecord", {"name": "t.example.com", "type": "TXT", "content": '"a"', "ttl": 300}, {}),
    "caa": ("DnsRecord", {"name": "example.com", "type": "CAA", "ttl": 300}, {}),
    "route": ("WorkersRoute", {"pattern": "example.com/*", "script": "api"}, {"depends_on": ["worker"]}),
    "site": ("PagesProject", {"name": "site", "productionBranch": "main"}, {}),
    "docs": ("PagesDomain", {"projectName": "site", "name": "docs.example.com"}, {"depends_on": ["site"]}),
    "job": ("LogpushJob", {"name": "logs", "dataset": "workers_trace_events"}, {}),
    "signed": ("ZoneDnssec", {"status": "active"}, {}),
    "managed": ("Ruleset", {"kind": "zone", "name": "default", "phase": "http_request_firewall_managed"}, {}),
}
NAMED["job"][1]["destinationConf"] = {"$secret": "r2://logs/{DATE}?secret-access-key=k"}
NAMED["managed"][1]["rules"] = [{"action": "execute", "expression": "true", "actionParameters": {"id": "e" * 32}}]
NAMED["caa"][1]["data"] = {"flags": 0, "tag": "issue", "value": "ca.example.net"}
for name in ("text", "caa", "route", "signed", "managed"):
    NAMED[name][1]["zoneId"] = {"$zone": "example.com"}


def created(project: Project) -> Counter[str]:
    """Count what exists at the plane, by collection."""
    stored = json.loads((project.folder / "twin" / "cloudflare.json").read_text())
    zone = next(iter(stored["zones"].values()))
    count = Counter({"workers": len(stored["workers"]), "projects": len(stored["pages"])})
    count["routes"] = len(zone["routes"])
    count |= {"jobs": len(stored["logpush"]), "rulesets": len(zone["rulesets"]), zone["dnssec"]: 1}
    return count


def test_lost_answers_are_looked_for_and_not_repeated(project: Project) -> None:
    """Creations whose answers were lost are found by what makes each unique: one POST for each resource."""
    paths = (
        "/workers/workers",
        "/namespaces",
        "/dns_records",
        "/routes",
        "/pages/projects",
        "/domains",
        "/logpush/jobs",
    )
    project.api.cuts = [Cut("POST", path, times=2 if path == "/dns_records" else 1) for path in paths]
    done = project.apply(NAMED)
    assert done.code == 0, done.error
    assert [cut for cut in project.api.cuts if cut.times] == []
    posts = Counter(where.rpartition("/")[2] for _, where in project.api.sent("POST"))
    one_each = dict.fromkeys(("workers", "namespaces", "routes", "projects", "domains", "jobs", "rulesets"), 1)
    assert posts == {**one_each, "dns_records": 2}


def test_a_creation_left_open_is_taken_over_by_the_next_apply(project: Project) -> None:
    """When the look-up fails too, the apply stops; the next one finds the resource, and changes it where it differs."""
    project.api.cuts = [Cut("POST", "/workers/workers"), Cut("GET", "/workers/workers", status=403)]
    stopped = project.apply({"worker": NAMED["worker"]})
    assert stopped.code == 1
    assert "Worker worker: GET /accounts" in stopped.error
    assert "403 10000 not now" in stopped.error
    done = project.apply({"worker": ("Worker", {"name": "api", "logpush": True}, {})})
    assert done.actions == {"worker": "update"}
    assert [method for method, _ in project.api.sent()] == ["PUT"]


def test_a_creation_that_never_arrived_is_sent_again(project: Project) -> None:
    """A connection that broke before the effect leads to exactly one creation."""
    project.api.cuts = [Cut("POST", "/workers/workers", applied=False)]
    done = project.apply({"worker": NAMED["worker"]})
    assert done.code == 0, done.error
    assert Counter(project.api.sent("POST"))["POST", "workers/workers"] == 2
    assert project.apply({"worker": NAMED["worker"]}).actions == {"worker": "same"}


def test_versions_and_deployments_are_not_doubled(project: Project) -> None:
    """A lost answer to an upload or a deployment is found again by message and time."""
    project.api.cuts = [Cut("POST", "/versions"), Cut("POST", "/deployments")]
    done = project.apply(release())
    assert done.code == 0, done.error
    assert max(Counter(project.api.sent("POST")).values()) == 1


def test_killed_at_any_moment_the_next_one_finishes(project: Project) -> None:
    """After SIGKILL at moments spread over a whole run, one more apply completes it and nothing exists twice."""
    environment = {"CLOUDFLARE_API_TOKEN": TOKENS["CLOUDFLARE_API_TOKEN"], "PATH": os.defpath}
    command = project.write({**release(), **NAMED})
    for calls in range(1, 14, 2):
        project.api.calls.clear()
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        while len(project.api.calls) < calls and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    done = project.apply({**release(), **NAMED})
    assert done.code == 0, done.error
    one_each = ("workers", "projects", "routes", "jobs", "rulesets", "active")
    assert created(project) == Counter(dict.fromkeys(one_each, 1))
    assert set(project.apply({**release(), **NAMED}).actions.values()) == {"same"}
    stored = json.loads((project.folder / "twin" / "cloudflare.json").read_text())
    worker = next(iter(stored["workers"].values()))
    assert (len(worker["versions"]), len(worker["deployments"])) == (1, 1)
    assert len(next(iter(stored["zones"].values()))["records"]) == 2


def test_two_applies_at_once_are_not_possible(project: Project) -> None:
    """An apply on a state that another process holds is refused before any call."""
    project.state.mkdir()
    with (project.state / "apply.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = project.apply(release())
    assert (done.code, project.api.calls) == (1, [])
    assert "another apply is running on this state" in done.error
    assert project.apply(release()).code == 0
