"""Policies of the infrastructure, asserted on what the program declares for each stack file."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import dill  # type: ignore[import-untyped]
import pulumi
import pytest

from infra.outputs import LIVE_VERSION, Outputs
from tests.infra.conftest import PASSWORD, ZONE_ID, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.infra.conftest import Config, Declared

    Declare = Callable[[Config], Declared]

SECRET = "1b47061264138c4ac30d75fd1eb44270"
SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN_TO_THE_PROVIDER = {
    "WorkersKvNamespace": {"jurisdiction", "mode"},
    "DnsRecord": {"includeShadowMetadata"},
    "Worker": {"force", "previewsBaseConfig"},
    "WorkerVersion": {"deploy", "exports", "include", "usageModel"},
    "WorkersDeployment": {"force"},
}
"""Arguments of the SDK that its provider generation rejects or deprecates (recorded on 2026-11-23)."""

AROUND = ("ems-ops:protection", "ems-ops:buckets", "ems-ops:alerts")


def plain_values(value: object) -> Iterator[str]:
    """Yield every text outside of secret marks."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from plain_values(inner)
    else:
        yield str(value)


def test_what_holds_a_way_back_is_protected(declare: Declare, config: Config) -> None:
    """What can't be made again as it was (versions, deployments, the id that versions are bound to) is protected."""
    declared = declare(config)
    protected = {resource.kind for resource in declared.resources if resource.protect}
    assert protected == {"HyperdriveConfig", "Worker", "PagesProject", "R2Bucket"}
    assert {resource.kind for resource in declared.resources if resource.retain} == {
        "WorkerVersion",
        "WorkersDeployment",
    }


def test_no_secret_is_in_plain_state(declare: Declare, config: Config) -> None:
    """The database's password is an input, and stands nowhere but inside a secret; outputs have none."""
    declared = declare(config)
    whole = json.dumps([resource.inputs for resource in declared.resources])
    assert PASSWORD in whole
    assert not [text for resource in declared.resources for text in plain_values(resource.inputs) if PASSWORD in text]
    assert not [text for text in plain_values(declared.outputs) if PASSWORD in text]


def test_every_name_comes_from_the_stack_file(declare: Declare, config: Config) -> None:
    """Nothing is named by hand twice: other names in the stack file leave none of the old ones behind."""
    renamed = json.loads(json.dumps(config).replace("ems.example", "shop.test").replace("ems-", "shop-"))
    renamed = {key.replace("shop-ops:", "ems-ops:"): value for key, value in renamed.items()}
    renamed["ems-ops:product"] = {"name": "shop", "title": "Shop"}
    renamed["ems-ops:web"] = {**renamed["ems-ops:web"], "folder": "examples/ems/web"}
    declared = declare(renamed)
    for resource in declared.resources:
        inputs = {
            key: value for key, value in resource.inputs.items() if key not in ("folder", "manifest", "__provider")
        }
        assert "ems" not in json.dumps([resource.name, inputs]), resource.name
    names = [(resource.type, resource.name) for resource in declared.resources]
    assert len(names) == len(set(names))


def test_outputs_are_those_that_runbooks_read(declare: Declare, config: Config) -> None:
    """The stack's outputs have the names of `Outputs`, and every value is a text."""
    outputs = declare(config).outputs
    assert tuple(sorted(outputs)) == tuple(sorted(Outputs.__struct_fields__))
    assert outputs["zone_id"] == ZONE_ID
    assert outputs["api_live_version"] == outputs["api_version"] == "id of ems-api-app"
    assert outputs["maintenance_version"] == "id of ems-api-maintenance"
    assert all(isinstance(value, str) for value in outputs.values())


def test_a_pin_keeps_traffic_where_it_is(declare: Declare, config: Config) -> None:
    """With a pin the new code is still uploaded, but all traffic stays on the pinned version."""
    pin = {"version": "4f1c", "since": "2026-11-20T10:00:00Z", "reason": "bad release", "run": "r1"}
    declared = declare({**config, "ems-ops:pins": {"api": pin}})
    assert declared.one("ems-api-live").inputs["versions"] == [{"versionId": "4f1c", "percentage": 100.0}]
    assert declared.outputs["api_live_version"] == "4f1c"
    assert declared.outputs["api_version"] == "id of ems-api-app"


