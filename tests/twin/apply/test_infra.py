"""The whole program on a whole twin: deployed, changed, stopped by maintenance, all through the edge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.twin.running import ROOT, Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.twin

CODE = """export default {
  async fetch(request, env) { return Response.json({text: "TEXT", version: env.VERSION.id, database: !!env.DB}) },
  async scheduled() {},
}"""


class Stack:
    """A stack file of one's own for a running twin, with another product, other hosts and a small Worker."""

    def __init__(self, twin: Running, folder: Path) -> None:
        """Derive it from the twin's stack file."""
        self.twin = twin.line
        self.folder = folder
        self.config = YAML(typ="safe", pure=True).load((ROOT / "Pulumi.twin.yaml").read_text("utf-8"))["config"]
        self.config["cloudflare:baseUrl"] = self.twin["cloudflare"]
        self.config["ems-ops:product"] = {"name": "shop", "title": "The Shop"}
        self.config["ems-ops:account"] = self.twin["account"]
        self.config["ems-ops:zone"] = "shop.test"
        self.config["ems-ops:records"] = []
        self.config["ems-ops:api"] |= {"name": "shop-api", "host": "api.shop.test", "variables": {"MODE": "safe"}}
        self.config["ems-ops:web"] |= {"name": "shop-web", "host": "www.shop.test", "folder": str(folder / "web")}
        (folder / "web").mkdir()
        (folder / "web" / "index.html").write_text("<h1>The Shop</h1>")
        self.release("one")

    def release(self, text: str) -> None:
        """Let the build print a Worker that answers with this text."""
        (self.folder / "api.js").write_text(CODE.replace("TEXT", text))
        build = ["python", "-c", "import sys; print(open(sys.argv[1]).read())", str(self.folder / "api.js")]
        self.config["ems-ops:api"]["build"] = build

    def apply(self) -> dict[str, Any]:
        """Apply the program and return the last line, with the actions that were taken."""
        file = self.folder / "Pulumi.shop.yaml"
        file.write_text(json.dumps({"config": self.config}))
        arguments = ["--program", "infra/__main__.py", "--stack-file", str(file), "--state", str(self.folder / "twin")]
        environment = {**os.environ, **self.twin["tokens"], "EMS_DATABASE_URL": self.twin["database_url"]}
        command = [sys.executable, "-m", "twin", "apply", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        *events, last = (json.loads(line) for line in done.stdout.splitlines())
        return {**last, "actions": {each["name"]: each["action"] for each in events if each["action"] != "same"}}

    def get(self, host: str) -> httpx.Response:
        """Ask the edge."""
        return httpx.get(f"{self.twin['edge']}/", headers={"Host": host})

    def route(self, version: str) -> None:
        """Send all traffic to a version, as a runbook does."""
        body = {"strategy": "percentage", "versions": [{"version_id": version, "percentage": 100}]}
        where = f"{self.twin['cloudflare']}/accounts/{self.twin['account']}/workers/scripts/shop-api/deployments"
        token = self.twin["tokens"]["CLOUDFLARE_API_TOKEN"]
        assert httpx.post(where, json=body, headers={"Authorization": f"Bearer {token}"}).is_success


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a twin with the zone shop.test."""
    folder = tmp_path_factory.mktemp("shop")
    with running(folder / "twin", "--zone", "shop.test") as twin:
        yield Stack(twin, folder)


def test_a_product_of_its_own_is_deployed_changed_and_stopped(stack: Stack) -> None:
    """Another stack file deploys another product; a new release, the maintenance version and a pin do as they say."""
    first = stack.apply()
    assert set(first["actions"].values()) == {"create"}
    answer = stack.get("api.shop.test").json()
    assert answer == {"text": "one", "version": first["outputs"]["api_version"], "database": True}
    assert "The Shop" in stack.get("www.shop.test").text

    assert stack.apply()["changes"] == 0

    stack.release("two")
    second = stack.apply()
    replaced = ("shop-api-app", "shop-api-maintenance", "shop-api-live")
    assert second["actions"] == dict.fromkeys(replaced, "replace")
    assert stack.get("api.shop.test").json()["text"] == "two"

    stack.route(second["outputs"]["maintenance_version"])
    stopped = stack.get("api.shop.test")
    assert (stopped.status_code, stopped.headers["retry-after"]) == (503, "30")
    assert stopped.json()["status"] == "maintenance"
    assert stopped.json()["version"] == second["outputs"]["maintenance_version"]
    assert "The Shop is under maintenance" in stopped.json()["message"]

    version = first["outputs"]["api_version"]
    stack.route(version)
    stack.config["ems-ops:pins"] = {"api": {"version": version, "since": "now", "reason": "two is bad", "run": "r1"}}
    stack.release("three")
    pinned = stack.apply()
    assert pinned["actions"]["shop-api-app"] == "replace"
    assert pinned["outputs"]["api_live_version"] == version
    assert pinned["outputs"]["api_version"] != version
    assert stack.get("api.shop.test").json()["text"] == "one"

    (stack.folder / "web" / "index.html").write_text("<h1>The new Shop</h1>")
    assert stack.apply()["actions"] == {"shop-web-content": "update"}
    assert "The new Shop" in stack.get("www.shop.test").text
