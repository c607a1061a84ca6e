"""Prove inside a recovered database that it is the one that was there at the point: no later, no emptier, no other."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.postgres import identifier, sql
from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import CheckError, NotSo, NotThere, Unreachable
from runbooks.steps.database.proof.comparing import Weight
from runbooks.steps.database.proof.definitions import noted_definitions
from runbooks.steps.database.proof.inspection import inspect
from runbooks.steps.database.proof.kept import PARTS, likeness, read_kept
from runbooks.steps.database.server import Server, TableRows, look_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.stack import Check, Heartbeat
    from runbooks.clients.postgres import Postgres, Session


TITLE: Final = "verify inside the database: rows, keys, rules, pages, rights, heartbeat, {} checks"
STAYS_STOPPED: Final = "The application stays stopped. To serve it as it is nevertheless: {}"
NAMED: Final = 12  # faults that the message names; the journal holds all


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


def last_beat(session: Session, heartbeat: Heartbeat | None, point: datetime) -> Beats:
    """Return the last heartbeat that the present knows of at or before the point."""
    if heartbeat is None or session.value("select to_regclass(%s)::text", (heartbeat.table,)) is None:
        return Beats(known=True)
    try:
        return Beats(known=True, last=_newest_beat(session, heartbeat, point))
    except NotThere:  # its column was renamed or dropped: the very thing that may be taken back
        return Beats(known=False)


def verify(
    database: Postgres,
    expected: Expected,
    *,
    heartbeat: Heartbeat | None,
    checks: tuple[Check, ...],
    noted: Path | None,
    seconds: float,
    after_failure: Callable[[Sight], tuple[str, str]],
    name: str,
    stays: str = STAYS_STOPPED,
) -> Step:
    """Return the step that looks at the data, at the rules it must obey, and at what the catalogue shows.

    `noted` is where the present's definitions were noted; after `seconds` nothing more is begun, and that is said.
    `after_failure` gives what to type then, and what serves nevertheless; `stays` says how the application stands.
    """
    just_proven: list[dict[str, Json]] = []
    look = partial(_look, database, expected, heartbeat, checks, noted=noted, seconds=seconds)

    def act(sight: Sight) -> None:
        faults, seen = look(sight=sight)
        if faults:
            raise _not_proven(expected.point, faults, stays, *after_failure(sight))
        just_proven[:] = [seen]

    def holds(sight: Sight) -> Held:
        faults, seen = ([], just_proven.pop()) if just_proven else look(sight=sight)
        return No({**seen, "faults": list(faults)}, "; ".join(faults)) if faults else Yes(seen)

    return Step(
        name=name,
        title=TITLE.format(len(checks)),
        effect=Effect.READ,
        holds=holds,
        act=act,
        undo=ONLY_READS,
        expect=1.0,
        deadline=2 * seconds + 600.0,
    )


def _not_proven(point: datetime, faults: list[str], stays: str, next_command: str, nevertheless: str) -> NotSo:
    named = "; ".join(faults[:NAMED])
    if rest := faults[NAMED:]:
        named += f"; and {len(rest)} more in the journal"
    message = f"The database at {point:%Y-%m-%d %H:%M:%S} UTC is not proven: {named}. {stays.format(nevertheless)}"
    return NotSo(message, next_command=next_command)


def _look(
    database: Postgres,
    expected: Expected,
    heartbeat: Heartbeat | None,
    checks: tuple[Check, ...],
    *,
    noted: Path | None,
    seconds: float,
    sight: Sight,
) -> tuple[list[str], dict[str, Json]]:
    """Return what is wrong, and what was seen: the stack file's checks first, then what takes longer."""
    until = time.monotonic() + seconds
    with database.reading() as session:
        server = look_at(session)
        unseen, beat_faults = _beats(session, expected, heartbeat, server)
        faults = [*beat_faults, *_check_faults(session, checks)]
    # what the platform's own services write after the recovery is later than the server's start
    half = _scaled(sight.report, 0)
    written = read_kept(database, expected.point, until=server.started_at, seconds=seconds, report=half)
    row_faults, not_compared = _row_faults(expected, written.tables, server)
    present = None if noted is None else noted_definitions(noted)
    answers = inspect(database, present, until=until, report=_scaled(sight.report, 1))
    not_checked = [*(f"commit times of {table}" for table in written.unknown), *not_compared, *unseen]
    if expected.server is None:
        not_checked.append("row counts and system identity: the database did not answer before")
    rows: dict[str, Json] = {table.table: table.rows for table in written.tables}
    return [*_identity_faults(expected, server), *row_faults, *faults, *answers.of(Weight.FAULT)], {
        "rows": rows,
        "newest_write": None if written.newest is None else written.newest.isoformat(),
        "proven_by_digest": sum(table.digest is not None for table in written.tables) - len(not_compared),
        "checks": [check.name for check in checks],
        "questions": answers.asked,
        "notes": list(answers.of(Weight.NOTE)),
        "system_identifier": server.system_identifier,
        "timeline": server.timeline,
        "not_checked": [*not_checked, *answers.of(Weight.UNCHECKED)],
    }


