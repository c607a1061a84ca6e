"""A zone at Cloudflare: read all of its records, change many of them in one transaction, empty its cache.

Shapes: official SDK 5.9; batch: developers.cloudflare.com, batch record changes, read 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.clients.cloudflare import paged
from runbooks.model.errors import CheckError
from runbooks.model.reconciliation import CHANGE_RECORDS, PURGE
from runbooks.model.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbooks.clients.transport import Transport
    from runbooks.model.records import Change

PAGE: Final = 100  # records a page; the API's own default
ZONES: Final = 50  # zones a page, at most
MANAGED: Final = ("read_only", "origin_worker", "managed_by_apps", "managed_by_argo_tunnel", "email_routing")
"""Marks in a record's `meta` of those that another product of Cloudflare keeps. The last three: unconfirmed."""


class _Zone(msgspec.Struct, frozen=True):
    id: str
    name: str


class _Row(msgspec.Struct, frozen=True):
    """A record as the API shows it."""

    id: str
    name: str
    type: str
    ttl: float
    content: str = ""
    proxied: bool = False
    priority: float | None = None
    data: dict[str, Any] | None = None
    comment: str | None = None
    tags: tuple[str, ...] = ()
    settings: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None

    def record(self) -> Record:
        """Return what of it is ours to say. Settings that are off are as good as not there."""
        return Record(
            name=self.name.lower(),
            type=self.type,
            content=self.content,
            ttl=int(self.ttl),
            proxied=self.proxied,
            priority=None if self.priority is None else int(self.priority),
            data=self.data or None,
            comment=self.comment or None,
            tags=tuple(sorted(self.tags)),
            settings={key: value for key, value in (self.settings or {}).items() if value} or None,
            managed=any((self.meta or {}).get(mark) for mark in MANAGED),
            id=self.id,
        )


@dataclass(frozen=True)
class Zone:
    """One zone, known by its name. Reads are retried; `change` is sent once."""

    transport: Transport
    account: str
    name: str

    def records(self) -> tuple[Record, ...]:
        """Return every record, those of other products included."""
        return tuple(row.record() for row in paged(self.transport, f"{self._path}/dns_records", _Row, per_page=PAGE))

    def change(self, changes: Sequence[Change]) -> None:
        """Do all of it or nothing. Raises ActRefused with the provider's code, AnswerLost.

        Cloudflare takes the parts in this order, whatever order they are sent in: deletes, patches, puts, posts.
        """
        body = {
            "deletes": [{"id": c.before.id} for c in changes if c.before and not c.after],
            "patches": [{"id": c.before.id, **c.after.sent()} for c in changes if c.before and c.after],
            "posts": [c.after.sent() for c in changes if c.after and not c.before],
        }
        self.transport.send(CHANGE_RECORDS, f"{self._path}/dns_records/batch", json=body)

    def purge(self, host: str) -> None:
        """Let the edge forget every answer of a host that it keeps. Raises ActRefused, AnswerLost."""
        self.transport.send(PURGE, f"{self._path}/purge_cache", json={"hosts": [host]})

    @cached_property
    def _path(self) -> str:
        params = {"name": self.name, "account.id": self.account}
        found = [zone.id for zone in paged(self.transport, "/zones", _Zone, per_page=ZONES, params=params)]
        if len(found) != 1:
            message = f"zone {self.name} in account {self.account}: expected one, got {len(found)}."
            raise CheckError(message)
        return f"/zones/{found[0]}"
