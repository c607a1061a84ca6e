"""Drift, on an account that the real program was applied to, after each kind of change by hand."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from infra.pins.pinned import Pin
from runbooks.clients.account import Account
from runbooks.clients.cloudflare import Cloudflare, explain
from runbooks.clients.pulumi import Applied, Change, Pulumi
from runbooks.clients.transport import Patience, Transport
from runbooks.drift import Drift, Found
from runbooks.engine.step import Sight
from runbooks.model.account import Difference, Kind
from runbooks.model.errors import CheckError
from runbooks.model.settings import Settings, load
from runbooks.render.drift import lines
from runbooks.steps.drift.doubles import see_doubles
from tests.runbooks.desk import now
from tests.twin import serving
from twin import cloudflare
from twin.cloudflare.store import STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aiohttp import web

DATABASE = "postgresql://owner:secret@127.0.0.1:6543/main"
BUILD = [sys.executable, "-c", "print('export default { async fetch() { return new Response() } }')"]
SCRIPT = "workers/scripts/ems-api"


@dataclass(frozen=True)
class Previewed(Pulumi):
    """A program whose preview says what it is told to."""

    changes: tuple[Change, ...] = ()

    def preview(self, report: Callable[[Change], None] = lambda _change: None) -> Applied:
        """Say it."""
        for change in self.changes:
            report(change)
        return Applied(self.changes, None, 0.0)


@dataclass
class Hand:
    """Somebody with a token, the account they change by hand, and what compares it with the program."""

    http: httpx.Client
    account: Account
    drift: Drift

    def does(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Change something; `Z` in the path is the zone."""
        where = path.replace("Z/", f"zones/{self.account.zone}/") if path.startswith("Z/") else self.own(path)
        answer = self.http.request(method, where, json=body) if body is not None else self.http.request(method, where)
        assert answer.is_success, answer.text
        result = answer.json()["result"] if answer.content else None
        return result if isinstance(result, dict) else {"result": result}

    def own(self, path: str) -> str:
        """Return a path of the account."""
        return f"accounts/{serving.ACCOUNT}/{path}"

    def record(self, kind: str) -> str:
        """Return the path of the zone's own declared record of a type."""
        own = [one for one in self.account.records() if (one.type, one.name) == (kind, serving.ZONE)]
        return f"Z/dns_records/{own[0].id}"

    def ruleset(self, phase: str) -> tuple[str, dict[str, Any]]:
        """Return the path of a ruleset, and what it holds."""
        found = next(one for one in self.account.rulesets() if one.phase == phase)
        return f"Z/rulesets/{found.id}", self.does("GET", f"Z/rulesets/{found.id}")

    def upload(self, message: str) -> str:
        """Upload another version."""
        worker = self.account.worker("ems-api")
        assert worker is not None
        module = {"name": "i.js", "content_type": "application/javascript+module", "content_base64": "ZXhwb3J0"}
        body = {"main_module": "i.js", "compatibility_date": "2026-04-01", "modules": [module], "bindings": []}
        sent = {**body, "annotations": {"workers/message": message}}
        return str(self.does("POST", f"workers/workers/{worker.id}/versions", sent)["id"])

    def deploy(self, *versions: str) -> None:
        """Send the traffic there, in equal parts."""
        parts = [{"version_id": version, "percentage": 100 / len(versions)} for version in versions]
        self.does("POST", f"{SCRIPT}/deployments", {"strategy": "percentage", "versions": parts})

    @property
    def live(self) -> str:
        """Return the live version."""
        live = self.drift.cloudflare.live("ems-api")
        assert live is not None
        return live.versions[0].version_id


@dataclass
class Standing:
    """An account after the program, kept so that each test begins with it."""

    address: str
    settings: Settings
    app: web.Application
    data: dict[str, Any]


