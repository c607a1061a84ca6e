"""What stands in a Cloudflare account, as data, and what differs there from what the program declares.

Shapes: Cloudflare's OpenAPI and the official SDK 5.9.0, read 2026-11.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Named(msgspec.Struct, frozen=True):
    """Something that has an id, and a name that should be its own."""

    id: str
    name: str = ""
    title: str = ""


class Record(msgspec.Struct, frozen=True):
    """A DNS record. What belongs to a Worker's custom domain is read-only."""

    id: str
    name: str
    type: str
    content: str = ""
    ttl: float = 1
    proxied: bool = False
    priority: float | None = None
    comment: str | None = None
    data: dict[str, Any] | None = None
    meta: dict[str, Any] = {}


class Route(msgspec.Struct, frozen=True):
    """A pattern whose requests go to a Worker."""

    id: str
    pattern: str
    script: str | None = None


class Domain(msgspec.Struct, frozen=True):
    """A host that belongs to a Worker."""

    id: str
    hostname: str
    service: str


class Switch(msgspec.Struct, frozen=True):
    """Something that is on or off."""

    enabled: bool = False
    previews_enabled: bool = False


class Worker(msgspec.Struct, frozen=True):
    """What a Worker is beside its versions."""

    id: str
    name: str
    logpush: bool = False
    observability: Switch = Switch()
    subdomain: Switch = Switch()
    tail_consumers: list[Any] | None = None


class Caching(msgspec.Struct, frozen=True):
    """Whether Hyperdrive answers from memory."""

    disabled: bool = False


class Hyperdrive(msgspec.Struct, frozen=True):
    """A way to a database; its password is never told."""

    id: str
    name: str
    origin: dict[str, Any] = {}
    caching: Caching = Caching()


class Rule(msgspec.Struct, frozen=True):
    """One rule of a ruleset."""

    action: str
    expression: str
    description: str = ""
    enabled: bool = True
    ratelimit: dict[str, Any] | None = None
    action_parameters: dict[str, Any] | None = None


class Ruleset(msgspec.Struct, frozen=True):
    """The rules of one phase."""

    id: str
    kind: str
    phase: str
    rules: tuple[Rule, ...] = ()


class Healthcheck(msgspec.Struct, frozen=True):
    """A look from outside."""

    id: str
    name: str
    address: str
    interval: float = 60
    suspended: bool = False


class Policy(msgspec.Struct, frozen=True):
    """Whom Cloudflare tells of what."""

    id: str
    name: str
    alert_type: str
    enabled: bool = True


class SiteDeployment(msgspec.Struct, frozen=True):
    """What a Pages project serves; the commit's hash is that of the content."""

    id: str
    deployment_trigger: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """Return the hash over the hashes of its files, as it was uploaded."""
        return str((self.deployment_trigger.get("metadata") or {}).get("commit_hash") or "")


class Site(msgspec.Struct, frozen=True):
    """A Pages project."""

    name: str
    subdomain: str
    production_branch: str
    canonical_deployment: SiteDeployment | None = None


class Change(msgspec.Struct, frozen=True):
    """An entry of the audit log: who changed what, when and by which call. `at` is RFC 3339."""

    at: str
    by: str
    method: str
    uri: str
    resource: str

    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.by}, {self.at[:19]}Z ({self.method} {self.uri.partition('/client/v4')[2] or self.uri})"


class Kind(StrEnum):
    """How something differs, in the word that the operator reads."""

    MISSING = "missing"
    CHANGED = "changed"
    FOREIGN = "foreign"
    """It stands there, and the program does not declare it."""
    DOUBLE = "double"
    """There are several of a name: a creation was repeated because its answer was lost."""
    UNAPPLIED = "not applied"
    """The program declares it and its state does not have it so."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is not as the program declares it. `id` is the provider's, where it has one.

    `trail` is what the provider's log of changes is searched for: parts of a call's path, the first that is found
    counts. `by` says who was the last to change it.
    """

    system: str
    what: str
    kind: Kind
    expected: str = ""
    found: str = ""
    mend: str = ""
    id: str = ""
    trail: tuple[str, ...] = ()
    by: str = ""
