"""What the program registers is told of any stack file, from any folder, with nothing of the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from infra.settings import ROOT

if TYPE_CHECKING:
    from pathlib import Path

KEPT = ("PATH", "COVERAGE_PROCESS_CONFIG")


def told(stack_file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Ask for the registrations of a stack file from some folder, without a home."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-W", "ignore", "-m", "infra.registrations", str(stack_file)]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_each_resource_has_its_place_under_its_component(tmp_path: Path) -> None:
    """Types, names and parents are those of the state, no secret is among the inputs, from any folder."""
    done = told(ROOT / "Pulumi.prod.yaml", tmp_path)
    assert done.returncode == 0, done.stderr
    resources = {one["urn"]: one for one in json.loads(done.stdout)["resources"]}
    components = {urn for urn, one in resources.items() if not one["custom"]}
    assert "urn:pulumi:prod::ems-ops::ems-ops:infra:ApiWorker::ems-api" in components
    declared = [one for one in resources.values() if one["custom"]]
    assert {one["parent"] for one in declared} <= {*resources, ""}
    hyperdrive = next(one for one in declared if one["type"].endswith(":HyperdriveConfig"))
    assert hyperdrive["inputs"]["origin"]["password"] is None
    assert hyperdrive["inputs"]["name"] == "ems-db"


def test_a_stack_file_that_is_refused_is_told_in_one_text(tmp_path: Path) -> None:
    """The program's own words, no traceback, and a code that says so."""
    text = (ROOT / "Pulumi.prod.yaml").read_text("utf-8").replace("ems-ops:account", "ems-ops:acount")
    file = tmp_path / "Pulumi.typo.yaml"
    file.write_text(text, "utf-8")
    done = told(file, tmp_path)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr == "Pulumi.typo.yaml: ems-ops:account: is missing; both stack files hold the same keys\n"
