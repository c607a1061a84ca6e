"""Drill: a table is emptied while its users keep writing; the restore book takes the database to just before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from runbooks import restore
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.drills.rig.tables import last_rewrite
from runbooks.engine.record.entry import Kind, read
from runbooks.engine.step import Effect
from runbooks.model.reconciliation import SPOIL

if TYPE_CHECKING:
    from runbooks.drills.rig.detect import Look
    from runbooks.drills.rig.scenario import Scene
    from runbooks.engine.runner import Outcome

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
        site = stage.site
        with stage.phases.measured("lost-table: find the point"):
            point, found = just_before(
                last_rewrite(site.postgres, site.settings.stack.drill.workload.table),
                good=scene.before_fault,
                noticed=broken.noticed_at or utc_now(),
            )
        arguments = restore.Arguments(point=f"{point:%Y-%m-%dT%H:%M:%SZ}")
        reason = f"drill lost-table: {broken.noticed_by[0]}"
        book = restore.book(
            site.settings,
            site.cloudflare,
            site.edge,
            site.supabase,
            site.programs,
            catalog=site.catalog,
            home=site.runner.home,
            arguments=arguments,
            clock=utc_now,
        )
        with stage.phases.measured("lost-table: restore"):
            outcome = site.run(book, arguments, reason=reason)
        return Repaired(outcome=outcome, point=point, back=back_at(outcome), point_from=found)


def just_before(rewritten: datetime | None, *, good: Look, noticed: datetime) -> tuple[datetime, str]:
    """Return the last whole second before the fault, and by which evidence: recovery knows no fractions.

    The catalog's commit time is exact where it lies between the last good look and the first bad one; else the last
    good look itself is the evidence.
    """
    held = good.database_time or good.began
    if rewritten is not None and held <= rewritten <= noticed:
        last = rewritten - timedelta(microseconds=1)  # a fault on the second itself must stay outside
        return last.replace(microsecond=0), f"the catalog's commit time of the table's last rewrite, {rewritten}"
    return held.replace(microsecond=0), f"the last look at which everything held, {held}"


def back_at(outcome: Outcome) -> datetime | None:
    """Return when the data was back: when the first destroying step of the run was proved, None if it was not."""
    if outcome.journal is None:
        return None
    destroying = {step.name for step in outcome.plan.steps if step.effect is Effect.DESTROY}
    proved = [
        datetime.fromisoformat(entry.at)
        for entry in read(outcome.journal)
        if entry.kind in (Kind.HELD, Kind.ALREADY_SO) and entry.step in destroying
    ]
    return proved[0] if proved else None
