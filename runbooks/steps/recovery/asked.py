"""What is asked for of a restore, and what its plan rests on."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations

import msgspec

from runbooks.clients.supabase import Cidrs  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.database.present import Known, Present  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.database.restrictions import Entry
from runbooks.steps.hazards.erasures import Erased  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.hazards.jobs import Jobs
from runbooks.steps.recovery.serving import Alone  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.recovery.strategy import Reached  # noqa: TC001 - msgspec reads it from the annotations
from runbooks.steps.recovery.whole import Whole


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for; `without_copy`: go on though the database can't be copied; `version`: what to restart on.

    `without_cloudflare`: do not ask Cloudflare, whose API is down.
    """

    point: str
    strategy: str = "auto"
    without_copy: bool = False
    version: str = ""
    without_cloudflare: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """Return what was typed beside the point, but for Cloudflare."""
        copy = ("--without-copy",) if self.without_copy else ()
        strategy = (f"--strategy={self.strategy}",) if self.strategy != "auto" else ()
        return (*strategy, *copy, *((f"--version={self.version}",) if self.version else ()))


class Facts(msgspec.Struct, frozen=True):
    """What the plan rests on. Instants in UTC; `live` and `maintenance` are version ids of the Worker.

    `reached` is what the strategy takes the database back to. `allowed` and `unproven` are those of `Entry`. `present`
    is None when the database did not answer; `known` is what an earlier run, left stopped, knew of the same point.
    `erased` is done again. `jobs` is what our role sees of what the database runs on schedule. Where Cloudflare is not
    asked, `alone` is what is known of the application without it, and `live` may be "".
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
    alone: Alone | None = None

    @property
    def entry(self) -> Entry:
        """Return who could connect before anything was stopped."""
        return Entry(self.allowed, self.unproven)
