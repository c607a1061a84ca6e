"""Drill: a release that throws on one route goes live by a normal deploy; the rollback book takes it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbooks.drills.rig import faulty
from runbooks.drills.rig.scenario import Repaired

if TYPE_CHECKING:
    from runbooks.drills.rig.scenario import Broken, Scene


@dataclass(frozen=True)
class BadRelease:
    """The scenario."""

    name: str = "bad-release"
    what: str = "a release that throws on one route goes live by a normal deploy; the rollback book takes it back"
    warm_seconds: float = 0.5

    def break_it(self, scene: Scene) -> Broken:
        """Deploy the bad release by the real book, which must notice it, and look for ourselves."""
        return faulty.goes_live(scene, self.name)

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Run the rollback book."""
        with scene.stage.phases.measured(f"{self.name}: rollback"):
            outcome = faulty.taken_back(scene.stage.site, reason=f"drill {self.name}: {broken.noticed_by[0]}")
        return Repaired(outcome=outcome)
