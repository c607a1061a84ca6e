"""Supabase's Management API, as typed calls: only what the books need.

Shapes: Supabase's OpenAPI (v1, 2026-08-02) and answers recorded by Supabase's own command line tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from runbooks.clients.transport import Explanation, Transport, excerpt
from runbooks.model.reconciliation import RECOVER, RESTRICT
from runbooks.model.timepoint import Window

EVERYONE_V4: Final = "0.0.0.0/0"
EVERYONE_V6: Final = "::/0"


class ProjectStatus(StrEnum):
    """What the platform says of a project, in its own words."""

    INACTIVE = "INACTIVE"
    ACTIVE_HEALTHY = "ACTIVE_HEALTHY"
    ACTIVE_UNHEALTHY = "ACTIVE_UNHEALTHY"
    COMING_UP = "COMING_UP"
    UNKNOWN = "UNKNOWN"
    GOING_DOWN = "GOING_DOWN"
    INIT_FAILED = "INIT_FAILED"
    REMOVED = "REMOVED"
    RESTORING = "RESTORING"
    UPGRADING = "UPGRADING"
    PAUSING = "PAUSING"
    RESTORE_FAILED = "RESTORE_FAILED"
    RESTARTING = "RESTARTING"
    PAUSE_FAILED = "PAUSE_FAILED"
    RESIZING = "RESIZING"

    @classmethod
    def _missing_(cls, value: object) -> ProjectStatus:
        """Take a state that this description of the API does not name yet as what it is: not known."""
        del value
        return cls.UNKNOWN


FAILED: Final = frozenset(
    {
        ProjectStatus.RESTORE_FAILED,
        ProjectStatus.INIT_FAILED,
        ProjectStatus.PAUSE_FAILED,
        ProjectStatus.INACTIVE,
        ProjectStatus.REMOVED,
    }
)
"""States that no restore has been seen to come back from by itself (user reports, 2024-2026)."""


class ProjectDatabase(msgspec.Struct, frozen=True):
    """The project's server: its direct host and its version as the platform writes it (`17.6.1.111`)."""

    host: str
    version: str


class Project(msgspec.Struct, frozen=True):
    """A project and its state."""

    name: str
    region: str
    status: ProjectStatus
    database: ProjectDatabase


class ServiceHealth(msgspec.Struct, frozen=True):
    """The health of one service: `status` is COMING_UP, ACTIVE_HEALTHY or UNHEALTHY."""

    name: str
    status: str
    error: str = ""


class PhysicalBackups(msgspec.Struct, frozen=True):
    """How far back and how near point-in-time recovery reaches, in Unix seconds; absent where it does not."""

    earliest_physical_backup_date_unix: int | None = None
    latest_physical_backup_date_unix: int | None = None


class Backup(msgspec.Struct, frozen=True):
    """One daily backup of the provider."""

    status: str
    inserted_at: str


class Backups(msgspec.Struct, frozen=True):
    """What the provider keeps. `walg_enabled` does not mean that there is point-in-time recovery."""

    pitr_enabled: bool
    physical_backup_data: PhysicalBackups = PhysicalBackups()
    backups: tuple[Backup, ...] = ()

    @property
    def window(self) -> Window:
        """Return the reachable points in UTC."""
        return Window(
            _instant(self.physical_backup_data.earliest_physical_backup_date_unix),
            _instant(self.physical_backup_data.latest_physical_backup_date_unix),
        )


class _DiskMetrics(msgspec.Struct, frozen=True):
    fs_avail_bytes: float


class _Disk(msgspec.Struct, frozen=True):
    metrics: _DiskMetrics


class Cidrs(msgspec.Struct, frozen=True):
    """Who may connect to the database and its pooler."""

    v4: tuple[str, ...] = msgspec.field(default=(), name="dbAllowedCidrs")
    v6: tuple[str, ...] = msgspec.field(default=(), name="dbAllowedCidrsV6")

    @property
    def all(self) -> tuple[str, ...]:
        """Return both families, sorted: what is compared."""
        return (*sorted(self.v4), *sorted(self.v6))


class Restrictions(msgspec.Struct, frozen=True):
    """The network restrictions: `status` is `stored` until they hold, then `applied`."""

    entitlement: str
    status: str
    config: Cidrs = Cidrs()

    @property
    def applied(self) -> bool:
        """Tell whether the platform says that they hold."""
        return self.status == "applied"


class _Message(msgspec.Struct, frozen=True):
    message: str


def explain(body: bytes) -> Explanation:
    """Return the text of a refusal: `{"message": …}`, the beginning of the body where it is anything else."""
    try:
        return Explanation("", msgspec.json.decode(body, type=_Message).message)
    except msgspec.MsgspecError:
        return excerpt(body)


def cidrs_of(addresses: tuple[str, ...]) -> Cidrs:
    """Sort addresses into the two families that the API asks for."""
    return Cidrs(
        v4=tuple(address for address in addresses if ":" not in address),
        v6=tuple(address for address in addresses if ":" in address),
    )


@dataclass(frozen=True)
class Supabase:
    """One project. Reads are retried; `restore_pitr` and `restrict` are sent once."""

    transport: Transport
    ref: str

    def project(self) -> Project:
        """Return the project with its state."""
        return self.transport.get(self._path("")).decode(Project)

    def health(self, *services: str) -> tuple[ServiceHealth, ...]:
        """Return the health of these services (`db`, `auth`, `rest`, `pooler`, `storage` …)."""
        query = "&".join(f"services={service}" for service in services)
        return self.transport.get(self._path(f"/health?{query}")).decode(tuple[ServiceHealth, ...])

    def backups(self) -> Backups:
        """Return what the provider keeps and how far point-in-time recovery reaches."""
        return self.transport.get(self._path("/database/backups")).decode(Backups)

    def disk_free(self) -> int:
        """Return the free bytes of the database's disk, as last measured."""
        return int(self.transport.get(self._path("/config/disk/util")).decode(_Disk).metrics.fs_avail_bytes)

    def restrictions(self) -> Restrictions:
        """Return who may connect to the database."""
        return self.transport.get(self._path("/network-restrictions")).decode(Restrictions)

    def restrict(self, cidrs: Cidrs) -> Restrictions:
        """Replace both lists of who may connect. Applying the same lists again changes nothing."""
        answer = self.transport.send(RESTRICT, self._path("/network-restrictions/apply"), json=cidrs)
        return answer.decode(Restrictions)

    def restore_pitr(self, at: datetime) -> None:
        """Ask for the recovery of the whole project, in place, to a whole second. Answers before it has begun.

        Sent once: the API keeps no request id. Raises ActRefused when the provider says no, AnswerLost when it is
        not known what it said.
        """
        body = {"recovery_time_target_unix": int(at.timestamp())}
        self.transport.send(RECOVER, self._path("/database/backups/restore-pitr"), json=body)

    def _path(self, rest: str) -> str:
        return f"/v1/projects/{self.ref}{rest}"


def _instant(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