@pytest.fixture(scope="module")
def applied(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Apply the program to a control plane without engines."""
    folder = tmp_path_factory.mktemp("drift")
    apps: list[web.Application] = []

    def make() -> web.Application:
        apps.append(cloudflare.app(serving.home(folder), serving.Noted().engines())[0])
        return apps[0]

    with serving.served(make) as address:
        text = (root / "Pulumi.twin.yaml").read_text("utf-8").replace("ems.example", serving.ZONE)
        text = text.replace("5f1d0c2b7a9e4f8386d1b0c4e2a97f35", serving.ACCOUNT)
        text = text.replace("http://127.0.0.1:17801", address)
        text = text.replace("build: [python, -m, twin, bundle, examples/ems/api/src/index.js]", f"build: {BUILD}")
        text = text.replace("    buckets: {} #", "    kv: {SESSIONS: sessions}\n    buckets: {} #")
        text = text.replace("    routes: []", "    routes: [example.com/api/*]")
        service = "data: {priority: 1, weight: 2, port: 5060, target: sip.example.com}"
        text = text.replace(
            "  ems-ops:records:\n",
            f"  ems-ops:records:\n    - {{name: _s._tcp.example.com, type: SRV, ttl: 60, {service}}}\n",
        )
        text = text.replace("    managed: false", "    managed: true").replace("    dnssec: false", "    dnssec: true")
        file = folder / "Pulumi.twin.yaml"
        file.write_text(text, "utf-8")
        environment = {
            **os.environ,
            "CLOUDFLARE_API_TOKEN": serving.TOKENS["CLOUDFLARE_API_TOKEN"],
            "EMS_DATABASE_URL": DATABASE,
        }
        words = [sys.executable, "-m", "twin", "apply", "--program", "infra/__main__.py", "--stack-file", str(file)]
        subprocess.run(
            [*words, "--state", str(folder / "state")], cwd=root, env=environment, check=True, capture_output=True
        )
        settings = load(str(file), root=root, environ={"EMS_DATABASE_URL": DATABASE})
        yield Standing(address, settings, apps[0], copy.deepcopy(apps[0][STORE].data))


@pytest.fixture
def hand(applied: Standing) -> Iterator[Hand]:
    """Give somebody who changes things by hand; afterwards everything is as it was."""
    token = serving.TOKENS["CLOUDFLARE_API_TOKEN"]
    transport = Transport(
        "Cloudflare", f"{applied.address}/client/v4", token, explain=explain, patience=Patience(read=1, attempts=1)
    )
    settings = applied.settings
    account = Account(transport, serving.ACCOUNT, serving.ZONE)
    pulumi = Previewed("twin", settings.file, settings.root, dict(os.environ), None, str)
    drift = Drift(settings, Cloudflare(transport, serving.ACCOUNT), account, pulumi, now)
    with httpx.Client(base_url=f"{applied.address}/client/v4/", headers={"Authorization": f"Bearer {token}"}) as http:
        yield Hand(http, account, drift)
    transport.close()
    store = applied.app[STORE]
    store.data.clear()
    store.data.update(copy.deepcopy(applied.data))


def cron(hand: Hand) -> None:
    """Change the schedule."""
    hand.does("PUT", f"{SCRIPT}/schedules", [{"cron": "0 3 * * *"}])


def other_live(hand: Hand) -> None:
    """Send the traffic elsewhere."""
    hand.deploy(hand.upload("from the dashboard"))


def split(hand: Hand) -> None:
    """Split the traffic."""
    hand.deploy(hand.live, hand.upload("app 000000000000"))


def foreign_version(hand: Hand) -> None:
    """Upload a version and leave it."""
    hand.upload("")


def secret(hand: Hand) -> None:
    """Put a secret, which makes a version and a deployment too."""
    hand.deploy(hand.upload("app 000000000000"))
    hand.does("PUT", f"{SCRIPT}/secrets", {"name": "API_KEY", "text": "x", "type": "secret_text"})


def on_workers_dev(hand: Hand) -> None:
    """Open another way to the Worker."""
    hand.does("POST", f"{SCRIPT}/subdomain", {"enabled": True, "previews_enabled": False})


def host_gone(hand: Hand) -> None:
    """Detach the host."""
    hand.does("DELETE", f"workers/domains/{hand.account.domains()[0].id}")


def more_hosts(hand: Hand) -> None:
    """Attach another host, and a route."""
    body = {"hostname": f"old.{serving.ZONE}", "service": "ems-api", "zone_id": hand.account.zone}
    hand.does("PUT", "workers/domains", body)
    hand.does("POST", "Z/workers/routes", {"pattern": f"*.{serving.ZONE}/x/*"})


def record_changed(hand: Hand) -> None:
    """Change a record's content."""
    hand.does("PATCH", hand.record("TXT"), {"content": '"v=spf1 +all"'})


def record_slower(hand: Hand) -> None:
    """Change a record's ttl."""
    hand.does("PATCH", hand.record("TXT"), {"ttl": 60})


def record_gone(hand: Hand) -> None:
    """Remove a record."""
    hand.does("DELETE", hand.record("CAA"))


def record_foreign(hand: Hand) -> None:
    """Add a record."""
    hand.does("POST", "Z/dns_records", {"type": "A", "name": "old", "content": "192.0.2.7", "ttl": 300})


def setting(hand: Hand) -> None:
    """Weaken a setting of the zone."""
    hand.does("PATCH", "Z/settings/min_tls_version", {"value": "1.0"})


def rule_off(hand: Hand) -> None:
    """Switch a rule off and add another one."""
    path, body = hand.ruleset("http_request_firewall_custom")
    body["rules"][0]["enabled"] = False
    body["rules"].append({"action": "skip", "expression": "true", "description": "all in"})
    hand.does("PUT", path, body)


def ways_gone(hand: Hand) -> None:
    """Take away a declared route, and the declared signing of answers."""
    hand.does("DELETE", f"Z/workers/routes/{hand.account.routes()[0].id}")
    hand.does("PATCH", "Z/dnssec", {"status": "disabled"})


def rules_gone(hand: Hand) -> None:
    """Remove a ruleset."""
    hand.does("DELETE", hand.ruleset("http_ratelimit")[0])


def bucket(hand: Hand) -> None:
    """Let a bucket keep everything, remove another one."""
    hand.does("PUT", "r2/buckets/ems-logs/lifecycle", {"rules": []})
    hand.does("DELETE", "r2/buckets/ems-backups")


def namespace(hand: Hand) -> None:
    """Remove the KV namespace that the live version is bound to."""
    hand.does("DELETE", f"storage/kv/namespaces/{hand.account.namespaces()[0].id}")


def database(hand: Hand) -> None:
    """Let Hyperdrive lead elsewhere, and answer from memory."""
    found = hand.account.hyperdrives()[0]
    origin = {"scheme": "postgres", "host": "127.0.0.1", "port": 6543, "database": "other", "user": "owner"}
    body = {"name": found.name, "origin": {**origin, "password": "x"}, "caching": {"disabled": False}}
    hand.does("PUT", f"hyperdrive/configs/{found.id}", body)


def alerts(hand: Hand) -> None:
    """Look less often from outside, and tell nobody."""
    check, policy = hand.account.healthchecks()[0], hand.account.policies()[0]
    whole = hand.does("GET", f"Z/healthchecks/{check.id}")
    hand.does("PUT", f"Z/healthchecks/{check.id}", {**whole, "interval": 3600})
    hand.does("DELETE", f"alerting/v3/policies/{policy.id}")


def doubled(hand: Hand) -> None:
    """Create again what is there."""
    hand.does("POST", "Z/healthchecks", {"name": "ems-api", "address": "api.example.com", "type": "HTTPS"})


def site_branch(hand: Hand) -> None:
    """Change the site's branch."""
    hand.does("PATCH", "pages/projects/ems-web", {"production_branch": "other"})


def site_host(hand: Hand) -> None:
    """Give the site another host in place of its own."""
    hand.does("DELETE", f"pages/projects/ems-web/domains/www.{serving.ZONE}")
    hand.does("POST", "pages/projects/ems-web/domains", {"name": f"shop.{serving.ZONE}"})


CHANGES: dict[Callable[[Hand], None], list[tuple[str, str, str]]] = {
    cron: [("changed", "schedule", "ems-api")],
    other_live: [("changed", "traffic", "ems-api")],
    split: [("changed", "traffic", "ems-api")],
    foreign_version: [("foreign", "versions", "ems-api version 3")],
    secret: [("changed", "traffic", "ems-api"), ("foreign", "secrets", "API_KEY")],
    on_workers_dev: [("changed", "settings", "ems-api workers.dev")],
    host_gone: [("missing", "domains", "api.example.com")],
    more_hosts: [("foreign", "domains", "old.example.com"), ("foreign", "routes", "*.example.com/x/*")],
    record_changed: [("changed", "records", "TXT example.com")],
    record_slower: [("changed", "records", "TXT example.com")],
    record_gone: [("missing", "records", "CAA example.com")],
    record_foreign: [("foreign", "records", "A old.example.com")],
    setting: [("changed", "zone settings", "min_tls_version")],
    rule_off: [
        ("changed", "rules", "http_request_firewall_custom no-dotfiles"),
        ("foreign", "rules", "http_request_firewall_custom all in"),
    ],
    ways_gone: [("missing", "routes", "example.com/api/*"), ("changed", "zone settings", "dnssec")],
    rules_gone: [("missing", "rules", "http_ratelimit writes")],
    bucket: [("missing", "R2", "ems-backups"), ("changed", "R2", "ems-logs keeps for days")],
    namespace: [("missing", "bindings", "binding of the live version to …"), ("missing", "KV", "sessions")],
    database: [("changed", "Hyperdrive", "ems-db caching"), ("changed", "Hyperdrive", "ems-db origin")],
    alerts: [("changed", "health check", "ems-api"), ("missing", "notification policy", "ems …")],
    doubled: [("double", "health check", "ems-api")],
    site_branch: [("changed", "site", "ems-web branch")],
    site_host: [("missing", "site", "www.example.com"), ("foreign", "site", "shop.example.com")],
}


def shown(found: Found) -> list[tuple[str, str, str]]:
    """Return what differs, without ids and without what depends on the order of a list."""
    names = [one.what if one.system not in ("bindings", "notification policy") else "" for one in found.differences]
    starts = {"bindings": "binding of the live version to …", "notification policy": "ems …"}
    return [
        (one.kind.value, one.system, name or starts[one.system])
        for one, name in zip(found.differences, names, strict=True)
    ]


def test_what_was_just_applied_has_no_drift(hand: Hand) -> None:
    """The program's own account differs in nothing, and everything was read."""
    found = hand.drift.look()
    assert (found.differences, found.unread, found.notes) == ([], [], [])
    text = [*lines(found.differences, unread=found.unread, notes=found.notes, stack="twin")]
    assert text == ["No drift: twin's account is as its program says."]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: str(change.__name__))
