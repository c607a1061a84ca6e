"""What the operator sees: the plan, steps that fill in as they go, the end with the next command."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runbooks.render.wording import brief, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runbooks.engine.outcome import Outcome
    from runbooks.engine.plan import Plan
    from runbooks.engine.step import Evidence

EFFECT_STYLE = {"reads": "cyan", "changes": "yellow", "destroys": "bold red"}
STATUS_STYLE = {
    "held": "green",
    "already so": "green",
    "undone": "yellow",
    "failed": "bold red",
    "paused": "yellow",
}
OUTCOME_STYLE = {"done": "bold green", "already so": "green", "planned": "cyan", "paused": "bold yellow"}
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
    """One step on the screen. Times in seconds, `begun` on the monotonic clock."""

    title: str
    effect: str
    expect: float
    begun: float | None = None
    seconds: float | None = None
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
        self._console = Console(file=stream, _environ=environ, highlight=False, soft_wrap=not stream.isatty())
        self._redact = redact
        self._answers = answers
        self._lines: dict[str, Line] = {}
        self._live: Live | None = None
        self._last_progress = 0.0

    def plan(self, plan: Plan) -> None:
        """Print what is going to happen: summary, losses, steps, estimate, digest."""
        self._end_live()
        self._lines = {s.name: Line(s.title, s.effect, s.expect) for s in plan.steps}
        self._print(f"{plan.book.capitalize()}  {plan.summary}", "bold")
        for loss in plan.losses:
            self._print(f"Loses    {loss}", "bold red")
        if plan.estimate >= 1:
            self._print(f"Takes    about {span(plan.estimate)}")
        for number, line in enumerate(self._lines.values(), 1):
            text = Text(f"  {number:>2}  ")
            text.append(f"{line.effect:<9}", style=EFFECT_STYLE.get(line.effect, ""))
            text.append(self._redact(line.title))
            self._console.print(text)
        self._print(f"Plan     {plan.digest[:12]}…", "dim")

    def ask(self, plan: Plan) -> bool:
        """Ask for the stack's name; anything else, or the end of the input, means no."""
        self._end_live()
        self._console.print(Text(f"Type the stack's name ({plan.stack}) to go on: "), end="")
        return self._answers.readline().strip() == plan.stack

    def step_started(self, step: Shown, index: int, total: int) -> None:
        """Mark a step as running. `index` counts from 1."""
        line = self._line(step)
        line.begun, line.seconds, line.status = time.monotonic(), None, ""
        if self._console.is_terminal:
            self._start_live()
        elif line.expect >= WORTH_A_LINE:
            self._print(f"[{index}/{total}] {line.title} … about {span(line.expect)}")

    def progress(self, step: Shown, done: int, total: int) -> None:
        """Show units done of units in all."""
        line = self._line(step)
        line.units = (done, total)
        if not self._console.is_terminal and time.monotonic() - self._last_progress >= PROGRESS_EVERY:
            self._last_progress = time.monotonic()
            self._print(f"      {line.title}: {done} of {total}")

    def step_finished(self, step: Shown, status: str, seconds: float, evidence: Evidence) -> None:
        """Fill in how a step ended, how long it took and what was seen."""
        line = self._line(step)
        line.status, line.seconds, line.seen = status, seconds, brief(evidence)
        if not self._console.is_terminal:
            seen = f"  ({line.seen})" if line.seen else ""
            place = f"[{list(self._lines).index(step.name) + 1}/{len(self._lines)}]"
            self._print(f"{place} {line.title}: {status}, {span(seconds)}{seen}", STATUS_STYLE.get(status, ""))

    def note(self, text: str) -> None:
        """Print one line beside the steps."""
        self._print(text, "dim")

    def closed(self, outcome: Outcome) -> None:
        """Print how the run ended, where its journal lies and what to type next."""
        self._end_live()
        self._print(f"{outcome.status}  in {span(outcome.seconds)}", OUTCOME_STYLE.get(outcome.status, "bold red"))
        if outcome.journal is not None:
            self._print(f"Journal  {outcome.journal}")
        if outcome.next_command:
            self._print(f"Next     {outcome.next_command}", "bold")

    def _line(self, step: Shown) -> Line:
        return self._lines.setdefault(step.name, Line(step.title, step.effect, step.expect))

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(self._redact(text), style=style))

    def _start_live(self) -> None:
        if self._live is None:
            self._live = Live(get_renderable=self._screen, console=self._console, refresh_per_second=8, transient=False)
            self._live.start()

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _screen(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for line in self._lines.values():
            table.add_row(*self._row(line))
        return Group(table)

    def _row(self, line: Line) -> tuple[RenderableType, ...]:
        title = Text(self._redact(line.title), style=EFFECT_STYLE.get(line.effect, ""))
        if line.status:
            seen = Text(self._redact(line.seen), style="dim", overflow="ellipsis", no_wrap=True)
            style = STATUS_STYLE.get(line.status, "")
            mark = "✗" if line.status == "failed" else "✓"
            return (
                Text(mark, style=style),
                title,
                Text(span(line.seconds or 0.0)),
                Text(line.status, style=style),
                seen,
            )
        if line.begun is None:
            return (
                Text(" "),
                Text(line.title, style="dim"),
                Text(""),
                Text(f"~{span(line.expect)}", style="dim"),
                Text(""),
            )
        elapsed = time.monotonic() - line.begun
        done, total = line.units or (0, 0)
        bar: RenderableType = ProgressBar(total=total, completed=done, width=24) if total else Text("")
        return (Text("▸"), title, Text(span(elapsed)), Text(f"of ~{span(line.expect)}"), bar)
