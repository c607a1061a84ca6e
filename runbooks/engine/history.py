"""Tell from a journal how far a run came: what took effect, what is open, how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.engine.plan import Plan, Usual
from runbooks.engine.record.entry import Entry, Kind, entries_of
from runbooks.engine.record.home import RUNS, journal_of
from runbooks.engine.step import Effect, Json
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from runbooks.engine.outcome import Commands
    from runbooks.engine.record.home import Home

LOOK_BACK: Final = 20
"""Past runs that are read for their times: enough for a median, cheap to read."""


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line about a run. `status`: running, unfinished (its process died), not begun, damaged, or how it ended."""

    run: str
    status: str
    journal: str
    text: str = ""
    book: str = ""
    arguments: dict[str, Any] = {}
    actor: str = ""
    reason: str | None = None
    opened_at: str = ""
    last_at: str = ""
    steps_done: int = 0
    steps_total: int = 0
    open_step: str | None = None
    next_command: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether somebody must go on with it or take it back."""
        return self.status in ("unfinished", "paused")


@dataclass
class StepPast:
    """What a journal says of one step. `effect`: none was begun. `open`: begun, and not known how it ended."""

    effect: Effect | None = None
    request: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    answer: Json = None
    finished: bool = False
    open: bool = False
    took_effect: bool = False
    undoing: bool = False
    undone: bool = False
    result: Json = None
    seconds: float = 0.0

    @property
    def in_effect(self) -> bool:
        """Whether it took effect, or may have, and was not taken back."""
        return self.effect is not Effect.READ and (self.took_effect or self.open)


class Turned(msgspec.Struct, frozen=True):
    """Which proof failed, so that the run went on with what its plan holds for that; the proof's own next command."""

    why: str
    next_command: str | None = None


@dataclass
class Past:
    """What a journal says of a run. `last` is the entry that it ends with."""

    opened: dict[str, Any]
    plan: Plan
    digest: str
    last: Entry
    steps: dict[str, StepPast] = field(default_factory=dict)
    undoing: bool = False
    turned: Turned | None = None

    @property
    def status(self) -> str:
        """How it ended, in one word; nothing while it runs or after its process died."""
        if self.last.kind is Kind.PAUSED:
            return "paused"
        return str(self.last.payload["status"]) if self.last.kind is Kind.CLOSED else ""

    @property
    def acted(self) -> bool:
        """Whether something took effect, or may have, and was not taken back."""
        return any(step.in_effect for step in self.steps.values())

    def astray(self, plan: Plan) -> tuple[str, ...]:
        """Return the titles of what took effect and stands not, or not as it was, in another plan."""
        there = {(step.name, step.title, step.effect, step.no_undo) for step in plan.every_step}
        mine = [step for step in self.plan.every_step if step.name in self.steps and self.steps[step.name].in_effect]
        return tuple(step.title for step in mine if (step.name, step.title, step.effect, step.no_undo) not in there)

    def plan_anew(self, plan: Plan) -> None:
        """Go by another plan: of what was finished, only what took effect counts; the rest is looked at again."""
        self.plan, self.digest = plan, plan.digest
        self.steps = {name: step for name, step in self.steps.items() if step.in_effect}

    @property
    def results(self) -> dict[str, Json]:
        """What each finished step observed."""
        return {name: step.result for name, step in self.steps.items() if step.finished}


def past(entries: Sequence[Entry]) -> Past | None:
    """Fold the entries of one journal; None when nothing was begun."""
    if not entries:
        return None
    first, *rest = entries
    plan = msgspec.convert(first.payload["plan"], Plan)
    told = Past(first.payload, plan, first.payload["digest"], first)
    for entry in rest:
        told.last = entry
        if entry.step is None:
            _run(told, entry)
        else:
            _step(told.steps.setdefault(entry.step, StepPast()), entry.kind, entry.payload)
    return told


def merged(answer: Json, evidence: Mapping[str, Json]) -> Json:
    """Return what later steps see of a step: the evidence over the answer, which is `answer` when it is no object."""
    if answer is None:
        return dict(evidence)
    return {**(answer if isinstance(answer, dict) else {"answer": answer}), **evidence}


def usual_seconds(home: Home, book: str) -> dict[str, Usual]:
    """Return what each step took in the last runs of this book that were closed as done."""
    seen: dict[str, list[float]] = {}
    for run in home.names(RUNS)[-LOOK_BACK:]:
        try:
            told = past(entries_of(home, run))
        except Refused:
            continue  # `runs` and `runs.verify` report it; a damaged journal must not stop a recovery
        if told is None or told.opened["book"] != book or told.status != "done":
            continue
        for name, step in told.steps.items():
            if step.finished and (step.took_effect or step.effect is Effect.READ):
                seen.setdefault(name, []).append(step.seconds)
    return {name: Usual(min(seconds), median(seconds), max(seconds)) for name, seconds in seen.items()}


def summary(home: Home, run: str, *, live: Collection[str], commands: Commands) -> RunSummary:
    """Return what is to be said about one run; `live` are the ids of the runs whose processes are at work now."""
    where = home.where(journal_of(run))
    try:
        entries = entries_of(home, run)
    except Refused as error:
        return RunSummary(run=run, status="damaged", journal=where, text=str(error))
    told = past(entries)
    if told is None:
        return RunSummary(run=run, status="not begun", journal=where)
    status = told.status or ("running" if run in live else "unfinished")
    go_on = commands.undo(run) if told.undoing or status == "unproven" else commands.resume(run)
    opened = told.opened
    return RunSummary(
        run=run,
        status=status,
        journal=where,
        text=told.last.payload.get("text", ""),
        book=opened["book"],
        arguments=opened["arguments"],
        actor=opened["actor"],
        reason=opened["reason"],
        opened_at=entries[0].at,
        last_at=told.last.at,
        steps_done=sum(step.finished for step in told.steps.values()),
        steps_total=len(told.plan.every_step if told.turned else told.plan.steps),
        open_step=next((name for name, step in told.steps.items() if step.open), None),
        next_command=go_on if status in ("unfinished", "paused", "failed", "unproven") else None,
    )


def _run(told: Past, entry: Entry) -> None:
    if entry.kind is Kind.NOTED and "plan" in entry.payload:
        told.plan_anew(msgspec.convert(entry.payload["plan"], Plan))
    if entry.kind is Kind.NOTED and "turned" in entry.payload:
        told.turned = msgspec.convert(entry.payload["turned"], Turned)
    if entry.kind is Kind.LEASE_TAKEN and entry.payload["purpose"] == "undo":
        told.undoing = True


def _step(step: StepPast, kind: Kind, payload: dict[str, Any]) -> None:
    if kind is Kind.STEP_STARTED:
        step.effect = Effect(payload["effect"])
        step.request, step.before = payload["request"], payload["before"]
        step.answer, step.open, step.finished = None, True, False
    elif kind is Kind.OBSERVED:
        step.answer = payload.get("answer")
    elif kind in (Kind.HELD, Kind.ALREADY_SO):
        step.took_effect = kind is Kind.HELD and step.effect is not Effect.READ
        step.open, step.finished, step.seconds = False, True, payload["seconds"]
        step.result = merged(step.answer, payload["evidence"])
    elif kind in (Kind.FAILED, Kind.PAUSED):
        step.open = step.open and payload["effect"] != "none"
    elif kind is Kind.UNDO_STARTED:
        step.undoing = True
    elif kind is Kind.UNDONE:
        step.open, step.took_effect, step.finished, step.undone = False, False, False, True
