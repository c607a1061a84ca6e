"""Making the program real, by either way, with stand-in programs."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.pulumi import Pulumi
from runbooks.engine.redaction import Redactor
from runbooks.model.errors import ActError, CheckError, Refused

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.pulumi import Change

OUTPUTS = {
    "api_worker": "ems-api",
    "api_version": "v2",
    "api_live_version": "v1",
    "maintenance_version": "m",
    "web_project": "ems-web",
    "web_deployment": "d",
    "hyperdrive_id": "h",
    "zone_id": "z",
}
SECRET = "the-secret-token-of-this-test-0123456789"

TWIN = """
import json, os, sys
assert sys.argv[1:3] == ["apply", "--program"], sys.argv
print("working", file=sys.stderr)
preview = "--preview" in sys.argv
for action in ("same", "create"):
    print(json.dumps({"urn": "u", "type": "t", "name": action, "action": action, "id": None}), flush=True)
if os.environ.get("BREAK"):
    print("token " + os.environ["TOKEN"] + " is wrong", file=sys.stderr)
    sys.exit(3)
print(json.dumps({"outputs": {} if preview else OUTPUTS, "changes": 1, "seconds": 0.1}))
"""

CLI = """#!INTERPRETER
import json, os, sys
open(os.environ["SEEN"], "a").write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["stack", "output"]:
    print(json.dumps(OUTPUTS))
    sys.exit()
assert os.environ["PULUMI_DEBUG_COMMANDS"] == "true"
assert os.environ["PULUMI_PYTHON_CMD"] == sys.executable
with open(sys.argv[sys.argv.index("--event-log") + 1], "w") as log:
    for op, type_, custom in (
        ("create", "pulumi:pulumi:Stack", False),
        ("update", "pulumi:providers:cloudflare", True),
        ("same", "cloudflare:x:X", True),
        ("update", "cloudflare:x:X", True),
        ("create-replacement", "cloudflare:x:X", True),
        ("replace", "cloudflare:x:X", True),
        ("delete-replaced", "cloudflare:x:X", True),
    ):
        state = {"id": "1" if custom else "", "custom": custom}
        states = {"new": None, "old": state} if op == "delete-replaced" else {"new": state}
        urn = "urn:pulumi:prod::ems-ops::" + type_ + "::" + op
        done = {"metadata": {"op": op, "urn": urn, "type": type_, **states}}
        log.write(json.dumps({"sequence": 1, "resOutputsEvent": done}) + "\\n")
        log.write(json.dumps({"sequence": 2, "diagnosticEvent": {"severity": "debug", "message": "m"}}) + "\\n")
    if os.environ.get("BREAK") == "told":
        wrong = ("error", "token TOKEN is wrong\\n")
        for severity, message in (("warning", "old"), wrong, wrong):
            log.write(json.dumps({"diagnosticEvent": {"severity": severity, "message": message}}) + "\\n")
        ended = "an unhandled error occurred: program exited with non-zero exit code: 1"
        log.write(json.dumps({"diagnosticEvent": {"severity": "error", "message": ended}}) + "\\n")
print("Updating")
if os.environ.get("BREAK"):
    print("error: " + os.environ["BREAK"])
    sys.exit(255)
"""


def by_twin(folder: Path, **environment: str) -> Pulumi:
    """Make a way by the twin whose program is ours."""
    (folder / "twin.py").write_text(TWIN.replace("OUTPUTS", json.dumps(OUTPUTS)))
    return Pulumi("twin", folder / "Pulumi.twin.yaml", folder, environment, folder / "state", Redactor([SECRET]))


def by_cli(folder: Path, **environment: str) -> Pulumi:
    """Make a way by a Pulumi CLI that is ours."""
    programs = folder / "bin"
    programs.mkdir()
    cli = programs / "pulumi"
    cli.write_text(
        CLI.replace("INTERPRETER", sys.executable).replace("OUTPUTS", json.dumps(OUTPUTS)).replace("TOKEN", SECRET)
    )
    cli.chmod(0o755)
    environment = {"PATH": str(programs), "SEEN": str(folder / "seen"), **environment}
    return Pulumi("prod", folder / "Pulumi.prod.yaml", folder, environment, None, str)


def test_the_twins_way_tells_changes_and_outputs(tmp_path: Path) -> None:
    """Each resource is reported as it is done; what stayed the same is no change."""
    seen: list[Change] = []
    applied = by_twin(tmp_path).up(seen.append)
    assert [change.action for change in seen] == ["same", "create"]
    assert [change.action for change in applied.changes] == ["create"]
    assert applied.outputs is not None
    assert applied.outputs.api_live_version == "v1"


def test_a_preview_has_no_outputs(tmp_path: Path) -> None:
    """A preview tells the changes and nothing that it can't know."""
    applied = by_twin(tmp_path).preview()
    assert (len(applied.changes), applied.outputs) == (1, None)


