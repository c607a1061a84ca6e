"""A command typed at a terminal of its own: a whole `invoke` process, which starts in milliseconds."""

from __future__ import annotations

import os
import pty
import re
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

from runbooks.commands.frame import ROOT

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence

FORKS: Final = get_context("forkserver")
FORKS.set_forkserver_preload(["benchmarks.sweeping.operator", "benchmarks.sweeping.typed", "invoke.main", "rich.live"])
LONGEST: Final = 120.0  # seconds that one command may take
CODES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Typed:
    """A command at work on a pseudo-terminal. `words` stand after `invoke`; `environ` is added to the environment."""

    def __init__(self, words: Sequence[str], *, environ: Mapping[str, str] | None = None) -> None:
        self._ours, theirs = pty.openpty()
        self._read: list[bytes] = []
        self._listening = threading.Thread(target=self._listen, args=(self._ours,), daemon=True)
        self._listening.start()
        self._process = FORKS.Process(target=_type, args=(list(words), os.ttyname(theirs), dict(environ or {})))
        self._process.start()
        self.pid = self._process.pid or 0
        self._theirs = theirs

    @property
    def at_work(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.is_alive()

    @property
    def shown(self) -> str:
        """Return what the terminal showed so far, without its control codes."""
        return CODES.sub("", b"".join(self._read).decode("utf-8", "replace"))

    def send(self, *signals: signal.Signals) -> float:
        """Send signals to the process alone; return when, in seconds since the epoch."""
        for number in signals:
            os.kill(self.pid, number)
        return time.time()

    def hang_up(self) -> None:
        """Close the terminal window: whatever is written to it fails from now on."""
        os.close(self._theirs)
        self._theirs = -1
        self._listening.join(0)
        os.close(self._ours)
        self._ours = -1

    def end(self) -> tuple[int | None, str]:
        """Wait for its end; return its exit code (None: none in time, it was killed) and all that was shown."""
        self._process.join(LONGEST)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        for number in (self._theirs, self._ours):
            if number == self._ours and number >= 0:
                self._listening.join(5)
            if number >= 0:
                os.close(number)
        return code, self.shown

    def _listen(self, terminal: int) -> None:
        with suppress(OSError):  # the last one who had it open has closed it
            while chunk := os.read(terminal, 65536):
                self._read.append(chunk)


def _type(words: list[str], terminal: str, environ: dict[str, str]) -> None:
    """Be the process: lead a session of one's own, whose terminal this is."""
    os.setsid()
    number = os.open(terminal, os.O_RDWR)
    for standard in range(3):
        os.dup2(number, standard)
    os.close(number)
    os.chdir(ROOT)
    os.environ.update(environ)
    from invoke.main import program  # noqa: PLC0415 - the tests that type nothing need none of it

    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lasts as long as the process
    sys.argv = ["invoke", *words]
    program.run(sys.argv)
