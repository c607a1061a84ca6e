"""A journal as a timeline: one line an entry, each with the link to where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.engine.record.entry import Entry, Kind
from runbooks.model.evidence import EVIDENCE
from runbooks.render.wording import brief, moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runbooks.model.evidence import DrillEvidence

JOURNAL: Final = "journal.jsonl"
SHOWN_HASH: Final = 12  # digits of a hash: enough to find the entry, short enough for a table


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


def _titles(entries: Sequence[Entry]) -> dict[str, str]:
    plan = entries[0].payload.get("plan", {}) if entries else {}
    return {step["name"]: step["title"] for way in ("steps", "otherwise") for step in plan.get(way, ())}


def link_to(entry: Entry, file: str = JOURNAL) -> Link:
    """Return where an entry stands."""
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
    return Event(moment(entry.at), f"{text} ({seen})" if seen else text, link_to(entry, file), weight)
