"""Kill every book, and the way back from it, at every moment; go on; count at the twin what happened.

Moments: right before and right after every append to the journal and every other write to the ops home; before every
HTTP call to a provider or the edge, and after it was applied but before its answer; before each statement that may
change something, and around each commit; before a file of this machine changes, before a program starts, and while it
works. Of what comes for each of hundreds of files, or only reads, a few (`points.chosen`). What a run has changed is
counted where it stands; a subject that is given up is killed, and then taken back. `points` are the moments at which
a process really died, `missed` those that did not come again: a poll fewer.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping.place import places
from benchmarks.sweeping.points import Sweep, Tally
from benchmarks.sweeping.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from benchmarks.sweeping.door import Moment
    from benchmarks.sweeping.place import Place
    from benchmarks.sweeping.points import Subject

PLACES: Final = 2  # twins at work at once: while one waits, the other has the processor


@dataclass(frozen=True)
class Job:
    """A moment to die at, and what must have happened in the end; `expect` is what it may take in seconds."""

    subject: Subject
    moment: Moment
    wanted: Counter[str]
    expect: float


def measure(_runs: int, *, subjects: Sequence[str] = ()) -> dict[str, Any]:
    """Sweep everything once, or only the subjects of these names."""
    began, found, moments = time.monotonic(), dict[str, Tally](), 0
    for own in (False, True):
        if chosen := [one for one in SUBJECTS if one.own is own and (not subjects or one.name in subjects)]:
            with places(PLACES, own=own, buckets=any(one.beginning.bucket for one in chosen)) as here:
                jobs = [job for subject in chosen for job in moments_of(here[0], subject)]
                found |= sweep(here, jobs, report=_report)
                moments += len(jobs)
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
        "moments": moments,
        **asdict(whole),
        "books": {name: {key: value for key, value in asdict(tally).items() if key != "problems"}
                  for name, tally in found.items()},
    }  # fmt: skip


def moments_of(place: Place, subject: Subject) -> list[Job]:
    """Let a subject run to its end; return each of its moments with what must have happened in the end."""
    began = time.monotonic()
    wanted, moments = Sweep(place, subject).whole()
    return [Job(subject, moment, wanted, time.monotonic() - began) for moment in moments]


def sweep(places: Sequence[Place], jobs: Sequence[Job], *, report: Callable[[str], None]) -> dict[str, Tally]:
    """Do all jobs, each at the next free place; return the tallies by subject. `report` is told how far it is."""
    left, began, done, spent = deque(jobs), time.monotonic(), Tally(), 0.0
    found: dict[str, Tally] = {job.subject.name: Tally() for job in jobs}
    total, counting = sum(job.expect for job in jobs), threading.Lock()

    def work(place: Place) -> None:
        nonlocal spent
        while job := _next(left):
            tally = Sweep(place, job.subject).at(job.moment, job.wanted)
            with counting:
                found[job.subject.name].add(tally)
                done.add(tally)
                spent += job.expect
            minutes = (time.monotonic() - began) / spent * (total - spent) / 60
            counts = f"lost {done.lost}, repeated {done.repeated}, unfinished {done.unfinished}"
            report(f"{done.points + done.missed}/{len(jobs)} moments, {counts}; about {minutes:.0f} min left")

    with ThreadPoolExecutor(len(places)) as pool:
        for ended in [pool.submit(work, place) for place in places]:
            ended.result()
    return found


def _next(left: deque[Job]) -> Job | None:
    try:
        return left.popleft()
    except IndexError:
        return None


def _report(text: str) -> None:
    """Show how far it is, on one line of a terminal."""
    sys.stderr.write(f"\r{text}   ")
    sys.stderr.flush()
