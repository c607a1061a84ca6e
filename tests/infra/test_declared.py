"""What an operator may ask for beyond the ordinary: bindings, routes, logs, guards, secrets; each only when asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi
import pytest

from tests.infra.test_program import plain_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Config, Declared

    Declare = Callable[[Config], Declared]

KEYS = {
    "EMS_WEBHOOK_SECRET": "hush-of-the-webhook",
    "EMS_LOGPUSH_ACCESS_KEY_ID": "hush-id",
    "EMS_LOGPUSH_SECRET_ACCESS_KEY": "hush/of+the-bucket",
}


@pytest.fixture
def asked(config: Config) -> Config:
    """Ask for one of each."""
    api: dict[str, Any] = {"routes": ["ems.example/v1/*"], "buckets": {"FILES": "ems-logs"}, "secrets": ["KEY", "ALSO"]}
    api |= {"analytics": {"POINTS": "seen"}, "limiters": {"GATE": {"namespace": 7, "limit": 9, "period_seconds": 10}}}
    api |= {"variables": {"MODE": "safe", "RULES": {"most": 3, "days": [True]}}}
    alerts = {"webhook": "https://hooks.example.com/x", "webhook_secret": True}
    return {
        **config,
        "ems-ops:api": {**config["ems-ops:api"], **api},
        "ems-ops:web": {**config["ems-ops:web"], "variables": {"A": "1"}},
        "ems-ops:protection": {**config["ems-ops:protection"], "managed": True, "dnssec": True},
        "ems-ops:alerts": {**config["ems-ops:alerts"], **alerts},
        "ems-ops:logpush": {"bucket": "ems-logs"},
    }


def test_each_is_declared_as_asked(declare: Declare, asked: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routes, bindings, logs, guards and variables come from the stack file; values stand in secrets only."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    declared = declare(asked)
    (route,) = declared.of("WorkersRoute")
    assert (route.inputs["pattern"], route.inputs["script"]) == ("ems.example/v1/*", "ems-api")
    assert any(urn.endswith("::ems-api-live") for urn in route.dependencies)
    app = {each["name"]: each for each in declared.one("ems-api-app").inputs["bindings"]}
    assert app["FILES"] == {"name": "FILES", "type": "r2_bucket", "bucketName": "ems-logs"}
    assert app["POINTS"] == {"name": "POINTS", "type": "analytics_engine", "dataset": "seen"}
    gate = {"type": "ratelimit", "namespaceId": "7", "simple": {"limit": 9, "period": 10}}
    assert app["GATE"] == {"name": "GATE", **gate}
    assert app["MODE"] == {"name": "MODE", "type": "plain_text", "text": "safe"}
    assert app["RULES"] == {"name": "RULES", "type": "json", "json": '{"days":[true],"most":3}'}
    inherited = [{"name": "KEY", "type": "inherit"}, {"name": "ALSO", "type": "inherit"}]
    for version in ("ems-api-app", "ems-api-maintenance"):
        assert [each for each in declared.one(version).inputs["bindings"] if each["type"] == "inherit"] == inherited
    assert any(urn.endswith("::ems-api-secrets") for urn in declared.one("ems-api-app").dependencies)
    assert declared.one("ems-api").inputs["logpush"] is True
    assert [each.inputs["status"] for each in declared.of("ZoneDnssec")] == ["active"]
    managed = declared.one("ems-protection-managed").inputs
    assert (managed["phase"], managed["rules"][0]["action"]) == ("http_request_firewall_managed", "execute")
    for environment in declared.one("ems-web").inputs["deploymentConfigs"].values():
        assert environment["envVars"] == {"A": {"type": "plain_text", "value": "1"}}
    whole = json.dumps([resource.inputs for resource in declared.resources])
    plain = [text for resource in declared.resources for text in plain_values(resource.inputs)]
    for value in ("hush-of-the-webhook", "hush-id", "hush%2Fof%2Bthe-bucket"):
        assert value in whole
        assert not [text for text in plain if value in text]


def test_none_is_declared_unasked(declare: Declare, config: Config) -> None:
    """The stack files as they are ask for none of these."""
    kinds = {resource.kind for resource in declare(config).resources}
    assert not kinds & {"WorkersRoute", "LogpushJob", "ZoneDnssec", "WorkerSecrets", "NotificationPolicyWebhooks"}
    records = [each.inputs for each in declare(config).of("DnsRecord") if each.inputs["type"] in ("TXT", "CAA")]
    texts = [each.get("content") or each["data"]["tag"] for each in records]
    assert [text.strip('"')[:8] for text in texts] == ["v=spf1 -", "v=DMARC1", "issue", "iodef"]


@pytest.mark.parametrize("name", KEYS)
def test_a_value_that_is_wanted_must_be_there(
    declare: Declare, asked: Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without its value in the environment the program is refused, naming the variable and what it is."""
    for other in KEYS.keys() - {name}:
        monkeypatch.setenv(other, "some-value")
    with pytest.raises(pulumi.RunError, match=rf"^{name}: expected .* in the environment, got nothing$"):
        declare(asked)
