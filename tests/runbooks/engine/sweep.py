"""Kill real processes at every moment of a run, and say what became of it.

Started as a process of its own, which forks: `python -m tests.runbooks.engine.sweep FOLDER` prints one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from runbooks.engine.record.verdict import verify
from runbooks.model.errors import HeldByOther
from tests.runbooks.engine.toys import AGREED, Fuse, FusedWorld, World, fused, marks, runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAMES = ("a", "b", "c")


def killed() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], object]) -> int:
    """Do the work in a child; return the signal that ended it, 0 when it came to its end."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        message = f"the child failed: {os.WEXITSTATUS(status)}"
        raise AssertionError(message)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def forward(folder: Path, at: int) -> int:
    """Run the book, or go on with its run, until the fuse blows; return the signal that ended it."""
    fuse = Fuse(killed, at)
    home, made = folder / "home", marks(FusedWorld(folder / "world", fuse), *NAMES)

    def work() -> None:
        operator = fused(home, fuse)
        runs = [run for run in operator.runs() if run.status != "not begun"]
        if runs:
            operator.resume(runs[-1].run, book=made, consent=AGREED)
        else:
            operator.run(made, arguments={}, consent=AGREED)

    return in_child(work)


def backward(folder: Path, at: int) -> int:
    """Take the run back, or go on with taking it back, until the fuse blows."""
    fuse = Fuse(killed, at)
    made = marks(FusedWorld(folder / "world", fuse), *NAMES)

    def work() -> None:
        operator = fused(folder / "home", fuse)
        operator.undo(operator.runs()[-1].run, book=made, consent=AGREED)

    return in_child(work)


def counted(places: Iterable[Path], wanted: list[str], kills: int) -> dict[str, int]:
    """Count the effects that did not happen, those that happened again, and the runs that did not come to their end."""
    lost = repeated = unfinished = 0
    for place in places:
        happened = World(place / "world").effects()
        last = runner(place / "home").runs()[-1]
        unfinished += not verify(last.journal).complete or last.status not in ("done", "undone")
        lost += len(set(wanted) - set(happened))
        repeated += len(happened) - len(set(happened))
    return {"points": kills, "lost": lost, "repeated": repeated, "unfinished": unfinished}


def every_moment(folder: Path, go: Callable[[Path, int], int], *, undo: bool) -> dict[str, int]:
    """Kill at the first, second, … moment until there is none left, each time in a fresh folder; then finish."""
    places = []
    for point in count(1):
        place = folder / str(point)
        places.append(place)
        if undo:
            forward(place, 0)
        if not go(place, point):
            wanted = [f"{verb} {name}" for name in NAMES for verb in (("act", "undo") if undo else ("act",))]
            return counted(places, wanted, point - 1)
        go(place, 0)
    raise AssertionError


def many_crashes(folder: Path, *, sequences: int) -> dict[str, int]:
    """Kill the same run several times, at moments drawn by a fixed seed, before it may finish."""
    draw = random.Random(7)  # noqa: S311 - moments to kill at, no secret
    places = [folder / str(number) for number in range(sequences)]
    kills = 0
    for place in places:
        while forward(place, draw.randint(1, 25)):
            kills += 1
    return counted(places, [f"act {name}" for name in NAMES], kills)


def stopped_holder(folder: Path) -> dict[str, object]:
    """Freeze a process after its effect, let another one take its run over a day later, then wake it up."""
    answer, tell = os.pipe()
    child = os.fork()
    if not child:
        frozen = FusedWorld(folder / "world", Fuse(lambda: os.kill(os.getpid(), signal.SIGSTOP), 3))
        outcome = runner(folder / "home").run(marks(frozen, *NAMES), arguments={}, consent=AGREED)
        os.write(tell, outcome.exit.name.encode())
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    other = runner(folder / "home", actor="dba", clock=lambda: datetime.now(UTC) + timedelta(days=1))
    run = other.runs()[-1].run
    made = marks(World(folder / "world"), *NAMES)
    try:
        other.resume(run, book=made, consent=AGREED)
        refused = ""
    except HeldByOther as error:
        refused = str(error)
    status = other.resume(run, book=made, consent=replace(AGREED, take_over=True)).status
    os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)
    return {
        **counted([folder], [f"act {name}" for name in NAMES], 0),
        "refused": refused,
        "taken over": status,
        "old holder": os.read(answer, 99).decode(),
    }


def ten_operators(folder: Path) -> dict[str, object]:
    """Let ten processes run the same book at the same moment."""
    begin, go = os.pipe()
    answer, tell = os.pipe()
    children = []
    for _ in range(10):
        child = os.fork()
        if not child:
            slow = FusedWorld(folder / "world", Fuse(lambda: time.sleep(0.6), 2))
            os.read(begin, 1)
            try:
                result = str(runner(folder / "home").run(marks(slow, *NAMES), arguments={}, consent=AGREED).status)
            except HeldByOther:
                result = "held"
            os.write(tell, f"{result}\n".encode())
            os._exit(0)
        children.append(child)
    os.write(go, b"." * len(children))
    for child in children:
        os.waitpid(child, 0)
    results = sorted(os.read(answer, 9999).decode().split("\n")[:-1])
    return {**counted([folder], [f"act {name}" for name in NAMES], 0), "results": results}


if __name__ == "__main__":
    root = Path(sys.argv[1])
    found = {
        "run": every_moment(root / "run", forward, undo=False),
        "undo": every_moment(root / "undo", backward, undo=True),
        "many": many_crashes(root / "many", sequences=15),
        "stopped": stopped_holder(root / "stopped"),
        "ten": ten_operators(root / "ten"),
    }
    print(json.dumps(found))  # noqa: T201 - the answer to the test that started this process
