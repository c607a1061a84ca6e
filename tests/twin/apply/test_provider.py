"""The requests are those of the real provider: replayed against what was recorded from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp import web

from tests.twin import serving
from twin.apply.provider.cloudflare import Cloudflare
from twin.apply.provider.contract import Action, Wanted
from twin.apply.provider.wire import Wire
from twin.apply.state import Entry, Pending

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED: Final = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "conformance" / "pulumi_requests.jsonl").read_text("utf-8").splitlines()
]
"""From the CLI 3.259 with the provider of SDK 6.23.1, 2026-11-23; values are made up."""

A: Final = {"accountId": "{account_id}"}
Z: Final = {"zoneId": "{zone_id}"}
WORKER: Final = {**A, "name": "hello", "tags": ["t1"], "observability": {"enabled": True}}
ORIGIN: Final = {"scheme": "postgres", "host": "db.example.com", "port": 5432, "database": "postgres"}
HYPERDRIVE: Final = {
    **A,
    "name": "ems-db",
    "origin": {**ORIGIN, "user": "postgres", "password": "pw"},
    "originConnectionLimit": 20,
}
RECORD: Final = {**Z, "name": "www.example.com", "type": "CNAME", "proxied": True, "ttl": 1}
DEPLOYMENT: Final = {
    **A,
    "scriptName": "hello",
    "strategy": "percentage",
    "versions": [{"versionId": "{uuid}", "percentage": 100}],
}
CODE: Final = "ZXhwb3J0IGRlZmF1bHQgeyBhc3luYyBmZXRjaCgpIHsgcmV0dXJuIG5ldyBSZXNwb25zZSgndjEnKSB9IH0="
VERSION: Final = {
    **A,
    "workerId": "{id}",
    "mainModule": "main.mjs",
    "compatibilityDate": "2026-01-01",
    "modules": [{"name": "main.mjs", "contentType": "application/javascript+module", "contentBase64": CODE}],
    "bindings": [
        {"name": "SECRET", "type": "secret_text", "text": "s3cr3t"},
        {"name": "KV", "type": "kv_namespace", "namespaceId": "{id}"},
        {"name": "A_TEXT", "type": "plain_text", "text": "x"},
    ],
    "annotations": {"workersMessage": "rev 1"},
}


def site(command: str = "npm run build1", **variables: str) -> dict[str, Any]:
    """Return the recorded Pages project with these variables beside the secret S."""
    texts = {name: {"type": "plain_text", "value": value} for name, value in variables.items() if name != "S"}
    texts["S"] = {"type": "secret_text", "value": variables.get("S", "zz")}
    environment = {"compatibilityDate": "2026-01-01", "envVars": texts}
    return {
        **A,
        "name": "site-full",
        "productionBranch": "main",
        "buildConfig": {"buildCommand": command, "destinationDir": "dist"},
        "deploymentConfigs": {"preview": environment, "production": environment},
    }


TLS: Final = {**Z, "settingId": "min_tls_version"}
HOOK: Final = {**A, "secret": "hush", "url": "https://hooks.example.com/x"}
UNHEALTHY: Final = {
    **A,
    "name": "pf",
    "alertType": "health_check_status_notification",
    "description": "d",
    "enabled": True,
    "filters": {"newHealths": ["Unhealthy"]},
    "mechanisms": {"webhooks": [{"id": "{id}"}]},
}


def limits(requests: int) -> dict[str, Any]:
    """Return the recorded rate limit with so many requests."""
    rate = {"characteristics": ["cf.colo.id", "ip.src"], "mitigationTimeout": 60, "period": 60}
    rule = {
        "action": "block",
        "description": "login",
        "enabled": True,
        "expression": '(http.request.uri.path eq "/login")',
        "ratelimit": {**rate, "requestsPerPeriod": requests},
        "ref": "login",
    }
    return {**Z, "description": "d", "kind": "zone", "name": "rate limit", "phase": "http_ratelimit", "rules": [rule]}


def health(interval: float) -> dict[str, Any]:
    """Return the recorded health check with this interval in seconds."""
    path = {"path": "/api/health"}
    return {**Z, "name": "api", "address": "api.example.com", "type": "HTTPS", "interval": interval, "httpConfig": path}


def notice(name: str) -> dict[str, Any]:
    """Return the recorded policy that tells by mail and webhook."""
    how = {"emails": [{"id": "ops@example.com"}], "webhooks": [{"id": "{id}"}]}
    return {**A, "name": name, "alertType": "http_alert_origin_error", "enabled": True, "mechanisms": how}


def kept(seconds: int) -> dict[str, Any]:
    """Return the recorded retention."""
    condition = {"maxAge": seconds, "type": "Age"}
    rule = {
        "id": "old",
        "enabled": True,
        "conditions": {"prefix": "daily/"},
        "deleteObjectsTransition": {"condition": condition},
    }
    return {**A, "bucketName": "ems-backups", "rules": [rule]}


JOB: Final = {
    **A,
    "dataset": "workers_trace_events",
    "destinationConf": "r2://ems-logs/{DATE}?account-id={account_id}",
    "enabled": True,
    "outputOptions": {"fieldNames": ["Event", "Outcome"]},
}


class Recorder:
    """Answers everything with an id, and keeps (method, path, body)."""

    def __init__(self) -> None:
        """Start with no calls."""
        self.calls: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Keep one call."""
        text = await request.text()
        path = request.path.removeprefix("/client/v4")
        self.calls.append({"method": request.method, "path": path, "body": json.loads(text) if text else None})
        return web.json_response({"success": True, "result": {"id": "{id}"}})


