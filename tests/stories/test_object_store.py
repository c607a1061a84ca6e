"""The ops home in an object store: whole commands on the twin, with a real S3 server beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from runbooks.engine.record.entry import entries_of
from runbooks.engine.record.verdict import verify_run
from runbooks.steps.releases import LEDGER
from tests.object_store import Cable

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.sweeping.place import Place
    from runbooks.clients.storage import Bucket
    from tests.object_store import ObjectStore

pytestmark = pytest.mark.twin

KEYS = {"AWS_ACCESS_KEY_ID": "planted-key-id", "AWS_SECRET_ACCESS_KEY": "planted/secret+key"}
AGREED = ("--yes", "--reason=a story")


@dataclass(frozen=True)
class Team:
    """Operators who share an ops home in a bucket; `local` is what stays on this machine."""

    root: Path
    stack_file: Path
    local: Path
    environment: dict[str, str]

    def types(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """Run `invoke WORDS --json` without a terminal; return its exit code, document and the rest."""
        with self.begins(*words) as command:
            out, text = command.communicate()
        return command.returncode, json.loads(out), text

    def begins(self, *words: str) -> subprocess.Popen[str]:
        """Begin to run it."""
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *words, "--json", f"--stack={self.stack_file}"],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def team(place: Place, root: Path, folder: Path, ops_home: str) -> Team:
    """Give operators of the place's twin whose ops home is there."""
    point = place.point()
    place.door.arm(None)
    place.rest()
    yaml = YAML()
    yaml.width = 10_000
    document = yaml.load(point.stack_file.read_text("utf-8"))
    document["config"]["ems-ops:ops_home"] = ops_home
    document["config"]["ems-ops:local_folder"] = str(folder / "local")
    with point.stack_file.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return Team(root, point.stack_file, folder / "local", {**os.environ, **KEYS})


def fill(bucket: Bucket, place: Place) -> None:
    """Write down what is known of the place's releases."""
    log = bucket.open_log(LEDGER, size=0)
    for line in (place.stage.site.settings.home / LEDGER).read_bytes().splitlines(keepends=True):
        log.append(line, durable=True)


def test_a_rollback_is_remembered_in_a_bucket(
    place: Place, root: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    """It is run, listed, shown, proven and written about there; nothing but the bucket holds it, and no secret."""
    bucket = object_store.bucket(name := object_store.made(), prefix="team/ops")
    fill(bucket, place)
    operators = team(place, root, tmp_path, f"s3://{name}/team/ops?endpoint={object_store.address}")

    code, done, text = operators.types("rollback", *AGREED)
    assert (code, done["status"], done["journal"]) == (
        0,
        "done",
        f"s3://{name}/team/ops/runs/{done['run']}/journal.jsonl",
    ), text
    live = place.stage.site.cloudflare.live(place.stage.site.settings.stack.api.name)
    assert live is not None
    assert live.version == place.old
    assert bucket.names("runs") == [done["run"]]
    assert bucket.names("leases") == [operators.stack_file.name.split(".")[1]]

    listed = operators.types("runs")[1]["runs"]
    assert [(run["run"], run["status"]) for run in listed] == [(done["run"], "done")]
    shown = operators.types("runs.show")[1]
    assert [entry["seq"] for entry in shown["entries"]] == list(range(1, len(shown["entries"]) + 1))
    code, proven, text = operators.types("runs.verify")
    assert (code, [one["last"] for one in proven["journals"]]) == (0, ["closed"]), text
    code, written, text = operators.types("postmortem")
    assert (code, written["html"]) == (0, f"s3://{name}/team/ops/runs/{done['run']}/postmortem.html"), text
    assert b"# " in (bucket.get(f"runs/{done['run']}/postmortem.md") or b"")

    assert not (operators.local / "runs").exists()
    said = json.dumps([done, listed, shown, proven, written]).encode() + bucket.read_log(
        f"runs/{done['run']}/journal.jsonl"
    )
    assert not [secret for secret in KEYS.values() if secret.encode() in said]


def test_without_keys_a_bucket_is_refused(place: Place, root: Path, object_store: ObjectStore, tmp_path: Path) -> None:
    """The missing variable is named, and the command that sets it."""
    operators = team(place, root, tmp_path, f"s3://{object_store.made()}?endpoint={object_store.address}")
    for name in KEYS:
        operators.environment.pop(name)
    code, refused, _ = operators.types("runs")
    assert (code, refused["status"], refused["next_command"]) == (2, "refused", "export AWS_ACCESS_KEY_ID=…")
    assert refused["text"].startswith("AWS_ACCESS_KEY_ID is not set. Expected in the environment: the id of a key that")


def test_a_rollback_survives_the_loss_of_its_bucket(
    place: Place, root: Path, object_store: ObjectStore, tmp_path: Path
) -> None:
    """Lost half-way, it ends as done; sent by the next command, which is killed, and whole after the one after that."""
    bucket = object_store.bucket(name := object_store.made(), prefix="ops")
    fill(bucket, place)
    cable = Cable(object_store.address)
    operators = team(place, root, tmp_path, f"s3://{name}/ops?endpoint={cable.address}")
    since = place.calls()

    cable.when, cable.then = b"journal.jsonl/00000005", cable.out.set
    code, done, text = operators.types("rollback", *AGREED)
    assert (code, done["status"]) == (0, "done"), text
    assert text.count(f"the ops home s3://{name}/ops/ cannot be reached") == 1
    run, spool = done["run"], operators.local / "spool" / f"{name}+ops"
    assert done["journal"].startswith(str(spool))
    assert len(entries_of(bucket, run)) == 5
    code, seen, text = operators.types("runs")
    assert (code, [(one["run"], one["status"]) for one in seen["runs"]]) == (0, [(run, "done")]), text

    cable.out.clear()
    sender = operators.begins("runs")
    cable.when, cable.then = b"journal.jsonl/00000008", sender.kill
    assert sender.wait() == -9
    assert len(entries_of(bucket, run)) == 8
    code, proven, text = operators.types("runs.verify")
    assert (code, [one["last"] for one in proven["journals"]]) == (0, ["closed"]), text
    assert f"sent to the ops home, from when it was away: {proven['journals'][0]['entries'] - 8} entries" in text
    assert verify_run(bucket, run).complete
    assert list((spool / "pending").iterdir()) == []
    made = [call for call in place._calls() if call.seq > since and call.effect]
    assert [call.path.rpartition("/")[2] for call in made] == ["deployments"]

    cable.out.set()
    code, begun, text = operators.types("rollback", "--unpin", *AGREED)
    assert (code, begun["status"]) == (0, "done"), text
    assert text.index("cannot be reached") < text.index("Plan ")
    assert bucket.names("runs") == [run]
    cable.out.clear()
    code, seen, text = operators.types("runs")
    assert [(one["run"], one["status"]) for one in seen["runs"]] == [(run, "done"), (begun["run"], "done")], text
    assert verify_run(bucket, begun["run"]).complete
    assert b'"released"' in bucket.read_log(LEDGER)
    cable.close()
