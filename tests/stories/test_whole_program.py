"""Another product with everything that can be declared: deployed, taken over, changed, and removed, on a real twin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.apply.shop import Shop
from tests.twin.running import ROOT, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.twin

CODE = """export default {
  async fetch(request, env) {
    await env.FILES.put("seen", "TEXT");
    await env.FLAGS.put("seen", "TEXT");
    env.POINTS.writeDataPoint({indexes: ["seen"], blobs: ["TEXT"], doubles: [1]});
    const {success} = await env.GATE.limit({key: new URL(request.url).pathname});
    const rules = {...env.RULES, open: success};
    const told = {path: new URL(request.url).pathname, key: env.API_KEY, mode: env.MODE, rules};
    const file = await (await env.FILES.get("seen")).text();
    return Response.json({...told, file, flag: await env.FLAGS.get("seen")});
  },
}"""
SECRETS = {
    "EMS_SECRET_API_KEY": "value-of-the-key",
    "EMS_WEBHOOK_SECRET": "value-of-the-webhook",
    "EMS_LOGPUSH_ACCESS_KEY_ID": "id-of-the-bucket-key",
    "EMS_LOGPUSH_SECRET_ACCESS_KEY": "value/of+the bucket-key",
}
NOT_IMPORTED = {"R2BucketLifecycle", "PagesContent", "WorkerSecrets"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run a twin with the zone shop.test, and declare one of everything."""
    folder = tmp_path_factory.mktemp("shop")
    with running(folder / "twin", "--zone", "shop.test") as twin:
        shop = Shop(twin, folder, code=CODE)
        line, config = shop.twin, shop.config
        config["ems-ops:endpoints"] = {"supabase": line["supabase"], "edge": line["edge"], "resolver": line["dns"]}
        config["ems-ops:twin"]["state"] = str(folder / "twin")
        config["ems-ops:ops_home"] = str(folder / "ops")
        config["ems-ops:api"] |= {
            "routes": ["shop.test/api/*"],
            "kv": {"FLAGS": "shop-flags"},
            "buckets": {"FILES": "shop-files"},
            "variables": {"MODE": "safe", "RULES": {"most": 3, "days": ["mon", "tue"]}},
            "analytics": {"POINTS": "shop_points"},
            "limiters": {"GATE": {"namespace": 1001, "limit": 2}},
            "secrets": ["API_KEY"],
            "crons": [],
            "placement": "smart",
        }
        config["ems-ops:web"]["variables"] = {"API": "https://api.shop.test"}
        config["ems-ops:buckets"] = [{"name": "shop-files"}, {"name": "shop-logs", "keep_days": {"": 30}}]
        config["ems-ops:records"] = [
            {"name": "shop.test", "type": "A", "content": "192.0.2.1", "ttl": 1, "proxied": True},
            {"name": "shop.test", "type": "TXT", "content": '"v=spf1 -all"', "ttl": 300},
            {
                "name": "shop.test",
                "type": "CAA",
                "ttl": 300,
                "data": {"flags": 0, "tag": "issue", "value": "ca.example"},
            },
        ]
        config["ems-ops:protection"] |= {"managed": True, "dnssec": True}
        config["ems-ops:alerts"] |= {"webhook": "https://hooks.example.com/x", "webhook_secret": True}
        config["ems-ops:logpush"] = {"bucket": "shop-logs"}
        yield shop


def changing(shop: Shop) -> int:
    """Return how many calls have changed something at the provider."""
    calls = json.loads(shop.plane("/__twin/calls").text)
    rows = calls["calls"] if isinstance(calls, dict) else calls
    return sum(1 for call in rows if call["effect"])


def invoke(shop: Shop, *words: str) -> subprocess.CompletedProcess[str]:
    """Type a command on this stack."""
    command = [sys.executable, "-m", "invoke", *words, f"--stack={shop.file}"]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)


def test_everything_is_deployed_once(shop: Shop) -> None:
    """The Worker serves host and route with its bindings; a second apply sends nothing; no state holds a secret."""
    assert set(shop.apply(**SECRETS)["actions"].values()) == {"create"}
    told: dict[str, Any] = {"key": SECRETS["EMS_SECRET_API_KEY"], "mode": "safe", "file": "one", "flag": "one"}
    told["rules"] = {"most": 3, "days": ["mon", "tue"], "open": True}
    assert shop.get("api.shop.test").json() == {**told, "path": "/"}
    opened = [
        shop.get("api.shop.test", "/door").json()["rules"]["open"] for _ in range(5)
    ]  # of 2, in 2 minutes at most
    assert (opened[0], all(opened)) == (True, False)
    assert shop.get("shop.test", "/api/x").json() == {**told, "path": "/api/x"}
    before = changing(shop)
    assert shop.apply(**SECRETS)["changes"] == 0
    assert changing(shop) == before
    state = (shop.folder / "twin" / "apply.json").read_text()
    assert not [value for value in SECRETS.values() if value in state]
    (job,) = shop.ask("GET", shop.account("logpush/jobs"))
    assert job["destination_conf"].startswith("r2://shop-logs/workers/{DATE}?account-id=")
    assert job["destination_conf"].endswith("secret-access-key=value%2Fof%2Bthe%20bucket-key")