def _scaled(report: Callable[[int, int], None], half: int) -> Callable[[int, int], None]:
    """Return a progress report that fills one half of the step's."""
    return lambda done, total: report(500 * half + 500 * done // max(total, 1), 1000)


def _identity_faults(expected: Expected, server: Server) -> list[str]:
    if expected.server is None:
        return []
    faults = []
    if expected.server.system_identifier != server.system_identifier:
        was = expected.server.system_identifier
        faults.append(f"it is another database: expected system {was}, got {server.system_identifier}")
    if server.timeline < (branch := expected.server.timeline):
        faults.append(f"it is on an older branch: expected timeline {branch} or a later one, got {server.timeline}")
    return faults


def _row_faults(expected: Expected, found: tuple[TableRows, ...], server: Server) -> tuple[list[str], list[str]]:
    """Return what is too much (written after the point), missing or other than it was; and what cannot be compared.

    In the same cluster a table is known by its number: by then it may have had another name.
    """
    late = [f"{table.table} holds {table.after} rows from after the point" for table in found if table.after]
    tables, not_compared = {table.table: table for table in found}, []
    gone = []
    same = expected.server is not None and expected.server.system_identifier == server.system_identifier
    numbered = {table.oid: table for table in found if same and table.oid}
    for wanted in expected.tables:
        got = numbered.get(wanted.oid) or tables.get(wanted.table)
        if got is None:
            if wanted.kept:
                gone.append(f"table {wanted.table}: expected at least {wanted.kept} rows, got no table")
        elif got.rows is not None and got.kept < wanted.kept:
            gone.append(f"table {wanted.table}: expected at least {wanted.kept} rows, got {got.kept}")
        elif wanted.digest is not None and got.digest is not None:
            alike = likeness(wanted.digest, got.digest)
            if alike.missing:
                text = f"{alike.missing} or more of its {wanted.kept} rows from before the point are not as they were"
                gone.append(f"table {wanted.table}: {text}")
            if alike.hidden == PARTS and got.kept == wanted.kept:
                not_compared.append(f"content of {wanted.table}: its columns, or the labels in them, are others now")
            elif alike.hidden:
                altered = got.kept - wanted.kept
                text = f"{altered} rows altered or deleted after the point hide {alike.hidden} of its {PARTS} parts"
                not_compared.append(f"content of {wanted.table}: {text}")
    return late + gone, not_compared


def _beats(
    session: Session, expected: Expected, heartbeat: Heartbeat | None, server: Server
) -> tuple[list[str], list[str]]:
    """Return why no beat could be looked at, and what is wrong with those that are there."""
    if heartbeat is None:
        return ["heartbeat: ems-ops:database.heartbeat is null"], []
    there = session.value("select to_regclass(%s) is not null", (heartbeat.table,))
    unseen = [] if there else [f"heartbeat: there is no table {heartbeat.table}"]
    return unseen, _beat_faults(session, expected, heartbeat, server)


def _beat_faults(session: Session, expected: Expected, heartbeat: Heartbeat, server: Server) -> list[str]:
    """Return what the heartbeat says against the point: no later beat, none missing, the last one close to it."""
    where = f"heartbeat {heartbeat.table}"
    if session.value("select to_regclass(%s)::text", (heartbeat.table,)) is None:
        return [f"{where}: the table is not there"] if expected.beats.last is not None else []
    try:
        with session.attempt():
            newest = _newest_beat(session, heartbeat, server.started_at)
    except NotThere:
        return [f"{where}: it has no column {heartbeat.column}"]
    if newest is not None and newest > expected.point:
        return [f"{where}: newest {newest} is later than the point"]
    if expected.beats.known:
        wanted = expected.beats.last
        # as the present had it; where none had beaten before the point, none is missed
        as_it_was = wanted is None or (newest is not None and newest >= wanted)
        return [] if as_it_was else [f"{where}: expected the beat of {wanted}, got {newest}"]
    oldest = expected.point - timedelta(seconds=2 * heartbeat.interval_seconds)
    if newest is None or newest <= oldest:
        return [f"{where}: expected a beat between {oldest} and {expected.point}, newest is {newest}"]
    return []


def _newest_beat(session: Session, heartbeat: Heartbeat, until: datetime) -> datetime | None:
    query = sql.SQL("select max({column}) from {table} where {column} <= %s").format(
        column=sql.Identifier(heartbeat.column), table=identifier(heartbeat.table)
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
