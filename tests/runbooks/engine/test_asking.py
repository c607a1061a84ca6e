"""A run that asks for approval goes on only once somebody else approved this very plan, and not for long."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.asking import Approval, approve, approved
from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.folder import Folder
from runbooks.engine.runner import utc_now
from runbooks.model.canonical import canonical, plain
from runbooks.model.errors import ActRefused, Exit, Refused
from tests.runbooks.engine.toys import AGREED, STACK, World, book, marks, reading, runner, step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runbooks.engine.outcome import Outcome
    from runbooks.engine.step import Book
    from tests.runbooks.engine.toys import Facts

LATER = timedelta(minutes=31)


def asking(
    home: Path, inner: Book[Facts], *, clock: Callable[[], datetime] = utc_now, wait: bool = False, seconds: float = 2.0
) -> Book[Facts]:
    """Return the book with an approval before its first effect."""
    command = "approve {run} --as NAME"
    return approved(inner, home=Folder(home), clock=clock, seconds=seconds, wait=wait, command=command)


def paused(home: Path, world: World) -> Outcome:
    """Run two marks until the run waits for its approval."""
    return runner(home).run(asking(home, marks(world, "a", "b")), arguments={}, consent=AGREED)


def give(home: Path, run: str, *, by: str = "lead", now: datetime | None = None) -> Approval:
    """Approve for half an hour."""
    return approve(Folder(home), run, by=by, account="someone", now=now or utc_now(), seconds=1800)


def kinds(home: Path, run: str) -> list[Kind]:
    """Return what the journal says of the approval."""
    return [entry.kind for entry in entries_of(Folder(home), run) if entry.step == "approval"]


def test_it_pauses_before_the_first_effect_and_goes_on_once_approved(tmp_path: Path) -> None:
    """Nobody at the terminal: paused with exit 3 and both commands; approved, it goes on and asks nothing again."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    first = paused(home, world)
    assert (first.status, first.exit, world.effects()) == ("paused", Exit.PAUSED, [])
    assert first.text == (
        f"nobody has approved the plan yet: somebody else than who runs it must; first: approve {first.run} --as NAME"
    )
    assert first.next_command == f"invoke runs.resume --run {first.run} --stack {STACK}"
    assert runner(home).runs()[0].text == first.text

    given = give(home, first.run)
    assert given.digest == first.plan.digest
    done = runner(home).resume(first.run, book=asking(home, marks(world, "a", "b")), consent=AGREED)
    assert (done.status, world.effects()) == ("done", ["act a", "act b"])
    assert done.results["approval"] == {"name": "approval-001.json", **plain(given)}  # type: ignore[dict-item] # an object
    asked = [Kind.STEP_STARTED, Kind.ASKED, Kind.FAILED]
    assert kinds(home, first.run) == [*asked, *asked[:2], Kind.ANSWERED, Kind.OBSERVED, Kind.HELD]


def test_a_run_that_was_answered_does_not_ask_again(tmp_path: Path) -> None:
    """A later step fails; the resumed run goes on without another approval."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    ready: list[bool] = []

    def act(_sight: object) -> None:
        if not ready:
            raise Refused("not yet")  # noqa: EM101, TRY003 - a test

    inner = book(step("a", world), reading("look", act))
    run = runner(home).run(asking(home, inner), arguments={}, consent=AGREED).run
    give(home, run)
    assert runner(home).resume(run, book=asking(home, inner), consent=AGREED).status == "failed"
    ready.append(True)
    late = asking(home, inner, clock=lambda: utc_now() + LATER)
    assert runner(home).resume(run, book=late, consent=AGREED).status == "done"
    assert kinds(home, run).count(Kind.ANSWERED) == 1
    assert world.effects() == ["act a"]


@pytest.mark.parametrize("name", ["on-call", "On-Call ", "", " "])
def test_an_operator_of_the_run_cannot_approve_it(tmp_path: Path, name: str) -> None:
    """Neither who runs it nor nobody approves."""
    home = tmp_path / "home"
    run = paused(home, World(tmp_path / "world")).run
    with pytest.raises(Refused, match=rf"expected the name of somebody else than on-call, got “{name}”$"):
        give(home, run, by=name)


def test_who_approved_cannot_go_on_with_it_themselves(tmp_path: Path) -> None:
    """The approver takes the run over: their own approval no longer counts."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    run = paused(home, world).run
    give(home, run)
    again = runner(home, actor="lead").resume(run, book=asking(home, marks(world, "a", "b")), consent=AGREED)
    assert (again.status, world.effects()) == ("paused", [])


