"""The programs of a server of our own, who runs them, and what they say of a data folder.

The system's own programs come first, since they know the server's extensions; then those of the package.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runbooks.clients import child
from runbooks.clients.postgres_programs import own_program, own_version
from runbooks.model.errors import CheckError, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

DEBIAN: Final = "/usr/lib/postgresql/{}"
OLDEST: Final = 15  # what older ones cannot be told at their start
LONG: Final = 4 * 3600.0
MUST_NOT_BE_LOWER: Final = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
"""Settings with which WAL was written; a server that answers while it replays that WAL refuses lower ones."""


@dataclass(frozen=True)
class Control:
    """What `pg_control` of a data folder holds. `segment` is the size of a WAL segment in bytes."""

    system: str
    timeline: int
    segment: int
    checkpoint_at: datetime
    commit_times: bool
    limits: Mapping[str, int]


@dataclass(frozen=True)
class Installed:
    """One version's programs: `prefix` is the folder above `bin`. `owner` runs the server where we are root."""

    prefix: Path
    owner: child.Owner | None
    environment: Mapping[str, str]

    def words(self, name: str, *words: str | Path) -> list[str]:
        """Return a command line of one of the programs."""
        return [str(self.prefix / "bin" / name), *map(str, words)]

    def printed(self, name: str, *words: str | Path) -> str:
        """Return what a program prints. Raises CheckError with its words."""
        text = child.printed(self.words(name, *words), folder=Path("/"), environment=self.seen, seconds=LONG)
        return text.decode("utf-8", "replace")

    @property
    def seen(self) -> dict[str, str]:
        """Return what the programs see: nothing of the operator's own PostgreSQL settings, times in UTC."""
        kept = {name: self.environment[name] for name in ("PATH",) if name in self.environment}
        return {**kept, "TZ": "UTC", "LC_ALL": "C"}

    def control(self, data: Path) -> Control:
        """Read a data folder's pg_control. Raises CheckError."""
        lines = (line.partition(":") for line in self.printed("pg_controldata", data).splitlines())
        said = {name: value.strip() for name, _, value in lines}
        try:
            at = datetime.strptime(said["Time of latest checkpoint"], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
            return Control(
                system=said["Database system identifier"],
                timeline=int(said["Latest checkpoint's TimeLineID"]),
                segment=int(said["Bytes per WAL segment"]),
                checkpoint_at=at,
                commit_times=said["track_commit_timestamp setting"] == "on",
                limits={name: int(said[line]) for name, line in MUST_NOT_BE_LOWER.items()},
            )
        except (KeyError, ValueError) as error:
            message = f"{data}: expected what pg_controldata prints of a data folder, {error} is missing or not right."
            raise CheckError(message) from None


def installed_for(
    data: Path, *, told: Path | None, environment: Mapping[str, str], archived: Path | None = None
) -> Installed:
    """Return the programs for a data folder. Raises Refused where there are none, or its user is out of our reach.

    A base that root has taken belongs to root, as whom no server runs: then who `archived` the WAL is its user.
    """
    try:
        version = (data / "PG_VERSION").read_text("ascii").strip()
        status = data.stat()
        if status.st_uid == 0 and archived is not None:
            status = next((one for path in archived.iterdir() if (one := path.stat()).st_uid != 0), status)
        owner = status.st_uid
    except (OSError, UnicodeDecodeError) as error:
        message = f"{data}: expected a data folder of PostgreSQL, it cannot be read: {error}."
        raise Refused(message) from None
    if int(version.partition(".")[0]) < OLDEST:
        message = f"{data}: expected PostgreSQL {OLDEST} or newer, got {version}."
        raise Refused(message)
    if owner != os.geteuid() and os.geteuid() != 0:
        message = f"{data} belongs to user {owner}: expected to be run by that user, or by root."
        raise Refused(message)
    if owner == 0:
        message = f"{data} belongs to root, as whom PostgreSQL does not run: expected the server's own user."
        raise Refused(message, next_command=f"chown -R postgres: {data}")
    prefix = _prefix(version, told)
    as_user = child.Owner(owner, status.st_gid) if os.geteuid() == 0 else None
    return Installed(prefix, as_user, environment)


def _prefix(version: str, told: Path | None) -> Path:
    prefixes = [told] if told else [Path(DEBIAN.format(version)), *_package(version)]
    for prefix in prefixes:
        if prefix is not None and (prefix / "bin" / "postgres").is_file():
            return prefix
    message = (
        f"PostgreSQL {version}: expected its server programs (bin/postgres) in "
        f"{' or '.join(str(prefix) for prefix in prefixes)} on this machine, found none."
    )
    raise Refused(message, next_command=f"apt-get install postgresql-{version}")


def _package(version: str) -> list[Path]:
    try:
        return [own_program("postgres").parent.parent] if own_version().partition(".")[0] == version else []
    except Refused:
        return []
