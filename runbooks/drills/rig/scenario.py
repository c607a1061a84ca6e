"""What a scenario is: it breaks something on the stage, and repairs it with a real book."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime

    from infra.stack import Stack
    from runbooks.drills.rig.detect import Look, Watch
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage
    from runbooks.engine.runner import Outcome


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What was done, when it took effect, and who noticed when. `noticed_at` None: nobody did."""

    trigger: str
    at: datetime
    noticed_at: datetime | None
    noticed_by: tuple[str, ...]
    around: tuple[Outcome, ...] = ()
    """Runs of books that were part of it."""
    problems: tuple[str, ...] = ()
    """What should have been noticed and was not."""


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """The real book's run. `point` is where data went back to, None where no data was touched."""

    outcome: Outcome
    point: datetime | None = None
    back: datetime | None = None
    """When the data of the point was there again: what was sent later must have been kept."""
    point_from: str = ""
    problems: tuple[str, ...] = ()
    """What the book should have done otherwise."""
    site: Site | None = None
    """Where the product is now, where it moved."""
    around: tuple[Outcome, ...] = ()
    """Runs of books that were tried before."""


@dataclass
class Scene:
    """What a scenario works with. `before_fault` is the last look that found all well."""

    stage: Stage
    watch: Watch
    before_fault: Look
    notes: list[str] = field(default_factory=list)


class Scenario(Protocol):
    """One drill."""

    @property
    def name(self) -> str:
        """Return the name by which it is called."""

    @property
    def what(self) -> str:
        """Return in one sentence what happens and what must repair it."""

    @property
    def warm_seconds(self) -> float:
        """Return for how long writes are accepted before the fault."""

    def break_it(self, scene: Scene) -> Broken:
        """Do the damage and wait until it is noticed."""

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Run the real book."""


@runtime_checkable
class Needing(Protocol):
    """A drill that some products have nothing for."""

    def missing(self, stack: Stack) -> str:
        """Return what there is nothing to break without, by its key in the stack file; "" where there is something."""