def test_a_version_can_be_held_for_one_pass(declare: Declare, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the deploy book says keeps the traffic while the new code is uploaded; a pin overrules it."""
    monkeypatch.setenv(LIVE_VERSION, "4f1c")
    declared = declare(config)
    assert declared.one("ems-api-live").inputs["versions"] == [{"versionId": "4f1c", "percentage": 100.0}]
    assert (declared.outputs["api_live_version"], declared.outputs["api_version"]) == ("4f1c", "id of ems-api-app")
    pin = {"version": "9a02", "since": "2026-11-20T10:00:00Z", "reason": "bad release", "run": "r1"}
    assert declare({**config, "ems-ops:pins": {"api": pin}}).outputs["api_live_version"] == "9a02"


def test_a_pinned_database_is_not_left(declare: Declare, config: Config) -> None:
    """After a restore moved the API to another database, the address of before is refused, with what to type."""
    pin = {"version": "main_2", "since": "2026-11-20T10:00:00Z", "reason": "restored", "run": "r1"}
    pinned = {**config, "ems-ops:pins": {"database": {**pin, "server": "owner@db.example.com:6543"}}}
    with pytest.raises(pulumi.RunError) as refused:
        declare(pinned)
    assert str(refused.value) == (
        "Pulumi.test.yaml: ems-ops:pins.database: pinned to main_2 on db.example.com:6543 since 2026-11-20T10:00:00Z "
        "(restored; run r1): expected EMS_DATABASE_URL to name it, got main on db.example.com:6543. Nothing was done; "
        "next: export EMS_DATABASE_URL='postgresql://owner:…@db.example.com:6543/main_2' (`invoke runs.undo --run r1 "
        "--stack test` goes back to the database of before; for another one on purpose, take database out of "
        "ems-ops:pins in that file)"
    )
    pinned["ems-ops:pins"]["database"]["version"] = "main"
    assert declare(pinned).of("HyperdriveConfig")


def test_the_same_content_has_the_same_name(declare: Declare, config: Config) -> None:
    """A version's message tells by all that makes it run as it does, not by its id: it is known again."""

    def message(**api: object) -> str:
        declared = declare({**config, "ems-ops:api": {**config["ems-ops:api"], **api}})
        return str(declared.one("ems-api-app").inputs["annotations"]["workersMessage"])

    assert message() == message()
    others = {
        message(),
        message(build=["python", "-c", "print('export default 1')"]),
        message(variables={"RELEASE": "2"}),
        message(compatibility_date="2026-04-02"),
        message(compatibility_flags=[]),
        message(kv={"SESSIONS": "sessions"}),
        message(cpu_milliseconds=50),
        message(placement="smart"),
    }
    assert len(others) == 8


def test_the_provider_knows_every_argument(declare: Declare, config: Config) -> None:
    """No argument is set that the recorded provider generation does not know."""
    for resource in declare(config).resources:
        assert not UNKNOWN_TO_THE_PROVIDER.get(resource.kind, set()) & resource.inputs.keys(), resource.name
    configs = declare(config).one("ems-web").inputs["deploymentConfigs"]
    assert set(configs) == {"preview", "production"}


def test_the_content_s_provider_is_pickled_by_reference(declare: Declare, config: Config) -> None:
    """Pulumi's plugin finds the provider class by its module's name; the pickle carries no code and no secret."""
    pickled = base64.b64decode(declare(config).one("ems-web-content").inputs["__provider"])
    assert b"infra.dynamic.pages_content" in pickled
    assert len(pickled) < 200
    assert type(dill.loads(pickled)).__module__ == "infra.dynamic.pages_content"  # noqa: S301 - our own pickle


def test_the_versions_are_bound_as_the_app_expects(declare: Declare, config: Config) -> None:
    """The app gets database, version and variables; the maintenance version needs nothing of the app."""
    config["ems-ops:api"] = {**config["ems-ops:api"], "variables": {"MODE": "safe"}}
    declared = declare(config)
    app = {each["name"]: each for each in declared.one("ems-api-app").inputs["bindings"]}
    assert app["DB"] == {"name": "DB", "type": "hyperdrive", "id": "id of ems-api-database"}
    assert app["VERSION"] == {"name": "VERSION", "type": "version_metadata"}
    assert app["MODE"] == {"name": "MODE", "type": "plain_text", "text": "safe"}
    assert declared.one("ems-api-app").inputs["annotations"]["workersMessage"].startswith("app ")
    maintenance = declared.one("ems-api-maintenance").inputs
    assert {each["name"] for each in maintenance["bindings"]} == {"BESIDE", "PRODUCT", "RETRY_AFTER", "VERSION"}
    assert maintenance["annotations"] == {"workersMessage": "maintenance"}


def test_the_maintenance_version_never_grows_too_old_to_deploy(declare: Declare, config: Config) -> None:
    """It is uploaded again with every app version: of a Worker only the last 100 uploads can go live."""
    bindings = {each["name"]: each for each in declare(config).one("ems-api-maintenance").inputs["bindings"]}
    assert bindings["BESIDE"]["text"] == "id of ems-api-app"


def test_ways_open_only_once_something_is_live(declare: Declare, config: Config) -> None:
    """Host and schedule depend on the deployment."""
    declared = declare(config)
    for name in ("ems-api-host", "ems-api-schedule"):
        assert any(urn.endswith("::ems-api-live") for urn in declared.one(name).dependencies)


def test_the_priority_of_a_service_is_said_twice(declare: Declare, config: Config) -> None:
    """In its data and beside them, where the provider shows it as well: said once it would differ for ever."""
    service = {"priority": 0, "weight": 2, "port": 5060, "target": "sip.ems.example"}
    records = [{"type": "SRV", "name": "_sip._tcp.ems.example", "ttl": 60, "data": service}]
    (declared,) = (
        each for each in declare({**config, "ems-ops:records": records}).of("DnsRecord") if each.inputs["type"] == "SRV"
    )
    assert (declared.inputs["priority"], declared.inputs["data"]["priority"]) == (0, 0)


@pytest.mark.parametrize("crons", [[], ["* * * * *", "0 3 * * 1"]])
def test_other_stack_files_work(declare: Declare, config: Config, crons: list[str]) -> None:
    """No crons still clear what was scheduled; no records are no records; equal ones are told apart."""
    text = {"type": "TXT", "name": "ems.example", "ttl": 60}
    for records in ([], [{**text, "content": '"a"'}, {**text, "content": '"b"'}]):
        config["ems-ops:api"] = {**config["ems-ops:api"], "crons": crons}
        declared = declare({**config, "ems-ops:records": records})
        assert declared.one("ems-api-schedule").inputs["schedules"] == [{"cron": cron} for cron in crons]
        own = [each.name for each in declared.of("DnsRecord") if "alias" not in each.name]
        assert own == ["ems-dns-txt-ems.example", "ems-dns-txt-ems.example-2"][: len(records)]


@pytest.mark.parametrize("said", [{"ems-ops:web": ""}, {}])
def test_a_product_may_have_no_site(declare: Declare, config: Config, said: Config) -> None:
    """With a null, which the CLI hands on as an empty text, or no key: no project, no alias, and empty outputs."""
    without = {key: value for key, value in config.items() if key != "ems-ops:web"} | said
    declared = declare({**without, "ems-ops:records": []})
    kinds = {resource.kind for resource in declared.resources}
    assert not kinds & {"PagesProject", "PagesDomain", "PagesContent", "DnsRecord"}
    assert declared.one("ems-api-host").inputs["hostname"] == config["ems-ops:api"]["host"]
    assert (declared.outputs["web_project"], declared.outputs["web_deployment"]) == ("", "")


def test_structured_records_keep_their_data(declare: Declare, config: Config) -> None:
    """A CAA record goes out with data and without content; a field that no record has is refused."""
    declared = declare(config)
    caa = next(each for each in declared.of("DnsRecord") if each.inputs["type"] == "CAA")
    assert caa.inputs["data"] == {"flags": 0.0, "tag": "issue", "value": "letsencrypt.org"}
    assert "content" not in caa.inputs
    bad = [{"name": "ems.example", "type": "CAA", "ttl": 60, "data": {"flag": 1}}]
    with pytest.raises(Exception, match=r"CAA ems.*: data: .*flag"):
        declare({**config, "ems-ops:records": bad})


def test_both_stack_files_have_the_same_keys(root: Path) -> None:
    """Twin and production differ in values only."""

    def keys(value: Any, path: str = "") -> set[str]:  # noqa: ANN401 - YAML of any shape
        if not isinstance(value, dict):
            return {path}
        return {path}.union(*(keys(inner, f"{path}.{key}") for key, inner in value.items()))

    assert keys(read(root, "twin")) == keys(read(root, "prod"))


def test_what_stands_around_the_services_comes_from_the_stack_file(declare: Declare, config: Config) -> None:
    """Each rule, bucket and policy is declared with its values; a phase without rules has no ruleset."""
    declared = declare(config)
    phases = {each.inputs["phase"]: each.inputs["rules"] for each in declared.of("Ruleset")}
    assert set(phases) == {"http_request_firewall_custom", "http_ratelimit", "http_request_cache_settings"}
    assert phases["http_ratelimit"][0]["ratelimit"]["requestsPerPeriod"] == 100
    assert phases["http_request_cache_settings"][0]["actionParameters"]["edgeTtl"]["default"] == 3600
    kept = {each.inputs["bucketName"]: each.inputs["rules"] for each in declared.of("R2BucketLifecycle")}
    ages = [rule["deleteObjectsTransition"]["condition"]["maxAge"] for rule in kept["ems-backups"]]
    assert ages == [35 * 86400, 400 * 86400, 90 * 86400]  # sorted by prefix
    told = {each.inputs["alertType"]: each.inputs for each in declared.of("NotificationPolicy")}
    filters = told["health_check_status_notification"]["filters"]
    assert (filters["statuses"], len(filters["healthCheckIds"])) == (["Unhealthy"], 1)
    assert told["incident_alert"]["mechanisms"] == {"emails": [{"id": "on-call@example.com"}]}


def test_an_account_without_them_declares_none(declare: Declare, config: Config) -> None:
    """Without rules, buckets and alerts in the stack file there are none; a webhook is told where there is one."""
    without = {key: value for key, value in config.items() if key not in AROUND}
    kinds = {resource.kind for resource in declare(without).resources}
    assert not kinds & {"Ruleset", "ZoneSetting", "R2Bucket", "Healthcheck", "NotificationPolicy"}
    hook = {"webhook": "https://hooks.example.com/x", "policies": [{"name": "p", "alert_type": "incident_alert"}]}
    (policy,) = declare({**without, "ems-ops:alerts": hook}).of("NotificationPolicy")
    assert len(policy.inputs["mechanisms"]["webhooks"]) == 1


def test_a_worker_has_its_namespaces_limits_and_placement(declare: Declare, config: Config) -> None:
    """Each namespace is declared, protected, and bound; limits and placement are those of the stack file."""
    api = {**config["ems-ops:api"], "kv": {"FLAGS": "flags"}, "cpu_milliseconds": 50, "placement": "smart"}
    declared = declare({**config, "ems-ops:api": api})
    (namespace,) = declared.of("WorkersKvNamespace")
    assert (namespace.inputs["title"], namespace.protect) == ("flags", True)
    app = next(each.inputs for each in declared.of("WorkerVersion") if each.name.endswith("-app"))
    assert [binding["type"] for binding in app["bindings"] if binding["name"] == "FLAGS"] == ["kv_namespace"]
    assert (app["limits"], app["placement"]) == ({"cpuMs": 50}, {"mode": "smart"})
    assert not declare(config).of("WorkersKvNamespace")
