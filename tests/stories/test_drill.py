"""The whole path as one command: a fresh twin, a workload, two faults, the real books, the evidence."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML

from runbooks.engine.record.verdict import verify
from runbooks.model.canonical import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.twin

GONE = 30.0  # seconds until what is left counts as left behind: it takes 0.3, and longer beside other tests


@pytest.fixture
def stack_file(root: Path, tmp_path: Path) -> Path:
    """Give a stack file whose ops home is the test's own."""
    document = YAML(typ="safe").load((root / "Pulumi.twin.yaml").read_text("utf-8"))
    document["config"]["ems-ops:ops_home"] = str(tmp_path / "ops")
    file = tmp_path / "Pulumi.story.yaml"
    with file.open("w", encoding="utf-8") as written:
        YAML(typ="safe").dump(document, written)
    return file


def begun(root: Path, stack_file: Path, *flags: str) -> subprocess.Popen[str]:
    """Start `invoke drill` as a process of its own."""
    words = [sys.executable, "-m", "invoke", "drill", "--json", f"--stack={stack_file}", *flags]
    return subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    """Wait for its end; return exit code, JSON document and what it said."""
    out, said = process.communicate(timeout=240)
    return process.returncode, json.loads(out), said


def descendants(process: int) -> dict[int, str]:
    """Return every process below this one, with when it began: a process id alone may be used again."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = (int(fields[1]), fields[19])
    found = {process}
    while True:
        more = {child for child, (parent, _) in parents.items() if parent in found} - found
        if not more:
            return {one: parents[one][1] for one in found if one in parents}
        found |= more


def alive(processes: dict[int, str]) -> list[int]:
    """Return those that still run."""

    def runs(process: int, began: str) -> bool:
        try:
            fields = (Path("/proc") / str(process) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return fields[19] == began and fields[0] != "Z"

    return [process for process, began in processes.items() if runs(process, began)]


def names(processes: list[int]) -> list[str]:
    """Return what each of them runs."""
    lines = [Path("/proc", str(process), "cmdline") for process in processes]
    return [line.read_text().replace("\0", " ") for line in lines if line.exists()]


def until(what: Callable[[], object], seconds: float) -> bool:
    """Wait until something is so; say whether it was within the time."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if what():
            return True
        time.sleep(0.05)
    return False


def addresses(home: Path) -> Iterator[tuple[str, int]]:
    """Yield where the twins of this ops home listen."""
    for note in home.glob("drills/*/twin/twin.json"):
        said = json.loads(note.read_text("utf-8"))
        for name in ("cloudflare", "supabase", "edge", "database_url"):
            parts = urlsplit(said[name])
            yield parts.hostname or "", parts.port or 0


def listens(address: tuple[str, int]) -> bool:
    """Tell whether somebody accepts connections there."""
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def test_both_drills_are_proven(root: Path, stack_file: Path, tmp_path: Path) -> None:
    """`invoke drill` proves both drills, leaves their evidence, and nothing of the twin."""
    process = begun(root, stack_file, f"--junit={tmp_path / 'junit.xml'}")
    code, result, said = ended(process)
    assert (code, result["passed"]) == (0, True), said
    bad_release, lost_table = result["drills"]
    assert (bad_release["name"], lost_table["name"]) == ("bad-release", "lost-table")
    assert bad_release["lost_accepted_writes"] == 0
    for drill in (bad_release, lost_table):
        assert 0 < drill["detected_seconds"] < drill["recovery_seconds"] < drill["objective"]["rto_seconds"]
        assert drill["lost_window_seconds"] < drill["objective"]["rpo_seconds"]
        counts = json.loads(Path(drill["journal"]).with_name("drill.json").read_text("utf-8"))["counts"]
        assert counts["kept"] + counts["lost"] == counts["accepted"] > 0
        assert counts["seed_rows"] > counts["seed_missing"] == counts["missing"] == counts["foreign"] == 0
        assert counts["lost"] == drill["lost_accepted_writes"]
        assert verify(Path(drill["journal"])).complete
        check_documents(drill)
    suite = ET.fromstring((tmp_path / "junit.xml").read_text("utf-8"))  # noqa: S314 - we have just written it
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert not list((tmp_path / "ops").glob("drills/*/twin"))


def test_drills_on_own_backups_are_proven(root: Path, stack_file: Path, tmp_path: Path) -> None:
    """A rotten backup is passed over for the one before; a lost server comes back as another, and the API with it."""
    code, result, said = ended(begun(root, stack_file, "corrupt-backup", "lost-database"))
    assert code == 0, said
    assert [drill["name"] for drill in result["drills"]] == ["corrupt-backup", "lost-database"]
    assert all(0 < drill["detected_seconds"] < drill["recovery_seconds"] for drill in result["drills"])
    assert not list((tmp_path / "ops").rglob("twin.json"))


def check_documents(drill: dict[str, Any]) -> None:
    """See that the attestation is sealed and that the post-mortem says what was measured."""
    attestation = json.loads(Path(drill["attestation"]).read_text("utf-8"))
    assert attestation.pop("sha256") == digest(attestation)
    assert attestation["measured"]["recovery_seconds"] == drill["recovery_seconds"]
    assert attestation["journal_head"] == verify(Path(drill["journal"])).head
    text = Path(drill["postmortem"]).read_text("utf-8")
    assert f"| accepted writes lost | {drill['lost_accepted_writes']} |" in text
    assert "❓" in text
    assert Path(drill["postmortem"]).with_suffix(".html").is_file()


