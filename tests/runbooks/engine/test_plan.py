"""A plan is a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.engine.plan import FactsChanged, Usual, differences, draft, planned, unchanged
from runbooks.engine.redaction import Redactor
from runbooks.engine.step import Effect, NoUndo
from tests.runbooks.engine.toys import Facts, World, book, reading, step

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.engine.plan import Draft
    from runbooks.engine.step import Book

NOTHING = Redactor(())


def drawn(made: Book[Facts], *, redact: Redactor = NOTHING, **usual: Usual) -> Draft:
    """Return the draft of a book on the toy stack."""
    return draft(made, made.gather(), stack="toy", arguments={"to": "x"}, usual=usual, redact=redact)


def test_plan_says_it_all(tmp_path: Path) -> None:
    """A plan holds the steps with their way back, losses, facts, and times from past runs where there are any."""
    world = World(tmp_path)
    steps = (step("a", world, expect=2.0), step("b", world, undo=NoUndo("the copy is the way back"), expect=3.0))
    plan = drawn(book(*steps, losses=lambda _facts: ("31 rows",)), b=Usual(6.0, 7.5, 20.0)).plan
    assert plan.between == (8.0, 22.0)
    assert (plan.summary, plan.losses, plan.facts["marks"], plan.estimate) == (
        "makes 2 marks",
        ("31 rows",),
        ["a", "b"],
        9.5,
    )
    assert [line.no_undo for line in plan.steps] == [None, "the copy is the way back"]


def test_digest_is_what_is_agreed_to(tmp_path: Path) -> None:
    """Other times give the same digest; another title, fact or argument gives another one."""
    world = World(tmp_path)
    plan = drawn(book(step("a", world))).plan
    assert drawn(book(step("a", world, expect=99.0)), a=Usual(1.0, 5.0, 6.0)).plan.digest == plan.digest
    others = [
        drawn(book(step("a", world, title="something else"))).plan,
        drawn(book(step("a", world), gather=lambda: Facts(("a",), owner="you"))).plan,
        msgspec.structs.replace(plan, arguments={"to": "y"}),
    ]
    assert len({plan.digest, *(other.digest for other in others)}) == 4


def test_digest_survives_the_journal(tmp_path: Path) -> None:
    """A plan that was written and read again has the same digest."""
    plan = drawn(book(step("a", World(tmp_path)))).plan
    assert msgspec.json.decode(msgspec.json.encode(plan), type=type(plan)).digest == plan.digest


def test_differences_are_named(tmp_path: Path) -> None:
    """What differs is said with where, what it was and what it is; steps by name."""
    world = World(tmp_path)
    first = drawn(book(step("a", world), step("b", world), gather=lambda: Facts(("a",), owner="me" * 99))).plan
    second = drawn(
        book(step("b", world, title="make it", attempts=2), step("c", world), gather=lambda: Facts(("b",)))
    ).plan
    assert differences(first, first) == ()
    assert (
        differences(first, second)
        == (
            "facts.marks: was ['a'], is ['b']",
            f"facts.owner: was {('me' * 99)[:80]}…, is nobody",
            "steps.a: was “make a”, is not there",
            "steps.b.title: was make b, is make it",
            "steps.b.attempts: was 1, is 2",
            "steps.c: was not there, is “make c”",
            "summary: was makes 1 marks, is makes 1 marks",
        )[:6]
    )


def test_another_order_differs(tmp_path: Path) -> None:
    """The same steps in another order are another plan."""
    world = World(tmp_path)
    same = {"gather": lambda: Facts(())}
    first = drawn(book(step("a", world), step("b", world), **same)).plan
    assert differences(first, drawn(book(step("b", world), step("a", world), **same)).plan) == (
        "steps: in another order",
    )


def test_plan_holds_no_secret(tmp_path: Path) -> None:
    """A secret in the facts is not in the plan, and it is said that it was there."""
    made = book(step("a", World(tmp_path)), gather=lambda: Facts((), owner="hunter22"))
    hidden = drawn(made, redact=Redactor(["hunter22"]))
    assert (hidden.plan.facts["owner"], hidden.hidden, drawn(made).hidden) == ("●●●", True, False)


def test_books_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Two steps of one name, or a fact to recheck that is none, are errors of the book."""
    world = World(tmp_path)
    with pytest.raises(ValueError, match="book toy: named twice, or not a fact: a"):
        drawn(book(step("a", world), step("a", world)))
    with pytest.raises(ValueError, match="not a fact: colour"):
        drawn(book(step("a", world), recheck=("colour",)))


def test_changed_facts_are_named() -> None:
    """Only the facts that the book names are compared; without any nothing is gathered again."""
    facts = {"marks": ["a"], "owner": "me"}
    unchanged(book(gather=lambda: Facts(("a",), owner="you"), recheck=("marks",)), facts)
    unchanged(book(gather=lambda: pytest.fail("gathered"), recheck=()), facts)
    with pytest.raises(FactsChanged, match="so no effect was started: owner was me, is you"):
        unchanged(book(gather=lambda: Facts(("a",), owner="you"), recheck=("marks", "owner")), facts)


def test_planned_step_is_what_is_shown() -> None:
    """A step is shown with its effect in the operator's word."""
    line = planned(reading("x"), expect=4.0)
    assert (line.effect, str(line.effect), line.expect, line.no_undo) == (
        Effect.READ,
        "reads",
        4.0,
        "it changes nothing",
    )
