"""What a run's journal (and a drill's evidence) tells, as data for the templates. Nothing in it is typed by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runbooks.engine.journal import Entry, Kind
from runbooks.model.errors import Refused
from runbooks.model.evidence import EVIDENCE
from runbooks.render.actions import Action, actions_for
from runbooks.render.wording import brief, moment, span, utc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from infra.stack import Contacts, Objectives
    from runbooks.model.evidence import DrillEvidence

JOURNAL: Final = "journal.jsonl"
SHOWN_HASH: Final = 12  # digits of a hash: enough to find the entry, short enough for a table
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
class Link:
    """Where a fact stands: a file relative to the post-mortem, an entry's number, the beginning of its hash."""

    file: str
    seq: int | None = None
    hash: str = ""

    @property
    def label(self) -> str:
        """Return the words of the link."""
        return f"{self.file} #{self.seq} {self.hash}" if self.seq is not None else self.file


@dataclass(frozen=True)
class Event:
    """One line of the timeline."""

    at: datetime
    text: str
    link: Link
    weight: str = "entry"
    """`milestone`, `failed` or `entry`: how loud it is."""


@dataclass(frozen=True)
class StepTime:
    """How one step went. `begun` and `seconds` relative to the run's start, in seconds."""

    title: str
    effect: str
    status: str
    begun: float
    seconds: float
    expected: float
    link: Link


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
    """Turn the entries of one journal into a story; `related` are (file, entries) of runs around it.

    Raises Refused when nothing was written.
    """
    if not entries:
        message = f"run {run}: its journal is empty; there is nothing to tell"
        raise Refused(message)
    opened, last = entries[0].payload, entries[-1]
    plan = opened["plan"]
    started, ended = moment(entries[0].at), moment(last.at)
    status = str(last.payload.get("status", "unfinished")) if last.kind is Kind.CLOSED else "unfinished"
    steps = step_times(entries, plan["steps"])
    fared = fared_of(objectives, evidence, (ended - started).total_seconds(), ended=last.kind is Kind.CLOSED)
    day = utc(started)[:10]
    about = f"drill {evidence.drill}" if evidence else plan["book"]
    return Story(
        title=f"Post-mortem: {about}, {day}",
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
        losses=tuple(plan["losses"]),
        fared=fared,
        actions=actions_for(
            contacts, ended, book=plan["book"], status=status, steps=steps, fared=fared, evidence=evidence
        ),
        questions=QUESTIONS,
        evidence=evidence,
        head=last.hash,
    )


def timeline(
    entries: Sequence[Entry], evidence: DrillEvidence | None, related: Sequence[tuple[str, Sequence[Entry]]]
) -> tuple[Event, ...]:
    """Return every entry, the ends of related runs and the drill's own moments, in order of time."""
    titles = _titles(entries)
    events = [_event(entry, JOURNAL, titles) for entry in entries]
    for file, others in related:
        loud = (Kind.RUN_OPENED, Kind.FAILED, Kind.PAUSED, Kind.CLOSED)
        events += [_event(entry, file, _titles(others)) for entry in others if entry.kind in loud]
    if evidence is not None:
        moments = (
            (evidence.fault_at, f"Trigger: {evidence.trigger}"),
            (evidence.detected_at, f"Detected: {'; '.join(evidence.detected_by)}"),
            (evidence.point, f"The point that the repair goes back to ({evidence.point_from})"),
            (evidence.recovered_at, "Health contract and smoke checks pass again through the edge"),
        )
        events += [Event(moment(at), text, Link(EVIDENCE), "milestone") for at, text in moments if at]
    return tuple(sorted(events, key=lambda event: event.at))


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
                link=_link(entry, JOURNAL),
            )
    return tuple(times.values())


def impact_of(steps: Sequence[StepTime], evidence: DrillEvidence | None, entries: Sequence[Entry]) -> tuple[Fact, ...]:
    """Return the impact in numbers, each with where it stands."""
    whole = (moment(entries[-1].at) - moment(entries[0].at)).total_seconds()
    end = _link(entries[-1], JOURNAL)
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


def _titles(entries: Sequence[Entry]) -> dict[str, str]:
    plan = entries[0].payload.get("plan", {}) if entries else {}
    return {step["name"]: step["title"] for step in plan.get("steps", ())}


def _link(entry: Entry, file: str) -> Link:
    return Link(file, entry.seq, entry.hash[:SHOWN_HASH])


def _event(entry: Entry, file: str, titles: dict[str, str]) -> Event:
    said = entry.payload
    step = titles.get(entry.step or "", entry.step or "")
    evidence = said.get("evidence") or {}
    texts: dict[Kind, str] = {
        Kind.RUN_OPENED: f"{said.get('book')} opened by {said.get('actor')}: {said.get('reason') or 'no reason given'}",
        Kind.LEASE_TAKEN: f"lease taken, fence {said.get('fence')}",
        Kind.STEP_STARTED: f"began: {step}",
        Kind.OBSERVED: f"{step}: " + (f"answer lost, {said['lost']}" if said.get("lost") else "answered"),
        Kind.HELD: f"proved: {step}",
        Kind.ALREADY_SO: f"already so: {step}",
        Kind.FAILED: f"failed: {step or entry.kind}: {said.get('text')}",
        Kind.UNDO_STARTED: f"taking back: {step}",
        Kind.UNDONE: f"taken back: {step}",
        Kind.CLOSED: f"{said.get('status')}" + (f": {said['text']}" if said.get("text") else ""),
    }
    text = texts.get(entry.kind, f"{entry.kind}: {said.get('text', '')}")
    seen = brief(evidence)
    weight = {Kind.FAILED: "failed", Kind.RUN_OPENED: "milestone", Kind.CLOSED: "milestone"}.get(entry.kind, "entry")
    return Event(moment(entry.at), f"{text} ({seen})" if seen else text, _link(entry, file), weight)
