"""Going on with a run, and taking it back."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.engine.lease import current, lease_name
from runbooks.engine.record.entry import Kind, read
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.runner import Consent, Outcome, Status
from runbooks.engine.step import Book, Effect, Held, No, NoUndo, Settling, Sight, Step, Yes
from runbooks.model.errors import ActRefused, AnswerLost, Exit, HeldByOther, Refused
from tests.runbooks.engine.toys import AGREED, Facts, Watcher, World, book, marks, reading, runner, step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runbooks.engine.step import Book, Held, Json, Step


class PowerCut(BaseException):
    """What nothing in the engine catches."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world in which nothing is so yet."""
    return World(tmp_path / "world")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the place of an ops home."""
    return tmp_path / "home"


def bury(home: Path) -> None:
    """Make the present holder's process one that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    holder = current(Folder(home), "toy")
    assert holder is not None
    dead = msgspec.structs.replace(holder, pid=process.pid)
    Folder(home).replace(lease_name("toy", holder.fence), msgspec.json.encode(dead))


def cut(home: Path, made: Book[Facts]) -> str:
    """Run until the power is cut; return the run's id."""
    with pytest.raises(PowerCut):
        runner(home).run(made, arguments={"to": "x"}, consent=AGREED)
    bury(home)
    return Folder(home).names(RUNS)[-1]


def cutting(world: World, name: str, *, applied: bool) -> Step:
    """Return a step in whose act the power is cut, the first time."""
    done: list[bool] = []

    def act(sight: Sight) -> Json:
        first = not done
        done.append(True)
        if applied or not first:
            world.act(name, sight)
        if first:
            raise PowerCut
        return {"made": name}

    return step(name, world, act=act)


def refusing(world: World, name: str, *, times: int = 1) -> Step:
    """Return a step whose act is refused so many times."""
    left = [True] * times

    def act(sight: Sight) -> Json:
        if left:
            left.pop()
            message = "not allowed"
            raise ActRefused(message)
        return world.act(name, sight)

    return step(name, world, act=act)


def kinds(home: Path, run: str) -> list[str]:
    """Return what the journal says, entry by entry."""
    entries = read(home / "runs" / run)
    return [f"{entry.kind} {entry.step}" if entry.step else str(entry.kind) for entry in entries]


@pytest.mark.parametrize("applied", [True, False])
def test_an_open_act_is_looked_for(home: Path, world: World, applied: bool) -> None:  # noqa: FBT001 - a parameter
    """After a crash in an act, going on finds out whether it took effect, and each effect happens once."""
    made = book(step("a", world), cutting(world, "b", applied=applied), step("c", world))
    run = cut(home, made)
    listed = runner(home).runs()[-1]
    assert (listed.status, listed.open_step, listed.steps_done, listed.unfinished) == ("unfinished", "b", 1, True)
    watcher = Watcher()
    outcome = runner(home, show=watcher).resume(run, book=made, consent=AGREED)
    assert (outcome.status, outcome.run) == (Status.DONE, run)
    assert world.effects() == ["act a", "act b", "act c"]
    assert list(outcome.results) == ["a", "b", "c"]
    assert "note: 1 of 3 steps are finished" in watcher.lines
    assert watcher.lines[2] == "2/3 make b"
    lease = [entry.payload for entry in read(home / "runs" / run) if entry.kind is Kind.LEASE_TAKEN]
    assert [(taken["purpose"], taken["fence"]) for taken in lease] == [("run", 1), ("resume", 2)]
    assert lease[1]["took_over"]["run"] == run


def test_holds_sees_the_request_of_the_open_act(home: Path, world: World) -> None:
    """The id that the act carried, and what was so before it, help to find it again."""
    seen: list[tuple[str, object]] = []

    def holds(sight: Sight) -> Held:
        seen.append((sight.request, sight.before))
        return world.holds("a", sight)

    made = book(step("a", world, holds=holds, act=cutting(world, "a", applied=True).act))
    run = cut(home, made)
    runner(home).resume(run, book=made, consent=AGREED)
    started = next(entry.payload for entry in read(home / "runs" / run) if entry.kind is Kind.STEP_STARTED)
    assert seen == [("", {}), (started["request"], {"mark": None})]