def test_each_change_by_hand_is_found(hand: Hand, change: Callable[[Hand], None]) -> None:
    """Exactly what was changed is told, and who did it, by which call."""
    change(hand)
    found = hand.drift.look()
    assert found.unread == []
    assert shown(found) == CHANGES[change], found.differences
    for one in found.differences:
        assert one.expected != one.found
        assert one.by.startswith(("operator@example.com with token twin, 2", "one of ")), one
    text = "\n".join(lines(found.differences, unread=(), notes=(), stack="twin"))
    assert f"{len(found.differences)} differences between twin's program and its account." in text
    assert "             by        " in text


def test_a_pin_is_what_the_traffic_is_compared_with(hand: Hand) -> None:
    """After a rollback the pinned version is right, whatever the repository holds."""
    other = hand.upload("app 000000000000")
    pin = Pin(version=other, since="2026-11-20T10:00:00Z", reason="r", run="r1")
    stack = msgspec.structs.replace(hand.drift.settings.stack, pins={"api": pin})
    drift = replace(hand.drift, settings=replace(hand.drift.settings, stack=stack))
    assert shown(drift.look()) == [("changed", "traffic", "ems-api")]
    hand.deploy(other)
    assert shown(drift.look()) == []


def test_a_secret_that_is_declared_must_be_there(hand: Hand) -> None:
    """A name without a value is told; so is that what is live does not have it."""
    stack = hand.drift.stack
    api = msgspec.structs.replace(stack.api, secrets=("TOKEN",))
    settings = replace(hand.drift.settings, stack=msgspec.structs.replace(stack, api=api))
    found = replace(hand.drift, settings=settings).look()
    assert shown(found) == [("changed", "traffic", "ems-api"), ("missing", "secrets", "TOKEN")]
    assert found.differences[1].mend == "invoke deploy.secrets"


