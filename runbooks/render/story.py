"""What a run's journal (and a drill's evidence) tells, as data for the templates. Nothing in it is typed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from runbooks.engine.record.entry import Entry, Kind
from runbooks.model.errors import Refused
from runbooks.model.evidence import EVIDENCE
from runbooks.render.actions import Action, actions_for
from runbooks.render.timeline import Event, Link, link_to, timeline
from runbooks.render.wording import moment, span, utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from infra.stack import Contacts, Objectives
    from runbooks.model.evidence import DrillEvidence

ENDS: Final = (Kind.HELD, Kind.ALREADY_SO, Kind.FAILED, Kind.UNDONE)
QUESTIONS: Final = (
    "What made the trigger possible? Which check, review or guard should have stopped it?",
    "Why was it noticed when it was, and not earlier? Which signal came first, and who saw it?",
    "What slowed the repair down: finding the cause, deciding, access, the tools?",
    "What went well, and must not be lost by the next change?",
    "Where were we lucky?",
)
"""Contributing factors are asked: a journal knows what happened, never why people did it."""


@dataclass(frozen=True)
class StepTime:
    """How one step went. `begun` and `seconds` relative to the run's start, in seconds.

    `unchecked` says why it could prove nothing: nobody answered it.
    """

    title: str
    effect: str
    status: str
    begun: float
    seconds: float
    expected: float
    link: Link
    unchecked: str = ""


@dataclass(frozen=True)
class Fact:
    """A number of the impact and where it stands."""

    what: str
    value: str
    link: Link


@dataclass(frozen=True)
class Fared:
    """How an objective fared: `met` is None where the run alone cannot tell."""

    name: str
    objective: str
    measured: str
    met: bool | None


@dataclass(frozen=True)
class Story:
    """A post-mortem's content."""

    title: str
    product: str
    run: str
    book: str
    status: str
    summary: tuple[str, ...]
    reason: str
    actor: str
    started: datetime
    ended: datetime
    code: str
    events: tuple[Event, ...]
    steps: tuple[StepTime, ...]
    impact: tuple[Fact, ...]
    losses: tuple[str, ...]
    fared: tuple[Fared, ...]
    actions: tuple[Action, ...]
    questions: tuple[str, ...]
    evidence: DrillEvidence | None
    head: str

    @property
    def seconds(self) -> float:
        """Return how long the run took."""
        return (self.ended - self.started).total_seconds()


def story(
    run: str,
    entries: Sequence[Entry],
    *,
    product: str,
    objectives: Objectives,
    contacts: Contacts,
    evidence: DrillEvidence | None,
    related: Sequence[tuple[str, Sequence[Entry]]] = (),
) -> Story:
    """Turn a journal into a story; `related` are (file, entries) of runs around it. Raises Refused for no entries."""
    (opened, last), lists = _ends(run, entries), tuple(to_reconcile(entries))
    plan, status = opened["plan"], _status(last)
    started, ended = moment(entries[0].at), moment(last.at)
    steps = step_times(entries, [*plan["steps"], *plan.get("otherwise", ())])
    fared = fared_of(objectives, evidence, (ended - started).total_seconds(), ended=last.kind is Kind.CLOSED)
    return Story(
        title=_title(plan["book"], evidence, started),
        product=product,
        run=run,
        book=plan["book"],
        status=status,
        summary=tuple(" ".join(line.split()) for line in plan["summary"].splitlines()),
        reason=str(opened.get("reason") or ""),
        actor=str(opened.get("actor") or ""),
        started=started,
        ended=ended,
        code=str(opened.get("code") or ""),
        events=timeline(entries, evidence, related),
        steps=steps,
        impact=impact_of(steps, evidence, entries),
        losses=(*plan["losses"], *lists),
        fared=fared,
        actions=actions_for(
            contacts, ended, book=plan["book"], status=status, steps=steps, fared=fared, evidence=evidence, lists=lists
        ),
        questions=QUESTIONS,
        evidence=evidence,
        head=last.hash,
    )