def test_results_are_read_from_the_journal(home: Path, world: World) -> None:
    """Later steps see what finished steps observed, without these being run again."""
    seen: list[object] = []

    def act(sight: Sight) -> Json:
        seen.append(sight.results["look"])
        return world.act("b", sight)

    looked: list[bool] = []

    def look(_sight: Sight) -> Json:
        looked.append(True)
        return {"id": "x"}

    made = book(reading("look", act=look), refusing(world, "a"), step("b", world, act=act))
    failed = runner(home).run(made, arguments={}, consent=AGREED)
    assert failed.status is Status.FAILED
    outcome = runner(home).resume(failed.run, book=made, consent=AGREED)
    assert (outcome.status, seen, looked) == (Status.DONE, [{"id": "x"}], [True])


def test_a_refused_act_is_not_open(home: Path, world: World) -> None:
    """An act that is known not to have happened is simply done."""
    made = book(refusing(world, "a"))
    failed = runner(home).run(made, arguments={}, consent=AGREED)
    assert runner(home).resume(failed.run, book=made, consent=AGREED).status is Status.DONE
    assert world.effects() == ["act a"]


def test_what_no_longer_holds_is_said(home: Path, world: World) -> None:
    """Finished steps are looked at again before it is asked; what changed is shown, journalled, and left alone."""
    made = book(reading("x"), step("a", world), step("same", world), refusing(world, "b"))
    failed = runner(home).run(made, arguments={}, consent=AGREED)
    (world.folder / "there" / "a").unlink()
    watcher = Watcher()
    assert runner(home, show=watcher).resume(failed.run, book=made, consent=AGREED).status is Status.DONE
    text = "“make a” was finished and is no longer so: a is not there (a later step may have changed it)"
    assert f"note: {text}" in watcher.lines
    assert [e.payload for e in read(home / "runs" / failed.run) if e.kind is Kind.NOTED] == [{"text": text}]
    assert world.effects() == ["act a", "act same", "act b"]


def test_going_on_needs_consent(home: Path, world: World) -> None:
    """Nothing resumes by itself: without consent it is refused, and a dry run shows what would be done."""
    made = book(refusing(world, "a"))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    before = Folder(home).read_log(journal_of(run))
    with pytest.raises(Refused, match="nobody can be asked here"):
        runner(home).resume(run, book=made, consent=Consent())
    outcome = runner(home).resume(run, book=made, consent=Consent(dry_run=True))
    assert (outcome.status, outcome.run) == (Status.PLANNED, run)
    assert Folder(home).read_log(journal_of(run)) == before


def test_what_is_over_is_not_gone_on_with(home: Path, world: World) -> None:
    """A run that is done, one that is not there, and one of another book are refused in words."""
    done = runner(home).run(marks(world, "a"), arguments={}, consent=AGREED).run
    with pytest.raises(Refused, match="is closed as “done”: nothing is left to go on with"):
        runner(home).resume(done, book=marks(world, "a"), consent=AGREED)
    with pytest.raises(Refused, match="is one of book toy on stack toy, not of other on toy"):
        runner(home).resume(done, book=book(name="other"), consent=AGREED)
    with pytest.raises(Refused, match="nothing was begun in a run none"):
        runner(home).resume("none", book=book(), consent=AGREED)


def test_another_plan_is_refused_without_replan(home: Path, world: World) -> None:
    """When the code gives another plan, what differs is named; with --replan the new plan is agreed to and run."""
    first = book(step("a", world), refusing(world, "b"))
    run = runner(home).run(first, arguments={}, consent=AGREED).run
    changed = book(step("a", world), step("c", world), gather=lambda: Facts(("a", "b")))
    with pytest.raises(Refused, match=r"no longer gives the plan .*: steps.b: was “make b”, is not there; .*--replan"):
        runner(home).resume(run, book=changed, consent=AGREED)
    outcome = runner(home).resume(run, book=changed, consent=AGREED, replan=True)
    assert (outcome.status, world.effects()) == (Status.DONE, ["act a", "act c"])
    noted = next(entry.payload for entry in read(home / "runs" / run) if entry.kind is Kind.NOTED)
    assert noted["digest"] == outcome.plan.digest
    assert runner(home).past(run).digest == outcome.plan.digest