def test_drills_that_go_back_are_proven(root: Path, stack_file: Path, tmp_path: Path) -> None:
    """Half a table deleted, a column renamed under the live release: rollback cannot help, the restore does.

    One that cannot be measured comes first, and costs the others nothing but its twin. The twin's backup is rehearsed
    then: on its stage, and alone, where there is no twin any more.
    """
    changed(stack_file, "lost_table", sql="truncate nothing_of_that_name")
    code, result, said = ended(begun(root, stack_file, "lost-table", "mass-delete", "bad-migration", "rehearsal"))
    failed, *proven = result["drills"]
    assert (code, [drill["verdict"] for drill in proven]) == (1, ["proven"] * 3), said
    assert (failed["name"], failed["verdict"]) == ("lost-table", "not measured")
    assert 'relation "nothing_of_that_name" does not exist' in failed["problems"][0]
    assert "lost-table: NOT MEASURED" in said
    assert "\n3 of 4 drills proven in " in said
    assert "\nnot measured: lost-table\n" in said
    assert json.loads(Path(failed["attestation"]).read_text("utf-8"))["verdict"] == "not measured"
    assert result["next_command"] == f"invoke drill lost-table --stack {stack_file}"
    deleted, migrated, rehearsed = (json.loads(evidence_of(drill).read_text("utf-8")) for drill in proven)
    assert [one["table"] for one in deleted["damage"]] == ["public.bookings"]
    assert deleted["damage"][0]["after"] > deleted["damage"][0]["broken"]
    assert "got 500" in migrated["detected_by"][0]
    assert "; rollback: " in migrated["point_from"]
    assert rehearsed["point_from"] == "the newest own backup, 0.0 hours old, of 26 at most"
    assert not list((tmp_path / "ops").glob("drills/*/twin"))
    rehearse_alone(root, stack_file, tmp_path / "ops")


def rehearse_alone(root: Path, stack_file: Path, home: Path) -> None:
    """A stack without a backup, one with a good backup, one whose backup has rotted."""
    code, result, said = ended(begun(root, stack_file, "rehearsal"))
    assert (code, result["drills"][0]["journal"]) == (1, None)
    assert "expected a backup, there is none. Next: invoke backup" in said
    made = next(home.glob("drills/*/dumps"))
    shutil.copytree(made, home / "dumps")
    code, result, said = ended(begun(root, stack_file, "rehearsal"))
    assert (code, result["passed"]) == (0, True), said
    assert "accepted writes lost no traffic in this drill" in said
    check_documents(result["drills"][0])
    largest = max((file for file in home.glob("dumps/**/*") if file.is_file()), key=lambda file: file.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    code, result, said = ended(begun(root, stack_file, "rehearsal"))
    assert (code, result["passed"]) == (1, False)
    assert "is not what was written: its SHA-256 differs from the manifest's" in said


def evidence_of(drill: dict[str, Any]) -> Path:
    """Return where a drill left its evidence."""
    return Path(drill["journal"]).with_name("drill.json")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_drill_leaves_nothing_behind(root: Path, stack_file: Path, tmp_path: Path) -> None:
    """After kill -9 in the middle no process and no port is left, and the next drill works."""
    home = tmp_path / "ops"
    for moment in ("drills/*/twin/twin.json", "drills/*/ledger-lost-table.jsonl"):
        process = begun(root, stack_file, "lost-table")
        known = set(home.glob(moment))
        came = until(lambda known=known, moment=moment: set(home.glob(moment)) - known, 120)  # type: ignore[misc] # bound now
        assert came, (process.poll(), "it never got that far")
        time.sleep(0.7)
        family, listening = descendants(process.pid), [*addresses(home)]
        assert len(family) > 3
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert until(lambda family=family: not alive(family), GONE), names(alive(family))  # type: ignore[misc] # bound now
        assert listening
        assert [address for address in listening if listens(address)] == []
    code, result, said = ended(begun(root, stack_file, "lost-table"))
    assert (code, [drill["name"] for drill in result["drills"]]) == (0, ["lost-table"]), said
    assert not list(home.glob("drills/*/twin"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_ends_all_drills_at_once(root: Path, stack_file: Path, tmp_path: Path) -> None:
    """Where a person stops a drill, the others are not begun; each is recorded, and nothing of the twin is left."""
    home = tmp_path / "ops"
    process = begun(root, stack_file, "bad-dns", "lost-table")
    assert until(lambda: [*home.glob("drills/*/ledger-bad-dns.jsonl")], 120), (process.poll(), "it never got that far")
    family = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    code, result, said = ended(process)
    assert (code, [drill["verdict"] for drill in result["drills"]]) == (3, ["not measured"] * 2), said
    stopped, later = (drill["problems"] for drill in result["drills"])
    assert (stopped, later) == (["stopped by SIGINT"], ["not run: the drill before it was stopped"])
    assert said.endswith(f"Next:\ninvoke drill bad-dns lost-table --stack {stack_file}\n")
    assert until(lambda: not alive(family), GONE), names(alive(family))
    assert not list(home.glob("drills/*/twin"))


def changed(stack_file: Path, key: str, **values: str) -> None:
    """Change what the stack file says of drills."""
    document = YAML(typ="safe").load(stack_file.read_text("utf-8"))
    document["config"]["ems-ops:drill"][key].update(values)
    with stack_file.open("w", encoding="utf-8") as written:
        YAML(typ="safe").dump(document, written)


def test_a_drill_that_does_not_bite_fails(root: Path, stack_file: Path) -> None:
    """A fault that nobody notices proves nothing: the drill fails and says so, and attests that."""
    changed(stack_file, "lost_table", sql="select 1")
    code, result, said = ended(begun(root, stack_file, "lost-table"))
    drill = result["drills"][0]
    assert (code, result["passed"], drill["detected_seconds"]) == (1, False, None)
    assert "the fault did not bite" in said
    assert drill["journal"] is None
    assert json.loads(Path(drill["attestation"]).read_text("utf-8"))["verdict"] == "not proven"
