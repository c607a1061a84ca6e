"""Signals at a terminal: nothing further is done, the journal is closed, and the last line says how to go on."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.signal_sweep import (
    AGREED,
    SIGNALS,
    Chain,
    begun,
    chain,
    done,
    entries_of,
    last_line,
    runs_of,
    typed,
    whole,
)
from benchmarks.sweeping.commands import RESTORE, SUBJECTS
from benchmarks.sweeping.typed import Typed
from runbooks.clients import twin
from runbooks.clients.twin import Do, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.sweeping.place import Place
    from benchmarks.sweeping.stack_files import Point

pytestmark = pytest.mark.twin

ROLLBACK = SUBJECTS["rollback"]
COPIES = "step started copy the present"
HANGS = 1.2  # seconds; more than a run needs to end
UNDER_WAY = 0.2  # seconds after its intent in which a request has been sent


def until(come: Callable[[], bool], process: Typed) -> None:
    """Wait while a process works until something is so."""
    while process.at_work and not come():
        time.sleep(0.001)


def kinds(point: Point) -> list[str]:
    """Return the journal of the one run, a word and its step a line."""
    runs = runs_of(point)
    return [f"{entry['kind']} {entry['step'] or ''}".strip() for run in runs for entry in entries_of(point, run)]


def children(pid: int) -> dict[int, str]:
    """Return the programs that a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    pids = [int(child) for child in listed.read_text("ascii").split()] if listed.exists() else []
    return {child: Path(f"/proc/{child}/comm").read_text().strip() for child in pids if Path(f"/proc/{child}").exists()}


def went_on(shown: str, place: Place, point: Point, since: int) -> None:
    """Type the command on the last line; prove that all in all one deployment was made."""
    done([*shlex.split(last_line(shown))[1:], *AGREED])
    happened = place.happened(point, since)
    assert {what: times for what, times in happened.items() if what.startswith("POST")} == {
        "POST /client/v4/accounts/…/workers/scripts/ems-api/deployments": 1
    }
    assert happened["live: old"] == 1


@pytest.fixture
def hang(place: Place) -> Iterator[Callable[[], None]]:
    """Give what lets the next call that routes the traffic hang for a while."""
    control = twin.control(place.stage.addresses.cloudflare)
    fault = Fault(provider="cloudflare", method="POST", path="/deployments$", do=Do(delay=HANGS))
    yield lambda: control.fault(fault)
    control.clear_faults()
    control.transport.close()


def test_a_signal_at_every_step_of_a_rollback(place: Place) -> None:
    """Each process is stopped at the next step, by the three signals in turn; all in all everything happens once."""
    found = chain(place, ROLLBACK, SIGNALS, whole(place, ROLLBACK))
    assert (found.problems, found.lost, found.repeated) == ([], 0, 0)
    assert found.points + found.late >= 6


def test_a_signal_while_the_program_is_applied(place: Place) -> None:
    """A deploy waits for the program that it has started, and goes on after it."""
    point, _ = begun(place, SUBJECTS["deploy"])
    process = Typed(typed(place, point, SUBJECTS["deploy"].words))
    until(lambda: "step started apply" in kinds(point) and bool(children(process.pid)), process)
    process.send(signal.SIGINT)
    code, shown = process.end()
    assert (code, kinds(point)[-2:]) == (3, ["held apply", "paused"])
    done([*shlex.split(last_line(shown))[1:], *AGREED])
    assert (kinds(point).count("step started apply"), kinds(point)[-1]) == (1, "closed")


def test_a_call_that_hangs_is_waited_for(place: Place, hang: Callable[[], None]) -> None:
    """The first signal waits for the answer, keeps it, and starts nothing more; the operator is told at once."""
    point, since = begun(place, ROLLBACK)
    hang()
    process = Typed(typed(place, point, ROLLBACK.words))
    until(lambda: "step started route traffic" in kinds(point), process)
    time.sleep(UNDER_WAY)
    began = process.send(signal.SIGTERM)
    until(lambda: "SIGTERM: what is in flight is waited for; once more ends the waiting" in process.shown, process)
    assert time.time() - began < HANGS / 2
    code, shown = process.end()
    assert (code, kinds(point)[-2:]) == (3, ["held route traffic", "paused"])
    assert time.time() - began > HANGS / 2
    went_on(shown, place, point, since)