def test_another_plan_must_hold_what_took_effect(home: Path, world: World) -> None:
    """An effect that the new plan does not know could never be taken back: it is refused, with both ways out."""
    run = runner(home).run(book(step("a", world), refusing(world, "b")), arguments={}, consent=AGREED).run
    for other in (book(step("c", world)), book(step("a", world, title="make a elsewhere"))):
        with pytest.raises(Refused, match="which does not have as it was what took effect: make a") as caught:
            runner(home).resume(run, book=other, consent=AGREED, replan=True)
        assert caught.value.next_command == f"invoke runs.undo --run {run} --stack toy"
    assert world.effects() == ["act a"]


def test_under_another_plan_what_was_only_looked_at_is_looked_at_again(home: Path, world: World) -> None:
    """A step that was already so under the old facts need not be under the new ones."""
    targets = ["old", "old", "new", "new", "new"]
    world.act("old", Sight())

    def made(*more: Step) -> Book[Facts]:
        return book(
            gather=lambda: Facts((), owner=targets.pop(0)),
            steps=lambda facts: (
                step("go", world, holds=lambda s: world.holds(facts.owner, s), act=lambda s: world.act(facts.owner, s)),
                *more,
            ),
        )

    watcher = Watcher()
    run = runner(home).run(made(refusing(world, "b")), arguments={}, consent=AGREED).run
    targets[:] = ["new"]
    last = made(refusing(world, "b"))
    assert runner(home, show=watcher).resume(run, book=last, consent=AGREED, replan=True).status is Status.FAILED
    assert "note: differs from the plan that was agreed to: facts.owner: was old, is new" in watcher.lines
    assert world.effects() == ["act old", "act new"]
    done = runner(home).resume(run, book=made(step("b", world)), consent=AGREED)
    assert (done.status, world.effects()) == (Status.DONE, ["act old", "act new", "act b"])


def test_a_new_plan_keeps_the_facts_that_effects_rest_on(home: Path, world: World) -> None:
    """Once something took effect, the state that was seen before it is what undo goes back to: it is not read anew."""
    run = runner(home).run(book(step("a", world), refusing(world, "b")), arguments={}, consent=AGREED).run
    other = book(step("a", world), step("c", world), gather=lambda: Facts(("changed",)))
    outcome = runner(home).resume(run, book=other, consent=AGREED, replan=True)
    assert (outcome.status, outcome.plan.facts["marks"]) == (Status.DONE, ["a", "b"])


def test_a_replan_of_the_same_is_the_same(home: Path, world: World) -> None:
    """Facts that are gathered again and did not change need no new agreement in the journal."""
    made = book(refusing(world, "a"))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    assert runner(home).resume(run, book=made, consent=AGREED, replan=True).status is Status.DONE
    assert Kind.NOTED not in [entry.kind for entry in read(home / "runs" / run)]


def test_facts_are_checked_again_only_before_the_first_effect(home: Path, world: World) -> None:
    """A resumed run that changed nothing yet checks its facts again; one that did would see its own changes."""
    owners = ["me", "me", "you", "you"]
    made = book(
        refusing(world, "a"),
        gather=lambda: Facts(("a",), owner=owners.pop(0)),
        recheck=("owner",),
    )
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    assert runner(home).resume(run, book=made, consent=AGREED).exit is Exit.REFUSED
    owners[:] = ["me", "me"]
    made = book(step("x", world), refusing(world, "b"), gather=made.gather, recheck=("owner",))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    assert owners == []
    assert runner(home).resume(run, book=made, consent=AGREED).status is Status.DONE


