"""The program by the real Pulumi CLI and the real provider, against a twin, with a backend in a folder.

What is expected is what was recorded on 2026-11-23 (CLI 3.259, SDK 6.23.1). Skipped where there is no CLI or provider.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.twin.apply.shop import Shop
from tests.twin.running import ROOT, running

if TYPE_CHECKING:
    from collections.abc import Iterator

CLI: Final = shutil.which("pulumi")
PLUGINS: Final = Path.home() / ".pulumi" / "plugins"
PROVIDER: Final = shutil.which("pulumi-resource-cloudflare") or next(PLUGINS.glob("resource-cloudflare-*"), None)
CHANGES: Final = 7
"""The exit code of `preview --expect-no-changes` when there are some (and of nothing else)."""
FAILS: Final = -1
SECRET: Final = "value-that-no-state-holds"
CODE: Final = """export default {
  async fetch(request, env) { return Response.json({text: "TEXT", version: env.VERSION.id, key: env.API_KEY ?? null}) },
  async scheduled() {},
}"""

pytestmark = [
    pytest.mark.twin,
    pytest.mark.pulumi,
    pytest.mark.skipif(CLI is None, reason="needs the Pulumi CLI on PATH: there is none"),
    pytest.mark.skipif(PROVIDER is None, reason="needs the plugin pulumi-resource-cloudflare: there is none"),
]


class Project:
    """A Pulumi project in a folder of its own: the program by a link, stack files and state beside it."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        """Lay it out; log in nowhere."""
        self.shop = shop
        self.folder = folder
        (folder / "infra").symlink_to(ROOT / "infra")
        shutil.copy(ROOT / "Pulumi.yaml", folder)
        home, state = folder / "home", folder / "state"
        home.mkdir()
        state.mkdir()
        if PLUGINS.is_dir():
            (home / "plugins").symlink_to(PLUGINS)
        programs = Path(sys.executable).parent
        self.environment = {
            **os.environ,
            **shop.twin["tokens"],
            "EMS_DATABASE_URL": shop.twin["database_url"],
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",  # `python` is the one that has the project installed
            "VIRTUAL_ENV": str(programs.parent),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "a passphrase of the tests",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def write(self, stack: str) -> None:
        """Write the stack file; the salt of the passphrase, which the CLI has added to it, stays."""
        file = self.folder / f"Pulumi.{stack}.yaml"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        salt = [line for line in lines if line.startswith("encryptionsalt:")]
        file.write_text("\n".join([*salt, f"config: {json.dumps(self.shop.config)}", ""]), "utf-8")

    def pulumi(self, *words: str, stack: str, code: int = 0) -> str:
        """Run the CLI, expect this exit code (FAILS: any but 0), and return what it printed."""
        command = [str(CLI), *words, "--stack", stack, "--non-interactive"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=600
        )
        as_expected = done.returncode != 0 if code == FAILS else done.returncode == code
        assert as_expected, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def init(self, stack: str) -> None:
        """Make a stack with its file."""
        self.write(stack)
        self.pulumi("stack", "init", stack=stack)

    def up(self, stack: str) -> dict[str, Any]:
        """Apply the program and return its outputs."""
        self.pulumi("up", "--yes", "--skip-preview", stack=stack)
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", stack=stack))
        return outputs

    def steps(self, stack: str) -> dict[str, str]:
        """Return what a preview would do, by the resource's name, without what stays."""
        told = json.loads(self.pulumi("preview", "--json", stack=stack))
        return {each["urn"].rpartition("::")[2]: each["op"] for each in told["steps"] if each["op"] != "same"}

    def writes(self) -> int:
        """Return how many calls have changed something at the twin."""
        return sum(1 for call in self.shop.plane("/__twin/calls").json() if call["effect"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Run a twin with the zone shop.test and lay a project out for it."""
    folder = tmp_path_factory.mktemp("pulumi")
    with running(folder / "twin", "--zone", "shop.test") as twin:
        shop = Shop(twin, folder, code=CODE)
        line = shop.twin
        shop.config["ems-ops:endpoints"] = {"supabase": line["supabase"], "edge": line["edge"], "resolver": line["dns"]}
        shop.config["ems-ops:twin"]["state"] = str(folder / "twin")
        (folder / "project").mkdir()
        yield Project(shop, folder / "project")


def test_up_preview_refresh_and_change(project: Project) -> None:
    """A preview changes nothing, `up` makes it all, nothing differs afterwards, not even after a refresh."""
    project.init("shop")
    before = project.writes()
    assert set(project.steps("shop").values()) <= {"create", "read"}
    assert project.writes() == before
    first = project.up("shop")
    assert project.shop.get("api.shop.test").json()["version"] == first["api_version"]
    assert "The Shop" in project.shop.get("www.shop.test").text
    project.pulumi("preview", "--expect-no-changes", stack="shop")
    project.pulumi("refresh", "--yes", "--skip-preview", stack="shop")
    project.pulumi("preview", "--expect-no-changes", stack="shop")
    sent = project.writes()
    assert project.up("shop") == first
    assert project.writes() == sent

    project.shop.release("two")
    project.write("shop")
    project.pulumi("preview", "--expect-no-changes", stack="shop", code=CHANGES)
    second = project.up("shop")
    assert second["api_version"] != first["api_version"]
    assert project.shop.get("api.shop.test").json()["text"] == "two"


def test_secrets_are_inherited_and_in_no_state(project: Project) -> None:
    """A secret without a value stops the preview; with one the Worker has it, and the state has not."""
    project.shop.config["ems-ops:api"]["secrets"] = ["API_KEY"]
    project.write("shop")
    assert "EMS_SECRET_API_KEY" in project.pulumi("preview", stack="shop", code=FAILS)
    project.environment["EMS_SECRET_API_KEY"] = SECRET
    project.up("shop")
    del project.environment["EMS_SECRET_API_KEY"]
    assert project.shop.get("api.shop.test").json()["key"] == SECRET
    project.shop.release("three")
    project.write("shop")
    project.up("shop")
    assert project.shop.get("api.shop.test").json() | {"version": ""} == {"text": "three", "version": "", "key": SECRET}
    exported = project.pulumi("stack", "export", "--show-secrets", stack="shop")
    assert "API_KEY" in exported
    assert SECRET not in exported


def test_what_was_found_is_imported(project: Project) -> None:
    """A new stack takes over the account by the file of `deploy.import`: then nothing that it names is made anew."""
    project.init("adopted")
    stack_file = project.folder / "Pulumi.adopted.yaml"
    command = [sys.executable, "-m", "invoke", "deploy.import", "--json", f"--stack={stack_file}"]
    said = subprocess.run(command, cwd=ROOT, env=project.environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    words = told["next_command"].split()
    assert words[:2] == ["pulumi", "import"]
    project.pulumi("import", "--yes", *words[2:4], "--generate-code=false", "--protect=false", stack="adopted")
    exported = json.loads(project.pulumi("stack", "export", stack="adopted"))["deployment"]["resources"]
    known = {each["urn"].rpartition("::")[2] for each in exported if each.get("custom")}
    assert known >= {each["name"] for each in told["found"]}
    created = {name for name, op in project.steps("adopted").items() if op == "create"}
    assert not created & {each["name"] for each in told["found"]}


def test_destroy_leaves_what_is_protected(project: Project) -> None:
    """What holds data stops a destroy; once unprotected by hand, everything goes."""
    project.pulumi("destroy", "--yes", "--skip-preview", stack="shop", code=FAILS)
    project.pulumi("state", "unprotect", "--all", "--yes", stack="shop")
    project.pulumi("destroy", "--yes", "--skip-preview", "--refresh", stack="shop")
    workers = project.shop.ask("GET", project.shop.account("workers/workers"))
    assert [worker["name"] for worker in workers] == []
