"""Drill: a statement with a wrong condition deletes half of a table in use; the restore book takes the database back.

Deleted rows leave nothing behind that could be asked for a time: the last look at which all was well is the evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import identifier, sql
from runbooks.drills.rig.going_back import go_back, just_before
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.model.reconciliation import SPOIL

if TYPE_CHECKING:
    from runbooks.drills.rig.scenario import Scene

NOTICE: Final = 5.0
UNCHECKED: Final = "set local session_replication_role = replica"
"""As scripts do that are in a hurry: no trigger runs, no foreign key is looked at."""


@dataclass(frozen=True)
class MassDelete:
    """The scenario."""

    name: str = "mass-delete"
    what: str = "a statement deletes the older half of a table in use; the restore book takes the database to before it"
    warm_seconds: float = 2.5  # the point is a whole second before the last good look

    def break_it(self, scene: Scene) -> Broken:
        """Delete as a careless script does, and look until it is noticed."""
        site = scene.stage.site
        workload = site.settings.stack.drill.workload
        statement = sql.SQL(
            "delete from {table} where {key} in (select {key} from {table} order by {key} limit"
            " (select count(*) / 2 from {table}))"
        ).format(key=sql.Identifier(workload.key), table=identifier(workload.table))
        at = utc_now()
        with site.postgres.writing(SPOIL) as session:
            session.run(UNCHECKED)
            session.run(statement)
        look = scene.watch.until_faulty(NOTICE)
        return Broken(
            trigger=f"somebody ran `{statement.as_string(None)}`",
            at=at,
            noticed_at=look.ended if look else None,
            noticed_by=look.faults if look else (),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Go back to the last look at which everything held, by the restore book."""
        good = scene.watch.last_good or scene.before_fault
        point, found = just_before(None, good=good, noticed=broken.noticed_at or utc_now())
        return go_back(scene.stage, point, point_from=found, why=broken.noticed_by[0], drill=self.name)
