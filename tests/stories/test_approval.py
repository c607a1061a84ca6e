"""A book that needs a second person, as two operators type it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from runbooks.engine.record.signature import Signer
from runbooks.model.settings import read_stack

if TYPE_CHECKING:
    from pathlib import Path


KEY = base64.b64encode(bytes(range(32))).decode()
SIGNING = {"EMS_SIGNING_KEY": KEY}


def stack_file(root: Path, folder: Path) -> Path:
    """Write a stack file with a pinned release, in which rollbacks must be approved."""
    document = YAML(typ="safe").load((root / "Pulumi.twin.yaml").read_text("utf-8"))
    document["config"]["ems-ops:ops_home"] = str(folder / "ops")
    document["config"]["ems-ops:manual"] = [
        {"book": "rollback", "title": "tell the customers", "evidence": "number of the notice", "when": "last"}
    ]
    document["config"]["ems-ops:signers"] = {"on-call": Signer(KEY).public}
    document["config"]["ems-ops:approvals"] = {"books": ["rollback"]}
    pin = {
        "version": "11111111-1111-4111-8111-111111111111",
        "since": "2026-11-24T01:00:00Z",
        "reason": "x",
        "run": "y",
    }
    document["config"]["ems-ops:pins"] = {"api": pin}
    file = folder / "Pulumi.story.yaml"
    with file.open("w", encoding="utf-8") as written:
        YAML(typ="safe").dump(document, written)
    return file


def types(root: Path, file: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Run `invoke WORDS --json` without a terminal; return its exit code, document and the rest."""
    line = [sys.executable, "-m", "invoke", *words, "--json", f"--stack={file}"]
    environment = {**os.environ, "CLOUDFLARE_API_TOKEN": "a-token-that-nothing-is-asked-with", **SIGNING}
    done = subprocess.run(
        line, cwd=root, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_second_person_approves_and_the_run_goes_on(root: Path, tmp_path: Path) -> None:
    """It pauses before its first effect, its own operator is refused, another name is not, then it goes on."""
    file = stack_file(root, tmp_path)
    agreed = ("--yes", "--reason=a story")
    code, asked, text = types(root, file, "rollback", "--unpin", *agreed)
    assert (code, asked["status"]) == (3, "paused"), text
    assert asked["plan"]["steps"][0]["title"] == "wait until a second person approves this plan"
    assert asked["text"].endswith(f"first: invoke runs.approve --run {asked['run']} --as NAME --stack {file}")
    assert "api" in read_stack(file).pins

    shown = types(root, file, "runs")[1]["runs"][0]
    assert (shown["status"], shown["text"]) == ("paused", asked["text"])
    code, refused, text = types(root, file, "runs.approve", f"--as={actor(asked)}")
    assert (code, refused["status"]) == (2, "refused"), text
    code, given, text = types(root, file, "runs.approve", asked["run"], "--as=technical-lead")
    assert (code, given["approval"]["digest"]) == (0, asked["plan"]["digest"]), text

    code, asked, text = types(root, file, "runs.resume", *agreed)
    assert (code, asked["status"]) == (3, "paused"), text
    assert asked["text"].endswith(f"first: invoke runs.answer {asked['run']} ANSWER --stack {file}")
    code, given, text = types(root, file, "runs.answer", asked["run"], "notice 4711")
    assert (code, given["answer"]["text"]) == (0, "notice 4711"), text
    code, done, text = types(root, file, "runs.resume", *agreed)
    assert (code, done["status"], done["results"]["approval"]["by"]) == (0, "done", "technical-lead"), text
    assert read_stack(file).pins == {}

    code, proven, text = types(root, file, "runs.verify")
    assert (code, [one["signed_by"] for one in proven["journals"]]) == (0, ["on-call"]), text
    copy = tmp_path / "copy" / asked["run"]
    shutil.copytree(tmp_path / "ops" / "runs" / asked["run"], copy)
    code, again, text = types(root, file, "runs.verify", f"--path={tmp_path}/copy")
    assert (code, again["journals"][0]["head"]) == (0, proven["journals"][0]["head"]), text
    altered = (copy / "journal.jsonl").read_text("utf-8").replace("a story", "another")
    (copy / "journal.jsonl").write_text(altered, "utf-8")
    code, refused, text = types(root, file, "runs.verify", f"--path={tmp_path}/copy")
    assert (code, refused["text"].partition(": ")[0]) == (2, f"{copy}, line 1"), text


def actor(document: dict[str, Any]) -> str:
    """Return who opened the run, as its journal names them."""
    with open(document["journal"], encoding="utf-8") as journal:  # noqa: PTH123 - one line of it
        return str(json.loads(journal.readline())["payload"]["actor"])
