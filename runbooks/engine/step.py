"""What a step and a book are. A book is an ordered tuple of steps, built from facts that were read before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeAlias, TypeVar

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Evidence: TypeAlias = Mapping[str, Json]
"""What was seen, as JSON that goes into the journal."""


class Effect(StrEnum):
    """What a step does to the outside, in the word that the operator reads."""

    READ = "reads"
    WRITE = "changes"
    DESTROY = "destroys"


@dataclass(frozen=True)
class Yes:
    """It is so."""

    evidence: Evidence


@dataclass(frozen=True)
class No:
    """It is not so. `why` is one line for the operator."""

    evidence: Evidence
    why: str


@dataclass(frozen=True)
class Settling:
    """Not known yet, or on its way: ask again after `look_again_after` seconds."""

    evidence: Evidence
    look_again_after: float


Held: TypeAlias = Yes | No | Settling


@dataclass(frozen=True)
class NoUndo:
    """There is no way back by this step; `because` says why, and what is the way back instead."""

    because: str


ONLY_READS: Final = NoUndo("it only reads")
"""The way back of a step that changes nothing."""


@dataclass(frozen=True)
class Sight:
    """What a step may look at: what earlier steps of the run observed, by step name."""

    results: Mapping[str, Json] = field(default_factory=dict)
    before: Evidence = field(default_factory=dict)
    """What `holds` saw before the act of this very step (empty until then)."""
    request: str = ""
    """Id of this act, on disk before it; put it where the provider keeps it, so that `holds` can find it."""
    run: str = ""
    """Id of the run, for what must say who made it so."""
    deadline: float = 0.0
    """Monotonic instant (seconds, `time.monotonic`) after which the step gives up."""
    report: Callable[[int, int], None] = lambda _done, _total: None
    """Progress of a long act: units done, units in all."""
    note: Callable[[str], None] = lambda _text: None
    """Show a line that matters and write it down."""


Undo: TypeAlias = Callable[[Sight], Json]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One act with its proof and its way back.

    `holds` answers "is it so now?" and serves four purposes: a step already so is skipped, an act is proved, a second
    run does nothing, and after a crash or a lost answer it decides whether the effect landed. It must only read.
    `act` makes it so once and returns what the provider answered (redacted by the engine before it is written).
    `deadline` is in seconds for one step, proof included; `attempts` counts acts, each only after a proven No.
    A step that only reads is never skipped: its `act` runs (again after `Unreachable`, until the deadline), its answer
    is recorded, then `holds` must say Yes before the deadline.
    """

    name: str
    title: str
    effect: Effect
    holds: Callable[[Sight], Held]
    act: Callable[[Sight], Json]
    undo: Undo | NoUndo
    expect: float = 1.0
    """Seconds, from past runs where there are any: the honest ETA."""
    deadline: float = 60.0
    attempts: int = 1
    asks: Callable[[str], str] | None = None
    """What a reading step that waits for a person says, given the run's id; written down before it is shown."""
    settle: float = 1.0
    """Seconds for which `holds` must keep saying No after a lost answer until that No is proven: a provider that reads
    stale, or carries out late, needs longer."""
    half: bool = False
    """Whether an act that was cut short may leave what `holds` does not see: `undo` is asked for even after a No then,
    and must do no harm where there is nothing."""


FactsT = TypeVar("FactsT")


@dataclass(frozen=True, kw_only=True)
class Book(Generic[FactsT]):
    """A runbook: what must be known first, then the steps that follow from it.

    `gather` only reads. `steps` is a pure function of the facts: the same facts give the same steps, which is what
    makes a plan a contract and a resume possible. `facts_type` (a msgspec.Struct) turns journalled facts back into
    data.
    `losses` names what will be lost, `shows` what else must be seen before it is agreed to, a line each.
    `recheck` names the facts that are read again before the first write.
    `after_undo` gives the reading steps that prove the old state once everything was taken back.
    `on_failure` gives the steps that follow by themselves when a reading step does not prove what it should after
    something took effect. They are part of the plan that is agreed to.
    `next_command` gives what is to be typed when all was done, None where nothing is.
    `lease` names a lease of its own, for a book that changes nothing of what is operated: it holds nobody else up.
    """

    name: str
    facts_type: type[FactsT]
    gather: Callable[[], FactsT]
    steps: Callable[[FactsT], tuple[Step, ...]]
    summary: Callable[[FactsT], str]
    losses: Callable[[FactsT], tuple[str, ...]] = lambda _facts: ()
    shows: Callable[[FactsT], tuple[str, ...]] = lambda _facts: ()
    recheck: tuple[str, ...] = ()
    after_undo: Callable[[FactsT], tuple[Step, ...]] = lambda _facts: ()
    on_failure: Callable[[FactsT], tuple[Step, ...]] = lambda _facts: ()
    next_command: Callable[[FactsT], str | None] = lambda _facts: None
    lease: str = ""