def test_a_second_signal_ends_the_waiting(place: Place, hang: Callable[[], None]) -> None:
    """Asked twice, it leaves at once; that the effect may have happened is in the journal, and is looked for."""
    point, since = begun(place, ROLLBACK)
    hang()
    process = Typed(typed(place, point, ROLLBACK.words))
    until(lambda: "step started route traffic" in kinds(point), process)
    time.sleep(UNDER_WAY)
    began = process.send(signal.SIGHUP, signal.SIGINT)
    code, shown = process.end()
    assert time.time() - began < HANGS / 2
    assert (code, kinds(point)[-2:]) == (3, ["paused route traffic", "paused"])
    assert "whether this one happened is looked for before anything else is done" in shown
    went_on(shown, place, point, since)


def test_a_restore_from_a_terminal_that_is_closed(place: Place) -> None:
    """The window is closed while pg_dump copies: the copy ends, the journal is closed; stopped once more it goes on."""
    place.rest()
    point, since = place.point(), place.calls()
    process = Typed(typed(place, point, RESTORE))
    until(lambda: COPIES in kinds(point) and "pg_dump" in children(process.pid).values(), process)
    process.hang_up()
    code, _ = process.end()
    assert (code, kinds(point)[-2:]) == (3, ["held copy the present", "paused"])
    paused = entries_of(point, runs_of(point)[0])[-1]["payload"]
    assert paused["text"].startswith("SIGHUP: stopped at “between two steps”")
    sweep = Chain(point, set(), only=("restore",))
    words = sweep.interrupted([*shlex.split(paused["next_command"])[1:], *AGREED], signal.SIGTERM)
    assert sweep.interrupted(words, signal.SIGTERM) == []
    assert (sweep.tally.problems, sweep.tally.points) == ([], 1)
    happened = place.happened(point, since)
    assert sum(times for what, times in happened.items() if what.endswith("/restore-pitr")) == 1
    assert (happened["copies"], happened["live: new"]) == (1, 1)


def test_programs_end_with_a_killed_run(place: Place) -> None:
    """Kill -9 while pg_dump copies: nothing of it is left at work."""
    place.rest()
    point = place.point()
    process = Typed(typed(place, point, RESTORE))
    programs: dict[int, str] = {}
    until(lambda: COPIES in kinds(point), process)
    until(lambda: bool(programs.update(children(process.pid)) or "pg_dump" in programs.values()), process)
    process.send(signal.SIGKILL)
    code, _ = process.end()
    assert code == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in programs) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {pid: name for pid, name in programs.items() if Path(f"/proc/{pid}").exists()} == {}


def test_a_signal_at_the_question_changes_nothing(place: Place) -> None:
    """Before consent a signal means no: exit code 2, no run, no effect, and the same command to type again."""
    place.rest()
    point, since = place.point(), place.calls()
    words = ["rollback", f"--stack={point.stack_file}"]
    process = Typed(words)
    until(lambda: "to go on: " in process.shown, process)
    process.send(signal.SIGHUP)
    code, shown = process.end()
    assert code == 2
    assert "SIGHUP: stopped before a run began; nothing was changed." in shown
    assert last_line(shown) == f"invoke {shlex.join(words)}"
    assert runs_of(point) == []
    assert not any(what.startswith(("POST", "PUT", "PATCH")) for what in place.happened(point, since))


def test_a_run_outlasts_its_reader_and_a_rest(place: Place) -> None:
    """`invoke … | head -1` and Ctrl-Z break nothing: the run is done, with its own exit code."""
    place.rest()
    point = place.point()
    command = [sys.executable, "-m", "invoke", *typed(place, point, ROLLBACK.words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"Rollback  ems-api")
    process.stdout.close()
    while not any(kind == "step started pin" for kind in kinds(point)) and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGCONT)
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == b""
    assert (process.wait(), kinds(point)[-1]) == (0, "closed")
