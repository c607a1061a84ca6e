"""Break every call of every book, and of the way back from it, in every way; go on; count at the twin what happened.

A clean run tells the calls: provider, method, path, and the how-manieth. Each is broken once by each fault (polls after
the third of their kind by one of them); the first of each kind is also broken for good by one of them. The command may
end well, or it stops with a text that names the call and a command; then all goes well again, and what its last line
says is typed. At the end everything must have happened as in the clean run. `points` are the calls that were broken,
`missed` those that did not come again or had nothing to break, `stuck` the runs that did not end.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from benchmarks.signal_sweep import begun, done, last_line, typed
from benchmarks.sweeping.commands import SUBJECTS
from benchmarks.sweeping.door import BEFORE, Moment
from benchmarks.sweeping.place import places
from benchmarks.sweeping.trial import Trial
from runbooks.clients import twin
from runbooks.clients.twin import Do, Fault
from runbooks.model.errors import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.sweeping.commands import Subject
    from benchmarks.sweeping.place import Place

PLACES: Final = 5  # twins at work at once: most of a broken run is waiting
TRIES: Final = 4
"""Commands after the broken one until a run counts as stuck."""
SILENCE: Final = 30.0
OFTEN: Final = 3
"""How often a call of one kind is broken by every fault; each later one, mostly a poll, by one of them in turn."""
STALE: Final = 600.0  # seconds after a write: longer than any run
FAULTS: Final = {
    "429 with Retry-After": Do(status=429, retry_after=1),
    "429": Do(status=429),
    "500": Do(status=500, applied=True),
    "502": Do(status=502),
    "reset before": Do(reset="before"),
    "reset after": Do(reset="after"),
    "silence": Do(silence=SILENCE, applied=True),
    "truncated": Do(truncate=0.5),
    "stale": Do(stale=STALE),
}
"""An error may hide an effect: 500 and the silence do, 502 does not."""
NOT_FOR_READS: Final = ("reset after",)  # the same as before, where there is no effect
NOT_FOR_WRITES: Final = ("stale",)
STALE_PLAN: Final = "the facts changed since the plan was made"
STALE_RECORDS: Final = "expected a verified state beside the present one"
NEXT_SEEN: Final = "to look again: "  # a lie is found out by another call, which is named
STALE_TOLD: Final = (STALE_PLAN, STALE_RECORDS, NEXT_SEEN)
"""What is said when a read told what was so before."""
CLEAR: Final = (Exit.FAILED, Exit.REFUSED, Exit.PAUSED, Exit.UNPROVEN)


@dataclass(frozen=True)
class Job:
    """A call to break, and what must have happened in the end."""

    subject: Subject
    call: Moment
    fault: str
    do: Do
    wanted: Counter[str]
    lasting: bool = False

    @property
    def name(self) -> str:
        """Return what is broken, in words."""
        times = "for good" if self.lasting else self.call.time
        return f"{self.subject.name}, {self.fault}, {self.call.label} ({times})"

    @property
    def uploads(self) -> bool:
        """Tell whether it makes versions of the Worker."""
        return self.subject.beginning.release or self.subject.beginning.secret

    def broken(self) -> Fault:
        """Return the fault as the twin takes it."""
        provider, method, path = self.call.label.split()
        pattern = f"^{re.escape(path).replace('…', '[^/]+')}$"
        after, times = (0, None) if self.lasting else (self.call.time - 1, 1)
        return Fault(provider=provider, method=method, path=pattern, do=self.do, after=after, times=times)


@dataclass
class Tally:
    """What was broken and found."""

    points: int = 0
    missed: int = 0
    lost: int = 0
    repeated: int = 0
    stuck: int = 0
    endings: dict[str, int] = field(default_factory=Counter)
    """How the broken commands ended."""
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another one's numbers in."""
        self.points += other.points
        self.missed += other.missed
        self.lost += other.lost
        self.repeated += other.repeated
        self.stuck += other.stuck
        self.endings = Counter(self.endings) + Counter(other.endings)
        self.problems += other.problems


def measure(_runs: int, *, subjects: Sequence[str] = ()) -> dict[str, Any]:
    """Break everything once, or only the subjects of these names."""
    began, found = time.monotonic(), dict[str, Tally]()
    for own in (False, True):
        chosen = [one for one in SUBJECTS.values() if one.own is own and (not subjects or one.name in subjects)]
        chosen = [subject for subject in chosen if not subject.beginning.failing]  # a failing check hides a fault
        if chosen:
            with places(PLACES, own=own) as here:
                jobs = [job for subject in chosen for job in jobs_of(here[0], subject)]
                # what waits longest begins first; what uploads comes last: a provider keeps the last 100 versions only
                jobs.sort(key=lambda job: (job.uploads, not job.lasting, job.fault != "silence"))
                found |= sweep(here, jobs, report=_report)
    whole = Tally()
    for tally in found.values():
        whole.add(tally)
    return {
        "name": "fault_matrix",
        "ours": round(time.monotonic() - began, 1),
        "peer": None,
        "ratio": None,
        "runs": 1,
        "unit": "s",
        **asdict(replace(whole, endings=dict(whole.endings))),  # of a Counter, asdict would count the pairs
        "books": {name: tally.points for name, tally in found.items()},
    }


