"""A disk that fills up, a home that goes away, clocks that lie: no effect without its intent on disk, none twice."""

from __future__ import annotations

import resource
import shutil
import signal
from contextlib import contextmanager
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.outcome import Consent
from runbooks.engine.record.entry import entries_of
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.record.verdict import verify_run
from runbooks.engine.runner import utc_now
from runbooks.model.errors import Exit, HeldByOther, OpsError
from tests.runbooks.engine.toys import AGREED, PowerCut, World, book, bury, marks, runner, step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from runbooks.engine.runner import Runner
    from runbooks.engine.step import Json, Sight

TAKE_OVER = Consent(yes=True, reason="mine", take_over=True)
ENTRIES = 9
"""Opened, lease, three for each of two steps, closed."""


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process become larger."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, previous)


def ends(tmp_path: Path) -> list[int]:
    """Return where each entry of the book's journal ends, in bytes."""
    home = Folder(tmp_path / "measured")
    run = runner(home.root).run(marks(World(tmp_path / "there"), "a", "b"), arguments={}, consent=AGREED).run
    return list(accumulate(len(line) for line in home.read_log(journal_of(run)).splitlines(keepends=True)))


@pytest.mark.parametrize("room", [-40, -150])
@pytest.mark.parametrize("entry", range(ENTRIES))
def test_a_disk_that_is_full_at_each_entry(tmp_path: Path, entry: int, room: int) -> None:
    """What does not fit whole is not written at all: no effect without its intent, then the rest, once."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    sizes = ends(tmp_path)
    assert len(sizes) == ENTRIES
    made = marks(world, "a", "b")
    try:
        with files_of_at_most(sizes[entry] + room):
            runner(home).run(made, arguments={}, consent=AGREED)
    except OpsError as error:
        assert "nothing was done" in str(error)  # noqa: PT017 - refused before it began, or paused
        assert world.effects() == []
    told = [one for run in Folder(home).names(RUNS) for one in entries_of(Folder(home), run)]
    intents = [one.step for one in told if one.kind == "step started"]
    assert [f"act {name}" for name in intents][: len(world.effects())] == world.effects()
    begun = [run for run in runner(home).runs() if run.status != "not begun"]
    if begun:
        outcome = runner(home).resume(begun[0].run, book=made, consent=AGREED)
    else:
        outcome = runner(home).run(made, arguments={}, consent=AGREED)
    assert (outcome.status, world.effects()) == ("done", ["act a", "act b"])
    assert verify_run(Folder(home), outcome.run).complete


def test_a_home_that_is_deleted_stops_the_run(tmp_path: Path) -> None:
    """The next intent has nowhere to go: nothing more is started, and that is said."""
    home, world = tmp_path / "home", World(tmp_path / "world")

    def act(sight: Sight) -> Json:
        shutil.rmtree(home)
        return world.act("a", sight)

    outcome = runner(home).run(book(step("a", world, act=act), step("b", world)), arguments={}, consent=AGREED)
    assert (outcome.status, world.effects()) == ("paused", ["act a"])
    assert outcome.exit in (Exit.PAUSED, Exit.HELD)


def test_a_clock_that_is_set_back_changes_nothing(tmp_path: Path) -> None:
    """An hour back in the middle of a run: entries keep their order, the run its lease, and the next run goes."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    back = [timedelta()]

    def clock() -> datetime:
        return utc_now() - back[0]

    def act(sight: Sight) -> Json:
        back[0] = timedelta(hours=1)
        return world.act("a", sight)

    made = book(step("a", world, act=act), step("b", world, deadline=300.0))
    outcome = runner(home, clock=clock).run(made, arguments={}, consent=AGREED)
    assert (outcome.status, world.effects()) == ("done", ["act a", "act b"])
    assert verify_run(Folder(home), outcome.run).complete
    assert runner(home, clock=clock).run(marks(world, "c"), arguments={}, consent=AGREED).status == "done"


def test_a_run_that_died_before_the_clock_was_set_back_goes_on(tmp_path: Path) -> None:
    """Its lease ends an hour later than now: its own process is over, so it goes on all the same."""
    home, world = tmp_path / "home", World(tmp_path / "world")

    def act(sight: Sight) -> Json:
        world.act("a", sight)
        raise PowerCut

    with pytest.raises(PowerCut):
        runner(home).run(book(step("a", world, act=act), step("b", world)), arguments={}, consent=AGREED)
    bury(home)
    (run,) = Folder(home).names(RUNS)
    late = runner(home, clock=lambda: utc_now() - timedelta(hours=1))
    assert late.resume(run, book=marks(world, "a", "b"), consent=AGREED).status == "done"
    assert world.effects() == ["act a", "act b"]


def test_two_clocks_that_differ_run_one_at_a_time(tmp_path: Path) -> None:
    """An operator whose clock is an hour behind or ahead is held; who takes over by consent stops the first one."""
    home, world = tmp_path / "home", World(tmp_path / "world")

    def operator(hours: int) -> Runner:
        return runner(home, actor="dba", clock=lambda: utc_now() + timedelta(hours=hours))

    def act(sight: Sight) -> Json:
        for hours in (-1, 1):
            with pytest.raises(HeldByOther):
                operator(hours).run(marks(world, "x"), arguments={}, consent=AGREED)
        with pytest.raises(HeldByOther):
            operator(-1).run(marks(world, "x"), arguments={}, consent=TAKE_OVER)
        assert operator(1).run(marks(world, "x"), arguments={}, consent=TAKE_OVER).status == "done"
        return world.act("a", sight)

    outcome = runner(home).run(book(step("a", world, act=act), step("b", world)), arguments={}, consent=AGREED)
    assert (outcome.exit, world.effects()) == (Exit.HELD, ["act x", "act a"])
    assert runner(home).resume(outcome.run, book=marks(world, "a", "b"), consent=AGREED).status == "done"
    assert world.effects() == ["act x", "act a", "act b"]