def test_secret_facts_need_a_replan(home: Path, world: World) -> None:
    """What was hidden in the journal cannot be acted on again; it is said at the start, and going on refused."""
    made = book(refusing(world, "a", times=2), gather=lambda: Facts(("a",), owner="hunter22"))
    watcher = Watcher()
    operator = runner(home, show=watcher, secrets=("hunter22",))
    run = operator.run(made, arguments={}, consent=AGREED).run
    assert "note: the facts hold a secret: if this run is interrupted, only --replan can go on with it" in watcher.lines
    with pytest.raises(Refused, match="held a secret, which is not in the journal; --replan gathers them again"):
        operator.resume(run, book=made, consent=AGREED)
    assert operator.resume(run, book=made, consent=AGREED, replan=True).status is Status.FAILED
    assert operator.resume(run, book=made, consent=AGREED, replan=True).status is Status.DONE


def test_secret_facts_are_gathered_again_also_after_an_effect(home: Path, world: World) -> None:
    """With --replan a run whose facts were hidden goes on with those of now, and repeats nothing."""
    made = book(step("x", world), refusing(world, "a"), gather=lambda: Facts(("x", "a"), owner="hunter22"))
    operator = runner(home, secrets=("hunter22",))
    run = operator.run(made, arguments={}, consent=AGREED).run
    assert operator.resume(run, book=made, consent=AGREED, replan=True).status is Status.DONE
    assert world.effects() == ["act x", "act a"]


def test_facts_of_another_shape_need_a_replan(home: Path, world: World) -> None:
    """Code whose facts changed shape cannot read the journalled ones."""

    class Other(msgspec.Struct):
        colour: str

    run = runner(home).run(book(refusing(world, "a")), arguments={}, consent=AGREED).run
    with pytest.raises(Refused, match=r"do not fit the code any more: .*colour.*; --replan gathers them again"):
        runner(home).resume(run, book=book(step("a", world), facts_type=Other), consent=AGREED)


def test_two_cannot_go_on_with_one_run(home: Path, world: World) -> None:
    """While one process goes on with a run, and after it did, another one is refused before it repeats anything."""
    made = book(cutting(world, "a", applied=True), step("b", world))
    run = cut(home, made)
    other = runner(home, actor="dba")

    def ask(_plan: object) -> bool:
        assert runner(home).resume(run, book=made, consent=AGREED).status is Status.DONE
        return True

    with pytest.raises(Refused, match=r"entries instead of .*: somebody went on with it; look again"):
        other.resume(run, book=made, consent=Consent(ask=ask))
    assert world.effects() == ["act a", "act b"]
    assert other.run(marks(world, "c"), arguments={}, consent=AGREED).status is Status.DONE


def test_a_run_at_work_is_not_gone_on_with(home: Path, world: World) -> None:
    """While its own process lives, a run is held by it."""

    def act(sight: Sight) -> Json:
        with pytest.raises(HeldByOther, match=sight.run):
            runner(home).resume(sight.run, book=made, consent=AGREED)
        return world.act("a", sight)

    made = book(step("a", world, act=act))
    assert runner(home).run(made, arguments={}, consent=AGREED).status is Status.DONE


def test_another_run_needs_a_take_over(home: Path, world: World) -> None:
    """A dead run's lease is not taken silently by another run: the text names the command that goes on with it."""
    run = cut(home, book(cutting(world, "a", applied=True)))
    with pytest.raises(HeldByOther, match="its process is gone") as caught:
        runner(home).run(marks(world, "b"), arguments={}, consent=AGREED)
    assert caught.value.next_command == f"invoke runs.resume --run {run} --stack toy"
    consent = Consent(yes=True, reason="it is hopeless", take_over=True)
    outcome = runner(home).run(marks(world, "b"), arguments={}, consent=consent)
    assert outcome.status is Status.DONE
    assert read(home / "runs" / outcome.run)[1].payload["took_over"]["run"] == run