@pytest.fixture
def recorder() -> Iterator[tuple[Recorder, Cloudflare]]:
    """Serve a recorder, and give a provider that talks to it."""
    recorder = Recorder()

    def make() -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", recorder.answer)
        return app

    with serving.served(make) as address:
        wire = Wire(f"{address}/client/v4", "token")
        yield recorder, Cloudflare(wire)
        wire.close()


def wanted(kind: str, inputs: dict[str, Any]) -> Wanted:
    """Return a declaration."""
    return Wanted(f"cloudflare:index/{kind[0].lower()}{kind[1:]}:{kind}", "it", inputs, inputs)


def entry(new: Wanted, known_id: str = "{id}") -> Entry:
    """Return what the state holds of a declaration."""
    return Entry(urn="", type=new.type, name="it", id=known_id, inputs=new.masked, outputs={}, order=1)


CREATED: Final[list[tuple[str, dict[str, Any]]]] = [
    ("WorkersKvNamespace", {**A, "title": "kv-1"}),
    ("HyperdriveConfig", {**HYPERDRIVE, "caching": {"disabled": True}}),
    ("Worker", WORKER),
    ("WorkerVersion", VERSION),
    ("WorkersDeployment", DEPLOYMENT),
    ("WorkersCronTrigger", {**A, "scriptName": "hello", "schedules": [{"cron": "*/5 * * * *"}]}),
    ("WorkersCustomDomain", {**A, **Z, "hostname": "api.example.com", "service": "ems-api"}),
    ("WorkersRoute", {**Z, "pattern": "example.com/v1/*", "script": "hello"}),
    ("DnsRecord", {**RECORD, "content": "t1.example.net", "comment": "c1"}),
    ("DnsRecord", {**Z, "name": "_t.example.com", "type": "TXT", "content": '"v=1"', "ttl": 300}),
    ("PagesProject", {**A, "name": "site", "productionBranch": "main"}),
    ("PagesProject", site(A="1")),
    ("PagesDomain", {**A, "projectName": "site", "name": "docs.example.com"}),
    ("Ruleset", limits(10)),
    ("ZoneSetting", {**TLS, "value": "1.2"}),
    ("Healthcheck", health(60)),
    ("NotificationPolicyWebhooks", {**HOOK, "name": "hook1"}),
    ("NotificationPolicy", notice("policy1")),
    ("NotificationPolicy", UNHEALTHY),
    ("ZoneDnssec", {**Z, "status": "active"}),
    ("LogpushJob", JOB),
    ("R2Bucket", {**A, "name": "bucket-one", "location": "weur"}),
    ("R2Bucket", {**A, "name": "bucket-bare"}),
    ("R2BucketLifecycle", kept(604800)),
]


@pytest.mark.parametrize(("kind", "inputs"), CREATED)
def test_creations_are_as_recorded(recorder: tuple[Recorder, Cloudflare], kind: str, inputs: dict[str, Any]) -> None:
    """Method, path and body of each creation are among those that the real provider has sent."""
    api, provider = recorder
    provider.create(wanted(kind, inputs), Pending({}, ""), set())
    assert [_as_recorded(call) for call in api.calls] == api.calls


