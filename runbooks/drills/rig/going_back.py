"""What drills that take data back to a moment have in common: find the moment, restore by the real book, tell when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from runbooks import restore
from runbooks.drills.rig.scenario import Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.engine.record.entry import Kind, read
from runbooks.engine.step import Effect

if TYPE_CHECKING:
    from runbooks.drills.rig.detect import Look
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage
    from runbooks.engine.runner import Outcome


def just_before(changed: datetime | None, *, good: Look, noticed: datetime) -> tuple[datetime, str]:
    """Return the last whole second before the fault, and by which evidence: recovery knows no fractions.

    The catalog's commit time is exact where it lies between the last good look and the first bad one; else the last
    good look itself is the evidence.
    """
    held = good.database_time or good.began
    if changed is not None and held <= changed <= noticed:
        last = changed - timedelta(microseconds=1)  # a fault on the second itself must stay outside
        return last.replace(microsecond=0), f"the catalog's commit time of the table's last change, {changed}"
    return held.replace(microsecond=0), f"the last look at which everything held, {held}"


def go_back(stage: Stage, point: datetime, *, point_from: str, why: str, drill: str) -> Repaired:
    """Run the restore book with this point."""
    outcome = restored(stage, stage.site, restore.Arguments(point=f"{point:%Y-%m-%dT%H:%M:%SZ}"), why=why, drill=drill)
    return Repaired(outcome=outcome, point=point, back=back_at(outcome), point_from=point_from)


def restored(stage: Stage, site: Site, arguments: restore.Arguments, *, why: str, drill: str) -> Outcome:
    """Restore this site by the real book, and measure it."""
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
    with stage.phases.measured(f"{drill}: restore"):
        return site.run(book, arguments, reason=f"drill {drill}: {why}")


def back_at(outcome: Outcome, step: str = "") -> datetime | None:
    """Return when the data was back: when that step was proved, else the first destroying one; None if it was not."""
    if outcome.journal is None:
        return None
    wanted = {step} if step else {one.name for one in outcome.plan.steps if one.effect is Effect.DESTROY}
    proved = [
        datetime.fromisoformat(entry.at)
        for entry in read(outcome.journal)
        if entry.kind in (Kind.HELD, Kind.ALREADY_SO) and entry.step in wanted
    ]
    return proved[0] if proved else None