def test_an_unproven_run_can_be_looked_at_again(home: Path, world: World) -> None:
    """An act whose proof failed is looked at again when the run goes on, and not repeated when it holds by then."""
    said: list[Held] = []

    def holds(sight: Sight) -> Held:
        return said[0] if said else world.holds("a", sight)

    def act(sight: Sight) -> Json:
        said.append(Settling({}, 0.05))
        return world.act("a", sight)

    made = book(step("a", world, holds=holds, act=act, deadline=0.2))
    outcome = runner(home).run(made, arguments={}, consent=AGREED)
    assert outcome.status is Status.UNPROVEN
    said.clear()
    again = runner(home).resume(outcome.run, book=made, consent=AGREED)
    assert (again.status, again.results, world.effects()) == (
        Status.DONE,
        {"a": {"made": "a", "request": again.results["a"]["request"]}},  # type: ignore[call-overload, index]
        ["act a"],
    )


def test_undo_takes_back_newest_first(home: Path, world: World) -> None:
    """Exactly what took effect is taken back, from the state seen before each, and it is proven that it is gone."""
    (world.folder / "there" / "was").write_text("before")
    befores: list[object] = []

    def undo(sight: Sight) -> Json:
        befores.append((sight.before, sight.request))
        return world.undo("b", sight)

    made = book(reading("x"), step("a", world), step("was", world), step("b", world, undo=undo))
    done = runner(home).run(made, arguments={}, consent=AGREED)
    watcher = Watcher()
    outcome = runner(home, show=watcher).undo(done.run, book=made, consent=AGREED)
    assert (outcome.status, outcome.exit, outcome.plan.book) == (Status.UNDONE, Exit.DONE, "undo toy")
    assert world.effects() == ["act a", "act b", "undo b", "undo a"]
    assert befores[0] != ({}, "")
    assert watcher.lines == [
        "plan: take back 2 of 2 steps that took effect",
        *("1/2 take back: make b", "take back: make b: undone"),
        *("2/2 take back: make a", "take back: make a: undone"),
        "closed: undone",
    ]
    assert kinds(home, done.run)[-6:] == [
        "lease taken",
        *("undo started b", "undone b"),
        *("undo started a", "undone a"),
        "closed",
    ]
    assert [run.status for run in runner(home).runs()] == ["undone"]


def test_undo_twice_does_nothing(home: Path, world: World) -> None:
    """What was taken back is not taken back again, and cannot be gone on with."""
    made = marks(world, "a")
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    runner(home).undo(run, book=made, consent=AGREED)
    before = Folder(home).read_log(journal_of(run))
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.ALREADY_SO
    with pytest.raises(Refused, match="is being taken back; it cannot go on") as caught:
        runner(home).resume(run, book=made, consent=AGREED)
    assert caught.value.next_command == f"invoke runs.undo --run {run} --stack toy"
    assert Folder(home).read_log(journal_of(run)) == before


def test_undo_closes_a_run_that_did_nothing(home: Path, world: World) -> None:
    """A run that failed before any effect can be put to its end; one that was over is left as it is."""
    made = book(refusing(world, "a"))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.UNDONE
    assert (world.effects(), runner(home).runs()[-1].status) == ([], "undone")
    nothing = runner(home).run(book(), arguments={}, consent=AGREED).run
    assert runner(home).undo(nothing, book=book(), consent=AGREED).status is Status.ALREADY_SO
    assert runner(home).runs()[-1].status == "already so"


def test_undo_says_what_has_no_way_back(home: Path, world: World) -> None:
    """A step without undo is a loss of the plan, noted in the journal, and named at the end."""
    made = book(step("a", world), step("b", world, undo=NoUndo("the copy is the way back"), effect=Effect.DESTROY))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    text = "make b: cannot be taken back: the copy is the way back"
    planned = runner(home).undo(run, book=made, consent=Consent(dry_run=True))
    assert (planned.status, planned.plan.losses) == (Status.PLANNED, (text,))
    outcome = runner(home).undo(run, book=made, consent=AGREED)
    assert (outcome.status, outcome.text, world.effects()[2:]) == (Status.UNDONE, text, ["undo a"])
    assert [e.payload["text"] for e in read(home / "runs" / run) if e.kind is Kind.NOTED] == [text]


