"""A failed proof leads to the steps that the plan holds for that: agreed to before, written down, gone on with."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.engine.history import past
from runbooks.engine.outcome import Status
from runbooks.engine.plan import Plan
from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.verdict import verify
from runbooks.engine.step import No, NoUndo, Sight
from runbooks.model.errors import ActRefused, Exit, NotSo, Refused
from tests.runbooks.engine.test_evidence import fits
from tests.runbooks.engine.toys import (
    AGREED,
    Fuse,
    FusedWorld,
    PowerCut,
    Watcher,
    World,
    book,
    bury,
    cut_power,
    fused,
    reading,
    runner,
    step,
)

if TYPE_CHECKING:
    from runbooks.engine.outcome import Outcome
    from runbooks.engine.step import Book, Json, Step
    from tests.runbooks.engine.toys import Facts

FORWARD = ["act a", "act back"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world in which nothing is so yet."""
    return World(tmp_path / "world")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the place of an ops home that is not there yet."""
    return tmp_path / "home"


def fails(_sight: Sight) -> Json:
    """Prove nothing."""
    raise NotSo("it answers 500", next_command="invoke mend")  # noqa: EM101, TRY003 - a test


def turning(world: World, *otherwise: Step, proof: Step | None = None) -> Book[Facts]:
    """Return a book that makes one mark, fails its proof, and has steps for that; its last step is never reached."""
    steps = (step("a", world), proof or reading("proof", act=fails), step("never", world))
    return book(*steps, on_failure=lambda _facts: otherwise or (step("back", world), reading("old")))


def run(home: Path, made: Book[Facts]) -> Outcome:
    """Run it with consent."""
    return runner(home).run(made, arguments={}, consent=AGREED)


def test_what_the_plan_holds_for_a_failed_proof_is_done(home: Path, world: World) -> None:
    """The run ends with exit 5, says what failed and that it was taken back, and what to type next."""
    show = Watcher()
    outcome = runner(home, show=show).run(turning(world), arguments={}, consent=AGREED)
    assert (outcome.status, outcome.exit) == (Status.TAKEN_BACK, Exit.UNPROVEN)
    assert outcome.text == "it answers 500; it was taken back"
    assert outcome.next_command == "invoke mend"
    assert world.effects() == FORWARD
    assert [line.name for line in outcome.plan.otherwise] == ["back", "old"]
    assert "note: it answers 500: what the plan holds for that follows" in show.lines
    assert show.lines[-5:] == [
        "1/2 make back",
        "make back: held",
        "2/2 read old",
        "read old: held",
        "closed: taken back",
    ]
    assert outcome.journal is not None
    assert Kind.NOTED in fits(Path(outcome.journal))
    summary = runner(home).runs()[-1]
    assert (summary.steps_done, summary.steps_total, summary.next_command) == (3, 5, None)


def test_what_follows_a_failed_proof_is_agreed_to(home: Path, world: World) -> None:
    """Other steps for that are another plan, and resume says so; their names are the plan's own."""
    one = run(home, turning(world)).plan
    other = run(home, turning(world, step("elsewhere", world))).plan
    assert one.digest != other.digest
    with pytest.raises(ValueError, match="named twice, or not a fact: a"):
        run(home, turning(world, step("a", world)))
    old = {key: value for key, value in msgspec.to_builtins(one).items() if key != "otherwise"}
    assert msgspec.convert(old, Plan).otherwise == ()


def test_a_step_says_what_matters(home: Path, world: World) -> None:
    """A line that a step notes is shown and stands in the journal, beside that step."""

    def act(sight: Sight) -> Json:
        sight.note("there are two of it")
        return None

    show = Watcher()
    outcome = runner(home, show=show).run(
        book(step("a", world), reading("look", act=act)), arguments={}, consent=AGREED
    )
    assert "note: there are two of it" in show.lines
    noted = [entry for entry in entries_of(Folder(home), outcome.run) if entry.kind is Kind.NOTED]
    assert [(entry.step, entry.payload) for entry in noted] == [("look", {"text": "there are two of it"})]


