"""Workers: deploy, upload, split, roll back, secrets, triggers, delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.twin.official.wrangler import Wrangler

SOURCE = """
export default {
  async fetch(request, env) {
    await env.FLAGS.put("seen", env.RELEASE);
    await env.FILES.put("seen.txt", env.RELEASE, { customMetadata: { by: "worker" } });
    const file = await env.FILES.get("seen.txt");
    const found = { release: env.RELEASE, more: env.MORE, token: env.TOKEN ?? null, file: await file.text() };
    return Response.json({ ...found, database: new URL(env.DB.connectionString).pathname });
  },
  async scheduled() {},
};
"""
SCRIPT = "workers/scripts/shop"


def story(operator: Wrangler, folder: Path) -> None:
    """Tell it in order: each part goes on with what the one before left."""
    app = Shop(operator, folder)
    app.is_deployed()
    first, second = app.is_deployed_again()
    app.has_secrets()
    third = app.is_split(second)
    app.is_rolled_back(first, third)
    app.leads_elsewhere()
    operator.types("delete", "--force", folder=folder)
    assert operator.sees(SCRIPT + "/settings") is None
    assert operator.visits("shop.ems.example").status_code == 530


class Shop:
    """A Worker with everything bound, and its configuration file."""

    def __init__(self, operator: Wrangler, folder: Path) -> None:
        self.operator, self.folder = operator, folder
        operator.types("kv", "namespace", "create", "flags")
        operator.types("r2", "bucket", "create", "files")
        operator.types("hyperdrive", "create", "orders", "--connection-string=postgres://app:p@127.0.0.1:5432/orders")
        self.space = next(row["id"] for row in operator.sees("storage/kv/namespaces") if row["title"] == "flags")
        database = next(row["id"] for row in operator.sees("hyperdrive/configs") if row["name"] == "orders")
        (folder / "index.js").write_text(SOURCE, "utf-8")
        self.config: dict[str, Any] = {
            "name": "shop",
            "main": "index.js",
            "compatibility_date": "2026-04-01",
            "vars": {"RELEASE": "one", "MORE": {"deep": [1]}},
            "kv_namespaces": [{"binding": "FLAGS", "id": self.space}],
            "r2_buckets": [{"binding": "FILES", "bucket_name": "files"}],
            "hyperdrive": [{"binding": "DB", "id": database}],
            "triggers": {"crons": ["*/5 * * * *"]},
            "routes": [{"pattern": "shop.ems.example", "custom_domain": True}],
        }
        self.configure()

    def configure(self, **changes: Any) -> None:  # noqa: ANN401 - wrangler's configuration
        """Write the configuration file with changes."""
        self.config |= changes
        (self.folder / "wrangler.json").write_text(json.dumps(self.config), "utf-8")

    def types(self, *words: str, given: str = "") -> str:
        """Run a command in the app's folder."""
        return self.operator.types(*words, folder=self.folder, given=given)

    def answers(self, host: str = "shop.ems.example", **headers: str) -> dict[str, Any]:
        """Ask the Worker itself."""
        answer = self.operator.visits(host, **headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def live(self) -> dict[str, float]:
        """Return versions and percentages of the live deployment."""
        newest = self.operator.sees(SCRIPT + "/deployments")["deployments"][0]
        return {part["version_id"]: part["percentage"] for part in newest["versions"]}

    def is_deployed(self) -> None:
        """Deploy a script that is not there yet, with cron, variables and everything bound."""
        assert "Uploaded shop" in self.types("deploy")
        whole = {"release": "one", "more": {"deep": [1]}, "token": None, "file": "one"}
        answered = self.answers()
        assert {key: answered[key] for key in whole} == whole
        assert self.operator.asks(f"storage/kv/namespaces/{self.space}/values/seen").text == "one"
        stored = self.operator.sees("r2/buckets/files/objects")
        assert [(row["key"], row["custom_metadata"]) for row in stored] == [("seen.txt", {"by": "worker"})]
        schedules = self.operator.sees(SCRIPT + "/schedules")["schedules"]
        assert [row["cron"] for row in schedules] == ["*/5 * * * *"]

    def is_deployed_again(self) -> tuple[str, str]:
        """Deploy over it; wrangler sees its own work there and does not warn."""
        (first,) = self.live()
        self.configure(vars={"RELEASE": "two", "MORE": 2})
        assert "last updated via" not in self.types("deploy", "--message", "the second", "--tag", "t2")
        (second,) = self.live()
        assert self.answers()["release"] == "two"
        listed = self.types("deployments", "list")
        assert first in listed
        assert "the second" in listed
        assert second in self.types("deployments", "status")
        assert "t2" in self.types("versions", "view", second)
        return first, second

    def has_secrets(self) -> None:
        """Set one, several, and delete one; each is a new version at once."""
        self.types("secret", "put", "TOKEN", given="hidden")
        assert self.answers()["token"] == "hidden"
        self.types("secret", "bulk", given=json.dumps({"ONE": "1", "TWO": "2"}))
        self.types("secret", "delete", "ONE", given="y\n")
        assert [row["name"] for row in json.loads(self.types("secret", "list"))] == ["TOKEN", "TWO"]
        assert "hidden" not in json.dumps(self.operator.sees(SCRIPT + "/versions?deployable=true"))

    def is_split(self, second: str) -> str:
        """Upload a version without traffic, give it a tenth."""
        (before,) = self.live()
        self.configure(vars={"RELEASE": "three", "MORE": 3})
        assert "Worker Version ID" in self.types("versions", "upload", "--message", "the third")
        third = str(self.operator.sees(SCRIPT + "/versions?deployable=true")["items"][0]["id"])
        listed = self.types("versions", "list")
        assert second in listed
        assert third in listed
        assert self.live() == {before: 100}
        self.types("versions", "deploy", f"{third}@10%", f"{before}@90%", "--yes", "--message", "a tenth")
        assert self.live() == {third: 10, before: 90}
        override = {"Cloudflare-Workers-Version-Overrides": f'shop="{third}"'}
        answered = self.answers(**override)
        assert (answered["release"], answered["token"]) == ("three", "hidden")
        return third

    def is_rolled_back(self, first: str, third: str) -> None:
        """Go back to the first version: wrangler goes over the guard of changed secrets by itself when nobody asks."""
        self.types("rollback", first, "--yes", "--message", "back")
        assert self.live() == {first: 100}
        assert self.answers()["release"] == "one"
        refused = self.operator.run("secret", "put", "TOKEN", folder=self.folder, given="other")
        assert refused.returncode == 1
        assert "the latest version of your Worker isn't currently deployed" in refused.stdout + refused.stderr
        self.types("versions", "deploy", f"{third}@100%", "--yes")
        assert self.live() == {third: 100}

    def leads_elsewhere(self) -> None:
        """Change cron and hosts without a release."""
        self.configure(triggers={"crons": ["0 3 * * *"]}, routes=["shop2.ems.example/*"])
        self.types("triggers", "deploy")
        schedules = self.operator.sees(SCRIPT + "/schedules")["schedules"]
        assert [row["cron"] for row in schedules] == ["0 3 * * *"]
