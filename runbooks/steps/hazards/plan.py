"""The steps of a restore that hold its hazards back, in the order in which a strategy takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.clients.logs.telemetry import Telemetry
from runbooks.steps.hazards.accepted import list_accepted
from runbooks.steps.hazards.erasures import Erased, erase, note_erasures
from runbooks.steps.hazards.jobs import held_by, hold_jobs, release_jobs
from runbooks.steps.hazards.logins import end_logins
from runbooks.steps.hazards.outgoing import hold_outgoing

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from infra.stack import Stack
    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.postgres import Postgres
    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Step

HELD: Final = "hold jobs"


@dataclass(frozen=True)
class Holding:
    """What is held back in the recovered database. `owed` are the erasures since the point.

    `cloudflare` is None where it is not asked, not even for the API's log.
    """

    stack: Stack
    owed: tuple[Erased, ...]
    home: Home
    cloudflare: Cloudflare | None
    clock: Callable[[], datetime]

    def given_up(self, database: Postgres, point: datetime) -> tuple[Step, ...]:
        """Return what is read of the present while it is still there and stands still."""
        log = Telemetry(self.cloudflare, self.stack.api.name) if self.cloudflare else None
        return (list_accepted(database, log, self.home, point, clock=self.clock, name="list accepted"),)

    def at_once(self, database: Postgres) -> tuple[Step, ...]:
        """Return what cannot wait for the proof: jobs run as soon as the server does."""
        return (hold_jobs(database, name=HELD),)

    def proven(self, database: Postgres) -> tuple[Step, ...]:
        """Return what changes rows: after the proof that compares them, before anybody is let in."""
        steps = [hold_outgoing(database, self.stack.hazards.outgoing, name="hold what leaves")]
        if self.owed:
            steps.append(note_erasures(self.home, self.owed, clock=self.clock, name="note erasures"))
            steps.append(erase(database, self.owed, self.stack.hazards.erasures, name="erase again"))
        return (*steps, end_logins(database, self.stack.hazards.sessions, name="end logins"))

    def over(self, database: Postgres, *, former: str = "") -> tuple[Step, ...]:
        """Return what ends it, once the recovered database is in its place; in that of `former` by another name."""
        return (release_jobs(database, held_by(HELD), name="release jobs", former=former),)

    def lines(self) -> tuple[str, ...]:
        """Say in the plan what it means to users."""
        erased = f"{len(self.owed)} erasures since then are done again" if self.owed else "no erasure since then"
        held = [one.name for one in self.stack.hazards.outgoing]
        stays = f"; {', '.join(held)} that waited then stay held until `invoke restore.release`" if held else ""
        return (f"{erased}; every login ends; its own jobs stand still until it is proven{stays}",)
