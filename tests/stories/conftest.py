"""A running twin with data, and the command line as an operator types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from benchmarks.sweeping.operator import Silent
from benchmarks.sweeping.place import Place, opened
from runbooks.clients import twin
from runbooks.drills.rig.stage import Phases, staged
from runbooks.model.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runbooks.clients.twin import Addresses, TwinControl
    from runbooks.drills.rig.stage import Stage


@dataclass(frozen=True)
class Said:
    """What a command said: its exit code, its JSON document, and the rest."""

    code: int
    document: dict[str, Any]
    text: str


@dataclass(frozen=True)
class Operator:
    """Somebody at a terminal: a stack file of their own, the commands, and the twin behind them."""

    root: Path
    stack_file: Path
    addresses: Addresses
    environment: dict[str, str]
    control: TwinControl

    def types(self, command: str, *flags: str, folder: Path | None = None) -> Said:
        """Run `invoke COMMAND --json` with consent where it writes, and return what it said."""
        words = [sys.executable, "-m", "invoke", command, "--json", f"--stack={self.stack_file}", *flags]
        done = subprocess.run(
            words, cwd=folder or self.root, env=self.environment, capture_output=True, text=True, check=False
        )
        document = json.loads(done.stdout) if done.stdout.strip() else {}
        return Said(done.returncode, document, done.stderr)

    def consents(self, command: str, *flags: str) -> Said:
        """Run a command that writes, with consent."""
        return self.types(command, "--yes", "--reason=a story", *flags)

    def edit(self, key: str, **values: Any) -> None:  # noqa: ANN401 - values of a stack file
        """Change values of the stack file as a person would."""
        yaml = YAML()
        yaml.width = 10_000
        document = yaml.load(self.stack_file.read_text("utf-8"))
        document["config"][key].update(values)
        with self.stack_file.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)

    def calls(self, method: str, ending: str) -> Sequence[twin.Call]:
        """Return the calls that the twin saw and that changed something."""
        seen = self.control.calls()
        return [call for call in seen if call.method == method and call.path.endswith(ending) and call.effect]


@pytest.fixture(autouse=True, scope="package")
def _commands_are_not_traced() -> Iterator[None]:
    """Let what stories start run at its own speed: a tracer would take half as long again."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start a twin with two proven releases, shared by all stories that bring their own stack file and ops home."""
    with opened(tmp_path_factory.mktemp("place") / "shared") as place:
        yield place


@pytest.fixture(scope="session")
def stage(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a twin with a first, verified release, shared by the stories that measure one drill."""
    folder = tmp_path_factory.mktemp("stage")
    file = folder / "Pulumi.twin.yaml"
    text = (root / "Pulumi.twin.yaml").read_text("utf-8")
    file.write_text(text.replace("ems-ops:ops_home: .ops/twin", f"ems-ops:ops_home: {folder / 'ops'}"), "utf-8")
    base = load(str(file), root=root, environ={})
    with staged(base, environ={"PATH": "/usr/bin:/bin"}, show=Silent(), actor="tester", phases=Phases()) as stage:
        yield stage


@pytest.fixture
def operator(root: Path, tmp_path: Path) -> Iterator[Operator]:
    """Start a twin on free ports, and give an operator whose stack file leads to it."""
    with at_work(root, tmp_path) as operator:
        yield operator


@contextmanager
def at_work(root: Path, tmp_path: Path) -> Iterator[Operator]:
    """Start a twin on free ports, and give an operator whose stack file leads to it."""
    environment = dict(os.environ)
    file = tmp_path / "Pulumi.story.yaml"
    document = YAML(typ="safe").load((root / "Pulumi.twin.yaml").read_text("utf-8"))
    config = document["config"]
    state = tmp_path / "twin"
    started = twin.start(
        state=state,
        account=config["ems-ops:account"],
        zone=config["ems-ops:zone"],
        project=config["ems-ops:database"]["project"],
        root=root,
        environment=environment,
    )
    try:
        addresses = started.addresses
        config["cloudflare:baseUrl"] = addresses.cloudflare
        config["ems-ops:endpoints"] = {
            "supabase": addresses.supabase,
            "edge": addresses.edge,
            "resolver": addresses.dns,
        }
        config["ems-ops:twin"]["state"] = str(state)
        config["ems-ops:ops_home"] = str(tmp_path / "ops")
        with file.open("w", encoding="utf-8") as written:
            YAML(typ="safe").dump(document, written)
        control = twin.control(addresses.cloudflare)
        yield Operator(root, file, addresses, environment, control)
        control.transport.close()
    finally:
        started.stop()
