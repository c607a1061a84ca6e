"""Tell what differs between the program, its state and the account, and who was the last to change it.

program against state: what a preview says (it asks nobody outside) · program against account: by reading the account,
since a preview sees neither schedules nor traffic nor anything that somebody changed by hand. Only reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from infra.dynamic import site_files
from runbooks.model.account import Difference, Kind
from runbooks.model.errors import CheckError, Refused
from runbooks.steps.drift.difference import told
from runbooks.steps.drift.doubles import doubled
from runbooks.steps.drift.site import site_drift
from runbooks.steps.drift.stores import alert_drift, store_drift
from runbooks.steps.drift.worker import worker_drift
from runbooks.steps.drift.zone import protection_drift, record_drift

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from infra.stack import Stack
    from runbooks.clients.account import Account
    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.pulumi import Pulumi
    from runbooks.model.settings import Settings


@dataclass
class Found:
    """What was found. `unread` says which part could not be compared and why, `notes` what else is worth knowing."""

    differences: list[Difference] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Drift:
    """What is compared."""

    settings: Settings
    cloudflare: Cloudflare
    account: Account
    pulumi: Pulumi
    clock: Callable[[], datetime]

    @property
    def stack(self) -> Stack:
        """Return the values that the program is made from."""
        return self.settings.stack

    def look(self) -> Found:
        """Compare everything; a part that cannot be read does not hide the others."""
        found = Found()
        parts = (
            ("program and state", self.program),
            ("Worker", self.worker),
            ("records", self.records),
            ("protection", lambda: protection_drift(self.account, self.stack.protection)),
            ("stores", self.stores),
            ("doubles", lambda: doubled(self.account, self.stack, known=self.bound)),
            ("alerts", lambda: alert_drift(self.account, self.stack)),
            ("site", self.site),
        )
        for name, part in parts:
            try:
                found.differences += part()
            except (CheckError, Refused) as error:
                found.unread.append(f"{name}: {error}")
        if found.differences:
            try:
                found.differences = told(found.differences, self.account.changes(self.clock()))
            except CheckError as error:
                found.notes.append(f"who changed what is not known: {error}")
        return found

    def program(self) -> Iterator[Difference]:
        """Yield what a preview says: declared, and not in the state."""
        for change in self.pulumi.preview().changes:
            what = f"{change.type.rpartition(':')[2]} {change.name}"
            yield Difference("state", what, Kind.UNAPPLIED, change.action, "", "invoke deploy", change.id or "")

    def worker(self) -> Iterator[Difference]:
        """Yield what differs at the Worker."""
        api = self.stack.api
        content = api.message(self.pulumi.module(api.build))
        return worker_drift(self.account, self.cloudflare, self.stack, content=content)

    def records(self) -> Iterator[Difference]:
        """Yield what differs in the zone's records."""
        found = {site.host: self.account.site(site.name) for site in self.stack.sites}
        aliases = {host: site.subdomain if site else None for host, site in found.items()}
        return record_drift(self.account, self.stack.records, aliases=aliases)

    def stores(self) -> Iterator[Difference]:
        """Yield what differs among what holds data."""
        database = self.settings.environment.get("EMS_DATABASE_URL", "")
        return store_drift(self.account, self.stack, database=database, bound=self.bound)

    @cached_property
    def bound(self) -> set[str]:
        """Return the ids that the live versions are bound to."""
        live = self.cloudflare.live(self.stack.api.name)
        versions = [share.version_id for share in live.versions] if live else []
        return {one for version in versions for one in self.account.bound(self.stack.api.name, version)}

    def site(self) -> Iterator[Difference]:
        """Yield what differs at the site. Raises CheckError for files that Pages would refuse."""
        for site in self.stack.sites:
            try:
                manifest = site_files.read_site(site.folder, root=self.settings.root)
            except ValueError as error:
                raise CheckError(str(error)) from None
            yield from site_drift(self.account, site, content=site_files.digest(manifest))
