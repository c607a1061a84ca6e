"""Running a book: consent, order, proof, and how it ends."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.lease import lease_name, take
from runbooks.engine.record.entry import Kind, read
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.redaction import Redactor
from runbooks.engine.runner import Consent, Outcome, Status
from runbooks.engine.step import Held, No, Settling, Sight, Yes
from runbooks.model.errors import (
    ActError,
    ActRefused,
    AnswerLost,
    CheckError,
    Exit,
    HeldByOther,
    NotSo,
    OpsError,
    Refused,
    Unreachable,
)
from tests.runbooks.engine.toys import AGREED, Facts, Watcher, World, book, marks, reading, runner, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runbooks.engine.plan import PlannedStep
    from runbooks.engine.step import Json, Step


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a world in which nothing is so yet."""
    return World(tmp_path / "world")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the place of an ops home that is not there yet."""
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Callable[..., Outcome]:
    """Give what runs these steps with consent."""

    def carry_out(*steps: Step, **other: object) -> Outcome:
        return runner(home).run(book(*steps, **other), arguments={}, consent=AGREED)

    return carry_out


def kinds(outcome: Outcome) -> list[str]:
    """Return what the journal says, entry by entry."""
    assert outcome.journal is not None
    return [f"{entry.kind} {entry.step}" if entry.step else str(entry.kind) for entry in read(outcome.journal)]


def failing(world: World, name: str, error: Exception, *, applied: bool) -> Callable[[Sight], Json]:
    """Return an act that raises the first time it is called, after the effect or instead of it."""
    raised: list[bool] = []

    def act(sight: Sight) -> Json:
        if not raised:
            raised.append(True)
            if applied:
                world.act(name, sight)
            raise error
        return world.act(name, sight)

    return act


def in_turn(world: World, name: str, *first: Held | Exception) -> Callable[[Sight], Held]:
    """Return a `holds` that says these things first, and what is true afterwards."""
    answers: Iterator[Held | Exception] = iter(first)

    def holds(sight: Sight) -> Held:
        answer = next(answers, None)
        if isinstance(answer, Exception):
            raise answer
        return world.holds(name, sight) if answer is None else answer

    return holds


def test_a_book_is_carried_out(home: Path, world: World) -> None:
    """Each step is looked at, intended, done and proven, in order; the journal has all of it."""
    watcher = Watcher()
    outcome = runner(home, show=watcher).run(marks(world, "a", "b"), arguments={"to": 1}, consent=AGREED)
    assert (outcome.status, outcome.exit, outcome.next_command, outcome.text) == (Status.DONE, Exit.DONE, None, "")
    assert world.effects() == ["act a", "act b"]
    assert kinds(outcome) == [
        "run opened",
        "lease taken",
        *("step started a", "observed a", "held a"),
        *("step started b", "observed b", "held b"),
        "closed",
    ]
    assert watcher.lines == [
        "plan: makes 2 marks",
        *("1/2 make a", "make a: held", "2/2 make b", "make b: held"),
        "closed: done",
    ]


def test_the_opening_says_who_what_and_why(home: Path, world: World) -> None:
    """The first entries hold the plan whole with its digest, the facts, and who agreed to it where and why."""
    outcome = runner(home).run(marks(world, "a"), arguments={"to": 1}, consent=AGREED)
    opened, lease = (entry.payload for entry in read(home / "runs" / outcome.run)[:2])
    assert opened["digest"] == outcome.plan.digest
    assert (opened["book"], opened["stack"], opened["arguments"], opened["facts"]["marks"]) == (
        "toy",
        "toy",
        {"to": 1},
        ["a"],
    )
    assert (opened["actor"], opened["pid"], opened["reason"], opened["agreed"]) == (
        "on-call",
        os.getpid(),
        "a test",
        "--yes",
    )
    assert (lease["purpose"], lease["fence"], lease["took_over"]) == ("run", 1, None)


def test_the_intent_is_written_before_the_act(home: Path, world: World) -> None:
    """During the act its request id, and what was so before, are already in the journal."""
    seen: list[tuple[str, str, object]] = []

    def act(sight: Sight) -> Json:
        last = read(home / "runs" / sight.run)[-1]
        seen.append((last.kind, last.payload["request"], last.payload["before"]))
        assert (sight.request, sight.before) == (last.payload["request"], {"mark": None})
        return world.act("a", sight)

    runner(home).run(book(step("a", world, act=act)), arguments={}, consent=AGREED)
    assert [(kind, before) for kind, _, before in seen] == [(Kind.STEP_STARTED, {"mark": None})]


def test_later_steps_see_results(run: Callable[..., Outcome], world: World) -> None:
    """A step sees what earlier ones observed: evidence over answer, and an answer that is no object by that name."""
    seen: list[dict[str, Json]] = []

    def act(sight: Sight) -> Json:
        seen.append(dict(sight.results))
        sight.report(1, 2)
        return world.act("last", sight)

    first = reading("first", act=lambda _sight: {"id": "x", "so": False}, holds=lambda _sight: Yes({"so": True}))
    second = reading("second", act=lambda _sight: [1, 2])
    outcome = run(first, second, step("last", world, act=act))
    assert seen == [{"first": {"id": "x", "so": True}, "second": {"answer": [1, 2]}}]
    assert list(outcome.results) == ["first", "second", "last"]


def test_a_dry_run_writes_nothing(home: Path, world: World) -> None:
    """The plan is shown and nothing else happens: not even the ops home is made."""
    watcher = Watcher()
    consent = Consent(dry_run=True)
    outcome = runner(home, show=watcher).run(marks(world, "a"), arguments={}, consent=consent)
    assert (outcome.status, outcome.exit, outcome.journal, outcome.run) == (Status.PLANNED, Exit.DONE, None, "")
    assert watcher.lines == ["plan: makes 1 marks", "closed: planned"]
    assert not home.exists()
    assert world.effects() == []


@pytest.mark.parametrize(
    ("consent", "text"),
    [
        (Consent(), 'nobody can be asked here: add --yes --reason "<why>"'),
        (Consent(yes=True), '--yes needs the reason for it: add --reason "<why>"'),
        (Consent(yes=True, reason=" "), '--yes needs the reason for it: add --reason "<why>"'),
        (Consent(take_over=True, ask=lambda _plan: True), 'taking over needs the reason for it: add --reason "<why>"'),
        (Consent(ask=lambda _plan: False), "the plan was not agreed to"),
    ],
)
def test_nothing_happens_without_consent(home: Path, world: World, consent: Consent, text: str) -> None:
    """Where it is not agreed to, the text says exactly what to add, and nothing was done."""
    with pytest.raises(Refused) as caught:
        runner(home).run(marks(world, "a"), arguments={}, consent=consent)
    assert str(caught.value) == f"nothing was done: {text}"
    assert not home.exists()


def test_typed_consent_is_written(home: Path, world: World) -> None:
    """Who is asked sees the plan that is run; that it was typed is in the journal."""
    digests: list[str] = []

    def ask(plan: object) -> bool:
        digests.append(plan.digest)  # type: ignore[attr-defined] # a plan
        return True

    outcome = runner(home).run(marks(world, "a"), arguments={}, consent=Consent(ask=ask))
    opened = read(home / "runs" / outcome.run)[0].payload
    assert (opened["agreed"], opened["reason"], opened["digest"]) == ("typed", None, digests[0])


def test_a_second_run_does_nothing(home: Path, world: World) -> None:
    """What already holds is skipped; a book of which everything holds ends well as already so."""
    operator = runner(home)
    operator.run(marks(world, "a", "b"), arguments={}, consent=AGREED)
    again = operator.run(marks(world, "a", "b"), arguments={}, consent=AGREED)
    assert (again.status, again.exit) == (Status.ALREADY_SO, Exit.DONE)
    assert kinds(again) == ["run opened", "lease taken", "already so a", "already so b", "closed"]
    assert world.effects() == ["act a", "act b"]
    assert operator.run(book(), arguments={}, consent=AGREED).status is Status.ALREADY_SO
    assert operator.run(book(reading("x")), arguments={}, consent=AGREED).status is Status.DONE


def test_a_lost_answer_is_looked_for(run: Callable[..., Outcome], world: World) -> None:
    """The effect landed although its answer was lost: it is found, proven, and not done again."""
    act = failing(world, "a", AnswerLost("reset"), applied=True)
    outcome = run(step("a", world, act=act, attempts=3))
    assert outcome.status is Status.DONE
    assert world.effects() == ["act a"]
    assert kinds(outcome)[2:] == ["step started a", "observed a", "held a", "closed"]


@pytest.mark.parametrize("error", [AnswerLost("reset"), Unreachable("later")])
def test_only_a_proven_no_is_acted_again(run: Callable[..., Outcome], world: World, error: OpsError) -> None:
    """It is proven that nothing happened, and another attempt is allowed: it is done once."""
    outcome = run(step("a", world, act=failing(world, "a", error, applied=False), attempts=2))
    assert outcome.status is Status.DONE
    assert world.effects() == ["act a"]
    assert kinds(outcome)[2:] == ["step started a", "observed a", "step started a", "observed a", "held a", "closed"]


def test_a_no_must_last_after_a_lost_answer(run: Callable[..., Outcome], world: World) -> None:
    """A provider that reads stale says No for a moment: within `settle` that is not believed."""
    stale = No({}, "stale")
    holds = in_turn(world, "a", No({}, "not there"), stale, stale)
    act = failing(world, "a", AnswerLost("reset"), applied=True)
    assert run(step("a", world, act=act, holds=holds, attempts=2, settle=0.6)).status is Status.DONE
    assert world.effects() == ["act a"]


def test_lost_and_not_done_pauses(run: Callable[..., Outcome], world: World) -> None:
    """No further attempt is allowed: the run pauses and says that it did not happen, and how to go on."""
    outcome = run(step("a", world, act=failing(world, "a", AnswerLost("reset"), applied=False)))
    assert (outcome.status, outcome.exit) == (Status.PAUSED, Exit.PAUSED)
    assert outcome.text == "make a: it did not happen (reset; looked for it: a is not there)"
    assert outcome.next_command == f"invoke runs.resume --run {outcome.run} --stack toy"
    assert isinstance(outcome.error, Unreachable)
    assert kinds(outcome)[-2:] == ["failed a", "paused"]


def test_lost_and_not_known_pauses(run: Callable[..., Outcome], world: World) -> None:
    """As long as it cannot be told whether it took effect, nothing else is done."""
    holds = in_turn(world, "a", No({}, "no"), *[Settling({"state": "pending"}, 0.05)] * 50)
    act = failing(world, "a", AnswerLost("reset"), applied=True)
    outcome = run(step("a", world, act=act, holds=holds, deadline=0.2, attempts=9))
    assert outcome.text == (
        "make a: reset, and whether it took effect cannot be told yet: still settling (state pending)"
    )
    assert outcome.exit is Exit.PAUSED
    assert world.effects() == ["act a"]


def test_an_act_that_is_refused_fails(run: Callable[..., Outcome], world: World) -> None:
    """The provider said no: nothing happened, nothing later is tried, and the text says what to type first."""
    refused = ActRefused("403: not allowed", next_command="invoke ready")
    outcome = run(step("a", world, act=failing(world, "a", refused, applied=False), attempts=3), step("b", world))
    assert (outcome.status, outcome.exit, outcome.text) == (
        Status.FAILED,
        Exit.FAILED,
        "403: not allowed; first: invoke ready",
    )
    assert outcome.next_command == f"invoke runs.resume --run {outcome.run} --stack toy"
    assert kinds(outcome)[2:] == ["step started a", "failed a", "closed"]
    assert read(outcome.journal)[-2].payload["effect"] == "none"  # type: ignore[arg-type] # there is one


def test_another_error_of_an_act_fails(run: Callable[..., Outcome], world: World) -> None:
    """An act that went wrong in a way of its own is not repeated; whether it took effect is left open."""
    outcome = run(step("a", world, act=failing(world, "a", ActError("half done"), applied=True), attempts=3))
    assert (outcome.exit, outcome.text, world.effects()) == (Exit.FAILED, "half done", ["act a"])
    assert read(outcome.journal)[-2].payload["effect"] == "unknown"  # type: ignore[arg-type] # there is one


def test_a_proof_may_take_its_time(run: Callable[..., Outcome], world: World) -> None:
    """After an answered act a No, a silence or a failed check is asked again until the deadline, and never acted on."""
    no, silent = No({}, "not yet"), Unreachable("no route")
    holds = in_turn(world, "a", no, no, silent, NotSo("still the old one"), Settling({}, 0.01))
    outcome = run(step("a", world, holds=holds, attempts=5, deadline=5.0))
    assert (outcome.status, world.effects()) == (Status.DONE, ["act a"])


def test_a_failed_proof_is_unproven(run: Callable[..., Outcome], world: World) -> None:
    """The act was done and its proof failed: exit code 5, with the way back and the way to look again."""
    outcome = run(step("a", world, holds=lambda _sight: No({}, "the old version answers"), attempts=5, deadline=0.3))
    assert (outcome.status, outcome.exit) == (Status.UNPROVEN, Exit.UNPROVEN)
    assert outcome.text == (
        "make a: the act was done but its proof failed: the old version answers after 0.3 s; "
        f"to look again: invoke runs.resume --run {outcome.run} --stack toy"
    )
    assert outcome.next_command == f"invoke runs.undo --run {outcome.run} --stack toy"
    assert world.effects() == ["act a"]


def test_settling_before_the_act_is_waited_for(run: Callable[..., Outcome], world: World) -> None:
    """What is on its way is not acted on; when it does not settle, nothing was done."""
    holds = in_turn(world, "a", Settling({}, 0.01), Settling({}, 0.01))
    assert run(step("a", world, holds=holds)).status is Status.DONE
    outcome = run(step("b", world, holds=lambda _sight: Settling({}, 0.05), deadline=0.1))
    assert (outcome.exit, outcome.text) == (Exit.PAUSED, "make b: nothing was done: still settling after 0.1 s")
    assert world.effects() == ["act a"]


def test_a_check_that_goes_wrong_fails(run: Callable[..., Outcome], world: World) -> None:
    """A `holds` that cannot be relied on stops the run before the act."""
    outcome = run(step("a", world, holds=in_turn(world, "a", CheckError("the answer has no id"))))
    assert (outcome.status, outcome.text, world.effects()) == (Status.FAILED, "the answer has no id", [])


def test_reading_is_repeated_until_it_answers(run: Callable[..., Outcome]) -> None:
    """A step that only reads asks again after a silence."""
    answers: Iterator[Json] = iter(["x"])
    silent: list[bool] = []

    def act(_sight: Sight) -> Json:
        if not silent:
            silent.append(True)
            message = "no route"
            raise Unreachable(message)
        return next(answers)

    assert run(reading("a", act=act, deadline=0.05)).results == {"a": {"answer": "x"}}


@pytest.mark.parametrize("error", [Unreachable("no route"), CheckError("damaged")])
def test_reading_ends_at_its_deadline(run: Callable[..., Outcome], error: OpsError) -> None:
    """Without an answer the run pauses; a damaged answer fails it."""

    def act(_sight: Sight) -> Json:
        raise error

    outcome = run(reading("a", act=act, deadline=0.1))
    assert outcome.exit is (Exit.PAUSED if error.retryable else Exit.FAILED)
    assert outcome.text == str(error)


def test_a_check_fails_before_and_is_unproven_after_an_effect(run: Callable[..., Outcome], world: World) -> None:
    """Before any effect a check that says No is a failure; after one it says that the effect is not proven."""
    unwell = reading("health", holds=lambda _sight: No({"status": 500}, "the API answers 500"))
    assert run(unwell, step("a", world)).exit is Exit.FAILED
    outcome = run(step("a", world), unwell)
    assert (outcome.status, outcome.exit) == (Status.UNPROVEN, Exit.UNPROVEN)
    assert outcome.text.startswith("read health: the API answers 500 after 0.2 s; to look again: ")


def test_an_unknown_failure_is_journalled(home: Path, world: World) -> None:
    """An error that nobody expected ends the run, with its traceback in the journal and no secret in it."""
    broken = step("a", world, act=failing(world, "a", KeyError("hunter22"), applied=False))
    outcome = runner(home, secrets=("hunter22",)).run(book(broken), arguments={}, consent=AGREED)
    assert (outcome.status, outcome.exit, outcome.text) == (Status.FAILED, Exit.FAILED, "KeyError: '●●●'")
    assert isinstance(outcome.error, KeyError)
    failed = read(home / "runs" / outcome.run)[-2].payload
    assert (failed["error"], failed["effect"]) == ("KeyError", "unknown")
    assert "in act" in failed["traceback"]
    assert b"hunter22" not in Folder(home).read_log(journal_of(outcome.run))


def test_changed_facts_stop_the_run_before_any_effect(home: Path, world: World) -> None:
    """The facts that the book names are read again right before the first effect, once."""
    gathered: list[Facts] = []

    def gather() -> Facts:
        gathered.append(Facts(("a", "b"), owner=f"number {len(gathered) // 2}"))
        return gathered[-1]

    made = book(step("a", world), step("b", world), gather=gather, recheck=("owner",))
    assert runner(home).run(made, arguments={}, consent=AGREED).status is Status.DONE
    assert len(gathered) == 2
    gathered.append(gathered[0])
    outcome = runner(home).run(replace(made, steps=lambda _facts: (step("c", world),)), arguments={}, consent=AGREED)
    assert (outcome.status, outcome.exit) == (Status.FAILED, Exit.REFUSED)
    assert "owner was number 1, is number 2" in outcome.text
    assert outcome.next_command == f"invoke runs.resume --run {outcome.run} --stack toy --replan"
    assert "act c" not in world.effects()


def test_a_refusal_after_an_effect_is_a_failure(run: Callable[..., Outcome], world: World) -> None:
    """“Nothing was done” would be a lie once something was."""
    gate = reading("gate", act=failing(world, "x", Refused("a gate"), applied=False))
    assert run(gate).exit is Exit.REFUSED
    again = reading("gate", act=failing(world, "x", Refused("a gate"), applied=False))
    assert run(step("a", world), again).exit is Exit.FAILED


def test_two_operators(home: Path, world: World) -> None:
    """The second operator is told who is at work, and leaves no trace."""
    texts: list[str] = []

    def act(sight: Sight) -> Json:
        with pytest.raises(HeldByOther) as caught:
            runner(home, actor="dba").run(marks(world, "b"), arguments={}, consent=AGREED)
        texts.append(str(caught.value))
        return world.act("a", sight)

    outcome = runner(home, actor="lead").run(book(step("a", world, act=act)), arguments={}, consent=AGREED)
    assert texts[0].startswith("held by lead on ")
    assert outcome.run in texts[0]
    assert Folder(home).names(RUNS) == [outcome.run]
    assert world.effects() == ["act a"]


def test_a_lease_that_was_taken_over_stops_the_old_holder(home: Path, world: World) -> None:
    """Whoever lost the lease starts no further effect and writes nothing more."""

    def act(sight: Sight) -> Json:
        Folder(home).put_new(lease_name("toy", 2), Folder(home).get(lease_name("toy", 1)) or b"")
        return world.act("a", sight)

    outcome = runner(home).run(book(step("a", world, act=act), step("b", world)), arguments={}, consent=AGREED)
    assert (outcome.status, outcome.exit, outcome.next_command) == (Status.PAUSED, Exit.HELD, None)
    assert "this process stopped before its next effect" in outcome.text
    assert kinds(outcome)[-1] == "step started a"
    assert world.effects() == ["act a"]


def test_an_ops_home_that_cannot_be_written_is_refused(tmp_path: Path, world: World) -> None:
    """Without a journal nothing is begun."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(Refused, match="nothing was done: the ops home cannot be written"):
        runner(tmp_path / "home").run(marks(world, "a"), arguments={}, consent=AGREED)