def test_the_site_is_compared_by_its_content(hand: Hand, tmp_path: Path) -> None:
    """Content that Pages does not serve is told by the hash over all files; so is a folder that is gone."""
    (tmp_path / "index.html").write_text("new", "utf-8")
    stack = hand.drift.stack
    (site,) = stack.sites
    for folder, told in ((str(tmp_path), [("changed", "site", "ems-web content")]), (f"{tmp_path}/no", [])):
        web = msgspec.structs.replace(site, folder=folder)
        settings = replace(hand.drift.settings, stack=msgspec.structs.replace(stack, web=web))
        found = replace(hand.drift, settings=settings).look()
        assert shown(found) == told
        assert bool(found.unread) is not bool(told)
        assert not told or "DELETE" not in found.differences[0].by


def test_what_was_not_applied_is_told(hand: Hand) -> None:
    """What a preview would change is drift between program and state."""
    change = Change("u", "cloudflare:index/worker:Worker", "ems-api", "update", "w1")
    pulumi = hand.drift.pulumi
    says = Previewed("twin", pulumi.stack_file, pulumi.root, pulumi.environment, None, str, changes=(change,))
    found = replace(hand.drift, pulumi=says).look()
    (one,) = found.differences
    assert (one.kind, one.what, one.expected, one.by) == (Kind.UNAPPLIED, "Worker ems-api", "update", "")


