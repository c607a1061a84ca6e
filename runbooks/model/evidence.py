"""What a drill proved, as data: it lies as `drill.json` beside the journal of the run that repaired.

Times are RFC 3339 in UTC, spans are seconds.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

EVIDENCE: Final = "drill.json"
"""The file's name, in the folder of the repairing run."""

DRILLS: Final = "drills"
"""The folder of an ops home in which each drill has an ops home of its own: its runs are not the stack's runs."""


class Verdict(StrEnum):
    """How a drill ended, in the words that people read."""

    PROVEN = "proven"
    NOT_PROVEN = "not proven"
    NOT_MEASURED = "not measured"


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """The workload's ledger against the database, row by row.

    `accepted` = `kept` + `lost` + `missing` + `altered`. `lost` lie between the point and the fault and are listed;
    `missing` were accepted before the point (or after the recovery) and are not there, `altered` are there and differ:
    both must be 0. `unanswered` have no known end. `foreign` rows are there and were neither accepted nor seeded.
    `seed_rows` is how many rows were there before the workload, `seed_missing` how many of them are gone or differ.
    """

    requests: int = 0
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    unanswered: int = 0
    kept: int = 0
    lost: int = 0
    missing: int = 0
    altered: int = 0
    foreign: int = 0
    seed_rows: int = 0
    seed_missing: int = 0
    fields_compared: int = 0


class LostWrite(msgspec.Struct, frozen=True):
    """A write that was answered as accepted and that the recovery could not keep."""

    request: str
    key: str
    accepted_at: str


class Damage(msgspec.Struct, frozen=True):
    """Rows of one table: before the fault, when the fault was seen, after the recovery."""

    table: str
    before: int
    broken: int
    after: int


class RelatedRun(msgspec.Struct, frozen=True):
    """Another run of the same drill; `journal` is relative to the repairing run's folder."""

    run: str
    book: str
    journal: str


class Objective(msgspec.Struct, frozen=True):
    """Recovery time and recovery point objective of the stack file."""

    rto_seconds: float
    rpo_seconds: float


class DrillEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """One drill, whole. `passed` only when the fault bit, was repaired, and nothing is unaccounted for.

    Where not `measured` it came to no end of its own: `problems` say why, and every other field says nothing.
    """

    drill: str
    passed: bool
    measured: bool = True
    problems: tuple[str, ...]
    trigger: str
    fault_at: str
    detected_at: str | None
    detected_by: tuple[str, ...]
    recovered_at: str | None
    point: str | None
    point_from: str
    objective: Objective
    lost_window_seconds: float
    counts: Counts
    lost: tuple[LostWrite, ...]
    damage: tuple[Damage, ...]
    related: tuple[RelatedRun, ...]
    phases: dict[str, float]

    @property
    def verdict(self) -> Verdict:
        """Return how it ended, in words."""
        if self.passed:
            return Verdict.PROVEN
        return Verdict.NOT_PROVEN if self.measured else Verdict.NOT_MEASURED

    @property
    def detected_seconds(self) -> float | None:
        """Return the seconds from the fault to its detection; None when it was not detected."""
        return _between(self.fault_at, self.detected_at)

    @property
    def recovery_seconds(self) -> float | None:
        """Return the seconds from the fault until users were served again; None when they were not."""
        return _between(self.fault_at, self.recovered_at)


def _between(start: str, end: str | None) -> float | None:
    if end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)
