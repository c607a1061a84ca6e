"""Draw on a real terminal: colours, and steps that fill in where they stand. Loaded only where there is one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TextIO

from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runbooks.render.wording import amount, span

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from runbooks.render.terminal import Line, Parts

EFFECT_STYLE: Final = {"reads": "cyan", "changes": "yellow", "destroys": "bold red"}
STATUS_STYLE: Final = {
    "held": "green",
    "already so": "green",
    "undone": "yellow",
    "failed": "bold red",
    "paused": "bold yellow",
    "done": "bold green",
    "planned": "cyan",
    "unproven": "bold red",
    "taken back": "bold red",
}
MARK: Final = {"failed": "✗", "paused": "■"}
STYLES: Final = {**EFFECT_STYLE, **STATUS_STYLE}
"""Effects and statuses are styles by their own name; any other style is rich's."""


class Screen:
    """A terminal that can draw. `environ` decides colours (`NO_COLOR`, `TERM`)."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._console = Console(file=stream, _environ=environ, highlight=False)
        self._live: Live | None = None

    @property
    def is_live(self) -> bool:
        """Tell whether steps can be drawn in place."""
        return self._console.is_terminal

    def print(self, parts: Parts, end: str = "\n") -> None:
        """Print parts of one line, each in its style."""
        # Whole lines: the terminal itself breaks long ones, so that what is copied from it has no breaks inside.
        line = Text.assemble(*((text, STYLES.get(style, style)) for text, style in parts))
        self._console.print(line, soft_wrap=True, end=end)

    def draw(self, lines: Mapping[str, Line]) -> None:
        """Keep these steps on the screen from now on, as they are at any moment."""
        if self._live is None:
            self._live = Live(get_renderable=lambda: _grid(lines.values()), console=self._console, refresh_per_second=8)
            self._live.start()

    def end(self) -> None:
        """Stop drawing: what is printed from now on stands below the steps."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _grid(lines: Collection[Line]) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for line in lines:
        table.add_row(*_row(line))
    return table


def _row(line: Line) -> tuple[RenderableType, ...]:
    """Return mark, title, time, status or expected time, and what was seen or how far it is."""
    if line.status:
        style = STATUS_STYLE.get(line.status, "")
        seen = Text(line.seen, style="dim", overflow="ellipsis", no_wrap=True)
        title = Text(line.title, style=EFFECT_STYLE.get(line.effect, ""))
        mark = Text(MARK.get(line.status, "✓"), style=style)
        return mark, title, Text(span(line.seconds)), Text(line.status, style=style), seen
    expected = f"~{span(line.expect)}"
    if line.begun is None:
        return Text(" "), Text(line.title, style="dim"), Text(""), Text(expected, style="dim"), Text("")
    done, total = line.units or (0, 0)
    bar: RenderableType = Text("")
    if total:
        bar = Columns([ProgressBar(total=total, completed=done, width=24), Text(amount(done, total), style="dim")])
    title = Text(line.title, style=EFFECT_STYLE.get(line.effect, ""))
    return Text("▸"), title, Text(span(time.monotonic() - line.begun)), Text(f"of {expected}"), bar
