"""Type a command that may break, and then what its last line says, as somebody would who knows nothing else."""

from __future__ import annotations

import re
import shlex
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.signal_sweep import AGREED, last_line
from benchmarks.sweeping.typed import Typed
from runbooks.model.errors import Exit
from runbooks.steps.recovery.outage import FLAG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbooks.clients import twin

OUTAGE: Final = 60.0  # seconds until what is broken for good is mended: a recovery waits for longer than anybody here
LOOK: Final = 0.05  # seconds between looks at a command at work
PLAIN: Final = {"TERM": "dumb"}  # what is shown is shown once
AGAIN: Final = re.compile(r"to look again: (invoke .*)")


@dataclass
class Trial:
    """One run from command to command: how the last one ended, what it showed, and what was said so far."""

    first: list[str]
    words: list[str] = field(default_factory=list)
    code: int | None = None
    shown: str = ""
    said: list[str] = field(default_factory=list)
    environ: Mapping[str, str] = field(default_factory=dict)

    def type(self, words: list[str], control: twin.TwinControl | None = None) -> bool:
        """Type a command and wait for its end; with `control`, mend what is broken and tell whether it struck."""
        self.words, struck = words, False
        process, until = Typed(words, environ={**PLAIN, **self.environ}), time.monotonic() + OUTAGE
        if control is not None:
            while process.at_work and time.monotonic() < until:
                time.sleep(LOOK)
            struck = any(told.struck for told in control.struck())
            control.clear_faults()
        self.code, self.shown = process.end()
        self.said.append(f"invoke {shlex.join(words)}: exit {self.code}: {self.shown}")
        return struck

    def next(self) -> list[str]:
        """Return the words of the command that goes on, none when it is over.

        Where a proof failed, that is first the one that looks again; after a run was taken back, the first one anew.
        What was broken is mended: nobody needs the way around Cloudflare, which does other things.
        """
        if self.code == Exit.DONE:
            taken_back = self.words[0] == "runs.undo" != self.first[0]
            return self.first if taken_back else []
        again = AGAIN.search(self.shown)
        for line in (again[1] if again else "", last_line(self.shown)):
            words = shlex.split(line)[1:] if line.startswith("invoke ") else []
            words = self.first if FLAG in words else words
            words += [] if "--yes" in words or not words else AGREED
            if words and (words != self.words or line == last_line(self.shown)):
                return words
        return []