@contextmanager
def small_disk() -> Iterator[Callable[[int], None]]:
    """Give what limits the size of every file, until the end of the block: pytest's own output may be a file too."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, previous)


def test_a_full_disk_begins_nothing(home: Path, world: World) -> None:
    """A journal whose first line does not fit keeps the run from beginning, and the lease is given back."""
    operator = runner(home)
    refused = pytest.raises(Refused, match=r"nothing was done: the journal .* cannot be written: File too large")
    with small_disk() as disk_full, refused:
        disk_full(600)
        operator.run(marks(world, *"abcdefgh"), arguments={}, consent=AGREED)
    assert world.effects() == []
    assert [run.status for run in operator.runs()] == ["not begun"]
    take(Folder(home), "toy", actor="", run="", take_over=False, clock=operator._clock, resume=str)


@pytest.mark.parametrize("room", [10, 400, 600, 800, 1000])
def test_a_full_disk_pauses(home: Path, world: World, room: int) -> None:
    """Wherever the disk fills up, no effect starts without its intent, and resuming finishes what is left, once."""
    operator = runner(home)
    with small_disk() as disk_full:

        def fill(sight: Sight) -> Json:
            disk_full((home / "runs" / sight.run / "journal.jsonl").stat().st_size + room)
            return world.act("a", sight)

        made = book(step("a", world, act=fill), step("b", world), step("c", world))
        outcome = operator.run(made, arguments={}, consent=AGREED)
    assert (outcome.status, outcome.exit) == (Status.PAUSED, Exit.PAUSED)
    assert outcome.text.endswith("File too large; no effect starts without it; make it writable, then go on")
    started = [line.removeprefix("step started ") for line in kinds(outcome) if line.startswith("step started")]
    assert [f"act {name}" for name in started] == world.effects()
    assert operator.resume(outcome.run, book=made, consent=AGREED).status is Status.DONE
    assert world.effects() == ["act a", "act b", "act c"]


def test_a_lease_that_cannot_be_renewed_pauses(home: Path, world: World) -> None:
    """A step that may outlast the lease needs it renewed first; where that fails, nothing starts, and it is said."""

    class Filling(Watcher):
        def step_started(self, step: PlannedStep, index: int, total: int) -> None:
            super().step_started(step, index, total)
            disk_full(1)

    watcher = Filling()
    made = book(step("long", world, deadline=9999.0))
    with small_disk() as disk_full:
        outcome = runner(home, show=watcher).run(made, arguments={}, consent=AGREED)
    assert (outcome.exit, world.effects()) == (Exit.PAUSED, [])
    assert outcome.text.startswith("the lease cannot be renewed: ")
    assert watcher.lines[-2].startswith("note: the lease could not be given back: ")


def test_a_closed_terminal_does_not_stop_a_run(home: Path, world: World) -> None:
    """Once showing fails nothing is shown any more, and the run goes on."""

    class Gone(Watcher):
        def step_started(self, step: PlannedStep, index: int, total: int) -> None:
            super().step_started(step, index, total)
            raise BrokenPipeError

    watcher = Gone()
    outcome = runner(home, show=watcher).run(marks(world, "a", "b"), arguments={}, consent=AGREED)
    assert outcome.status is Status.DONE
    assert watcher.lines == ["plan: makes 2 marks", "1/2 make a"]


def test_progress_is_shown(home: Path, world: World) -> None:
    """What an act reports reaches the operator, also after the step is over it does no harm."""
    kept: list[Sight] = []

    def act(sight: Sight) -> Json:
        sight.report(1, 2)
        kept.append(sight)
        return world.act("a", sight)

    watcher = Watcher()
    runner(home, show=watcher).run(book(step("a", world, act=act)), arguments={}, consent=AGREED)
    kept[0].report(2, 2)
    assert [line for line in watcher.lines if " of " in line] == ["a: 1 of 2"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("at", ["a", "b", "c"])
def test_a_signal_lets_the_effect_in_flight_end(home: Path, world: World, number: signal.Signals, at: str) -> None:
    """The act in flight is finished and proven, no further one starts, the journal is paused, and resuming works."""

    def act(sight: Sight) -> Json:
        os.kill(os.getpid(), number)
        return world.act(at, sight)

    operator = runner(home)
    made = book(*(step(name, world, **({"act": act} if name == at else {})) for name in "abc"))
    outcome = operator.run(made, arguments={}, consent=AGREED)
    done = [f"act {name}" for name in "abc" if name <= at]
    assert world.effects() == done
    if at == "c":
        assert outcome.status is Status.DONE
        return
    assert (outcome.status, outcome.exit) == (Status.PAUSED, Exit.PAUSED)
    assert outcome.text == f"{number.name}: stopped at “between two steps”; no further effect was started"
    assert outcome.next_command == f"invoke runs.resume --run {outcome.run} --stack toy"
    assert kinds(outcome)[-2:] == [f"held {at}", "paused"]
    assert operator.resume(outcome.run, book=made, consent=AGREED).status is Status.DONE
    assert world.effects() == ["act a", "act b", "act c"]


def test_a_second_signal_stops_the_waiting(home: Path, world: World) -> None:
    """Asked twice, the act in flight is left alone; the journal is paused, and resuming finds out how it ended."""

    def act(sight: Sight) -> Json:
        world.act("a", sight)
        if len(world.effects()) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("went on")
        return None

    operator = runner(home)
    made = book(step("a", world, act=act))
    outcome = operator.run(made, arguments={}, consent=AGREED)
    assert outcome.text == (
        "SIGTERM: stopped at “make a”; no further effect was started, and whether this one happened is looked for "
        "before anything else is done"
    )
    assert kinds(outcome)[-3:] == ["step started a", "paused a", "paused"]
    assert operator.resume(outcome.run, book=made, consent=AGREED).status is Status.DONE
    assert world.effects() == ["act a"]


def test_a_signal_while_nothing_is_in_flight_stops_at_once(home: Path, world: World) -> None:
    """A look that takes long is cut short: nothing is lost by it."""

    def holds(_sight: Sight) -> Held:
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("went on")

    outcome = runner(home).run(book(step("a", world, holds=holds)), arguments={}, consent=AGREED)
    assert (outcome.status, world.effects()) == (Status.PAUSED, [])
    assert kinds(outcome) == ["run opened", "lease taken", "paused a", "paused"]


def test_a_signal_after_the_intent_starts_nothing(home: Path, world: World) -> None:
    """A signal that comes while the intent is being written keeps its act from starting."""

    class Signalling(Redactor):
        def written(self, value: object) -> bytes:
            if isinstance(value, dict) and "request" in value:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().written(value)

    operator = runner(home)
    operator._redact = Signalling(())
    operator._desk = replace(operator._desk, redact=operator._redact)
    outcome = operator.run(marks(world, "a"), arguments={}, consent=AGREED)
    assert (outcome.status, world.effects()) == (Status.PAUSED, [])
    assert runner(home).resume(outcome.run, book=marks(world, "a"), consent=AGREED).status is Status.DONE
    assert world.effects() == ["act a"]
