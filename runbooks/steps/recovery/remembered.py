"""The whole product at the point as the ops home remembers it, for when Cloudflare is not asked.

Another version cannot be sent traffic then: the one that is live must fit, or the restore is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.workers import SHORT
from runbooks.steps.recovery.whole import Whole, applied_at, recalled, records_at
from runbooks.steps.releases import read_releases, sent_to

if TYPE_CHECKING:
    from datetime import datetime

    from infra.stack import Stack
    from runbooks.clients.postgres import Postgres
    from runbooks.engine.record.home import Home

REMEMBERS: Final = "the ops home, not Cloudflare"


@dataclass(frozen=True)
class Live:
    """The version that serves ("": not known), and who says so."""

    version: str
    told_by: str


def remembered_at(
    home: Home, stack: Stack, present: Postgres | None, *, point: datetime, live: Live, asked: str, command: str
) -> Whole:
    """Return what was live at a point, as far as it was written down, and whether what serves now fits.

    Raises Refused where it does not, or another version is asked for.
    """
    needs, why = Fits(home, stack, present, point, command).of(live, asked)
    return Whole(
        restart=live.version,
        why=why,
        needs=needs,
        version=recalled(lambda: sent_to(home, "api", point)),
        site=recalled(lambda: sent_to(home, "web", point)) if stack.sites else None,
        records=records_at(home, point),
        remembered=REMEMBERS,
    )


@dataclass(frozen=True)
class Fits:
    """Whether what serves now fits the database of the point."""

    home: Home
    stack: Stack
    present: Postgres | None
    point: datetime
    command: str

    def of(self, live: Live, asked: str) -> tuple[str, str]:
        """Return which migration it needs, "" where none is to be found, and what is known of that. Raises Refused."""
        if asked and not (live.version and live.version.startswith(asked)):
            message = (
                f"--version={asked}: which version answers is decided at Cloudflare, which is not asked "
                f"(--without-cloudflare): {live.version or 'what is live'} stays."
            )
            raise Refused(message, next_command=f"{self.command} --dry-run")
        if asked or not live.version:
            return "", "as asked" if asked else "which version serves is not known; it stays as it is"
        needs = recalled(lambda: read_releases(self.home, "api").needs.get(live.version, ""))
        if not needs:
            return "", f"{live.told_by}; which migration it needs is not written down"
        applied = applied_at(self.stack, self.present, self.point)
        if applied is None:
            return needs, f"{live.told_by}; whether migration {needs} was there at the point is only seen afterwards"
        if needs in applied:
            return needs, f"{live.told_by}, and it fits: migration {needs} was there at the point"
        short = live.version[:SHORT]
        message = (
            f"{short} ({live.told_by}) needs migration {needs}, which was not there at the point, and only Cloudflare "
            "can send users to another version. Wait for its API, or choose a later point. "
            f"--version={short} lets users back onto it nevertheless."
        )
        raise Refused(message, next_command=f"{self.command} --version={short} --dry-run")
