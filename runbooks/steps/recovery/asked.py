"""What the plan of a restore rests on."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations

import msgspec

from runbooks.clients.supabase import Cidrs  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.database.present import Known, Present  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.database.restrictions import Entry
from runbooks.steps.hazards.erasures import Erased  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.hazards.jobs import Jobs
from runbooks.steps.recovery.strategy import Reached  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.recovery.whole import Whole


class Facts(msgspec.Struct, frozen=True):
    """What the plan rests on. Instants in UTC; `live` and `maintenance` are version ids of the Worker.

    `reached` is what the strategy takes the database back to. `allowed` and `unproven` are those of `Entry`. `present`
    is None when the database did not answer; `known` is what an earlier run, left stopped, knew of the same point.
    `erased` is done again. `jobs` is what our role sees of what the database runs on schedule.
    """

    point: datetime
    strategy: str
    why: str
    reached: Reached
    looked_at: datetime
    live: str
    maintenance: str
    allowed: Cidrs | None
    present: Present | None
    backup: str
    erased: tuple[Erased, ...] = ()
    whole: Whole = Whole()
    jobs: Jobs = Jobs()
    unproven: str = ""
    known: Known | None = None

    @property
    def entry(self) -> Entry:
        """Return who could connect before anything was stopped."""
        return Entry(self.allowed, self.unproven)
