"""Ask a person: a step that people do by hand, which holds once somebody said what shows that it is done.

An answer is an object in the ops home (`runs/<run>/answers/<step>.json`), put once and never changed. The journal
keeps its single writer: the run that asked takes the answer up and writes it down.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.history import past
from runbooks.engine.record.entry import entries_of
from runbooks.engine.record.home import RUNS
from runbooks.engine.step import Book, Effect, FactsT, NoUndo, Step, Yes
from runbooks.model.canonical import canonical, plain
from runbooks.model.errors import AwaitsSomebody, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Json, Sight

PREFIX: Final = "manual-"
UNSPEAKABLE: Final = re.compile("[^a-z0-9]+")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody said about a step, by the operating system's account; `at` is RFC 3339."""

    step: str
    text: str
    by: str
    at: str


class Ask(msgspec.Struct, frozen=True):
    """What is done by hand, and what is asked for to show it; before the first effect, or after the last step."""

    title: str
    evidence: str
    last: bool


class Answers:
    """The answers of one ops home, given now by one account."""

    def __init__(self, home: Home, *, by: str, clock: Callable[[], datetime]) -> None:
        self._home = home
        self._by = by
        self._clock = clock

    def give(self, run: str, text: str) -> Answer:
        """Answer what a run asks at present. Raises Refused where it asks nothing or is answered, and OSError."""
        told = past(entries_of(self._home, run))
        open_steps = {name for name, step in told.steps.items() if not step.finished} if told else set()
        asked = next((step.name for step in told.plan.steps if step.name in open_steps), "") if told else ""
        if not asked.startswith(PREFIX):
            message = f"run {run} asks nothing at present"
            raise Refused(message)
        return self.put(run, asked, text)

    def put(self, run: str, step: str, text: str) -> Answer:
        """Write an answer down. Raises Refused when it says nothing or there is one, and OSError."""
        if not text.strip():
            message = f"run {run}: expected an answer, got none"
            raise Refused(message)
        answer = Answer(step, text.strip(), self._by, self._clock().isoformat())
        if not self._home.put_new(_name(run, step), canonical(plain(answer))):
            message = f"run {run} is answered already: {self.given(run, step)}"
            raise Refused(message)
        return answer

    def given(self, run: str, step: str) -> dict[str, Json]:
        """Return the answer about a step, nothing where there is none. Raises Refused when it is none, and OSError."""
        content = self._home.get(_name(run, step))
        if content is None:
            return {}
        try:
            return dict(msgspec.to_builtins(msgspec.json.decode(content, type=Answer)))
        except msgspec.MsgspecError as error:
            message = f"{self._home.where(_name(run, step))}: not an answer: {error}"
            raise Refused(message) from error


def with_manual(
    book: Book[FactsT], asks: Sequence[Ask], *, answers: Answers, ask: Callable[[str], str] | None, command: str
) -> Book[FactsT]:
    """Return the book with steps that people do by hand. `ask` asks who sits there; None where nobody does.

    `command` is what somebody else types to answer; `{run}` in it stands for the run.
    """

    def steps(facts: FactsT) -> tuple[Step, ...]:
        inner = book.steps(facts)
        if all(step.effect is Effect.READ for step in inner):
            return inner
        numbered = [(one.last, _step(number, one, answers, ask, command)) for number, one in enumerate(asks, 1)]
        first = next(at for at, step in enumerate(inner) if step.effect is not Effect.READ)
        before = tuple(step for last, step in numbered if not last)
        return (*inner[:first], *before, *inner[first:], *(step for last, step in numbered if last))

    return replace(book, steps=steps)


def _step(number: int, one: Ask, answers: Answers, ask: Callable[[str], str] | None, command: str) -> Step:
    """Return the step that holds once somebody answered."""
    about = UNSPEAKABLE.sub("-", one.title.casefold()).strip("-")
    name = f"{PREFIX}{number}-{about}"  # another question has another answer

    def act(sight: Sight) -> Json:
        found = answers.given(sight.run, name)
        if not found and ask is not None:
            text = ask(f"{one.title}. {one.evidence}: ")
            found = dict(msgspec.to_builtins(answers.put(sight.run, name, text))) if text.strip() else {}
        if not found:
            message = f"{one.title}: nobody has answered yet: {one.evidence}"
            raise AwaitsSomebody(message, next_command=command.replace("{run}", sight.run))
        return found

    return Step(
        name=name,
        title=f"by hand: {one.title}",
        effect=Effect.READ,
        holds=lambda _sight: Yes({}),
        act=act,
        undo=NoUndo("people did it by hand"),
        asks=lambda run: f"by hand: {one.title}. {one.evidence}: {command.replace('{run}', run)}",
    )


def _name(run: str, step: str) -> str:
    return f"{RUNS}/{run}/answers/{step}.json"
