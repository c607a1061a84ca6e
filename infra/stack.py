"""The shape of a stack file (`Pulumi.<stack>.yaml`): every value of one environment, as frozen typed data.

Imports no pulumi: `infra.settings` fills it from `pulumi.Config`, `runbooks.model.settings` from the file itself,
so that runbooks work while Pulumi's backend is down. A field that has no default must be in every stack file.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, field

from infra.drills import Drill, Twin  # noqa: TC001 - read when a stack file is decoded
from infra.pins.pinned import Pin  # noqa: TC001 - as above
from infra.services.shape import Api, Health, Smoke, Web
from infra.shapes import (
    Address,
    Alerts,
    Approvals,
    Archive,
    Backups,
    Bucket,
    FileName,
    Frozen,
    Hazards,
    HostName,
    Logpush,
    Manual,
    Name,
    Protection,
    PublicKey,
    RecordName,
    Seconds,
    Sql,
    TableName,
    Url,
    Waits,
)

__all__ = [
    "NEEDS", "Api", "Check", "Contacts", "Database", "Endpoints", "Health", "Heartbeat", "Migrations", "Objectives",
    "Product", "Record", "Release", "Smoke", "Stack", "Web",
]  # fmt: skip


class Product(Frozen, frozen=True):
    """The product that is operated."""

    name: Name
    title: str


class Endpoints(Frozen, frozen=True):
    """Where the providers answer. `None`: the public name itself (TLS for `edge`, the system's resolver)."""

    supabase: Url
    edge: Url | None
    resolver: str | None


class Record(Frozen, frozen=True):
    """A DNS record beside those of the services. `ttl` in seconds, 1 means automatic."""

    name: RecordName
    type: str
    ttl: int
    content: str | None = None
    data: dict[str, Any] | None = None
    priority: int | None = None
    proxied: bool = False
    comment: str | None = None


class Heartbeat(Frozen, frozen=True):
    """The row that the application writes on schedule: proves that nothing later than the point came back."""

    table: TableName
    column: str
    interval_seconds: Seconds


class Check(Frozen, frozen=True):
    """A statement about healthy data: `sql` returns a single true."""

    name: str
    sql: Sql


NEEDS: Final = "schema="
"""How the tag of a Worker's version begins that says which migration its code needs."""


class Migrations(Frozen, frozen=True):
    """The table of applied migrations: `column` holds their ids, `at` when each was applied (null: by commit time).

    `needs` is the id of the migration that the code needs: every version says it, so that a restore to a point before
    it restarts on a version that fits.
    """

    table: TableName
    column: str
    at: str | None = None
    needs: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{0,80}$")] = ""

    @property
    def tag(self) -> str:
        """Return the tag that a version of this code carries, "" where it says nothing."""
        return f"{NEEDS}{self.needs}" if self.needs else ""


class Database(Frozen, frozen=True):
    """The Supabase project. `schema` is a file, `seed` prints SQL on standard output (nothing: no data).

    `outsider` is an address of the operators' machine outside `operator_cidrs`: nobody gets in from it during a stop.
    `verify_seconds` bounds how long a restored database is looked at. Without `heartbeat` none is looked for. With
    `archive` it is a server of our own.
    """

    project: Annotated[str, Meta(pattern=r"^[a-z]{20}$")]
    hyperdrive: Name
    schema: FileName
    seed: tuple[str, ...]
    operator_cidrs: Annotated[tuple[str, ...], Meta(min_length=1)]
    checks: tuple[Check, ...]
    heartbeat: Heartbeat | None = None
    outsider: Address | None = None
    waits: Waits = Waits()
    verify_seconds: Seconds = 900.0
    migrations: Migrations | None = None
    archive: Archive | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what is no range of addresses."""
        for cidr in self.operator_cidrs:
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                message = f"expected operator_cidrs to be networks such as 192.0.2.10/32, got {cidr}: {error}"
                raise ValueError(message) from None


class Objectives(Frozen, frozen=True):
    """Recovery time objective and recovery point objective."""

    rto_seconds: Seconds
    rpo_seconds: Seconds


class Contacts(Frozen, frozen=True):
    """Roles, never persons; `time_zone` (IANA) is the one in which points are shown beside UTC."""

    time_zone: str
    technical_lead: str
    database_admin: str
    on_call: str

    def __post_init__(self) -> None:
        """Raise ValueError for a time zone that nobody knows."""
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError):
            message = f"expected time_zone to be a name of the IANA database (Europe/Paris), got {self.time_zone!r}"
            raise ValueError(message) from None


class Release(Frozen, frozen=True):
    """How a new version of the API gets its traffic, and what happens when a check fails on the way.

    `traffic` is in per cent, stage by stage: at 0 only our own checks reach it. At each stage requests of the smoke
    checks are sent for `bake_seconds`, and at most `error_rate_percent` of them may fail. `on_failure` rolls back by
    itself to the release before, or stops and leaves it to people.
    """

    traffic: tuple[Annotated[float, Meta(ge=0, le=100)], ...] = (100,)
    bake_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0
    error_rate_percent: Annotated[float, Meta(ge=0, le=100)] = 1
    on_failure: Literal["rollback", "stop"] = "rollback"

    def __post_init__(self) -> None:
        """Raise ValueError unless the stages grow and end with everything."""
        if self.traffic[-1:] != (100,) or list(self.traffic) != sorted(set(self.traffic)):
            message = f"expected stages that grow and end with 100, got {list(self.traffic)}"
            raise ValueError(message)


class Stack(Frozen, frozen=True):
    """One environment, whole. Field names are the keys `ems-ops:<field>`; `base_url` is `cloudflare:baseUrl`.

    `ops_home` is a folder, or `s3://bucket/prefix?endpoint=…&region=…`; then `local_folder` (by default `.ops/<stack>`)
    holds what stays on this machine. Relative paths start at the repository's root. With `signers`
    (role: public key) `runs.verify` refuses an end of a run that none of them signed. `web` is null without a site.
    """

    base_url: Url
    product: Product
    account: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    zone: HostName
    endpoints: Endpoints
    api: Api
    records: tuple[Record, ...]
    database: Database
    objectives: Objectives
    contacts: Contacts
    ops_home: FileName
    drill: Drill
    twin: Twin
    pins: dict[str, Pin]
    web: Web | None = None
    release: Release = Release()
    approvals: Approvals = Approvals()
    manual: tuple[Manual, ...] = ()
    local_folder: str | None = None
    signers: dict[str, PublicKey] = field(default_factory=dict)
    protection: Protection = Protection()
    buckets: tuple[Bucket, ...] = ()
    alerts: Alerts = Alerts()
    backups: Backups = Backups()
    logpush: Logpush | None = None
    hazards: Hazards = Hazards()

    @property
    def sites(self) -> tuple[Web, ...]:
        """Return the site; none where the product has none. All that a site needs is done for each of these."""
        return (self.web,) if self.web else ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the hosts that users reach."""
        return (self.api.host, *(site.host for site in self.sites))

    def __post_init__(self) -> None:
        """Refuse a bucket that is used and not declared: nothing would say who made it, or what it keeps."""
        used = {f"api.buckets.{binding}": name for binding, name in self.api.buckets.items()}
        used |= {"logpush.bucket": self.logpush.bucket} if self.logpush else {}
        declared = {bucket.name for bucket in self.buckets}
        for key, name in used.items():
            if name not in declared:
                message = (
                    f"{key}: expected one of ems-ops:buckets ({', '.join(sorted(declared)) or 'none'}), got {name}"
                )
                raise ValueError(message)
