"""The database before it is given up: what is in it, what of that was written after a point, and who may look."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from runbooks.model.errors import Refused, Unreachable
from runbooks.model.timepoint import Point
from runbooks.model.timepoint_refusals import Asker, PointRefused
from runbooks.steps.database.proof.kept import read_kept
from runbooks.steps.database.server import Server, TableRows, look_at
from runbooks.steps.database.verification import Beats, Expected, last_beat

if TYPE_CHECKING:
    from infra.stack import Database, Heartbeat
    from runbooks.clients.postgres import Postgres

NAMED: Final = 4  # tables that a plan names before it counts the rest


class Present(msgspec.Struct, frozen=True):
    """The server, what each table has, the newest write, the last heartbeat at or before the point."""

    server: Server
    tables: tuple[TableRows, ...]
    newest: datetime | None
    beats: Beats


class Known(msgspec.Struct, frozen=True):
    """A present that was there before, and the copy of it that was made then, with its definitions."""

    present: Present
    backup: str


class At(Protocol):
    """A moment that was reached."""

    @property
    def at(self) -> datetime:
        """Return it, in UTC."""


class Left(Protocol):
    """What a run knew that was left stopped: the facts of its plan."""

    @property
    def reached(self) -> At:
        """Return what it was to go back to."""

    @property
    def present(self) -> Present | None:
        """Return the database as it was then."""

    @property
    def backup(self) -> str:
        """Return the copy that it made."""

    @property
    def known(self) -> Known | None:
        """Return what a run before it knew."""


def known_before(former: Left | None, point: datetime) -> Known | None:
    """Return what a run that was left stopped knew of the same point: what stands there now may be its ruin."""
    if former is None or former.reached.at != point:
        return None
    return former.known or (Known(former.present, former.backup) if former.present else None)


def read_present(
    database: Postgres, point: datetime, heartbeat: Heartbeat | None, *, seconds: float | None = None
) -> Present | None:
    """Return the database as it is; None when it does not answer.

    Reads every table once, two at a time; after `seconds` no further one is begun, and its rows count as unknown.
    """
    try:
        with database.reading() as session:
            server, beats = look_at(session), last_beat(session, heartbeat, point)
        written = read_kept(database, point, seconds=seconds)
    except Unreachable:
        return None
    return Present(server, written.tables, written.newest, beats)


@dataclass
class Looking:
    """The present of one database, looked at once: it takes long. `told` is what the stack file (`file`) says of it."""

    database: Postgres
    told: Database
    file: str
    _seen: tuple[Present | None] | None = None

    def at(self, point: datetime) -> Present | None:
        """Return the present beside that moment, None when it does not answer. Raises Refused (`check_own_address`)."""
        if self._seen is None:
            self._seen = (read_present(self.database, point, self.told.heartbeat, seconds=self.told.verify_seconds),)
            if self._seen[0] is not None:
                check_own_address(self._seen[0].server, self.told.operator_cidrs, file=self.file)
        return self._seen[0]


def owed(point: datetime, present: Present | None) -> Expected:
    """Return what a recovered database is held to."""
    if present is None:
        return Expected(point, None, (), Beats(known=False))
    return Expected(point, present.server, present.tables, present.beats)


def check_own_address(server: Server, operators: tuple[str, ...], *, file: str) -> None:
    """Raise Refused when stopping all others would shut us out as well, as far as the server sees us."""
    if server.seen_as is None:
        return
    ours = ipaddress.ip_interface(server.seen_as).ip
    if ours.is_global and not any(ours in ipaddress.ip_network(cidr) for cidr in operators):
        message = (
            f"{file}: database.operator_cidrs: expected this machine's address {ours} in {', '.join(operators)}; "
            "the restore would shut itself out."
        )
        raise Refused(message, next_command=f"edit {file}")


def check_without_present(point: Point, latest: datetime | None, *, where: str, agreed: bool, asker: Asker) -> None:
    """Raise Refused unless the operator agreed to go on without a copy, and the archive covers the point already."""
    if not agreed:
        message = (
            f"Database {where}: it does not answer, so the present cannot be copied and what is lost cannot be shown. "
            "--without-copy goes on nevertheless."
        )
        raise Refused(message, next_command=f'{asker.command}"{point.given}" --without-copy')
    if latest is None or latest < point.at:
        reason = "the database does not answer and its archive does not reach that far"
        example = [Point(latest, "").utc] if latest else []
        raise PointRefused(point.given, reason, *example, asker=asker)


def losses(present: Present | None) -> tuple[str, ...]:
    """Say what is lost by going back, a line each: rows by table, the newest write, and what cannot be told."""
    if present is None:
        return ("everything written after it; how much cannot be told, the database does not answer",)
    if not present.server.commit_times:
        return ("everything written after it; how much cannot be told, track_commit_timestamp is off",)
    lost = [table for table in present.tables if table.after]
    seen = ", ".join(f"{table.table} {table.after} rows" for table in lost[:NAMED]) or "no rows"
    if rest := lost[NAMED:]:
        seen += f", and {sum(table.after or 0 for table in rest)} rows in {len(rest)} more tables"
    newest = f"   newest {present.newest.astimezone(UTC):%H:%M:%S}" if present.newest and lost else ""
    lines = [f"everything written after it. Seen now: {seen}{newest}"]
    if unknown := [table.table for table in present.tables if table.after is None]:
        lines.append(f"not counted: {', '.join(unknown[:NAMED])}{' …' if unknown[NAMED:] else ''}")
    return tuple(lines)