def test_an_approval_expires_and_can_be_given_anew(tmp_path: Path) -> None:
    """After half an hour it counts no more; until then there is only one."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    run = paused(home, world).run
    give(home, run)
    with pytest.raises(Refused, match=rf"^run {run} is approved already, by lead until "):
        give(home, run, by="other")
    late = asking(home, marks(world, "a", "b"), clock=lambda: utc_now() + LATER)
    assert runner(home).resume(run, book=late, consent=AGREED).status == "paused"
    give(home, run, by="other", now=utc_now() + LATER)
    done = runner(home).resume(run, book=late, consent=AGREED)
    assert (done.status, done.results["approval"]["by"]) == ("done", "other")  # type: ignore[index, call-overload] # an object


def test_an_approval_of_another_plan_does_not_count(tmp_path: Path) -> None:
    """The run agreed to another plan since: it needs a new approval."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    run = paused(home, world).run
    give(home, run)
    other = asking(home, marks(world, "a", "c"))
    assert runner(home).resume(run, book=other, consent=AGREED, replan=True).status == "paused"
    give(home, run)
    assert runner(home).resume(run, book=other, consent=AGREED).status == "done"
    assert world.effects() == ["act a", "act c"]


def test_an_approval_that_was_used_cannot_be_used_twice(tmp_path: Path) -> None:
    """The plan changes and changes back: the approval that was taken up for it counts no more."""
    home, world = tmp_path / "home", World(tmp_path / "world")

    def act(_sight: object) -> None:
        raise ActRefused("not now")  # noqa: EM101, TRY003 - a test

    def inner(mark: str) -> Book[Facts]:
        return asking(home, book(reading("look"), step(mark, world, act=act)))

    run = runner(home).run(inner("a"), arguments={}, consent=AGREED).run
    give(home, run)
    ends = [runner(home).resume(run, book=inner(mark), consent=AGREED, replan=True).text for mark in ("a", "b", "a")]
    assert ["not now" in ends[0], *("nobody has approved" in end for end in ends[1:])] == [True, True, True]


def test_it_waits_at_a_terminal_until_somebody_approves(tmp_path: Path) -> None:
    """An operator who waits sees the run go on by itself."""
    home, world = tmp_path / "home", World(tmp_path / "world")

    def somebody() -> None:
        while not (found := Folder(home).names("runs")) or Kind.ASKED not in kinds(home, found[0]):
            time.sleep(0.02)
        give(home, found[0])

    other = threading.Thread(target=somebody)
    other.start()
    waiting = asking(home, marks(world, "a"), wait=True, seconds=10.0)
    done = runner(home).run(waiting, arguments={}, consent=AGREED)
    other.join()
    assert (done.status, world.effects()) == ("done", ["act a"])


def test_waiting_at_a_terminal_ends(tmp_path: Path) -> None:
    """The request expires: the run pauses."""
    home, world = tmp_path / "home", World(tmp_path / "world")
    waiting = asking(home, marks(world, "a"), wait=True, seconds=0.0)
    assert runner(home).run(waiting, arguments={}, consent=AGREED).status == "paused"


def test_only_a_book_with_effects_asks(tmp_path: Path) -> None:
    """A book that only reads needs nobody; its run cannot be approved, nor one that does not exist."""
    home = tmp_path / "home"
    done = runner(home).run(asking(home, book(reading("look"))), arguments={}, consent=AGREED)
    assert done.status == "done"
    for run in (done.run, "nothing"):
        with pytest.raises(Refused, match=rf"^run {run} asks for no approval$"):
            give(home, run)


def test_what_is_no_approval_is_refused(tmp_path: Path) -> None:
    """A file that nobody could have written by the command stops the run with a clear text."""
    home = tmp_path / "home"
    run = paused(home, World(tmp_path / "world")).run
    Folder(home).put_new(f"runs/{run}/answers/approval-001.json", canonical({"by": "lead"}))
    with pytest.raises(Refused, match="answers: not an approval: "):
        give(home, run)


def test_two_approve_at_once(tmp_path: Path) -> None:
    """Of two approvals at the same moment one is written."""

    class Blind(Folder):
        def names(self, _folder: str) -> list[str]:
            return []

    home = tmp_path / "home"
    run = paused(home, World(tmp_path / "world")).run
    give(home, run)
    with pytest.raises(Refused, match=rf"^run {run} is being approved by somebody else at this moment$"):
        approve(Blind(home), run, by="other", account="x", now=datetime.now(UTC), seconds=60)
