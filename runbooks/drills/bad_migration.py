"""Drill: a migration renames a column that the live release reads and writes; what takes it back is found by asking.

First the rollback book is asked: where it can take a release back and that serves again, it was the release. Where it
refuses, or users still get errors, the schema must go back: by the restore book, to just before the migration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from runbooks import rollback
from runbooks.clients.postgres import identifier, sql
from runbooks.drills.rig.going_back import go_back, just_before
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.drills.rig.tables import last_change
from runbooks.model.errors import NotSo, Refused
from runbooks.model.reconciliation import SPOIL

if TYPE_CHECKING:
    from runbooks.drills.rig.scenario import Scene
    from runbooks.engine.runner import Outcome

NOTICE: Final = 5.0
SERVER_FAULT: Final = re.compile(r"got 5\d\d")
UNSEEN: Final = "no request of ours was answered with a 5xx status: expected one of api.smoke to read {key} of {table}"
SERVED: Final = 5.0  # seconds in which a release that was taken back must serve without errors


@dataclass(frozen=True)
class BadMigration:
    """The scenario."""

    name: str = "bad-migration"
    what: str = "a migration renames a column under the live release; rollback is asked first, then the restore book"
    warm_seconds: float = 1.5

    def break_it(self, scene: Scene) -> Broken:
        """Run the migration as a deploy of the schema would, and look until users get errors."""
        site = scene.stage.site
        workload = site.settings.stack.drill.workload
        statement = sql.SQL("alter table {} rename column {} to {}").format(
            identifier(workload.table), sql.Identifier(workload.key), sql.Identifier(f"{workload.key}_renamed")
        )
        at = utc_now()
        with site.postgres.writing(SPOIL) as session:
            session.run(statement)
        look = scene.watch.until_faulty(NOTICE)
        unseen = UNSEEN.format(key=workload.key, table=workload.table)
        if look is None:  # nor can the rows be compared, by a key that has another name
            raise NotSo(unseen)
        served = [fault for fault in look.faults if SERVER_FAULT.search(fault)]
        return Broken(
            trigger=f"a migration ran `{statement.as_string(None)}` under the live release",
            at=at,
            noticed_at=look.ended,
            noticed_by=(*served, *(fault for fault in look.faults if fault not in served)),
            problems=() if served else (unseen,),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Ask the rollback book; where that does not serve users, restore to just before the migration."""
        stage, why = scene.stage, broken.noticed_by[0]
        changed = last_change(stage.site.postgres, stage.site.settings.stack.drill.workload.table)
        with stage.phases.measured(f"{self.name}: ask the rollback"):
            said, outcome = self._rolled_back(scene, why)
        if outcome is not None and not scene.watch.until_good(SERVED).faults:
            return Repaired(outcome=outcome)
        stage.show.note(f"{self.name}: rollback: {said}")
        point, found = just_before(changed, good=scene.before_fault, noticed=broken.noticed_at or utc_now())
        repaired = go_back(stage, point, point_from=f"{found}; rollback: {said}", why=why, drill=self.name)
        return replace(repaired, around=() if outcome is None else (outcome,))

    def _rolled_back(self, scene: Scene, why: str) -> tuple[str, Outcome | None]:
        """Return what the rollback book said, and its run where it took something back."""
        site = scene.stage.site
        reason = f"drill {self.name}: {why}"
        arguments = rollback.Arguments(reason=reason)
        book = rollback.book(
            site.settings, site.cloudflare, site.edge, home=site.runner.home, arguments=arguments, clock=utc_now
        )
        try:
            outcome = site.run(book, arguments, reason=reason)
        except Refused as error:
            return str(error), None
        if outcome.status == "done":
            return "it was done, and users still got errors", outcome
        return outcome.text or outcome.status, None