def test_nothing_there_is_all_missing(hand: Hand) -> None:
    """An empty account: everything is told once, nothing fails."""
    data = hand.http
    worker = hand.account.worker("ems-api")
    assert worker is not None
    assert data.delete(hand.own(f"workers/workers/{worker.id}")).is_success
    assert data.delete(hand.own("pages/projects/ems-web")).is_success
    found = hand.drift.look()
    assert found.unread == []
    assert ("missing", "worker", "ems-api") in shown(found)
    assert ("missing", "site", "ems-web") in shown(found)


def test_a_part_that_cannot_be_read_hides_nothing(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a token may not read is named; the rest is compared, and who changed it stays open."""
    cron(hand)
    real = hand.account.transport.get

    def get(path: str, *args: Any, **more: Any) -> Any:  # noqa: ANN401 - any call
        if "healthchecks" in path or "logs/audit" in path:
            message = f"GET {path}: expected 2xx, got 403."
            raise CheckError(message)
        return real(path, *args, **more)

    monkeypatch.setattr(hand.account.transport, "get", get)
    found = hand.drift.look()
    assert [one.system for one in found.differences] == ["schedule"]
    assert [line.partition(":")[0] for line in found.unread] == ["doubles", "alerts"]
    assert found.notes[0].startswith("who changed what is not known: GET")
    text = [*lines([], unread=found.unread, notes=[], stack="twin")]
    assert text[0].startswith("not compared doubles: GET")
    assert len(text) == 2


def test_an_unknown_zone_is_told(hand: Hand) -> None:
    """A zone that the account does not have is named."""
    with pytest.raises(CheckError, match=r"Zone other\.example: expected it in account 0123.*, got none of that name"):
        assert replace(hand.account, zone_name="other.example").zone


def test_a_deploy_says_what_was_created_twice(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in no state is named with the call that removes it; where it cannot be looked at, that is said."""
    first = hand.account.healthchecks()[0].id
    doubled(hand)
    notes: list[str] = []
    step = see_doubles(hand.account, hand.drift.stack, after="apply", name="doubles")
    second = next(check.id for check in hand.account.healthchecks() if check.id != first)
    for known, extra in (([second], first), ([first], second), ([], second), ([first, second], None)):
        notes.clear()
        answer = step.act(Sight(results={"apply": {"ids": [*known]}}, note=notes.append))
        assert answer == {"doubles": [extra] if extra else []}
        assert not extra or notes[0].endswith(f"DELETE /zones/{hand.account.zone}/healthchecks/{extra}")
    monkeypatch.setattr(hand.account.transport, "get", lambda *_a, **_k: (_ for _ in ()).throw(CheckError("no")))
    assert step.act(Sight(note=notes.append)) is None
    assert notes[-1] == "whether something was created twice could not be seen: no"


def test_a_difference_is_json() -> None:
    """What a program reads has the kind in plain words, and nothing that is empty."""
    one = Difference("records", "A x", Kind.MISSING, "192.0.2.1", "none")
    assert json.loads(msgspec.json.encode(one)) == {
        "system": "records",
        "what": "A x",
        "kind": "missing",
        "expected": "192.0.2.1",
        "found": "none",
    }
