"""Kill every book, and the way back from it, at every moment; go on; count at the twin what happened.

Moments: right before and right after every append to the journal and every other write to the ops home; before every
HTTP call to a provider or the edge, and after it was applied but before its answer. What a statement or a file changed
dies before it is remembered at the append that follows. `points` are the moments at which a process really died,
`missed` those that did not come again: a poll fewer.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping.place import opened
from benchmarks.sweeping.points import SUBJECTS, Sweep, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.sweeping.door import Moment
    from benchmarks.sweeping.place import Place
    from benchmarks.sweeping.points import Subject

PLACES: Final = 2  # twins at work at once: while one waits, the other has the processor

Job = tuple["Subject", "Moment", Counter[str]]


def measure(_runs: int) -> dict[str, Any]:
    """Sweep everything once."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as places:
        here = [places.enter_context(opened(Path(folder) / str(number))) for number in range(PLACES)]
        jobs = [job for subject in SUBJECTS for job in moments_of(here[0], subject)]
        found = sweep(here, jobs, report=_report)
    whole = Tally()
    for tally in found.values():
        whole.add(tally)
    return {
        "name": "kill_sweep",
        "ours": round(time.monotonic() - began, 1),
        "peer": None,
        "ratio": None,
        "runs": 1,
        "unit": "s",
        "moments": len(jobs),
        **asdict(whole),
        "books": {name: {key: value for key, value in asdict(tally).items() if key != "problems"}
                  for name, tally in found.items()},
    }  # fmt: skip


def moments_of(place: Place, subject: Subject) -> list[Job]:
    """Let a subject run to its end; return each of its moments with what must have happened in the end."""
    wanted, moments = Sweep(place, subject).whole()
    return [(subject, moment, wanted) for moment in moments]


def sweep(
    places: Sequence[Place], jobs: Sequence[Job], *, report: Callable[[int, int, float, Tally], None]
) -> dict[str, Tally]:
    """Do all jobs, each at the next free place; return the tallies by subject. `report` is told of every one."""
    left, began, done = deque(jobs), time.monotonic(), Tally()
    found: dict[str, Tally] = {subject.name: Tally() for subject, _, _ in jobs}

    def work(place: Place) -> None:
        while left:
            subject, moment, wanted = left.popleft()
            tally = Sweep(place, subject).at(moment, wanted)
            found[subject.name].add(tally)
            done.add(tally)
            report(done.points + done.missed, len(jobs), time.monotonic() - began, done)

    with ThreadPoolExecutor(len(places)) as pool:
        for ended in [pool.submit(work, place) for place in places]:
            ended.result()
    return found


def _report(done: int, total: int, seconds: float, tally: Tally) -> None:
    eta = seconds / done * (total - done) / 60
    counts = f"lost {tally.lost}, repeated {tally.repeated}, unfinished {tally.unfinished}"
    sys.stderr.write(f"\r{done}/{total} moments, {counts}; about {eta:.0f} min left   ")
    if done == total:
        sys.stderr.write("\n")
    sys.stderr.flush()
