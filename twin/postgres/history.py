"""Remember which base backups and timelines there are, and choose among them for a point in time.

An era is a stretch of wall-clock time in which one timeline was the database. A recovery ends an era and begins the
next. "The database at T" is what the era of T held, so that even a recovery can be taken back by a later one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from twin.world import UnableError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Base:
    """A base backup: usable for points at or after `end` (Unix seconds)."""

    name: str
    timeline: int
    end: float


@dataclass
class Era:
    """A timeline that was the database from `since`; `sealed` is the time of its last, empty, commit."""

    timeline: int
    since: float
    parent: int | None = None
    forked_at: float = 0.0
    sealed: float | None = None


@dataclass(frozen=True)
class Target:
    """What PostgreSQL is told: the base to start from, the timeline to follow, the time, whether it is included."""

    base: Base
    era: Era
    time: float
    inclusive: bool


@dataclass
class History:
    """What `history.json` beside the data holds. `pending` is a recovery that was begun and not finished."""

    data: str = ""
    eras: list[Era] = field(default_factory=list)
    bases: list[Base] = field(default_factory=list)
    pending: int | None = None

    @classmethod
    def load(cls, file: Path) -> History:
        """Read the file; empty when there is none."""
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        return cls(
            data=held["data"],
            eras=[Era(**era) for era in held["eras"]],
            bases=[Base(**base) for base in held["bases"]],
            pending=held["pending"],
        )

    def save(self, file: Path) -> None:
        """Write the file in one step."""
        draft = file.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(file)

    @property
    def era(self) -> Era:
        """Return the era that is the database now."""
        return self.eras[-1]

    @property
    def earliest(self) -> float | None:
        """Return the first point (Unix seconds) that can be recovered to, or None without a base backup."""
        return min((base.end for base in self.bases), default=None)

    def target(self, at: float) -> Target:
        """Choose the base and the timeline for a point. UnableError when it lies before the first base backup."""
        era = next((era for era in reversed(self.eras) if era.since <= at), None)
        base = None if era is None else self._base(era, at)
        if era is None or base is None:
            message = f"the point {at} lies before the first base backup"
            raise UnableError(message)
        if era.sealed is not None and at >= era.sealed:
            # Nothing was committed after the seal: stop just before it, PostgreSQL fails when it never
            # meets a commit beyond its target (shared trap: an idle database).
            return Target(base, era, era.sealed, inclusive=False)
        return Target(base, era, at, inclusive=True)

    def _base(self, era: Era, until: float) -> Base | None:
        usable = [base for base in self.bases if base.timeline == era.timeline and base.end <= until]
        if usable:
            return max(usable, key=lambda base: base.end)
        parent = next((other for other in self.eras if other.timeline == era.parent), None)
        return None if parent is None else self._base(parent, min(until, era.forked_at))
