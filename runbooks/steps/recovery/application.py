"""The application while its database is taken back: stopped from the edge inwards, and let in again outwards.

Without Cloudflare it is stopped otherwise: `door`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.steps.cloudflare.edge import serves
from runbooks.steps.cloudflare.maintenance import edge_is_stopped
from runbooks.steps.cloudflare.workers import SHORT, given, route_traffic
from runbooks.steps.database.server import end_other_sessions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.engine.step import Step
    from runbooks.model.settings import Settings
    from runbooks.steps.database.restrictions import Entrance, Entry

WHAT: Final = "restore"
"""What the provider's own history says of each change of traffic."""


@dataclass(frozen=True)
class StoppedAtEdge:
    """One API, and the entrance of its database; `entry` says who gets in before it is stopped, and afterwards."""

    settings: Settings
    cloudflare: Cloudflare
    edge: Edge
    clock: Callable[[], datetime]
    entrance: Entrance
    entry: Entry

    def stopped(self, *, live: str, maintenance: str, here: bool) -> tuple[Step, ...]:
        """Return how it is stopped: at the edge, at the database's door, and inside; `here`: the database answers."""
        api = self.settings.stack.api
        return (
            route_traffic(
                self.cloudflare, api.name, to=maintenance, back_to=live, what=WHAT, force=True,
                name="stop traffic", title=f"stop traffic and scheduled work of {api.name} (maintenance version)",
            ),
            edge_is_stopped(self.edge, api.host, api.health.path, version=maintenance, name="see it stopped"),
            *self.entrance.close(self.entry, here=here),
            *([end_other_sessions(self.entrance.database, name="end sessions")] if here else []),
        )  # fmt: skip

    def still(self) -> tuple[Step, ...]:
        """Return what proves at a later moment that it is stopped: nothing, Cloudflare keeps it so."""
        return ()

    def losses(self) -> tuple[str, ...]:
        """Return what a plan says is not stopped, beside what the database's door tells of itself."""
        return ()

    def shows(self) -> tuple[str, ...]:
        """Return what else a plan says of how it is stopped."""
        return ()

    def refuse_unprovable(self, *, here: bool, retry: str) -> None:
        """Raise Refused where nothing would prove that it is stopped; Cloudflare can always stop it."""

    def let_in(self) -> tuple[Step, ...]:
        """Return how those who could connect before may again."""
        return self.entrance.open(self.entry)

    def restarted(self, version: str, *, maintenance: str) -> tuple[Step, ...]:
        """Return how it comes back on a version, and the proof that it does."""
        worker = self.settings.stack.api.name
        return (
            route_traffic(
                self.cloudflare, worker, to=version, back_to=maintenance, what=WHAT, force=True,
                name="restart traffic", title=f"restart traffic of {worker} on {version[:SHORT]}",
            ),
            *self.serving(version),
        )  # fmt: skip

    def as_before(self, live: str, *, maintenance: str) -> tuple[Step, ...]:
        """Return the proof of what was before it was stopped, once everything was taken back."""
        del maintenance
        return self.serving(live, prefix="former ")

    def serving(self, version: str, *, prefix: str = "") -> tuple[Step, ...]:
        """Return the proof that users are served by that version."""
        return serves(
            self.edge,
            self.settings.stack.api,
            version=given(version),
            clock=self.clock,
            next_command=f"invoke rollback --stack {shlex.quote(self.settings.argument)}",
            prefix=prefix,
        )
