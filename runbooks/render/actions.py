"""Propose what to do next: each action follows from a fact by a rule, has a role as owner and a due date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.stack import Contacts
    from runbooks.model.evidence import DrillEvidence

FRIDAY: Final = 4
DUE: Final = {"at once": 1, "soon": 5, "planned": 20}
"""Working days: what users lost comes first, the cause within a week, improvements within a month."""
SLOW: Final = 2.0  # times the expected seconds
WORTH: Final = 5.0  # seconds; a step that is faster is not worth an action


class Went(Protocol):
    """What is read of a step."""

    @property
    def title(self) -> str:
        """Return the step in words."""

    @property
    def status(self) -> str:
        """Return how it ended."""

    @property
    def seconds(self) -> float:
        """Return what it took."""

    @property
    def expected(self) -> float:
        """Return what it was expected to take."""

    @property
    def unchecked(self) -> str:
        """Return why it could prove nothing, "" where it could."""


class Result(Protocol):
    """What is read of an objective."""

    @property
    def name(self) -> str:
        """Return its name."""

    @property
    def measured(self) -> str:
        """Return what was measured."""

    @property
    def met(self) -> bool | None:
        """Return whether it was met, None when unknown."""


@dataclass(frozen=True)
class Action:
    """A proposal: what, who (a role's address), until when, and the fact that it follows from."""

    what: str
    owner: str
    due: date
    because: str


def working_days_after(day: date, days: int) -> date:
    """Return the day that is `days` working days later; Saturdays and Sundays do not count."""
    while days:
        day += timedelta(days=1)
        days -= day.weekday() <= FRIDAY
    return day


def actions_for(
    contacts: Contacts,
    ended: datetime,
    *,
    book: str,
    status: str,
    steps: Sequence[Went],
    fared: Sequence[Result],
    evidence: DrillEvidence | None,
    lists: Sequence[str] = (),
) -> tuple[Action, ...]:
    """Return the proposals, the most urgent first. Days are counted in the contacts' time zone.

    `lists` are lines that name what must be compared by people.
    """
    today = ended.astimezone(ZoneInfo(contacts.time_zone)).date()
    proposals = [
        *_about_users(contacts, book, status, evidence),
        *_about_steps(contacts, steps, fared),
        *(("at once", "Reconcile what was accepted and then given up", contacts.technical_lead, one) for one in lists),
        (
            "soon",
            "Answer the questions under contributing factors",
            contacts.technical_lead,
            "the journal knows no why",
        ),
    ]
    return tuple(
        Action(what, owner, working_days_after(today, DUE[urgency]), because)
        for urgency, what, owner, because in sorted(proposals, key=lambda proposal: DUE[proposal[0]])
    )


def _about_users(
    contacts: Contacts, book: str, status: str, evidence: DrillEvidence | None
) -> Iterator[tuple[str, str, str, str]]:
    if status not in ("done", "already so"):
        yield "at once", f"Bring {book} to its end or take it back", contacts.on_call, f"the run ended as {status}"
    if evidence is not None and evidence.counts.lost:
        why = f"{evidence.counts.lost} accepted writes were lost; drill.json lists them"
        yield "at once", "Tell those concerned and enter the lost writes again", contacts.on_call, why
    if evidence is not None and evidence.problems:
        yield "at once", "Explain what the drill could not account for", contacts.technical_lead, evidence.problems[0]
    if book == "restore":
        yield (
            "soon",
            "Compare what was written outside the database with it",
            contacts.database_admin,
            "ids may be used twice",
        )
    if book == "rollback":
        why = "traffic stays on the earlier release until then"
        yield "soon", "Correct the release, then `invoke rollback --unpin`", contacts.technical_lead, why


def _about_steps(
    contacts: Contacts, steps: Sequence[Went], fared: Sequence[Result]
) -> Iterator[tuple[str, str, str, str]]:
    for result in fared:
        if result.met is False:
            why = f"the objective was missed: {result.measured}"
            yield "soon", f"Bring the {result.name} back under its objective", contacts.technical_lead, why
    for step in steps:
        if step.unchecked:
            yield "at once", f"Check by hand: {step.title}", contacts.on_call, f"nobody answered: {step.unchecked}"
        if step.status == "failed":
            yield "soon", f"Find out why “{step.title}” failed", contacts.technical_lead, "the step failed"
        if step.seconds > WORTH and step.expected and step.seconds > SLOW * step.expected:
            why = f"it took {step.seconds:.1f} s, {step.expected:.1f} s were expected"
            yield "planned", f"Find out why “{step.title}” is slow", contacts.database_admin, why
