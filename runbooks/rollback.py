"""Send a service back to the last state that was proven good, and pin it there.

Whatever the service: what is live is quarantined, one call goes back, the stack file is pinned, the outside proves it,
and the proof is recorded. "Good" is recorded evidence, never "the one before": doing it twice changes nothing.
How each service does it stands in `steps/rollback`: api, web, dns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from runbooks.engine.step import Book, Step
from runbooks.steps.pins import read_pins, unpin_release
from runbooks.steps.releases import note_unpinned
from runbooks.steps.rollback.api import ApiRollback, Facts
from runbooks.steps.rollback.asked import NAME, Arguments, Asked
from runbooks.steps.rollback.outage import telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings

__all__ = ["NAME", "Arguments", "Facts", "book"]


def book(
    settings: Settings,
    cloudflare: Cloudflare,
    edge: Edge,
    *,
    home: Home,
    arguments: Arguments,
    clock: Callable[[], datetime],
) -> Book[Any]:
    """Return the rollback of one service, or with `unpin` the release of its pin. Raises Refused where it has none."""
    asked = Asked(settings, home, arguments, clock)
    asked.refuse_absent()
    if arguments.unpin:
        return Unpinning(asked).book()
    way = _way(asked, cloudflare, edge)
    return Book(
        name=NAME,
        facts_type=way.facts_type,
        gather=telling(way.gather, asked, cloudflare.transport, edge),
        steps=way.steps,
        summary=way.summary,
        shows=way.shows,
        recheck=way.recheck,
        after_undo=way.after_undo,
    )


def _way(asked: Asked, cloudflare: Cloudflare, edge: Edge) -> Any:  # noqa: ANN401 - each takes its own facts back
    """Return how the service that was asked for goes back."""
    stack = asked.settings.stack
    match asked.arguments.service:
        case "web":
            from runbooks.clients.pages import Pages  # noqa: PLC0415 - the API's way back starts without the site's
            from runbooks.clients.zone.records import Zone  # noqa: PLC0415 - as above
            from runbooks.steps.rollback.web import WebRollback  # noqa: PLC0415 - as above

            (site,) = stack.sites
            pages = Pages(cloudflare.transport, cloudflare.account)
            return WebRollback(asked, site, pages, Zone(cloudflare.transport, cloudflare.account, stack.zone), edge)
        case "dns":
            from runbooks.clients.zone.resolver import Resolver  # noqa: PLC0415 - only who asks for names loads DNS
            from runbooks.steps.cloudflare.records import zone_of  # noqa: PLC0415 - as above
            from runbooks.steps.rollback.dns import DnsRollback  # noqa: PLC0415 - as above

            return DnsRollback(asked, *zone_of(cloudflare, stack), Resolver(stack.zone, stack.endpoints.resolver))
        case _:
            return ApiRollback(asked, cloudflare, edge)


class Pinned(msgspec.Struct, frozen=True):
    """What is pinned; "" when nothing is: then there is nothing to do."""

    version: str


@dataclass(frozen=True)
class Unpinning:
    """The end of a rollback: its pin goes, what is live stays until the next deploy."""

    asked: Asked

    def book(self) -> Book[Pinned]:
        """Return the book."""
        service = self.asked.arguments.service
        return Book(
            name=NAME,
            facts_type=Pinned,
            gather=self.gather,
            steps=self.steps,
            summary=lambda _: f"{service}: let the next deploy send users to what the repository holds again",
            # Pulumi's state never learnt of the rollback: with nothing else to change, `pulumi up` moves nothing.
            shows=lambda _: (f"To move it now: {self.asked.command('deploy')}",),
        )

    def gather(self) -> Pinned:
        """Read what is pinned."""
        pin = read_pins(self.asked.settings.file).get(self.asked.arguments.service)
        return Pinned(pin.version if pin else "")

    def steps(self, facts: Pinned) -> tuple[Step, ...]:
        """Return what takes the pin away."""
        asked, service = self.asked, self.asked.arguments.service
        return (
            unpin_release(asked.settings.file, service),
            note_unpinned(asked.home, service, version=facts.version, clock=asked.clock),
        )