def test_without_an_effect_nothing_is_taken_back(home: Path, world: World) -> None:
    """A proof that fails before anything took effect only fails."""
    made = book(reading("proof", act=fails), on_failure=lambda _facts: (step("back", world),))
    outcome = run(home, made)
    assert (outcome.status, world.effects()) == (Status.FAILED, [])


def test_an_act_that_is_not_proven_is_left_to_people(home: Path, world: World) -> None:
    """Only a reading step turns the run: where an act itself is unclear, nobody knows what to take back."""
    unclear = step("unclear", world, holds=lambda _sight: No({}, "not there"), undo=NoUndo("kept"), deadline=0.1)
    outcome = run(home, turning(world, proof=unclear))
    assert (outcome.status, world.effects()) == (Status.UNPROVEN, ["act a", "act unclear"])


def test_a_way_back_that_fails_says_both(home: Path, world: World) -> None:
    """The text holds what failed first and then; the resume goes on with the way back, not with the failed proof."""
    down = [True]

    def old(_sight: Sight) -> Json:
        if down:
            raise NotSo("the old one is down too")  # noqa: EM101, TRY003 - a test
        return None

    made = turning(world, step("back", world), reading("old", act=old))
    outcome = run(home, made)
    again = f"invoke runs.resume --run {outcome.run} --stack toy"
    assert (outcome.status, outcome.exit) == (Status.UNPROVEN, Exit.UNPROVEN)
    assert outcome.text == f"it answers 500; then the old one is down too; to look again: {again}"
    assert outcome.next_command == f"invoke runs.undo --run {outcome.run} --stack toy"
    down.clear()
    show = Watcher()
    resumed = runner(home, show=show).resume(outcome.run, book=made, consent=AGREED)
    assert (resumed.status, resumed.exit, resumed.next_command) == (Status.TAKEN_BACK, Exit.UNPROVEN, "invoke mend")
    assert "note: 1 of 2 steps are finished" in show.lines
    assert world.effects() == FORWARD
    with pytest.raises(Refused, match="closed as “taken back”: nothing is left to go on with"):
        runner(home).resume(outcome.run, book=made, consent=AGREED)


def test_a_refusal_on_the_way_back_is_a_failure(home: Path, world: World) -> None:
    """It is told as any other, after what failed first."""

    def refuse(_sight: Sight) -> Json:
        raise ActRefused("the provider says no")  # noqa: EM101, TRY003 - a test

    outcome = run(home, turning(world, step("back", world, act=refuse)))
    assert (outcome.status, outcome.exit) == (Status.FAILED, Exit.FAILED)
    assert outcome.text == "it answers 500; then the provider says no"


def test_both_ways_are_taken_back_newest_first(home: Path, world: World) -> None:
    """An undo plays the steps of the way back too, in the order in which they happened."""
    made = turning(world)
    outcome = run(home, made)
    undone = runner(home).undo(outcome.run, book=made, consent=AGREED)
    assert (undone.status, undone.plan.otherwise) == (Status.UNDONE, ())
    assert world.effects() == [*FORWARD, "undo back", "undo a"]


def test_a_crash_at_any_moment_ends_like_none(tmp_path: Path) -> None:
    """Whenever it dies, the resume ends as taken back; no effect is lost, none repeated."""
    for point in count(1):
        folder = tmp_path / str(point)
        fuse = Fuse(cut_power, point)
        made = turning(FusedWorld(folder / "world", fuse))
        operator = fused(folder / "home", fuse)
        try:
            operator.run(made, arguments={}, consent=AGREED)
        except PowerCut:
            bury(folder / "home")
        else:
            break
        whole = turning(World(folder / "world"))
        begun = [one for one in runner(folder / "home").runs() if one.status != "not begun"]
        last = runner(folder / "home").resume(begun[-1].run, book=whole, consent=AGREED) if begun else None
        if last is not None:
            assert (last.status, World(folder / "world").effects()) == (Status.TAKEN_BACK, FORWARD), point
            assert last.journal is not None
            assert verify(last.journal).complete
    assert point > 20
    told = past(entries_of(Folder(folder / "home"), operator.runs()[-1].run))
    assert told is not None
    assert told.turned is not None
    assert told.turned.why == "it answers 500"
