"""Signals interrupt only where they may."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

import pytest

from runbooks.engine.signals import ASKING, AT_ONCE, WHEN_ASKED_TWICE, Stop, StopNow, leave


def send(number: signal.Signals) -> str:
    """Send a signal to ourselves and let it arrive."""
    os.kill(os.getpid(), number)
    return "went on"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_a_wait_for_nothing(number: signal.Signals) -> None:
    """Where no effect is in flight, the first signal ends the work at once."""
    with Stop() as stop, pytest.raises(StopNow, match=number.name):
        stop.during(AT_ONCE, partial(send, number))


def test_effect_in_flight_is_waited_for() -> None:
    """With an effect in flight the first signal is remembered, the second one ends the wait."""
    with Stop() as stop:
        assert stop.during(WHEN_ASKED_TWICE, partial(send, signal.SIGTERM)) == "went on"
        with pytest.raises(StopNow, match="SIGINT"):
            stop.during(WHEN_ASKED_TWICE, partial(send, signal.SIGINT))
        with pytest.raises(StopNow):
            stop.during(WHEN_ASKED_TWICE, lambda: pytest.fail("started"))


def test_signal_between_is_remembered() -> None:
    """Outside of any wait (the journal is being written) nothing is interrupted; the next check stops."""
    with Stop() as stop:
        stop.check()
        assert send(signal.SIGTERM) == "went on"
        with pytest.raises(StopNow, match="SIGTERM"):
            stop.check()
        with pytest.raises(StopNow):
            stop.during(AT_ONCE, lambda: pytest.fail("started"))


def test_handlers_come_back() -> None:
    """What handled the signals before handles them again afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with Stop():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_ignored_signal_stays_ignored() -> None:
    """Under nohup a closed terminal must not stop the run."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as stop:
            assert stop.during(AT_ONCE, partial(send, signal.SIGHUP)) == "went on"
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_other_threads_have_no_signals() -> None:
    """A thread that is not the main one cannot take signals, and runs all the same."""
    seen: list[str] = []

    def work() -> None:
        with Stop() as stop:
            seen.append(stop.during(AT_ONCE, lambda: "done"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["done"]


def test_a_wait_that_a_signal_did_not_interrupt_ends_all_the_same() -> None:
    """A signal that came right before the wait, or to another thread, is heard soon."""
    ours, theirs = os.pipe()

    def elsewhere() -> None:
        time.sleep(0.05)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    thread = threading.Thread(target=elsewhere)
    rescue = threading.Timer(5, os.write, (theirs, b"nobody heard it"))
    with Stop() as stop:
        thread.start()
        rescue.start()
        with pytest.raises(StopNow, match="SIGTERM"):
            stop.during(AT_ONCE, partial(os.read, ours, 100))
    assert rescue.is_alive()
    rescue.cancel()
    for each in (thread, rescue):
        each.join()
    os.close(ours)
    os.close(theirs)


def test_it_may_be_entered_again() -> None:
    """A command hears signals from its beginning, and its run within: one count, and handlers come back at the end."""
    before = signal.getsignal(signal.SIGTERM)
    told: list[str] = []
    with Stop(told.append) as stop:
        with stop:
            assert stop.during(WHEN_ASKED_TWICE, partial(send, signal.SIGTERM)) == "went on"
        assert signal.getsignal(signal.SIGTERM) != before
        with pytest.raises(StopNow):
            stop.check()
    assert signal.getsignal(signal.SIGTERM) == before
    assert told == ["SIGTERM: what is in flight is waited for; once more ends the waiting"]


def test_what_is_held_is_not_interrupted() -> None:
    """Once a run holds the signals back, the surrounding work is interrupted no more."""
    with Stop() as stop:

        def work() -> str:
            stop.hold()
            return send(signal.SIGTERM)

        assert stop.during(AT_ONCE, work) == "went on"
        assert stop.asked == "SIGTERM"


def test_what_was_held_is_interrupted_again() -> None:
    """Taken up again, the work is interrupted by the signal that came meanwhile, or by the next one."""
    with Stop() as stop:

        def work(*, meanwhile: bool) -> str:
            stop.hold()
            if meanwhile:
                send(signal.SIGTERM)
            stop.again(AT_ONCE)
            return send(signal.SIGINT)

        with pytest.raises(StopNow, match="SIGINT"):
            stop.during(AT_ONCE, partial(work, meanwhile=False))
    with Stop() as stop, pytest.raises(StopNow, match="SIGTERM"):
        stop.during(AT_ONCE, partial(work, meanwhile=True))


def test_after_leaving_no_signal_is_heard() -> None:
    """What a finished command exits with is not changed by a signal that comes at its very end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        with Stop() as stop:
            leave()
            stop.during(AT_ONCE, partial(signal.raise_signal, signal.SIGTERM))  # to this thread: a test has others
            assert signal.sigtimedwait(ASKING, 1) is not None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