def jobs_of(place: Place, subject: Subject) -> list[Job]:
    """Let a subject run to its end; return each of its calls with each fault."""
    point, since = begun(place, subject)
    place.door.arm(None)
    done(typed(place, point, subject.words), environ=point.environ)
    wanted = place.happened(point, since)
    seen = place.door.moments.seen
    calls = [Moment(m.label.removeprefix(f"{BEFORE} "), m.time) for m in seen if m.label.startswith(BEFORE)]
    first = [call for call in calls if call.time == 1]
    chosen = [(call, fault, False) for call in calls for fault in faults_of(call)[_some(call)]]
    for number, call in enumerate(first):
        fault = list(FAULTS)[number % len(FAULTS)]
        if fault in faults_of(call):
            chosen.append((call, fault, True))
    return [Job(subject, call, fault, FAULTS[fault], wanted, lasting) for call, fault, lasting in chosen]


def faults_of(call: Moment) -> list[str]:
    """Return the faults that make sense for a call."""
    without = NOT_FOR_READS if call.label.split()[1] == "GET" else NOT_FOR_WRITES
    return [fault for fault in FAULTS if fault not in without]


def _some(call: Moment) -> slice:
    """Return which of its faults a call gets: all of them, or one in turn."""
    turn = call.time % (len(FAULTS) - 1)
    return slice(None) if call.time <= OFTEN else slice(turn, turn + 1)


def sweep(places: Sequence[Place], jobs: Sequence[Job], *, report: Callable[[str], None]) -> dict[str, Tally]:
    """Do all jobs, each at the next free place; return the tallies by subject. `report` is told how far it is."""
    left, began, done_, counting = deque(jobs), time.monotonic(), Tally(), threading.Lock()
    found: dict[str, Tally] = {job.subject.name: Tally() for job in jobs}

    def work(place: Place) -> None:
        while job := _next(left):
            tally = broken(place, job)
            with counting:
                found[job.subject.name].add(tally)
                done_.add(tally)
            for problem in tally.problems:
                report(f"{problem}\n")
            counts = (
                f"lost {done_.lost}, repeated {done_.repeated}, stuck {done_.stuck}, {len(done_.problems)} problems"
            )
            report(f"{done_.points + done_.missed}/{len(jobs)} calls, {counts}; {time.monotonic() - began:.0f} s")

    with ThreadPoolExecutor(len(places)) as pool:
        for ended in [pool.submit(work, place) for place in places]:
            ended.result()
    return found


def broken(place: Place, job: Job) -> Tally:
    """Break one call of one run, see how it ends, mend it, go on; compare what happened with what should."""
    try:
        point, since = begun(place, job.subject, direct=True)
    except AssertionError as error:
        return Tally(missed=1, problems=[f"{job.name}: not begun: {error}"])
    trial = Trial(typed(place, point, job.subject.words), environ=point.environ)
    with _control(place) as control:
        control.fault(job.broken())
        struck = trial.type(trial.first, control)
    tally = Tally(points=int(struck), missed=int(not struck), endings=Counter([ending(trial.code)]))
    tally.problems += [f"{job.name}: {problem}; {trial.shown}" for problem in unclear(job, trial.code, trial.shown)]
    for _ in range(TRIES):
        if words := trial.next():
            trial.type(words)
    happened = place.happened(point, since)
    lost, extra = job.wanted - happened, happened - job.wanted
    tally.lost, tally.repeated, tally.stuck = lost.total(), extra.total(), int(trial.code != Exit.DONE)
    if lost or extra or tally.stuck:
        tally.problems.append(f"{job.name}: lost {dict(lost)}, repeated {dict(extra)}; {' | '.join(trial.said)}")
    return tally


def ending(code: int | None) -> str:
    """Return an exit code in words."""
    return "hung" if code is None else Exit(code).name.lower() if code in list(Exit) else f"exit {code}"


def unclear(job: Job, code: int | None, shown: str) -> list[str]:
    """Return what is wrong with the text of a command that did not end well."""
    if code == Exit.DONE:
        return []
    _, method, path = job.call.label.split()
    ours = path.removeprefix("/client/v4").split("…")[-1]
    text = "".join(shown.split())
    named = (method in text and ours in text) or (job.fault == "stale" and any(told in shown for told in STALE_TOLD))
    checks = {
        f"ended as {ending(code)}": code in CLEAR,
        "a traceback": "Traceback" not in shown and "Unexpected " not in shown,
        f"{method} …{ours} is not named": named,
        f"the last line is {last_line(shown)!r}": last_line(shown).startswith("invoke "),
    }
    return [problem for problem, fine in checks.items() if not fine]


@contextmanager
def _control(place: Place) -> Iterator[twin.TwinControl]:
    control = twin.control(place.stage.addresses.cloudflare)
    try:
        yield control
    finally:
        control.transport.close()


def _next(left: deque[Job]) -> Job | None:
    try:
        return left.popleft()
    except IndexError:
        return None


def _report(text: str) -> None:
    """Show how far it is, on one line of a terminal."""
    sys.stderr.write(f"\r{text}   ")
    sys.stderr.flush()
