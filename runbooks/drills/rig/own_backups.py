"""What drills on own backups have in common: make one, restore by the real book, tell when the data was back."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from runbooks import backup, restore
from runbooks.drills.rig.going_back import restored
from runbooks.drills.rig.scenario import Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.engine.record.entry import Kind, read
from runbooks.model.errors import Exit, NotSo

if TYPE_CHECKING:
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage
    from runbooks.engine.runner import Outcome

A_SECOND: Final = timedelta(seconds=1)
"""Points and ids are whole seconds: what follows a backup must lie in a later one."""
IN_PLACE: Final = ("move connections", "switch over")
"""The steps of the restore book after which the backup is what users get: the last of them that a plan has."""


def back_up(site: Site) -> str:
    """Make a backup by the real book and return its id. Raises NotSo when none was made."""
    book = backup.book(site.settings, lambda: site.cloudflare, site.programs, site.catalog(), clock=utc_now)
    outcome = site.run(book, reason="a drill's backup")
    if outcome.exit is not Exit.DONE:
        message = f"expected a backup before the fault, got: {outcome.text} (journal {outcome.journal})"
        raise NotSo(message)
    made = str(outcome.plan.facts["backup"])
    later = site.catalog().get(made).at.replace(microsecond=0) + A_SECOND
    time.sleep(max(0.0, (later - utc_now()).total_seconds()))
    return made


def restore_from(stage: Stage, site: Site, *, strategy: str, why: str, drill: str) -> Repaired:
    """Go back to this moment by the restore book: its newest good backup is where the data goes back to."""
    arguments = restore.Arguments(point=f"{utc_now():%Y-%m-%dT%H:%M:%SZ}", strategy=strategy)
    outcome = restored(stage, site, arguments, why=why, drill=drill)
    reached = outcome.plan.facts["reached"]
    return Repaired(
        outcome=outcome,
        point=datetime.fromisoformat(reached["at"]),
        back=in_place_at(outcome),
        point_from=f"own backup {reached['backup']}: {outcome.plan.facts['why']}",
        site=site,
    )


def in_place_at(outcome: Outcome) -> datetime | None:
    """Return when the backup had taken the place of what was lost, None if it never did."""
    if outcome.journal is None:
        return None
    planned = {step.name for step in outcome.plan.steps}
    last = next((name for name in IN_PLACE if name in planned), "")
    proved = [one for one in read(outcome.journal) if one.kind in (Kind.HELD, Kind.ALREADY_SO) and one.step == last]
    return datetime.fromisoformat(proved[0].at) if proved else None
