"""Stop every book, and the way back from it, by a signal at each of its steps; go on by the command on the last line.

One chain a book and signal: whenever a step begins that none of the processes before had begun, its process gets the
signal, and the next process is what its last line says. At the end everything must have happened as without signals.
`points` are the processes that a signal ended, `late` those that were over before it could.
"""

from __future__ import annotations

import itertools
import json
import shlex
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping.commands import SUBJECTS
from benchmarks.sweeping.place import places
from benchmarks.sweeping.typed import Typed
from runbooks.model.errors import Exit

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from benchmarks.sweeping.commands import Subject
    from benchmarks.sweeping.place import Place
    from benchmarks.sweeping.stack_files import Point

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BEGINS: Final = ("step started", "undo started")
AGREED: Final = ("--yes", "--reason=a sweep")
AT_ONCE: Final = 0.1  # seconds after a signal in which a step may still have begun: the clock was read before
LOOK: Final = 0.0005  # seconds between looks into a journal: steps take milliseconds


@dataclass
class Tally:
    """What was found: processes that a signal ended, that were over before it, and what was not as it should be."""

    points: int = 0
    late: int = 0
    lost: int = 0
    repeated: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take another one's numbers in."""
        self.points += other.points
        self.late += other.late
        self.lost += other.lost
        self.repeated += other.repeated
        self.problems += other.problems


def measure(_runs: int, *, subjects: Sequence[str] = ()) -> dict[str, Any]:
    """Sweep everything once, or only the subjects of these names."""
    began = time.monotonic()
    found: dict[str, Tally] = {}
    for own in (False, True):
        chosen = [one for one in SUBJECTS.values() if one.own is own and (not subjects or one.name in subjects)]
        if not chosen:
            continue
        with places(1, own=own) as (place,):
            for subject in chosen:
                wanted = whole(place, subject)
                found[subject.name] = Tally()
                for number in SIGNALS:
                    found[subject.name].add(chain(place, subject, (number,), wanted))
                    sys.stderr.write(f"{subject.name}, {number.name}: {found[subject.name]}\n")
    total = Tally()
    for tally in found.values():
        total.add(tally)
    return {
        "name": "signal_sweep",
        "ours": round(time.monotonic() - began, 1),
        "peer": None,
        "ratio": None,
        "runs": 1,
        "unit": "s",
        **asdict(total),
        "books": {name: tally.points for name, tally in found.items()},
    }


def whole(place: Place, subject: Subject) -> Counter[str]:
    """Do it without a signal; return what happened the second time.

    The first time the program still remembers the traffic of the subject before, and moves it once more.
    """
    for _ in range(2):
        point, since = begun(place, subject)
        done(typed(place, point, subject.words), ends=subject.ends, environ=point.environ)
    return place.happened(point, since)


def chain(place: Place, subject: Subject, signals: Sequence[signal.Signals], wanted: Counter[str]) -> Tally:
    """Send the signals in turn, one at each step, until it is over; compare what happened with what should."""
    point, since = begun(place, subject)
    old = set() if subject.words[0] == "runs.undo" else set(runs_of(point))
    sweep = Chain(point, old, ends=subject.ends)
    words, turns = typed(place, point, subject.words), itertools.cycle(signals)
    while words:
        words = sweep.interrupted(words, next(turns))
    tally, happened = sweep.tally, place.happened(point, since)
    lost, extra = wanted - happened, happened - wanted
    tally.lost, tally.repeated = lost.total(), extra.total()
    if lost or extra:
        tally.problems.append(f"{subject.name}: lost {dict(lost)}, repeated {dict(extra)}")
    return tally


@dataclass
class Chain:
    """One run from process to process.

    `old` are the runs before it, `known` the steps that had their signal, `only` those that get one (none: all);
    `ends` is the exit code of its end.
    """

    point: Point
    old: set[str]
    only: tuple[str, ...] = ()
    ends: Exit = Exit.DONE
    known: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)

    def interrupted(self, words: list[str], number: signal.Signals) -> list[str]:
        """Run one process, with the signal at its first step that is not known; return the next one's, if any."""
        before = len(self.entries())
        process = Typed(words, environ=self.point.environ)
        step, sent = self._step(process, before), 0.0
        if process.at_work:
            sent = process.send(number)
        code, shown = process.end()
        if code == self.ends:
            self.tally.late += bool(step)
            return []
        self.tally.points += 1
        entries = self.entries()
        last, expected = last_line(shown), self._next(entries)
        late = [e["step"] for e in entries[before:] if e["kind"] in BEGINS and _time(e) > sent + AT_ONCE]
        checks = {
            f"exit code {code}: {shown}": code == Exit.PAUSED,
            f"the last line is {last!r}": last == expected,
            f"the journal ends with {entries[-1]['kind']}": entries[-1]["kind"] == "paused",
            f"began afterwards: {late}": not late,
        }
        where = f"{shlex.join(words[:2])}, {number.name} at {step}"
        self.tally.problems += [f"{where}: {problem}" for problem, fine in checks.items() if not fine]
        return [*shlex.split(expected)[1:], *AGREED]

    def entries(self) -> list[dict[str, Any]]:
        """Return the whole lines of this run's journal."""
        new = [run for run in runs_of(self.point) if run not in self.old]
        return entries_of(self.point, new[0]) if new else []

    def _step(self, process: Typed, before: int) -> str:
        """Wait until the process begins a step that is not known, and return it."""
        while process.at_work:
            new = [e["step"] for e in self.entries()[before:] if e["kind"] in BEGINS]
            for step in new:
                if step not in self.known and step in (self.only or new):
                    self.known.add(step)
                    return str(step)
            time.sleep(LOOK)
        return ""

    def _next(self, entries: list[dict[str, Any]]) -> str:
        purposes = [entry["payload"]["purpose"] for entry in entries if entry["kind"] == "lease taken"]
        verb = "undo" if "undo" in purposes else "resume"
        (run,) = set(runs_of(self.point)) - self.old
        return f"invoke runs.{verb} --run {run} --stack {self.point.stack_file}"


def begun(place: Place, subject: Subject, *, direct: bool = False) -> tuple[Point, int]:
    """Prepare what a subject starts from; return it and the number of calls until then."""
    point = subject.beginning.at(place, direct=direct)
    for words in subject.before:
        done(typed(place, point, words), environ=point.environ)
    return point, place.calls()


def done(words: list[str], *, ends: Exit = Exit.DONE, environ: Mapping[str, str] | None = None) -> str:
    """Run a command to its end, a good one unless `ends` says otherwise; return what it showed."""
    code, shown = Typed(words, environ=environ).end()
    if code != ends:
        message = f"{shlex.join(words)}: expected exit {int(ends)}, got {code}: {shown}"
        raise AssertionError(message)
    return shown


def typed(place: Place, point: Point, words: Sequence[str]) -> list[str]:
    """Return a command with consent, for the stack file of this point."""
    told = {"ago": place.ago}
    if any("{backup}" in word for word in words):
        told["backup"] = place.own_backup.name
    return [*(word.format(**told) for word in words), *AGREED, f"--stack={point.stack_file}"]


def runs_of(point: Point) -> list[str]:
    """Return the runs of an ops home, oldest first."""
    return sorted(path.parent.name for path in (point.home / "runs").glob("*/journal.jsonl"))


def entries_of(point: Point, run: str) -> list[dict[str, Any]]:
    """Return the whole lines of a journal."""
    lines = (point.home / "runs" / run / "journal.jsonl").read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def last_line(shown: str) -> str:
    """Return the last line that a terminal shows."""
    return shown.rstrip("\n").rpartition("\n")[2]


def _time(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()