def test_whole_numbers_are_sent_as_integers(recorder: tuple[Recorder, Cloudflare]) -> None:
    """The program's numbers arrive as floats, and the real provider sends none of them so."""
    api, provider = recorder
    provider.create(wanted("Healthcheck", health(60.0)), Pending({}, ""), set())
    assert '"interval": 60,' in json.dumps([call["body"] for call in api.calls])


CHANGED: Final[list[tuple[str, dict[str, Any], dict[str, Any]]]] = [
    ("WorkersKvNamespace", {**A, "title": "kv-1"}, {**A, "title": "kv-2"}),
    ("HyperdriveConfig", {**HYPERDRIVE, "caching": {"disabled": True}}, {**HYPERDRIVE, "caching": {"disabled": False}}),
    ("Worker", WORKER, {**WORKER, "logpush": True}),
    ("WorkersRoute", {**Z, "pattern": "a", "script": "hello"}, {**Z, "pattern": "example.com/v2/*", "script": "hello"}),
    ("DnsRecord", {**RECORD, "content": "a"}, {**RECORD, "content": "t2.example.net", "comment": "c2"}),
    ("PagesProject", site(A="1"), site("npm run build2", A="2")),
    ("PagesProject", site(N="n"), site(S="yy")),
    ("Ruleset", limits(10), limits(20)),
    ("ZoneSetting", {**TLS, "value": "1.2"}, {**TLS, "value": "1.3"}),
    ("ZoneDnssec", {**Z, "status": "active"}, {**Z, "status": "disabled"}),
    ("Healthcheck", health(60), health(120)),
    ("NotificationPolicyWebhooks", {**HOOK, "name": "hook1"}, {**HOOK, "name": "hook2"}),
    ("NotificationPolicy", notice("policy1"), notice("policy2")),
    ("R2BucketLifecycle", kept(604800), kept(1209600)),
]


@pytest.mark.parametrize(("kind", "before", "after"), CHANGED)
def test_changes_are_as_recorded(
    recorder: tuple[Recorder, Cloudflare], kind: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Method, path and body of each change are as recorded: whole, or the differences only (Pages)."""
    api, provider = recorder
    old = entry(wanted(kind, before), before["name"] if kind == "PagesProject" else "{id}")
    assert provider.diff(old, wanted(kind, after)) is Action.UPDATE
    provider.update(old, wanted(kind, after))
    assert [_as_recorded(call) for call in api.calls] == api.calls


def test_removals_are_as_recorded(recorder: tuple[Recorder, Cloudflare]) -> None:
    """Each type is removed by the recorded request, or by none where the provider sends none."""
    api, provider = recorder
    silent = []
    for kind, inputs in CREATED:
        before = len(api.calls)
        known_id = inputs["name"] if kind.startswith("Pages") or kind == "R2Bucket" else "{id}"
        known_id = "{job_id}" if kind == "LogpushJob" else known_id
        provider.delete(entry(wanted(kind, inputs), known_id))
        silent += [kind] if len(api.calls) == before else []
    assert [_as_recorded(call) for call in api.calls] == api.calls
    assert silent == [
        "WorkerVersion",
        "WorkersDeployment",
        "WorkersCronTrigger",
        "ZoneSetting",
        "R2BucketLifecycle",
    ]


@pytest.mark.parametrize(
    ("kind", "before", "name", "value"),
    [
        ("WorkerVersion", VERSION, "compatibilityDate", "2026-02-02"),
        ("WorkersDeployment", DEPLOYMENT, "versions", []),
        ("PagesProject", site(), "name", "other"),
        ("PagesDomain", {**A, "projectName": "site", "name": "a.example.com"}, "name", "b.example.com"),
        ("Worker", WORKER, "accountId", "other"),
    ],
)
def test_some_changes_need_a_new_resource(
    recorder: tuple[Recorder, Cloudflare], kind: str, before: dict[str, Any], name: str, value: object
) -> None:
    """What the provider can't change in place is replaced."""
    _, provider = recorder
    assert provider.diff(entry(wanted(kind, before)), wanted(kind, {**before, name: value})) is Action.REPLACE
    assert provider.diff(entry(wanted(kind, before)), wanted(kind, before)) is Action.SAME


def _as_recorded(call: dict[str, Any]) -> dict[str, Any] | None:
    """Return the recorded request that is equal to this call."""
    kept = ({name: row[name] for name in ("method", "path", "body")} for row in RECORDED)
    return next((row for row in kept if row == call), None)
