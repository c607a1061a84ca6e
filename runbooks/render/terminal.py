"""What the operator sees: the plan, steps that fill in as they go, the end with the next command."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO, TypeAlias

from runbooks.render.wording import amount, brief, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runbooks.engine.outcome import Outcome
    from runbooks.engine.plan import Plan
    from runbooks.engine.step import Evidence
    from runbooks.render.screen import Screen

Parts: TypeAlias = "list[tuple[str, str]]"
"""One line, as texts with the style of each: an effect, a status, or a style of the screen's library."""
FORCED = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
"""Variables by which an environment says that what reads our output can show colours (rich's documentation)."""
SHOWN_STYLE = {"- ": "red", "+ ": "green", "~ ": "yellow"}
"""What goes, what comes, what becomes another, by the mark at the line's beginning."""
TOLD_AT_THE_END = ("failed", "paused")
"""Statuses whose reason stands whole below the steps: not cut to a cell beside its step as well."""
WORTH_A_LINE = 3.0  # seconds; a step expected to take longer says that it started, also without a live screen
PROGRESS_EVERY = 5.0  # seconds between progress lines where there is no live screen


class Shown(Protocol):
    """What the terminal needs of a step; a `Step` and a `PlannedStep` both are one."""

    @property
    def name(self) -> str:
        """Return the id within its book."""

    @property
    def title(self) -> str:
        """Return the words for people."""

    @property
    def effect(self) -> str:
        """Return what it does to the outside, in one word."""

    @property
    def expect(self) -> float:
        """Return the seconds it takes."""


@dataclass
class Line:
    """One step on the screen, its texts without secrets. Times in seconds, `begun` on the monotonic clock."""

    title: str
    effect: str
    expect: float
    begun: float | None = None
    seconds: float = 0.0
    status: str = ""
    seen: str = ""
    units: tuple[int, int] | None = None


class Terminal:
    """Show runs on one stream: live where it is a terminal, plain lines where it is not.

    `stream` is stdout, or stderr when stdout carries JSON. `environ` decides colours (`NO_COLOR`, `TERM`).
    Every text passes `redact` before it is printed. `answers` is where a typed confirmation comes from.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        environ: Mapping[str, str],
        redact: Callable[[str], str] = str,
        answers: TextIO = sys.stdin,
    ) -> None:
        self._stream = stream
        self._screen = _screen_of(stream, environ)
        self._redact = redact
        self._answers = answers
        self._lines: dict[str, Line] = {}
        self._last_progress = 0.0

    def plan(self, plan: Plan) -> None:
        """Print what is going to happen: summary, losses, what it shows, steps, estimate, digest."""
        self.end()
        self._lines = {step.name: self._new(step) for step in plan.steps}
        self._print(f"{plan.book.capitalize()}  {plan.summary}", "bold")
        for loss in plan.losses:
            self._print(f"Loses    {loss}", "bold red")
        for shown in plan.shows:
            self._print(f"  {shown}", SHOWN_STYLE.get(shown[:2], ""))
        if plan.estimate >= 1:
            self._print(f"Takes    about {span(plan.estimate)}{_range(plan.between)}")
        self._number(self._lines.values())
        if plan.otherwise:
            self._print("If a check fails after something was changed, by itself:")
            self._number(self._new(step) for step in plan.otherwise)
        self._print(f"Plan     {plan.digest[:12]}…", "dim")

    def ask(self, plan: Plan) -> bool:
        """Ask for the stack's name; anything else, the end of the input, and a terminal that is gone mean no."""
        self.end()
        self._print(f"Type the stack's name ({plan.stack}) to go on: ", end="")
        try:
            return self._answers.readline().strip() == plan.stack
        except OSError:
            return False

    def question(self, text: str) -> str:
        """Ask a person and return what they type, nothing when the input ends."""
        self.end()
        self._print(text, end="")
        try:
            return self._answers.readline().strip()
        except OSError:
            return ""

    def step_started(self, step: Shown, index: int, total: int) -> None:
        """Mark a step as running. `index` counts from 1."""
        line = self._line(step)
        line.begun, line.status = time.monotonic(), ""
        if self._live:
            self._live.draw(self._lines)
        elif line.expect >= WORTH_A_LINE:
            self._print(f"[{index}/{total}] {line.title} … about {span(line.expect)}")

    def progress(self, step: Shown, done: int, total: int) -> None:
        """Show units done of units in all."""
        line = self._line(step)
        line.units = (done, total)
        if total and not self._live and time.monotonic() - self._last_progress >= PROGRESS_EVERY:
            self._last_progress = time.monotonic()
            self._print(f"      {line.title}: {amount(done, total)}")

    def step_finished(self, step: Shown, status: str, seconds: float, evidence: Evidence) -> None:
        """Fill in how a step ended, how long it took and what was seen; why it did not end well comes with `closed`."""
        line = self._line(step)
        line.status, line.seconds = status, seconds
        line.seen = "" if status in TOLD_AT_THE_END else self._redact(brief(evidence))
        if not self._live:
            seen = f"  ({line.seen})" if line.seen else ""
            place = f"[{list(self._lines).index(step.name) + 1}/{len(self._lines)}]"
            self._print(f"{place} {line.title}: {status}, {span(seconds)}{seen}", status)

    def note(self, text: str) -> None:
        """Print one line beside the steps."""
        self._print(text, "dim")

    def closed(self, outcome: Outcome) -> None:
        """Print how the run ended, why, and where its journal lies."""
        self.end()
        self._print(f"{outcome.status}  in {span(outcome.seconds)}", outcome.status)
        if outcome.text:
            self._print(outcome.text, outcome.status)
        if outcome.journal is not None:
            self._print(f"Journal  {outcome.journal}")

    def next(self, command: str) -> None:
        """Print the command to type next, alone on one line however narrow the screen: it is the last one."""
        self._print("Next:", "dim")
        self._print(command, "bold")

    def end(self) -> None:
        """Stop drawing: what is printed from now on stands below the steps."""
        if self._screen is not None:
            self._screen.end()

    def _number(self, lines: Iterable[Line]) -> None:
        for number, line in enumerate(lines, 1):
            self._write([(f"  {number:>2}  ", ""), (f"{line.effect:<9}", line.effect), (line.title, "")])

    def _line(self, step: Shown) -> Line:
        return self._lines.setdefault(step.name, self._new(step))

    def _new(self, step: Shown) -> Line:
        return Line(self._redact(step.title), step.effect, step.expect)

    @property
    def _live(self) -> Screen | None:
        """Return the screen if steps can be drawn on it."""
        return self._screen if self._screen and self._screen.is_live else None

    def _print(self, text: str, style: str = "", end: str = "\n") -> None:
        self._write([(self._redact(text), style)], end)

    def _write(self, parts: Parts, end: str = "\n") -> None:
        if self._screen is not None:
            self._screen.print(parts, end)
        else:
            self._stream.write("".join(text for text, _ in parts) + end)
            self._stream.flush()


def _screen_of(stream: TextIO, environ: Mapping[str, str]) -> Screen | None:
    """Return a screen where there is a terminal, or something that wants to be taken for one."""
    if not stream.isatty() and not any(environ.get(name) for name in FORCED):
        return None
    from runbooks.render.screen import Screen  # noqa: PLC0415 - its library is loaded only by who can see it

    return Screen(stream, environ)


def _range(between: tuple[float, float] | None) -> str:
    """Return from when to when it was in past runs, nothing where they say nothing."""
    least, most = map(span, between or (0.0, 0.0))
    return "" if least == most else f" (in past runs {least} to {most})"
