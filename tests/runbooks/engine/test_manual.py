"""What people do by hand holds up a run until somebody said what shows that it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.engine.manual import Answers, Ask, with_manual
from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.folder import Folder
from runbooks.engine.runner import utc_now
from runbooks.engine.signals import StopNow
from runbooks.model.errors import Exit, Refused
from tests.runbooks.engine.toys import (
    AGREED,
    Fuse,
    FusedWorld,
    PowerCut,
    World,
    book,
    bury,
    cut_power,
    fused,
    marks,
    reading,
    runner,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runbooks.engine.step import Book
    from tests.runbooks.engine.toys import Facts

TELL = Ask("tell the customers", "number of the notice", last=False)
CALL = Ask("call a stable", "who said that it works", last=True)


def answers(home: Path, by: str = "lead") -> Answers:
    """Return who answers."""
    return Answers(Folder(home), by=by, clock=utc_now)


def asking(home: Path, inner: Book[Facts], *asks: Ask, ask: Callable[[str], str] | None = None) -> Book[Facts]:
    """Return the book with these manual steps."""
    return with_manual(inner, asks or (TELL, CALL), answers=answers(home), ask=ask, command="answer {run} TEXT")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give an ops home."""
    return tmp_path / "home"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world."""
    return World(tmp_path / "world")


def test_it_pauses_until_each_is_answered(home: Path, world: World) -> None:
    """Before the first effect and after the last step; the answers and who gave them are in the journal."""
    made = asking(home, marks(world, "a"))
    first = runner(home).run(made, arguments={}, consent=AGREED)
    assert (first.status, first.exit, world.effects()) == ("paused", Exit.PAUSED, [])
    assert first.text == (
        "tell the customers: nobody has answered yet: number of the notice; first: answer " + first.run + " TEXT"
    )
    assert [line.title for line in first.plan.steps] == [
        "by hand: tell the customers",
        "make a",
        "by hand: call a stable",
    ]
    assert answers(home).give(first.run, " 4711 ").text == "4711"
    second = runner(home).resume(first.run, book=made, consent=AGREED)
    assert (second.status, world.effects()) == ("paused", ["act a"])
    answers(home, "dba").give(first.run, "the red stable")
    third = runner(home).resume(first.run, book=made, consent=AGREED)
    assert (third.status, world.effects()) == ("done", ["act a"])
    told = [entry for entry in entries_of(Folder(home), first.run) if entry.kind is Kind.ANSWERED]
    said = [(entry.payload["answer"]["by"], entry.payload["answer"]["text"]) for entry in told]
    assert said == [("lead", "4711"), ("dba", "the red stable")]


def test_who_sits_there_is_asked(home: Path, world: World) -> None:
    """At a terminal the question is put; an empty line pauses, a word goes on."""
    said = ["", "4711", "all"]
    questions: list[str] = []

    def ask(text: str) -> str:
        questions.append(text)
        return said.pop(0)

    made = asking(home, marks(world, "a"), ask=ask)
    first = runner(home).run(made, arguments={}, consent=AGREED)
    assert first.status == "paused"
    assert runner(home).resume(first.run, book=made, consent=AGREED).status == "done"
    assert questions == ["tell the customers. number of the notice: "] * 2 + ["call a stable. who said that it works: "]


@pytest.mark.parametrize("at", range(1, 40))
def test_killed_at_every_moment_it_asks_no_answer_twice(home: Path, tmp_path: Path, at: int) -> None:
    """A process that dies around a question leaves the answer: the run that goes on takes it up."""
    fuse = Fuse(cut_power, at)
    world = FusedWorld(tmp_path / "world", fuse=fuse)
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return "yes"

    made = asking(home, marks(world, "a"), ask=ask)
    try:
        fused(home, fuse).run(made, arguments={}, consent=AGREED)
    except PowerCut:
        bury(home)
        begun = [run.run for run in runner(home).runs() if run.status != "not begun"]
        if begun:
            assert runner(home).resume(begun[0], book=made, consent=AGREED).status == "done"
        else:
            assert runner(home).run(made, arguments={}, consent=AGREED).status == "done"
    assert world.effects() == ["act a"]
    assert len(asked) == 2


def test_a_signal_while_it_waits_pauses(home: Path, world: World) -> None:
    """Ctrl-C at the question: nothing was done, and the run can go on."""

    def ask(_text: str) -> str:
        raise StopNow("SIGINT")  # noqa: EM101 - what the engine raises here

    made = asking(home, marks(world, "a"), ask=ask)
    first = runner(home).run(made, arguments={}, consent=AGREED)
    assert (first.status, world.effects()) == ("paused", [])
    answers(home).give(first.run, "4711")
    again = asking(home, marks(world, "a"))
    assert runner(home).resume(first.run, book=again, consent=AGREED).status == "paused"
    assert world.effects() == ["act a"]


def test_an_answer_is_given_once_and_says_something(home: Path, world: World) -> None:
    """Neither nothing, nor a second one, nor one that nobody asked for."""
    run = runner(home).run(asking(home, marks(world, "a")), arguments={}, consent=AGREED).run
    with pytest.raises(Refused, match=f"run {run}: expected an answer, got none"):
        answers(home).give(run, " ")
    answers(home).give(run, "4711")
    with pytest.raises(Refused, match=f"run {run} is answered already: .*4711"):
        answers(home).give(run, "4712")
    done = runner(home).run(marks(world, "b"), arguments={}, consent=AGREED).run
    for other in (done, "none"):
        with pytest.raises(Refused, match=f"run {other} asks nothing at present"):
            answers(home).give(other, "x")


def test_an_answer_to_another_question_does_not_count(home: Path, world: World) -> None:
    """The plan asks something else since: that is asked."""
    run = runner(home).run(asking(home, marks(world, "a")), arguments={}, consent=AGREED).run
    answers(home).give(run, "4711")
    other = asking(home, marks(world, "a"), Ask("tell the press", "which paper", last=False))
    outcome = runner(home).resume(run, book=other, consent=AGREED, replan=True)
    assert (outcome.status, world.effects()) == ("paused", [])


def test_a_book_that_only_reads_asks_nothing(home: Path) -> None:
    """Nothing is changed, so nothing is done by hand for it."""
    made = asking(home, book(reading("look")))
    assert runner(home).run(made, arguments={}, consent=AGREED).status == "done"


def test_what_is_no_answer_is_refused(home: Path, world: World) -> None:
    """A file that the command could not have written stops the run with a clear text."""
    made = asking(home, marks(world, "a"))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    Folder(home).put_new(f"runs/{run}/answers/manual-1-tell-the-customers.json", b"{}")
    outcome = runner(home).resume(run, book=made, consent=AGREED)
    assert (outcome.status, world.effects()) == ("failed", [])
    assert "manual-1-tell-the-customers.json: not an answer: " in outcome.text
