"""The edge of the program: what every command shares, from the flags to the exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.exceptions import Exit as Leave

from runbooks.commands.frame.streams import outlast, tell_lost
from runbooks.engine.signals import AT_ONCE, Stop, StopNow, leave

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit

ROOT = Path(__file__).resolve().parents[3]

READING = {
    "stack": "Whose stack file to use: a name (prod, twin) or a file's path.",
    "json": "Print one JSON document on standard output, everything else on standard error.",
}
"""Help of the flags that every command takes."""

WRITING = {
    **READING,
    "dry_run": "Print the plan and stop: nothing is changed.",
    "yes": "Don't ask. Needs --reason.",
    "reason": "Why it is done: kept in the journal.",
    "take_over": "Take the lease of an operator whose run is dead. Needs --reason.",
}
"""Help of the flags that every command that changes something takes."""


@dataclass(frozen=True)
class Flags:
    """What the operator typed after any command."""

    stack: str = "prod"
    json: bool = False
    dry_run: bool = False
    yes: bool = False
    reason: str = ""
    take_over: bool = False


def play(book: str, arguments: dict[str, object], flags: Flags) -> None:
    """Run one book with these arguments, then leave with its exit code."""
    perform(flags, lambda console: console.play(book, arguments))


def perform(flags: Flags, work: Callable[[Console], Exit]) -> None:
    """Do the work of a command and leave with its exit code; whatever goes wrong becomes one clear message."""
    outlast()
    with Stop(_aside) as stop:
        code = _performed(flags, work, stop)
        leave()
    raise Leave(code=code)


def _performed(flags: Flags, work: Callable[[Console], Exit], stop: Stop) -> Exit:
    from runbooks.commands.frame.console import Console  # httpx, msgspec and rich wait until here
    from runbooks.commands.frame.speaking import report

    console: Console | None = None
    try:
        console = Console(flags, root=ROOT, environ=os.environ, stop=stop)
        return _printed(stop.during(AT_ONCE, partial(work, console)), console)
    except (Exception, StopNow) as error:  # noqa: BLE001 - the edge: nobody is above to turn it into a message
        return report(error, console, as_json=flags.json)
    finally:
        if console is not None:
            console.close()


def _printed(code: Exit, console: Console) -> Exit:
    """Return the exit code: what could not be printed, of a command that did nothing else, is a failure."""
    return type(code)["FAILED"] if tell_lost(sys.stdout) and not (code or console.acted) else code


def _aside(text: str) -> None:
    """Print a line from inside a signal handler: whatever is being printed must not be entered again."""
    with contextlib.suppress(OSError):  # the terminal may be what has ended
        os.write(sys.stderr.fileno(), f"\r\n{text}\r\n".encode())
