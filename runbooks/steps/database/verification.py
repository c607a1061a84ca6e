"""Prove inside a recovered database that it is the one that was there at the point: no later, no emptier, no other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from runbooks.clients.postgres import sql
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import CheckError, NotSo, Unreachable
from runbooks.steps.database.server import Server, TableRows, look_at, written_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.stack import Check, Heartbeat
    from runbooks.clients.postgres import Postgres, Session


class Beats(msgspec.Struct, frozen=True):
    """The heartbeats in the present: whether their table is there, and the last one at or before the point."""

    known: bool
    last: datetime | None = None


@dataclass(frozen=True)
class Expected:
    """What is known of the database at the point, from before it was recovered.

    `tables` are lower bounds (rows that were there at the point and still are); nothing is known where `server` is
    None: then the database did not answer.
    """

    point: datetime
    server: Server | None
    tables: tuple[TableRows, ...]
    beats: Beats


def last_beat(session: Session, heartbeat: Heartbeat, point: datetime) -> Beats:
    """Return the last heartbeat that the present knows of at or before the point."""
    if session.value("select to_regclass(%s)::text", (heartbeat.table,)) is None:
        return Beats(known=True)
    return Beats(known=True, last=_newest_beat(session, heartbeat, point))


def verify(
    database: Postgres,
    expected: Expected,
    *,
    heartbeat: Heartbeat,
    checks: tuple[Check, ...],
    after_failure: Callable[[Sight], tuple[str, str]],
    name: str,
) -> Step:
    """Return the step that looks at the data: heartbeat, commit times, rows, checks of the stack file.

    A failed proof ends the run; `after_failure` gives the command to type then, and the one that serves nevertheless.
    """
    just_proven: list[dict[str, Json]] = []

    def look() -> tuple[list[str], dict[str, Json]]:
        with database.reading() as session:
            return _look(session, expected, heartbeat, checks)

    def act(sight: Sight) -> None:
        faults, seen = look()
        if faults:
            raise _not_proven(expected.point, faults, *after_failure(sight))
        just_proven[:] = [seen]

    def holds(_sight: Sight) -> Held:
        faults, seen = ([], just_proven.pop()) if just_proven else look()
        return No({**seen, "faults": list(faults)}, "; ".join(faults)) if faults else Yes(seen)

    return Step(
        name=name,
        title=f"verify inside the database: heartbeat, commit times, rows, {len(checks)} checks",
        effect=Effect.READ,
        holds=holds,
        act=act,
        undo=NoUndo("it only reads"),
        expect=0.5,
        deadline=1800.0,
    )


def _not_proven(point: datetime, faults: list[str], next_command: str, nevertheless: str) -> NotSo:
    message = (
        f"The database at {point:%Y-%m-%d %H:%M:%S} UTC is not proven: {'; '.join(faults)}. "
        f"The application stays stopped. To serve it as it is nevertheless: {nevertheless}"
    )
    return NotSo(message, next_command=next_command)


def _look(
    session: Session, expected: Expected, heartbeat: Heartbeat, checks: tuple[Check, ...]
) -> tuple[list[str], dict[str, Json]]:
    server = look_at(session)
    # what the platform's own services write after the recovery is later than the server's start
    written = written_after(session, expected.point, until=server.started_at)
    faults = [
        *_identity_faults(expected, server),
        *_row_faults(expected, written.tables),
        *_beat_faults(session, expected, heartbeat, server),
        *_check_faults(session, checks),
    ]
    rows: dict[str, Json] = {table.table: table.rows for table in written.tables}
    not_checked = [f"commit times of {table}" for table in written.unknown]
    if expected.server is None:
        not_checked.append("row counts and system identity: the database did not answer before")
    newest = None if written.newest is None else written.newest.isoformat()
    return faults, {
        "rows": rows,
        "newest_write": newest,
        "checks": [check.name for check in checks],
        "system_identifier": server.system_identifier,
        "timeline": server.timeline,
        "not_checked": list(not_checked),
    }


def _identity_faults(expected: Expected, server: Server) -> list[str]:
    if expected.server is None or expected.server.system_identifier == server.system_identifier:
        return []
    return [
        f"it is another database: expected system {expected.server.system_identifier}, got {server.system_identifier}"
    ]


def _row_faults(expected: Expected, found: tuple[TableRows, ...]) -> list[str]:
    """Return what is too much (written after the point) and what is missing (there at the point, and before)."""
    late = [f"{table.table} holds {table.after} rows from after the point" for table in found if table.after]
    rows = {table.table: table.rows for table in found}
    gone = [
        f"table {table.table}: expected at least {table.kept} rows, got {rows.get(table.table, 'no table')}"
        for table in expected.tables
        if table.kept
        and (table.table not in rows or (rows[table.table] is not None and rows[table.table] < table.kept))  # type: ignore[operator] # None is asked for before
    ]
    return late + gone


def _beat_faults(session: Session, expected: Expected, heartbeat: Heartbeat, server: Server) -> list[str]:
    """Return what the heartbeat says against the point: no later beat, none missing, the last one close to it."""
    where = f"heartbeat {heartbeat.table}"
    if session.value("select to_regclass(%s)::text", (heartbeat.table,)) is None:
        return [f"{where}: the table is not there"] if expected.beats.last is not None else []
    newest = _newest_beat(session, heartbeat, server.started_at)
    if newest is not None and newest > expected.point:
        return [f"{where}: newest {newest} is later than the point"]
    if expected.beats.known:
        wanted = expected.beats.last
        if wanted is None or (newest is not None and newest >= wanted):
            return []  # as the present had it; where none had beaten before the point, none is missed
        return [f"{where}: expected the beat of {wanted}, got {newest}"]
    oldest = expected.point - timedelta(seconds=2 * heartbeat.interval_seconds)
    if newest is None or newest <= oldest:
        return [f"{where}: expected a beat between {oldest} and {expected.point}, newest is {newest}"]
    return []


def _newest_beat(session: Session, heartbeat: Heartbeat, until: datetime) -> datetime | None:
    query = sql.SQL("select max({column}) from {table} where {column} <= %s").format(
        column=sql.Identifier(heartbeat.column), table=sql.Identifier(*heartbeat.table.split("."))
    )
    found: datetime | None = session.value(query, (until,))
    return found


def _check_faults(session: Session, checks: tuple[Check, ...]) -> list[str]:
    faults = []
    for check in checks:
        try:
            with session.attempt():
                if not session.truth(check.sql):
                    faults.append(f"check “{check.name}” is not true")
        except Unreachable:
            faults.append(f"check “{check.name}” did not answer in time")
        except CheckError as error:
            faults.append(f"check “{check.name}” failed: {error}")
    return faults
