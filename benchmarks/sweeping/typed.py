"""A command typed at a terminal of its own: a whole `invoke` process, which starts in milliseconds."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import tempfile
import threading
import time
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

from runbooks.commands.frame import ROOT

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence

FORKS: Final = get_context("forkserver")
FORKS.set_forkserver_preload(["benchmarks.sweeping.operator", "benchmarks.sweeping.typed", "invoke.main", "rich.live"])
LONGEST: Final = 120.0  # seconds that one command may take
LOOK: Final = 0.01  # seconds between looks at the terminal
CODES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Typed:
    """A command at work on a pseudo-terminal. `words` stand after `invoke`; `environ` is added to the environment."""

    def __init__(self, words: Sequence[str], *, environ: Mapping[str, str] | None = None) -> None:
        self._ours, self._theirs = pty.openpty()
        self._read: list[bytes] = []
        self._over = threading.Event()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self._process = FORKS.Process(target=_type, args=(list(words), os.ttyname(self._theirs), dict(environ or {})))
        self._process.start()
        self.pid = self._process.pid or 0

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
        """Close the terminal's window: its processes get SIGHUP, and what is written to it from now on fails."""
        if not self._over.is_set():
            self._over.set()
            self._listening.join()
            os.close(self._theirs)
            os.close(self._ours)

    def end(self) -> tuple[int | None, str]:
        """Wait for its end; return its exit code (None: none in time, so it was killed) and all that was shown."""
        self._process.join(LONGEST)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        self.hang_up()
        return code, self.shown

    def _listen(self) -> None:
        over = False
        while not over:
            over = self._over.is_set()  # one more look after the end: nothing that was shown is lost
            while select.select([self._ours], [], [], 0 if over else LOOK)[0]:
                self._read.append(os.read(self._ours, 65536))


def _type(words: list[str], terminal: str, environ: dict[str, str]) -> None:
    """Be the process: lead a session of one's own, whose terminal this is."""
    os.setsid()
    number = os.open(terminal, os.O_RDWR)
    for standard in range(3):
        os.dup2(number, standard)
    os.close(number)
    os.chdir(ROOT)
    os.environ.update(environ)
    tempfile.tempdir = os.environ.get("TMPDIR")  # which the process that this one was forked from may know otherwise
    from invoke.main import program  # noqa: PLC0415 - the tests that type nothing need none of it

    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it lasts as long as the process
    sys.argv = ["invoke", *words]
    program.run(sys.argv)
