"""Say what will be done before it is done. The digest of a plan is what the operator agrees to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from runbooks.engine.step import Book, Effect, Json, NoUndo, Step
from runbooks.model.canonical import digest, plain
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from runbooks.engine.redaction import Redactor


STEPS: Final = ("steps", "otherwise")
"""The fields of a plan whose lists are compared step by step."""


class Usual(NamedTuple):
    """What a step took in past runs, in seconds: the shortest, the median, the longest."""

    least: float
    middle: float
    most: float


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step as it is shown. `expect` and `deadline` in seconds; `no_undo` says why there is no way back, if none."""

    name: str
    title: str
    effect: Effect
    expect: float
    deadline: float
    attempts: int
    no_undo: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run will do, from which facts, and what will be lost. `estimate` lies `between` two times, in seconds.

    `otherwise` is what follows when a proof fails after something took effect; `shows` what else it lets one see.
    """

    book: str
    stack: str
    arguments: dict[str, Any]
    facts: dict[str, Any]
    steps: tuple[PlannedStep, ...]
    losses: tuple[str, ...]
    summary: str
    estimate: float
    between: tuple[float, float] | None = None
    shows: tuple[str, ...] = ()
    otherwise: tuple[PlannedStep, ...] = ()
    lease: str = ""
    """The lease that is taken, where it is not the stack's own."""

    @property
    def every_step(self) -> tuple[PlannedStep, ...]:
        """Return the steps of both ways, in the order in which they can take effect."""
        return self.steps + self.otherwise

    @property
    def digest(self) -> str:
        """The SHA-256 over canonical JSON of everything but the estimated times: those change with every past run."""
        return digest(_agreed(self))


@dataclass(frozen=True)
class Draft:
    """A plan and the steps that carry it out, also after a failed proof (`otherwise`).

    `facts` as JSON, `hidden` whether a secret in them was replaced, `next_command` what follows when all was done.
    """

    plan: Plan
    steps: tuple[Step, ...]
    otherwise: tuple[Step, ...]
    facts: dict[str, Json]
    hidden: bool
    next_command: str | None = None


def draft(
    book: Book[Any],
    facts: object,
    *,
    stack: str,
    arguments: dict[str, Json],
    usual: Mapping[str, Usual],
    redact: Redactor,
) -> Draft:
    """Return what the book does about these facts. `usual` gives what steps took in past runs.

    Raises ValueError when the book names a step twice, or a fact to recheck that it does not have.
    """
    steps, otherwise = book.steps(facts), book.on_failure(facts)
    known: dict[str, Any] = plain(facts)  # type: ignore[assignment] # facts are a struct, so this is an object
    _check_names(book, (*steps, *otherwise), known)
    took = [usual.get(step.name, (step.expect, step.expect, step.expect)) for step in steps]
    lines = tuple(planned(step, expect=middle) for step, (_, middle, _) in zip(steps, took, strict=True))
    plan = Plan(
        book=book.name,
        stack=stack,
        arguments=arguments,
        facts=known,
        steps=lines,
        losses=book.losses(facts),
        summary=book.summary(facts),
        estimate=sum(line.expect for line in lines),
        shows=book.shows(facts),
        between=(sum(least for least, _, _ in took), sum(most for _, _, most in took)),
        otherwise=tuple(planned(step, expect=step.expect) for step in otherwise),
        lease=f"{stack}.{book.lease}" if book.lease else "",
    )
    clean = redact.json(plan)
    hidden = redact.json(known) != known
    return Draft(msgspec.convert(clean, Plan), steps, otherwise, known, hidden, book.next_command(facts))


def _check_names(book: Book[Any], steps: tuple[Step, ...], facts: Mapping[str, object]) -> None:
    names = Counter(step.name for step in steps)
    wrong = [*(name for name, times in names.items() if times > 1), *(set(book.recheck) - set(facts))]
    if wrong:
        message = f"book {book.name}: named twice, or not a fact: {', '.join(wrong)}"
        raise ValueError(message)


class FactsChanged(Refused):
    """A fact that the plan rests on is no longer so: no effect was started."""


def unchanged(book: Book[Any], facts: Mapping[str, object]) -> None:
    """Gather again and raise FactsChanged when a fact that the book names is no longer what the plan rests on."""
    if not book.recheck:
        return
    now: dict[str, Any] = plain(book.gather())  # type: ignore[assignment] # facts are a struct
    changed = [
        f"{name} was {facts.get(name)}, is {now.get(name)}" for name in book.recheck if now.get(name) != facts.get(name)
    ]
    if changed:
        message = f"the facts changed since the plan was made, so no effect was started: {'; '.join(changed)}"
        raise FactsChanged(message)


def planned(step: Step, *, expect: float) -> PlannedStep:
    """Return the step as a plan shows it, `expect` seconds long."""
    return PlannedStep(
        name=step.name,
        title=step.title,
        effect=step.effect,
        expect=expect,
        deadline=step.deadline,
        attempts=step.attempts,
        no_undo=step.undo.because if isinstance(step.undo, NoUndo) else None,
    )


def differences(agreed: Plan, now: Plan) -> tuple[str, ...]:
    """Name what differs between the plan that was agreed to and the plan of now, a line each."""
    return tuple(_differ("", _agreed(agreed), _agreed(now)))


def _agreed(plan: Plan) -> dict[str, Any]:
    """Return what is agreed to, steps by name and place."""
    data: dict[str, Any] = msgspec.to_builtins(plan)
    del data["estimate"], data["between"]
    for step in (*data["steps"], *data["otherwise"]):
        del step["expect"]
    return data


def _differ(where: str, was: Json, now: Json) -> list[str]:
    if was == now:
        return []
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        names = [*was, *(name for name in now if name not in was)]
        parts = [_differ(f"{where}.{name}".lstrip("."), was.get(name), now.get(name)) for name in names]
        return [line for part in parts for line in part]
    if isinstance(was, list | tuple) and isinstance(now, list | tuple) and where in STEPS:
        return _differ(where, _by_name(was), _by_name(now)) or [f"{where}: in another order"]
    return [f"{where}: was {_short(was)}, is {_short(now)}"]


def _by_name(steps: list[Json] | tuple[Json, ...]) -> dict[str, Json]:
    return {str(step["name"]): step for step in steps if isinstance(step, dict)}


def _short(value: Json) -> str:
    if isinstance(value, dict) and "title" in value:
        return f"“{value['title']}”"
    text = "not there" if value is None else str(value)
    limit = 80
    return text if len(text) <= limit else f"{text[:limit]}…"
