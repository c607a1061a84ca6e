"""Wait for a second person: a step that holds once somebody else than the run's operators approved its plan.

An approval is an object in the ops home (`runs/<run>/answers/approval-<n>.json`), put once and never changed. The
journal keeps its single writer: the run that waits takes the approval up and writes it down.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.history import past
from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.home import RUNS
from runbooks.engine.step import Book, Effect, FactsT, NoUndo, Step, Yes
from runbooks.model.canonical import canonical, plain
from runbooks.model.errors import AwaitsSomebody, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Json, Sight

NAME: Final = "approval"
LOOK_AGAIN: Final = 1.0
"""Seconds between two looks for an approval while an operator waits at a terminal."""


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who approved which plan. `account` is the operating system's; `at` and `expires` are RFC 3339."""

    by: str
    account: str
    digest: str
    at: str
    expires: str


def approve(home: Home, run: str, *, by: str, account: str, now: datetime, seconds: float) -> Approval:
    """Approve the plan of a run for so many seconds. Raises Refused, and OSError.

    Refused: without a name, by an operator of the run, where the run does not ask, or while an approval counts.
    """
    given, digest, operators = _open(home, run)
    if not by.strip() or _plain(by) in operators:
        message = f"run {run}: expected the name of somebody else than {', '.join(sorted(operators))}, got “{by}”"
        raise Refused(message)
    for one in given.values():
        if one.digest == digest and now < datetime.fromisoformat(one.expires):
            message = f"run {run} is approved already, by {one.by} until {one.expires}"
            raise Refused(message)
    until = now + timedelta(seconds=seconds)
    approval = Approval(by, account, digest, now.isoformat(), until.isoformat())
    number = sum(name.startswith(NAME) for name in home.names(_folder(run))) + 1
    if not home.put_new(f"{_folder(run)}/{NAME}-{number:03}.json", canonical(plain(approval))):
        message = f"run {run} is being approved by somebody else at this moment"
        raise Refused(message)
    return approval


def approved(
    book: Book[FactsT], *, home: Home, clock: Callable[[], datetime], seconds: float, wait: bool, command: str
) -> Book[FactsT]:
    """Return the book with an approval before its first effect, which is waited for (`wait`) at most so many seconds.

    `command` is what the second person types; `{run}` in it stands for the run.
    """

    def steps(facts: FactsT) -> tuple[Step, ...]:
        plain_steps = book.steps(facts)
        first = next((at for at, step in enumerate(plain_steps) if step.effect is not Effect.READ), None)
        if first is None:
            return plain_steps
        return (*plain_steps[:first], ask, *plain_steps[first:])

    def act(sight: Sight) -> Json:
        while True:
            found = _counting(home, sight.run, now=clock())
            if found:
                return found
            if not wait or time.monotonic() >= sight.deadline:
                message = "nobody has approved the plan yet: somebody else than who runs it must"
                raise AwaitsSomebody(message, next_command=command.replace("{run}", sight.run))
            time.sleep(LOOK_AGAIN)

    ask = Step(
        name=NAME,
        title="wait until a second person approves this plan",
        effect=Effect.READ,
        holds=lambda _sight: Yes({}),
        act=act,
        undo=NoUndo("it changes nothing"),
        deadline=seconds,
        asks=lambda run: f"waits for the approval of a second person: {command.replace('{run}', run)}",
    )
    return replace(book, steps=steps)


def _folder(run: str) -> str:
    return f"{RUNS}/{run}/answers"


def _plain(name: str) -> str:
    """Return a name as it is compared: the same person in capitals is no second one."""
    return name.strip().casefold()


def _counting(home: Home, run: str, *, now: datetime) -> dict[str, Json]:
    """Return the newest approval that counts now, nothing where there is none."""
    given, digest, operators = _open(home, run)
    for name, one in reversed(given.items()):
        if one.digest == digest and _plain(one.by) not in operators and now < datetime.fromisoformat(one.expires):
            return {"name": name, **msgspec.to_builtins(one)}
    return {}


def _open(home: Home, run: str) -> tuple[dict[str, Approval], str, set[str]]:
    """Return the approvals that were not taken up, the digest of the plan, and every operator of the run."""
    entries = entries_of(home, run)
    told = past(entries)
    if told is None or not any(step.name == NAME for step in told.plan.steps):
        message = f"run {run} asks for no approval"
        raise Refused(message)
    operators = {_plain(entry.payload["actor"]) for entry in entries if entry.kind is Kind.LEASE_TAKEN}
    answered = [entry for entry in entries if entry.kind is Kind.ANSWERED and entry.step == NAME]
    used = {entry.payload["answer"]["name"] for entry in answered}
    names = [name for name in home.names(_folder(run)) if name.startswith(NAME) and name not in used]
    try:
        given = {name: msgspec.json.decode(home.get(f"{_folder(run)}/{name}") or b"", type=Approval) for name in names}
    except msgspec.MsgspecError as error:
        message = f"{home.where(_folder(run))}: not an approval: {error}"
        raise Refused(message) from error
    return given, told.digest, operators
