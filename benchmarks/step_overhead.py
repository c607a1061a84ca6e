"""What a step costs that does nothing: ours against one append and fsync, DBOS and Chaos Toolkit, on the same disk.

Ours is a whole run of steps that change something: a plan, a lease, and of each step `holds` (No), the intent on disk,
`act`, `holds` (Yes). The bare loop appends one such intent and calls fsync, once a step: less cannot keep a
write-ahead promise. The peers are optional and live in a Python of their own, given by `--peers`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from runbooks.engine.outcome import Consent
from runbooks.engine.record.folder import Folder
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Runner
from runbooks.engine.step import Book, Effect, Held, Json, No, NoUndo, Sight, Step, Yes

COUNT: Final = 1000
PEERS: Final = Path(__file__).parent / "peers"
SECRETS: Final = ("a planted secret", "another one")
"""An ordinary stack file holds a few: each entry is searched for them."""
GOALS: Final = {"bare": 1.25, "dbos": 0.7}
INSTALL: Final = "python -m venv peers && peers/bin/pip install dbos chaostoolkit-lib, then --peers peers/bin/python"


class Facts(msgspec.Struct, frozen=True):
    """How many steps there are."""

    count: int


def _nothing(*_: object) -> None:
    """Show nothing: a terminal is not what is measured."""


class Silent:
    """An operator who sees nothing."""

    plan = step_started = progress = step_finished = note = closed = staticmethod(_nothing)


def trivial(count: int) -> Book[Facts]:
    """Return a book of so many steps that change nothing but a set in memory."""
    made: set[str] = set()
    return Book(
        name="trivial",
        facts_type=Facts,
        gather=lambda: Facts(count),
        steps=lambda facts: tuple(_step(f"step {number}", made) for number in range(facts.count)),
        summary=lambda facts: f"makes {facts.count} marks",
    )


def _step(name: str, made: set[str]) -> Step:
    def holds(_sight: Sight) -> Held:
        return Yes({"there": True}) if name in made else No({"there": False}, "it is not there")

    def act(_sight: Sight) -> Json:
        made.add(name)
        return {"made": name}

    undo = NoUndo("it is gone with the process")
    return Step(name=name, title=f"make {name}", effect=Effect.WRITE, holds=holds, act=act, undo=undo)


def ours(folder: Path, count: int) -> tuple[float, float, bytes]:
    """Run the book; return seconds of the clock, seconds of the processor, and the last intent that was written."""
    runner = Runner(
        home=Folder(folder), stack="bench", stack_argument="bench", actor="b", show=Silent(), redact=Redactor(SECRETS)
    )
    book, consent = trivial(count), Consent(yes=True, reason="a benchmark")
    began, worked = time.perf_counter(), time.process_time()
    outcome = runner.run(book, arguments={}, consent=consent)
    took = time.perf_counter() - began, time.process_time() - worked
    lines = Path(outcome.journal or "").read_bytes().splitlines(keepends=True)
    intents = [line for line in lines if b'"kind":"step started"' in line]
    if len(intents) != count or outcome.status != "done":
        message = f"{len(intents)} of {count} steps: {outcome.text}"
        raise RuntimeError(message)
    return *took, intents[-1]


def bare(folder: Path, count: int, line: bytes) -> float:
    """Append the line and call fsync so many times; return seconds."""
    file = os.open(folder / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
    began = time.perf_counter()
    for _ in range(count):
        os.write(file, line)
        os.fsync(file)
    seconds = time.perf_counter() - began
    os.close(file)
    return seconds


def peer(python: str, script: str, folder: Path, count: int) -> dict[str, Any]:
    """Run a peer in its own process; return what it says. Raises RuntimeError naming what to install."""
    command = [python, str(PEERS / script), str(folder), str(count)]
    done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().rsplit("\n", 1)[-1]
        message = f"{script} cannot be run by {python}: {last}; {INSTALL}"
        raise RuntimeError(message)
    return json.loads(done.stdout.strip().rsplit("\n", 1)[-1])  # type: ignore[no-any-return] # our script's object


def measure(runs: int, *, peers: str = "", count: int = COUNT) -> dict[str, Any]:
    """Return medians of seconds for `count` steps; without `peers` against the bare loop alone."""
    took: dict[str, list[float]] = {}
    worked: list[float] = []
    said: dict[str, dict[str, Any]] = {}
    scripts = {"dbos": "dbos_steps.py", "chaostoolkit": "chaos_steps.py"} if peers else {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as name:  # one disk for all
            folder = Path(name)
            seconds, processor, line = ours(folder, count)
            took.setdefault("ours", []).append(seconds)
            worked.append(processor)
            took.setdefault("bare", []).append(bare(folder, count, line))
            for of, script in scripts.items():
                said[of] = peer(peers, script, folder, count)
                took.setdefault(of, []).append(said[of].pop("seconds"))
    return result(took, worked, said, count) | ({} if peers else {"not_measured": f"the peers: {INSTALL}"})


def result(
    took: dict[str, list[float]], worked: list[float], said: dict[str, dict[str, Any]], count: int
) -> dict[str, Any]:
    """Return what was measured as one JSON object. Ratios are medians of the ratios of each turn."""
    ratios = {
        of: median(mine / theirs for mine, theirs in zip(took["ours"], took[of], strict=True))
        for of in took
        if of != "ours"
    }
    middle = {of: median(seconds) for of, seconds in took.items()}
    more = max(middle["ours"] - middle["bare"], 0.0) / count
    return {
        "name": "step_overhead",
        "ours": round(middle["ours"], 4),
        "peer": round(middle["bare"], 4),
        "ratio": round(ratios["bare"], 3),
        "runs": len(worked),
        "unit": "s",
        "peer_is": f"{count} times one append and fsync",
        "steps": count,
        "ratios": {of: round(ratio, 4) for of, ratio in ratios.items()},
        "goals": {of: {"at_most": GOALS[of], "met": ratios[of] <= GOALS[of]} for of in GOALS if of in ratios},
        "milliseconds_a_step": {of: round(seconds / count * 1000, 4) for of, seconds in middle.items()},
        "processor_milliseconds_a_step": round(median(worked) / count * 1000, 4),
        "bare_goal_met_from_an_fsync_of_milliseconds": round(more * 1000 / (GOALS["bare"] - 1), 3),
        "peers": said,
        "all": {of: [round(one, 4) for one in seconds] for of, seconds in took.items()},
        "python": sys.version.split()[0],
    }
