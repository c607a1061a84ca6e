"""What a deploy proves and remembers beside the API: the site with all that it needs, and the records of the zone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from infra.pins.pinned import DATABASE, against_database_pin, against_pin, declared, server_of
from runbooks.clients.zone.resolver import Resolver
from runbooks.model.database_url import is_database_url
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.edge import smoke_passes
from runbooks.steps.cloudflare.names import names_stand
from runbooks.steps.cloudflare.pages import deployed_by
from runbooks.steps.cloudflare.records import zone_of
from runbooks.steps.cloudflare.site import site_serves
from runbooks.steps.database.replaced import left_by_restore, origin_of, set_to
from runbooks.steps.journals import refuse_while_stopped
from runbooks.steps.releases import record_verified
from runbooks.steps.snapshots import keep_records, kept_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from infra.pins.pinned import Pin
    from infra.stack import Web
    from runbooks.clients.cloudflare import Cloudflare, Origin
    from runbooks.clients.edge import Edge
    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Sight, Step
    from runbooks.model.records import Record
    from runbooks.model.settings import Settings


RECORDED: Final = "record site"
"""The step after which only the records are left to fail."""


@dataclass(frozen=True)
class Beside:
    """One deploy's site and records. `command` makes a command line of this stack."""

    settings: Settings
    home: Home
    cloudflare: Cloudflare
    edge: Edge
    clock: Callable[[], datetime]
    command: Callable[[str], str]

    @cached_property
    def owned(self) -> Callable[[], tuple[Record, ...]]:
        """Return how to read the records in the zone that are ours."""
        return zone_of(self.cloudflare, self.settings.stack)[1]

    def refuse_what_goes_back(self) -> None:
        """Raise Refused where the program would undo what a rollback or a restore did: pinned records, a database."""
        url, hyperdrive = self.settings.environment.get("EMS_DATABASE_URL", ""), self.settings.stack.database.hyperdrive
        origin = next((one.origin for one in self.cloudflare.hyperdrives() if one.name == hyperdrive), None)
        if is_database_url(url) and origin is not None and left_by_restore(url, origin):
            message = (
                f"Hyperdrive {hyperdrive} goes to {origin}, where a restore has moved the API; EMS_DATABASE_URL names "
                "the database from before: the program would send the API back to it. Nothing was done."
            )
            raise Refused(message, next_command=set_to(origin_of(url), origin.database))
        stack = self.settings.stack
        if is_database_url(url):
            self._refuse_unpinned(stack.pins.get(DATABASE), origin_of(url))
        if against := against_pin(stack.pins.get("dns"), stack.records):
            message = f"{self.settings.file.name}: {against}. Declare them so again, or end the pin."
            raise Refused(message, next_command=self.command("rollback --service=dns --unpin"))

    def _refuse_unpinned(self, pin: Pin | None, here: Origin) -> None:
        server = server_of(here.host, here.port, here.user)
        against = against_database_pin(pin, server=server, database=here.database)
        if pin is not None and against:
            mends = f"For another one on purpose, take {DATABASE} out of ems-ops:pins."
            message = f"{self.settings.file.name}: {against}. Nothing was done. {mends}"
            raise Refused(message, next_command=f"export EMS_DATABASE_URL='{pin.address}'")

    def refuse_while_stopped(self, serving: str | None) -> None:
        """Raise Refused where a restore has stopped the API, so that the maintenance version serves."""
        settings, worker = self.settings, self.settings.stack.api.name
        found = self.cloudflare.version(worker, serving) if serving else None
        if found is not None and found.is_maintenance:
            refuse_while_stopped(self.home, settings.name, settings.argument, worker=worker, now=self.clock())

    def recorded(self, version: Callable[[Sight], str], proofs: tuple[str, ...], *, pinned: bool) -> Step:
        """Return the step that records the API's release as good; one that is `pinned` is not of this program."""
        migrations = self.settings.stack.database.migrations
        needs = migrations.needs if migrations and not pinned else ""
        return record_verified(self.home, "api", version=version, proofs=proofs, clock=self.clock, needs=needs)

    def records_before(self) -> Step:
        """Return the step that keeps what the records are before anything is changed."""
        title = "keep what the records were"
        return keep_records(self.home, self.owned, clock=self.clock, name="records before", title=title)

    def site(self, *, back: bool) -> tuple[Step, ...]:
        """Return the steps that prove the site, whole, and record its deployment; `back`: is there a way back."""
        next_command = self.command("rollback --service=web") if back else None
        return tuple(step for site in self.settings.stack.sites for step in self._proofs(site, next_command))

    def _proofs(self, site: Web, next_command: str | None) -> Iterator[Step]:
        checks = tuple((site.host, smoke) for smoke in site.smoke)
        version, proofs = deployed_by("apply"), ("site", "content")
        yield smoke_passes(self.edge, checks, next_command=next_command, name="site")
        yield site_serves(self.edge, site, known={}, next_command=next_command)
        yield record_verified(self.home, "web", version=version, proofs=proofs, clock=self.clock, name=RECORDED)

    def records_after(self, *, back: bool) -> tuple[Step, ...]:
        """Return the steps that keep what the records are now, ask the name servers for them, and record them."""
        next_command = self.command("rollback --service=dns") if back else None
        stack, clock = self.settings.stack, self.clock
        resolver = Resolver(stack.zone, stack.endpoints.resolver)
        names = (*(site.host for site in stack.sites), *(record.name for record in stack.records))
        hosts = () if names else (stack.api.host,)  # a zone without a record of ours leads to the API at least
        state = kept_by("records after")
        return (
            keep_records(self.home, self.owned, declared=declared(stack.records), clock=clock, name="records after"),
            names_stand(resolver, self.owned, names, hosts=hosts, next_command=next_command),
            record_verified(self.home, "dns", version=state, proofs=("names",), clock=clock, name="record records"),
        )

    def fails(self, sight: Sight, *, back: bool) -> tuple[str, str]:
        """Return what fails when it is not the API, and the command that helps; `back`: is there a way back."""
        what, service = "the records", "dns"
        if self.settings.stack.sites and RECORDED not in sight.results:
            what, service = f"the site {self.settings.stack.sites[0].host}", "web"
        helps = self.command(f"rollback --service={service}" if back else "deploy")
        return f"{what} failed; the API was left as it is", helps
