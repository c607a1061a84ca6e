"""Another product on a running twin: a stack file of one's own, other hosts, a small Worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
from ruamel.yaml import YAML

from tests.twin.running import ROOT, Running

if TYPE_CHECKING:
    from pathlib import Path

CODE = """export default {
  async fetch(request, env) { return Response.json({text: "TEXT", version: env.VERSION.id, database: !!env.DB}) },
  async scheduled() {},
}"""


class Shop:
    """A stack file for a running twin with the zone shop.test."""

    def __init__(self, twin: Running, folder: Path, *, code: str = CODE) -> None:
        """Derive it from the twin's stack file."""
        self.twin = twin.line
        self.folder = folder
        self.code = code
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

    @property
    def file(self) -> Path:
        """Return the stack file, as it is to be now."""
        file = self.folder / "Pulumi.shop.yaml"
        file.write_text(json.dumps({"config": self.config}))
        return file

    def release(self, text: str) -> None:
        """Let the build print a Worker that answers with this text."""
        (self.folder / "api.js").write_text(self.code.replace("TEXT", text))
        build = ["python", "-c", "import sys; print(open(sys.argv[1]).read())", str(self.folder / "api.js")]
        self.config["ems-ops:api"]["build"] = build

    def run(self, *flags: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Apply the program with these variables in the environment."""
        arguments = ["--program", "infra/__main__.py", "--stack-file", str(self.file)]
        environment = {**os.environ, **self.twin["tokens"], "EMS_DATABASE_URL": self.twin["database_url"], **variables}
        command = [sys.executable, "-m", "twin", "apply", *arguments, "--state", str(self.folder / "twin"), *flags]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)

    def apply(self, *flags: str, **variables: str) -> dict[str, Any]:
        """Apply the program and return the last line, with the actions that were taken."""
        done = self.run(*flags, **variables)
        assert done.returncode == 0, done.stderr
        *events, last = (json.loads(line) for line in done.stdout.splitlines())
        return {**last, "actions": {each["name"]: each["action"] for each in events if each["action"] != "same"}}

    def refused(self, **variables: str) -> str:
        """Apply the program, expect a refusal, and return what it said."""
        done = self.run(**variables)
        assert done.returncode == 1, done.stdout
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def get(self, host: str, path: str = "/") -> httpx.Response:
        """Ask the edge."""
        return httpx.get(f"{self.twin['edge']}{path}", headers={"Host": host})

    def plane(self, path: str) -> httpx.Response:
        """Ask the twin itself, beside the provider's API."""
        return httpx.get(self.twin["cloudflare"].removesuffix("/client/v4") + path)

    def ask(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401 - the provider's JSON
        """Call the API and return its result."""
        token = self.twin["tokens"]["CLOUDFLARE_API_TOKEN"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(method, f"{self.twin['cloudflare']}{path}", headers=headers, **content)
        assert answer.is_success, answer.text
        return answer.json()["result"]

    def account(self, path: str) -> str:
        """Return a path below the account."""
        return f"/accounts/{self.twin['account']}/{path}"

    def route(self, version: str) -> None:
        """Send all traffic to a version, as a runbook does."""
        body = {"strategy": "percentage", "versions": [{"version_id": version, "percentage": 100}]}
        self.ask("POST", self.account("workers/scripts/shop-api/deployments"), json=body)
