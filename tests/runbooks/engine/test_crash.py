"""Whatever dies, at whatever moment: no effect is lost, none is repeated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.record.verdict import verify
from tests.runbooks.engine.toys import AGREED, Fuse, FusedWorld, PowerCut, bury, cut_power, fused, marks

if TYPE_CHECKING:
    from runbooks.engine.runner import Outcome

CLEAN = {"lost": 0, "repeated": 0, "unfinished": 0}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Kill real processes at every moment, in a process of its own that may fork; give what became of them."""
    command = [sys.executable, "-m", "tests.runbooks.engine.sweep", str(tmp_path_factory.mktemp("sweep"))]
    found = subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=Path(__file__).parents[3])
    return json.loads(found.stdout)  # type: ignore[no-any-return] # our own process's answer


@pytest.mark.parametrize(("what", "points"), [("run", 24), ("undo", 15), ("many", 25)])
def test_killed_at_every_moment(sweep: dict[str, dict[str, Any]], what: str, points: int) -> None:
    """Kill -9 before every entry, look and effect and after every effect, once and repeatedly: 0 lost, 0 repeated."""
    assert sweep[what].items() >= CLEAN.items()
    assert sweep[what]["points"] >= points


def test_a_process_that_wakes_up_late_stops(sweep: dict[str, dict[str, Any]]) -> None:
    """A frozen holder's lease is taken over by consent only; when it wakes up it starts no further effect."""
    found = sweep["stopped"]
    assert found.items() >= CLEAN.items()
    assert "it was not renewed by" in found["refused"]
    assert (found["taken over"], found["old holder"]) == ("done", "HELD")


def test_ten_operators_at_once(sweep: dict[str, dict[str, Any]]) -> None:
    """Exactly one runs; the others are told that it does."""
    found = sweep["ten"]
    assert found.items() >= CLEAN.items()
    assert found["results"] == ["done", *["held"] * 9]


def go(folder: Path, at: int) -> Outcome | None:
    """Run the book or go on with its run; None when the power was cut at this moment."""
    fuse = Fuse(cut_power, at)
    operator = fused(folder / "home", fuse)
    made = marks(FusedWorld(folder / "world", fuse), "a", "b", "c")
    begun = [run for run in operator.runs() if run.status != "not begun"]
    try:
        if begun:
            return operator.resume(begun[-1].run, book=made, consent=AGREED)
        return operator.run(made, arguments={}, consent=AGREED)
    except PowerCut:
        return None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 24), st.integers(0, 80)), max_size=5))
def test_any_sequence_of_crashes_ends_like_no_crash(crashes: list[tuple[int, int]]) -> None:
    """Crashes at any moments, each also tearing the journal's last bytes when its line was not yet relied on."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for at, torn in crashes:
            if go(folder, at) is not None:
                break
            bury(folder / "home")
            tear(folder / "home", torn)
        else:
            outcome = go(folder, 0)
            assert outcome is not None
            assert list(outcome.results) == ["a", "b", "c"]
        world = FusedWorld(folder / "world")
        assert world.effects() == ["act a", "act b", "act c"]
        home = Folder(folder / "home")
        assert verify(Path(home.where(journal_of(home.names(RUNS)[-1])))).complete


def tear(home: Path, count: int) -> None:
    """Add the beginning of a line that never became whole, as a crash in the middle of a write leaves it."""
    runs = Folder(home).names(RUNS)
    journal = Path(Folder(home).where(journal_of(runs[-1]))) if runs else None
    if count and journal is not None and journal.exists():
        with journal.open("ab") as file:
            file.write(b'{"at":"2026-11-23T21:14:05.123456Z","hash":"0123456789abcdef","kind":"step started"'[:count])