def test_undo_refuses_what_is_no_longer_in_the_book(home: Path, world: World) -> None:
    """Without the step's own undo nothing is touched."""
    run = runner(home).run(book(step("a", world)), arguments={}, consent=AGREED).run
    with pytest.raises(Refused, match="the book has no step a any more"):
        runner(home).undo(run, book=book(step("b", world)), consent=AGREED)
    gone = book(step("a", world, undo=NoUndo("we forgot how")))
    outcome = runner(home).undo(run, book=gone, consent=AGREED)
    assert (outcome.status, outcome.text) == (Status.FAILED, "make a: it cannot be taken back any more: we forgot how")
    assert outcome.next_command == f"invoke runs.undo --run {run} --stack toy"
    assert runner(home).runs()[-1].next_command == outcome.next_command


@pytest.mark.parametrize("applied", [True, False])
def test_undo_looks_for_an_open_act(home: Path, world: World, applied: bool) -> None:  # noqa: FBT001 - a parameter
    """A step that was interrupted is taken back if it took effect, and only then."""
    made = book(step("a", world), cutting(world, "b", applied=applied))
    run = cut(home, made)
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.UNDONE
    assert world.effects() == (["act a", "act b", "undo b", "undo a"] if applied else ["act a", "undo a"])


def test_undo_takes_away_what_half_an_act_has_left(home: Path, world: World) -> None:
    """Where an act that is cut short leaves what cannot be seen as done, its undo is asked for, also a second time."""
    left = world.folder / "half of b"

    def act(_sight: Sight) -> Json:
        left.touch()
        raise PowerCut

    def undo(_sight: Sight) -> Json:
        if not left.exists():
            return {"there": False}
        left.unlink()
        raise PowerCut

    made = book(step("a", world), step("b", world, act=act, undo=undo, half=True))
    run = cut(home, made)
    assert left.exists()
    with pytest.raises(PowerCut):
        runner(home).undo(run, book=made, consent=AGREED)
    bury(home)
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.UNDONE
    assert (left.exists(), world.effects()) == (False, ["act a", "undo a"])


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_undo_is_looked_for(home: Path, world: World, applied: bool) -> None:  # noqa: FBT001 - a parameter
    """An undo whose answer was lost is not repeated when it took effect."""
    calls: list[bool] = []

    def undo(sight: Sight) -> Json:
        calls.append(True)
        if applied or len(calls) > 1:
            world.undo("a", sight)
        if len(calls) == 1:
            message = "reset"
            raise AnswerLost(message)
        return None

    made = book(step("a", world, undo=undo, attempts=2))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.UNDONE
    assert world.effects() == ["act a", "undo a"]


def test_a_lost_undo_without_another_attempt_pauses(home: Path, world: World) -> None:
    """It is proven that nothing was taken back: the run pauses, and the same command goes on."""
    calls: list[bool] = []

    def undo(sight: Sight) -> Json:
        calls.append(True)
        if len(calls) == 1:
            message = "reset"
            raise AnswerLost(message)
        return world.undo("a", sight)

    made = book(step("a", world, undo=undo))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    outcome = runner(home).undo(run, book=made, consent=AGREED)
    assert (outcome.exit, outcome.next_command) == (Exit.PAUSED, f"invoke runs.undo --run {run} --stack toy")
    assert outcome.text == "make a: taking it back did not happen, and the answer was lost each time (reset)"
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.UNDONE


def test_an_undo_that_is_refused_fails(home: Path, world: World) -> None:
    """The provider said no to the way back."""

    def undo(_sight: Sight) -> Json:
        message = "not allowed"
        raise ActRefused(message)

    made = book(step("a", world, undo=undo))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    outcome = runner(home).undo(run, book=made, consent=AGREED)
    assert (outcome.status, outcome.text) == (Status.FAILED, "not allowed")


def outcome_of_undo(home: Path, world: World, holds: Callable[[Sight], Held], undo: Callable[[Sight], Json]) -> Outcome:
    """Make a mark, then take it back with this undo, looked at in this way afterwards."""
    run = runner(home).run(marks(world, "a"), arguments={}, consent=AGREED).run
    made = book(step("a", world, holds=holds, undo=undo, deadline=0.2))
    return runner(home).undo(run, book=made, consent=AGREED)