def to_reconcile(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a line for each list that a step has written of what people must compare with other books."""
    for entry in entries:
        told = entry.payload.get("evidence")
        if entry.kind in (Kind.HELD, Kind.ALREADY_SO) and isinstance(told, dict) and "to_reconcile" in told:
            counts = ", ".join(f"{told[what]} {what}" for what in ("rows", "requests") if what in told)
            yield f"{counts} accepted after the point are listed in {told['to_reconcile']}"


def _ends(run: str, entries: Sequence[Entry]) -> tuple[dict[str, Any], Entry]:
    if not entries:
        message = f"run {run}: its journal is empty; there is nothing to tell"
        raise Refused(message)
    return entries[0].payload, entries[-1]


def _status(last: Entry) -> str:
    return str(last.payload.get("status", "unfinished")) if last.kind is Kind.CLOSED else "unfinished"


def _title(book: str, evidence: DrillEvidence | None, started: datetime) -> str:
    about = f"drill {evidence.drill}" if evidence else book
    return f"Post-mortem: {about}, {utc(started)[:10]}"


def step_times(entries: Sequence[Entry], planned: Sequence[dict[str, object]]) -> tuple[StepTime, ...]:
    """Return each step's last end in the order of the journal; steps that never ended are left out."""
    start = moment(entries[0].at)
    plans = {str(step["name"]): step for step in planned}
    begun: dict[str, datetime] = {}
    times: dict[str, StepTime] = {}
    for entry in entries:
        if entry.step is None:
            continue
        if entry.kind in (Kind.STEP_STARTED, Kind.UNDO_STARTED):
            begun[entry.step] = moment(entry.at)
        if entry.kind in ENDS:
            plan = plans.get(entry.step, {})
            end = moment(entry.at)
            spent = entry.payload.get("seconds")
            first = end - timedelta(seconds=spent) if spent is not None else begun.get(entry.step, end)
            times[entry.step] = StepTime(
                title=str(plan.get("title", entry.step)),
                effect=str(plan.get("effect", "")),
                status=str(entry.kind),
                begun=max(0.0, (first - start).total_seconds()),
                seconds=(end - first).total_seconds(),
                expected=float(str(plan.get("expect", 0.0))),
                link=link_to(entry),
                unchecked=_unchecked(entry.payload.get("evidence")),
            )
    return tuple(times.values())


def _unchecked(evidence: object) -> str:
    told = evidence.get("not_checked") if isinstance(evidence, dict) else None
    return told if isinstance(told, str) else ""


def impact_of(steps: Sequence[StepTime], evidence: DrillEvidence | None, entries: Sequence[Entry]) -> tuple[Fact, ...]:
    """Return the impact in numbers, each with where it stands."""
    whole = (moment(entries[-1].at) - moment(entries[0].at)).total_seconds()
    end = link_to(entries[-1])
    facts = [
        Fact("the repair took", span(whole), end),
        Fact(
            "steps that changed or destroyed", str(sum(s.effect != "reads" and s.status == "held" for s in steps)), end
        ),
    ]
    if evidence is None:
        return tuple(facts)
    counts, link = evidence.counts, Link(EVIDENCE)
    numbers: list[tuple[str, str]] = [
        ("detected after", _spent(evidence.detected_seconds)),
        ("served again after", _spent(evidence.recovery_seconds)),
        ("writes accepted", str(counts.accepted)),
        ("writes refused meanwhile", str(counts.refused)),
        ("requests that failed", str(counts.failed + counts.unanswered)),
        ("accepted writes lost", str(counts.lost)),
        ("window of lost writes", span(evidence.lost_window_seconds)),
        ("accepted writes missing without account", str(counts.missing + counts.altered)),
        ("rows that nobody wrote", str(counts.foreign)),
        *((f"rows of {d.table}: before, broken, after", f"{d.before}, {d.broken}, {d.after}") for d in evidence.damage),
    ]
    return (*(Fact(what, value, link) for what, value in numbers), *facts)


def fared_of(
    objectives: Objectives, evidence: DrillEvidence | None, seconds: float, *, ended: bool
) -> tuple[Fared, ...]:
    """Compare with the objectives. Without a drill the fault's instant is unknown: only the run itself is measured."""
    rto, rpo = f"≤ {span(objectives.rto_seconds)}", f"≤ {span(objectives.rpo_seconds)}"
    if evidence is None:
        late = seconds > objectives.rto_seconds
        took = f"{span(seconds)} from the start of the run; the incident began earlier"
        return (
            Fared("recovery time", rto, took if ended else "the run has not ended", met=False if late else None),
            Fared("recovery point", rpo, "not measured in this run", met=None),
        )
    recovery = evidence.recovery_seconds
    lost = evidence.lost_window_seconds
    return (
        Fared("recovery time", rto, _spent(recovery), met=recovery is not None and recovery <= objectives.rto_seconds),
        Fared("recovery point", rpo, span(lost), met=lost <= objectives.rpo_seconds),
    )


def _spent(seconds: float | None) -> str:
    return "never" if seconds is None else span(seconds)