def test_what_an_account_has_is_taken_over(shop: Shop) -> None:
    """Every importable resource is found by name among others; types, names, parents and ids are those of the state."""
    shop.ask("POST", shop.account("workers/workers"), json={"name": "another"})
    shop.ask("POST", shop.account("storage/kv/namespaces"), json={"title": "another"})
    text = {"name": "shop.test", "type": "TXT", "content": '"another"', "ttl": 300}
    shop.ask("POST", f"/zones/{shop.ask('GET', '/zones')[0]['id']}/dns_records", json=text)

    said = invoke(shop, "deploy.import", "--json")
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    written = json.loads((shop.folder / "Pulumi.shop.import.json").read_text())["resources"]
    assert told["next_command"].startswith(f"pulumi import --file {shop.folder}/Pulumi.shop.import.json --stack shop ")
    parents = {one["name"]: one for one in written if one.get("component")}
    state = json.loads((shop.folder / "twin" / "apply.json").read_text())["resources"]
    expected = {urn: one["id"] for urn, one in state.items() if one["type"].rpartition(":")[2] not in NOT_IMPORTED}
    urns: dict[str, Any] = {}
    for one in written:
        if not one.get("component"):
            kinds = f"{parents[one['parent']]['type']}$" if "parent" in one else ""
            urns[f"urn:pulumi:shop::ems-ops::{kinds}{one['type']}::{one['name']}"] = one["id"]
    cron = {urn for urn in expected if "workersCronTrigger" in urn}  # no schedule is none to import
    assert urns.keys() == expected.keys() - cron
    assert {urn for urn, known in urns.items() if expected[urn] not in known.split("/")} == set()
    assert {one["logicalName"] for one in parents.values()} >= {"shop-api", "shop-web", "shop-dns"}
    missing = {one["type"].rpartition(":")[2] for one in told["missing"]}
    assert missing == {*NOT_IMPORTED, "WorkersCronTrigger"}


def test_a_file_that_exists_is_left_as_it_is(shop: Shop) -> None:
    """A second import, or one into a folder that is not there, is refused with the reason; nothing is left behind."""
    file = shop.folder / "Pulumi.shop.import.json"
    before = file.read_bytes()
    again = invoke(shop, "deploy.import")
    assert again.returncode == 2, again.stderr
    assert f"{file}: expected no file there, got one" in again.stderr + again.stdout
    assert f"rm {file}" in again.stderr + again.stdout
    assert file.read_bytes() == before
    nowhere = invoke(shop, "deploy.import", f"--file={shop.folder}/nowhere/x.json")
    assert nowhere.returncode == 1
    assert "it cannot be written (No such file or directory)" in nowhere.stderr + nowhere.stdout
    assert not list(shop.folder.glob(".Pulumi*"))


def test_each_kind_is_changed_and_removed(shop: Shop) -> None:
    """A changed value is an update or a replacement of that resource alone; what the file no longer names is gone."""
    config = shop.config
    config["ems-ops:web"]["variables"] = {"API": "https://api2.shop.test"}
    config["ems-ops:logpush"]["prefix"] = "other"
    config["ems-ops:buckets"][1]["keep_days"] = {"": 60}
    config["ems-ops:protection"]["settings"] = {"min_tls_version": "1.3"}
    config["ems-ops:api"]["routes"] = ["shop.test/v2/*"]
    changed = shop.apply(**SECRETS)["actions"]
    assert changed == {
        "shop-web": "update",
        "shop-logpush": "update",
        "shop-buckets-shop-logs-retention": "update",
        "shop-protection-min_tls_version": "update",
        "shop-protection-always_use_https": "delete",
        "shop-api-route-shop.test/v2/*": "create",
        "shop-api-route-shop.test/api/*": "delete",
    }
    assert shop.get("shop.test", "/v2/x").json()["path"] == "/v2/x"

    del config["ems-ops:logpush"]
    config["ems-ops:protection"] |= {"managed": False, "dnssec": False}
    config["ems-ops:alerts"] |= {"webhook": None, "webhook_secret": False}
    removed = shop.apply()["actions"]
    gone = {name for name, action in removed.items() if action == "delete"}
    assert gone == {"shop-logpush", "shop-protection-managed", "shop-protection-dnssec", "shop-alerts-webhook"}
    assert shop.ask("GET", shop.account("logpush/jobs")) == []
    zone = shop.ask("GET", "/zones")[0]["id"]
    assert shop.ask("GET", f"/zones/{zone}/dnssec")["status"] == "disabled"
    assert shop.apply()["changes"] == 0


def test_data_is_not_removed_by_a_stack_file(shop: Shop) -> None:
    """What the stack file no longer names and what holds data stops the apply by its name, and is still there."""
    kept = shop.config["ems-ops:api"]
    shop.config["ems-ops:api"] = {**kept, "kv": {}}
    assert "shop-kv-shop-flags: it is protected, and the program no longer declares it" in shop.refused()
    shop.config["ems-ops:api"] = kept
    assert {row["title"] for row in shop.ask("GET", shop.account("storage/kv/namespaces"))} >= {"shop-flags"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"buckets": {"FILES": "none"}},
            "ems-ops:api.buckets.FILES: expected one of ems-ops:buckets (shop-files, shop-",
        ),
        (
            {"secrets": ["MODE"]},
            "expected each name of a binding once in variables, kv, buckets, analytics, limiters and secrets, got MODE",
        ),
    ],
)
def test_bindings_must_fit(shop: Shop, tmp_path: Path, values: dict[str, Any], expected: str) -> None:
    """A binding to a bucket that nothing declares, and two bindings of one name, are refused with the key."""
    file = tmp_path / "Pulumi.wrong.yaml"
    file.write_text(json.dumps({"config": {**shop.config, "ems-ops:api": {**shop.config["ems-ops:api"], **values}}}))
    command = [sys.executable, "-m", "invoke", "deploy", f"--stack={file}", "--dry-run"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 2, said.stderr
    assert expected in said.stdout + said.stderr
    told = subprocess.run(
        [sys.executable, "-m", "infra.registrations", str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (told.returncode, expected in told.stderr) == (1, True), told.stderr