def test_an_undo_is_proven(home: Path, world: World) -> None:
    """What still holds after its undo is unproven, not undone."""
    outcome = outcome_of_undo(home, world, lambda _s: Yes({}), lambda _s: None)
    assert (outcome.status, outcome.exit) == (Status.UNPROVEN, Exit.UNPROVEN)
    assert outcome.text.startswith("make a: it was taken back, but that is not to be seen after 0.2 s")


def test_an_undo_that_cannot_be_told_pauses(home: Path, world: World) -> None:
    """As long as it is not known whether the undo took effect, it is not repeated."""

    def lost(_sight: Sight) -> Json:
        message = "reset"
        raise AnswerLost(message)

    outcome = outcome_of_undo(home, world, lambda _s: Settling({}, 0.05), lost)
    assert outcome.exit is Exit.PAUSED
    assert outcome.text == "make a: whether it is in effect cannot be told yet: still settling"


@pytest.mark.parametrize("applied", [True, False])
def test_an_interrupted_undo_goes_on(home: Path, world: World, applied: bool) -> None:  # noqa: FBT001 - a parameter
    """Taking back is journalled like doing: after a crash in an undo the same command finishes it, once."""
    calls: list[bool] = []

    def undo(sight: Sight) -> Json:
        calls.append(True)
        if applied or len(calls) > 1:
            world.undo("b", sight)
        if len(calls) == 1:
            raise PowerCut
        return None

    made = book(step("a", world), step("b", world, undo=undo))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    with pytest.raises(PowerCut):
        runner(home).undo(run, book=made, consent=AGREED)
    bury(home)
    assert runner(home).runs()[-1].next_command == f"invoke runs.undo --run {run} --stack toy"
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.UNDONE
    assert world.effects() == ["act a", "act b", "undo b", "undo a"]


def test_after_an_undo_the_old_state_is_proven(home: Path, world: World) -> None:
    """The book's proofs run once everything was taken back, and are part of what is agreed to."""
    proof = reading("answers", act=lambda _sight: {"marks": len(world.effects())})
    made = book(step("a", world), after_undo=lambda _facts: (proof,))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    outcome = runner(home).undo(run, book=made, consent=AGREED)
    assert (outcome.status, [line.name for line in outcome.plan.steps]) == (Status.UNDONE, ["a", "answers"])
    assert kinds(home, run)[-4:] == ["step started answers", "observed answers", "held answers", "closed"]
    assert outcome.results["answers"] == {"marks": 2}


def test_an_undo_whose_proof_fails_is_unproven_and_can_be_looked_at_again(home: Path, world: World) -> None:
    """What was taken back is not taken back again: only the proof is asked once more."""
    answers: list[Held] = [No({}, "still down")] * 99
    proof = reading("answers", holds=lambda _sight: answers[0])
    made = book(step("a", world), after_undo=lambda _facts: (proof,))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    for _ in range(2):
        outcome = runner(home).undo(run, book=made, consent=AGREED)
        assert (outcome.status, outcome.exit) == (Status.UNPROVEN, Exit.UNPROVEN)
        assert "still down" in outcome.text
        assert outcome.next_command == f"invoke runs.undo --run {run} --stack toy"
    answers[0] = Yes({})
    assert runner(home).undo(run, book=made, consent=AGREED).status is Status.UNDONE
    assert world.effects() == ["act a", "undo a"]


def test_a_proof_of_an_undo_has_a_name_of_its_own(home: Path, world: World) -> None:
    """In the journal a step and a proof of its undo could not be told apart by one name."""
    made = book(step("a", world), after_undo=lambda _facts: (reading("a"),))
    run = runner(home).run(made, arguments={}, consent=AGREED).run
    with pytest.raises(ValueError, match="a step and a proof of its undo have the same name"):
        runner(home).undo(run, book=made, consent=AGREED)
