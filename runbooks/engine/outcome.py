"""How a run is agreed to, shown and ended."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ParamSpec, Protocol

from runbooks.engine.plan import FactsChanged
from runbooks.model.errors import AnswerLost, AwaitsSomebody, Exit, NotSo, OpsError, Outage, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.engine.plan import Plan, PlannedStep
    from runbooks.engine.record.entry import Kind
    from runbooks.engine.record.signature import Signer
    from runbooks.engine.redaction import Redactor
    from runbooks.engine.step import Evidence, Json


class Status(StrEnum):
    """How a run ended, in the word that the operator reads."""

    DONE = "done"
    ALREADY_SO = "already so"
    PLANNED = "planned"
    PAUSED = "paused"
    FAILED = "failed"
    UNPROVEN = "unproven"
    UNDONE = "undone"
    TAKEN_BACK = "taken back"
    """A proof failed, and what the plan holds for that was done."""


@dataclass(frozen=True)
class Consent:
    """How the operator agrees to a plan.

    `ask` shows the question and says whether the operator agreed; None where nobody can be asked. `take_over` takes a
    dead holder's lease and, like `yes`, needs a `reason`.
    """

    dry_run: bool = False
    yes: bool = False
    reason: str | None = None
    ask: Callable[[Plan], bool] | None = None
    take_over: bool = False


def agree(plan: Plan, consent: Consent) -> str:
    """Return by what the plan was agreed to (`--yes` or `typed`). Raises Refused when it was not."""
    reason = (consent.reason or "").strip()
    if consent.take_over and not reason:
        message = 'nothing was done: taking over needs the reason for it: add --reason "<why>"'
        raise Refused(message)
    if consent.yes and not reason:
        message = 'nothing was done: --yes needs the reason for it: add --reason "<why>"'
        raise Refused(message)
    if consent.yes:
        return "--yes"
    if consent.ask is None:
        message = 'nothing was done: nobody can be asked here: add --yes --reason "<why>"'
        raise Refused(message)
    if not consent.ask(plan):
        message = "nothing was done: the plan was not agreed to"
        raise Refused(message)
    return "typed"


@dataclass(frozen=True)
class Commands:
    """The commands that go on with a run, exactly as they are typed."""

    stack_argument: str

    def resume(self, run: str) -> str:
        """Return the command that goes on."""
        return f"invoke runs.resume --run {run} --stack {shlex.quote(self.stack_argument)}"

    def undo(self, run: str) -> str:
        """Return the command that takes back what took effect."""
        return f"invoke runs.undo --run {run} --stack {shlex.quote(self.stack_argument)}"


@dataclass(frozen=True)
class Ending:
    """How a run ends, before it is written down."""

    status: Status
    exit: Exit
    text: str = ""
    next_command: str | None = None
    error: BaseException | None = None


def ending_of(error: Exception, *, acted: bool, go_on: str, undo: str) -> Ending:
    """Return how an error ends a run in which something took effect (`acted`) or nothing did.

    A lost answer and an unreachable system pause it: looking again may well go on; what does without one in an outage
    is another command. A failed proof after an effect is `unproven`, whose way out is what the proof names, or to take
    back. Anything else is `failed`.
    """
    if isinstance(error, FactsChanged):
        go_on = f"{go_on} --replan"
    text = str(error) if isinstance(error, OpsError) else f"{type(error).__name__}: {error}"
    first = error.next_command if isinstance(error, OpsError) else None
    if isinstance(error, NotSo) and acted:
        return Ending(Status.UNPROVEN, Exit.UNPROVEN, f"{text}; to look again: {go_on}", first or undo, error)
    text = f"{text}; {'or' if isinstance(error, Outage) else 'first'}: {first}" if first else text
    if isinstance(error, AnswerLost | AwaitsSomebody) or (isinstance(error, OpsError) and error.retryable):
        return Ending(Status.PAUSED, Exit.PAUSED, text, go_on, error)
    refused = isinstance(error, Refused) and not acted
    return Ending(Status.FAILED, Exit.REFUSED if refused else Exit.FAILED, text, go_on, error)


Arguments = ParamSpec("Arguments")


class Show(Protocol):
    """What the operator sees of a run. All of it is free of secrets. An OSError (closed terminal) mutes it."""

    def plan(self, plan: Plan) -> None:
        """Show what will be done."""

    def step_started(self, step: PlannedStep, index: int, total: int) -> None:
        """Show that a step begins; `index` counts from 1."""

    def progress(self, step: PlannedStep, done: int, total: int) -> None:
        """Show how far a long act is, in units of its own."""

    def step_finished(self, step: PlannedStep, status: Kind, seconds: float, evidence: Evidence) -> None:
        """Show how a step ended (held, already so, undone, failed, paused) and what was seen."""

    def note(self, text: str) -> None:
        """Show one line that matters."""

    def closed(self, outcome: Outcome) -> None:
        """Show how the run ended and why. What to type next is for the caller to show, as the last line."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `results` holds what each step observed, as the journal has it; `seconds` of this process."""

    run: str
    status: Status
    exit: Exit
    journal: str | None
    results: dict[str, Json]
    seconds: float
    next_command: str | None
    plan: Plan
    text: str = ""
    """One line for the operator: why it did not end well."""
    error: BaseException | None = field(default=None, compare=False)
    """What was raised, for a traceback where one is wanted. May hold secrets: redact before showing."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What every run of a runner shares: what is shown to whom, what is hidden, what time it is, who signs."""

    show: Show
    redact: Redactor
    clock: Callable[[], datetime]
    commands: Commands
    signer: Signer | None = None
    muted: list[OSError] = field(default_factory=list)

    def tell(self, what: Callable[Arguments, None], *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        """Show something; a terminal that is gone must not end a run, so it is not shown anything again."""
        if self.muted:
            return
        try:
            what(*args, **kwargs)
        except OSError as error:
            self.muted.append(error)

    def note(self, text: str) -> None:
        """Show one line, free of secrets."""
        self.tell(self.show.note, self.redact(text))
