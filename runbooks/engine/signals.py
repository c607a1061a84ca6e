"""Stop a run when a signal asks for it: nothing new starts, what is in flight is waited for unless asked twice."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

ASKING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, the system's request to end, and a terminal that was closed."""

AT_ONCE: Final = 1
"""Nothing is in flight: the first signal ends the wait."""

WHEN_ASKED_TWICE: Final = 2
"""An effect is in flight: only the second signal ends the wait."""

NUDGE: Final = signal.SIGURG
"""Interrupts a wait and means nothing: no program of ours uses it."""

SOON: Final = 0.05
"""Seconds after which a signal must have been heard."""

Result = TypeVar("Result")


class StopNow(BaseException):
    """A signal asks the run to stop. No ordinary `except` may take it for a failure."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Stop:
    """Count the signals that ask to stop, while entered; raise `StopNow` only inside `during` and `check`.

    Outside of them (the journal is being written) a signal is remembered and nothing is interrupted. It may be entered
    again inside. A thread that is not the main one gets no signals, and a signal that was ignored before (nohup) stays
    ignored. `tell` is given a line for the operator when one has to wait; it is called in the middle of anything.
    """

    def __init__(self, tell: Callable[[str], None] = lambda _text: None) -> None:
        self._tell = tell
        self.asked = ""
        """Name of the last signal, or nothing."""
        self._count = 0
        self._limit: int | None = None
        self._entered = 0
        self._previous: dict[signal.Signals, Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._entered += 1
        if self._entered == 1 and threading.current_thread() is threading.main_thread():
            for number in ASKING:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._remember)
            self._open.callback(_insist())
        return self

    def __exit__(self, *_: object) -> None:
        self._entered -= 1
        if not self._entered:
            self._open.close()
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    def hold(self) -> None:
        """End the `during` that we are in before its work is over: from here on nothing is interrupted."""
        self._limit = None

    def again(self, limit: int) -> None:
        """Take up what `hold` ended: raise StopNow as soon as `limit` signals have come, now or later."""
        self._limit = limit
        if self._count >= limit:
            self._limit = None
            raise StopNow(self.asked)

    def check(self) -> None:
        """Raise StopNow if a signal has come."""
        if self._count:
            raise StopNow(self.asked)

    def during(self, limit: int, work: Callable[[], Result]) -> Result:
        """Do the work; raise StopNow in the middle of it as soon as `limit` signals have come."""
        self._limit = limit
        try:
            if self._count >= limit:
                raise StopNow(self.asked)
            return work()
        finally:
            self._limit = None

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.asked = signal.Signals(number).name
        self._count += 1
        if self._limit is not None and self._count >= self._limit:
            self._limit = None
            raise StopNow(self.asked)
        if self._limit is not None:
            self._tell(f"{self.asked}: what is in flight is waited for; once more ends the waiting")


def _insist() -> Callable[[], None]:
    """Make sure that a signal is heard soon, and return what ends that.

    A signal that comes right before the main thread begins to wait in the kernel is only looked at when that wait is
    over: minutes later, or when somebody types. So another thread, which is told of every signal, interrupts the wait.
    """
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False), signal.signal(NUDGE, lambda *_: None)
    main = threading.get_ident()

    def nudge() -> None:
        while number := os.read(ours, 1):
            if number[0] != NUDGE:
                time.sleep(SOON)
                signal.pthread_kill(main, NUDGE)

    def end() -> None:
        signal.set_wakeup_fd(before[0])
        os.close(theirs)
        thread.join()
        signal.signal(NUDGE, before[1])
        os.close(ours)

    thread = threading.Thread(target=nudge, daemon=True)
    thread.start()
    return end


def leave() -> None:
    """Let no signal change the exit code any more: what was to be done is done, and has been told."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
