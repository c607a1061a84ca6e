"""Drill: a table is emptied while its users keep writing; the restore book takes the database to just before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.drills.rig.going_back import go_back, just_before
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.drills.rig.tables import last_change
from runbooks.model.reconciliation import SPOIL

if TYPE_CHECKING:
    from runbooks.drills.rig.scenario import Scene

NOTICE: Final = 5.0  # seconds: we look all the time; what was not seen by then is not seen at all


@dataclass(frozen=True)
class LostTable:
    """The scenario."""

    name: str = "lost-table"
    what: str = "a table is emptied while its users keep writing; the restore book takes the database to just before it"
    warm_seconds: float = 1.5  # a recovery to a whole second must leave some of the accepted writes

    def break_it(self, scene: Scene) -> Broken:
        """Run the stack file's SQL as a careless administrator would, and look until it is noticed."""
        site = scene.stage.site
        sql = site.settings.stack.drill.lost_table.sql
        at = utc_now()
        with site.postgres.writing(SPOIL) as session:
            session.connection.execute(sql)
        look = scene.watch.until_faulty(NOTICE)
        return Broken(
            trigger=f"somebody ran `{sql}`",
            at=at,
            noticed_at=look.ended if look else None,
            noticed_by=look.faults if look else (),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Find the point just before the fault from evidence, and run the restore book with it."""
        stage = scene.stage
        with stage.phases.measured("lost-table: find the point"):
            point, found = just_before(
                last_change(stage.site.postgres, stage.site.settings.stack.drill.workload.table),
                good=scene.before_fault,
                noticed=broken.noticed_at or utc_now(),
            )
        return go_back(stage, point, point_from=found, why=broken.noticed_by[0], drill=self.name)