def test_a_failure_is_told_in_the_programs_words_without_secrets(tmp_path: Path) -> None:
    """The error ends with what the program said, redacted; a failed preview is a check, a failed up an act."""
    broken = by_twin(tmp_path, BREAK="1", TOKEN=SECRET)
    with pytest.raises(ActError, match="expected exit 0, got 3: working\ntoken ●●● is wrong") as raised:
        broken.up()
    assert raised.value.next_command is None
    with pytest.raises(CheckError, match="is wrong") as unread:
        broken.preview()
    assert unread.value.next_command == "invoke deploy"


def test_the_cli_is_run_without_questions(tmp_path: Path) -> None:
    """`pulumi up` gets stack, stack file, --yes and our interpreter; its event log tells the changes.

    Each is that of one resource (events as the CLI 3.260 writes them): not of the stack, nor half of a replacement.
    """
    seen: list[Change] = []
    applied = by_cli(tmp_path).up(seen.append)
    assert [change.action for change in seen] == ["same", "update", "replace"]
    assert [(change.name, change.id) for change in applied.changes] == [("update", "1"), ("replace", "1")]
    assert applied.outputs is not None
    assert applied.outputs.api_worker == "ems-api"
    up, output = (json.loads(line) for line in (tmp_path / "seen").read_text().splitlines())
    assert up[:6] == ["up", "--yes", "--skip-preview", "--stack", "prod", "--non-interactive"]
    assert up[6:8] == ["--config-file", str(tmp_path / "Pulumi.prod.yaml")]
    assert output == ["stack", "output", "--json", "--stack", "prod", "--non-interactive"]


def test_a_failed_update_is_told_by_the_clis_prose(tmp_path: Path) -> None:
    """The CLI writes its diagnostics on standard output: they are in the error."""
    with pytest.raises(
        ActError, match=r"pulumi up --yes --skip-preview: expected exit 0, got 255: Updating\nerror: update failed"
    ):
        by_cli(tmp_path, BREAK="update failed").up()


def test_a_failure_of_the_program_is_told_by_its_errors_alone(tmp_path: Path) -> None:
    """Neither progress nor warnings of the CLI are in the message, and each error is there once, redacted."""
    pulumi = replace(by_cli(tmp_path, BREAK="told"), redact=Redactor([SECRET]))
    with pytest.raises(CheckError, match=r"preview --stack prod: expected exit 0, got 255: token ●●● is wrong$"):
        pulumi.preview()


def test_a_stack_that_the_backend_lacks_is_made_next(tmp_path: Path) -> None:
    """The next command is not the same one again."""
    with pytest.raises(CheckError, match="no stack named 'prod' found") as raised:
        by_cli(tmp_path, BREAK="no stack named 'prod' found").preview()
    assert raised.value.next_command == "pulumi stack init prod"


def test_without_the_cli_it_says_how_to_get_it(tmp_path: Path) -> None:
    """A stack of real providers needs the Pulumi CLI; nothing is done without it."""
    pulumi = Pulumi("prod", tmp_path / "Pulumi.prod.yaml", tmp_path, {"PATH": str(tmp_path)}, None, str)
    with pytest.raises(Refused, match=r"expected the Pulumi CLI on PATH, got none\. How to install it: https"):
        pulumi.up()


def test_a_version_is_held_by_the_environment(tmp_path: Path) -> None:
    """The program is told which version keeps the traffic, for this pass only; the build is that of the program."""
    pulumi = by_twin(tmp_path, PATH=os.environ["PATH"])
    assert pulumi.holding("4f1c").environment["EMS_LIVE_VERSION"] == "4f1c"
    assert "EMS_LIVE_VERSION" not in pulumi.holding(None).environment
    assert pulumi.module(("python", "-c", "print('code')")) == b"code"


def test_a_plan_never_applies(tmp_path: Path) -> None:
    """The second lock of a dry run: only a preview is made."""
    locked = replace(by_twin(tmp_path), read_only=True)
    assert locked.preview().changes
    with pytest.raises(Refused, match="a plan only reads; expected a preview"):
        locked.up()
