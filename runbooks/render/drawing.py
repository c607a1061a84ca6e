"""Place the steps of a run on a line of time, ready to be drawn as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import shorten
from typing import TYPE_CHECKING, Final

from runbooks.render.wording import moment, span

if TYPE_CHECKING:
    from runbooks.render.story import Story

WIDTH: Final = 480  # units; a phone shows them at about three quarters of their size
ROW: Final = 34  # units: a line of text and a bar
TOP: Final = 30
LETTERS: Final = 66  # as many of them as fit above a bar
CLOSE: Final = 45.0  # units: words of marks that are nearer stand one above the other
FIRST: Final = 11.0
SECOND: Final = 22.0
THINNEST: Final = 2.0  # units: a step of a millisecond is still seen


@dataclass(frozen=True)
class Bar:
    """One step: place and length in units."""

    x: float
    y: float
    width: float
    words: str
    status: str


@dataclass(frozen=True)
class Mark:
    """One instant: a vertical line, its words at `y`."""

    x: float
    y: float
    words: str


@dataclass(frozen=True)
class Drawing:
    """All that is drawn, in units."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]
    seconds: float


def draw(story: Story) -> Drawing:
    """Return bars for the steps and marks for fault, detection and recovery, from the first to the last of them."""
    evidence = story.evidence
    instants = (
        {"fault": evidence.fault_at, "seen": evidence.detected_at, "served": evidence.recovered_at} if evidence else {}
    )
    marks = {words: (moment(at) - story.started).total_seconds() for words, at in instants.items() if at}
    first = min([0.0, *marks.values()])
    last = max([story.seconds, *marks.values(), *(step.begun + step.seconds for step in story.steps)])
    scale = WIDTH / max(last - first, 0.001)
    bars = tuple(
        Bar(
            x=round((step.begun - first) * scale, 1),
            y=TOP + number * ROW,
            width=round(max(step.seconds * scale, THINNEST), 1),
            words=f"{shorten(step.title, LETTERS, placeholder='…')} · {span(step.seconds)}",
            status=step.status.replace(" ", "-"),
        )
        for number, step in enumerate(story.steps)
    )
    lines: list[Mark] = []
    for words, at in marks.items():
        x = round((at - first) * scale, 1)
        under = bool(lines) and x - lines[-1].x < CLOSE and lines[-1].y == FIRST
        lines.append(Mark(x, SECOND if under else FIRST, words))
    return Drawing(WIDTH, TOP + ROW * len(bars) + 6, bars, tuple(lines), last - first)
