"""The database itself: what a server says of itself, which rows were written when, and who else is connected.

When a row was written is read from the commit time of its transaction (`track_commit_timestamp`), which no
application has to help with. A row that was deleted leaves no trace there: what was deleted after a point is not seen.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from runbooks.clients.postgres import OURS, sql
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import Denied, Refused, Unreachable
from runbooks.model.reconciliation import END_SESSIONS

if TYPE_CHECKING:
    from runbooks.clients.postgres import Postgres, Session

PLATFORM_ROLES: Final = ("authenticator", "pgbouncer", "dashboard_user")
PLATFORM_PREFIX: Final = "supabase"
"""Roles under which the platform's own services connect (Supabase's documentation, 2026-11): not the application's."""

SERVER: Final = """
select current_setting('server_version_num')::int, pg_postmaster_start_time(), system_identifier::text, timeline_id,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint, clock_timestamp(), pg_is_in_recovery(),
       current_setting('track_commit_timestamp')::bool, pg_database_size(current_database()), inet_client_addr()::text
  from pg_control_system(), pg_control_checkpoint()
"""

TABLES: Final = """
select n.nspname, c.relname, has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and c.relpersistence = 'p' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
 order by 1, 2
"""

OTHERS: Final = """
select pid, usename, application_name, backend_start from pg_stat_activity
 where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()
   and application_name <> %s and usename <> all(%s) and usename not like %s
 order by pid
"""


class Server(msgspec.Struct, frozen=True):
    """What a server says of itself. `next_transaction` and `timeline` tell a recovery from a mere restart.

    `major` is its version, `bytes` the size of the database, `seen_as` our address where the server sees one.
    """

    major: int
    started_at: datetime
    system_identifier: str
    timeline: int
    next_transaction: int
    now: datetime
    in_recovery: bool
    commit_times: bool
    bytes: int
    seen_as: str | None


class TableRows(msgspec.Struct, frozen=True):
    """How many rows a table has, and how many of them were written after a point; None where it could not be told.

    `new` were written after the instant until which was counted; `digest` is that of the rows that were kept, in parts.
    `oid` is the table's own number, which it keeps when it is renamed; 0 where it is not known.
    """

    table: str
    rows: int | None
    after: int | None
    new: int = 0
    digest: str | None = None
    oid: int = 0

    @property
    def kept(self) -> int:
        """Return how many rows were there at the point at least: those that still are, unaltered since."""
        return 0 if self.rows is None or self.after is None else self.rows - self.after - self.new


class Written(msgspec.Struct, frozen=True):
    """What was written after a point, and the newest write of all: tables in order of what they lose."""

    tables: tuple[TableRows, ...]
    newest: datetime | None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return the tables of which nothing could be told: not readable, or not counted in time."""
        return tuple(table.table for table in self.tables if table.after is None)


def answers(database: Postgres) -> bool:
    """Tell whether the database can be asked anything now."""
    try:
        with database.reading() as session:
            return bool(session.value("select true"))
    except Unreachable:
        return False


def answers_us(database: Postgres, *, agreed: bool) -> bool:
    """Tell whether the database can be asked anything now. Raises Refused where it is there and does not let us in.

    `agreed`: go on all the same, as if nobody answered.
    """
    try:
        with database.reading() as session:
            return bool(session.value("select true"))
    except Denied as error:
        if agreed:
            return False
        message = (
            f"{error}. The server is there, so the present must be looked at first: expected an EMS_DATABASE_URL that "
            "gets in. Nothing was begun. (--without-copy goes on as if nobody answered.)"
        )
        raise Refused(message, next_command="export EMS_DATABASE_URL=…") from None
    except Unreachable:
        return False


def must_answer(database: Postgres) -> None:
    """Raise Unreachable when we are shut out of it."""
    with database.reading() as session:
        session.value("select 1")


def may(session: Session, right: Literal["select", "delete"], table: str) -> bool | None:
    """Tell whether our role has this right on a table (`schema.name`); None where there is none.

    Asked of the catalogue: `to_regclass` fails where our role may not look into the schema.
    """
    found: bool | None = session.value(
        "select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, %s)"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " join parse_ident(%s) p on array[n.nspname, c.relname]::text[] = p where c.relkind in ('r', 'p')",
        (right, table),
    )
    return found


def look_at(session: Session) -> Server:
    """Return what the server says of itself."""
    row = session.rows(SERVER)[0]
    return Server(row[0] // 10_000, *row[1:])


def tables(session: Session) -> list[tuple[str, str, bool]]:
    """Return every table that is not the server's or an extension's own: schema, name, whether we may read it."""
    return [(schema, name, bool(readable)) for schema, name, readable in session.rows(TABLES)]


def written_after(session: Session, point: datetime, *, until: datetime | None = None) -> Written:
    """Count the rows of every table that were written after the point, and not after `until` where that is given.

    A table that takes longer than the session's statement limit counts as unknown. Without commit times in the server
    everything does.
    """
    known = look_at(session).commit_times
    counted = [_count(session, name, point, until, readable=ours and known) for *name, ours in tables(session)]
    newest = [moment for _, moment in counted if moment is not None]
    ordered = sorted((table for table, _ in counted), key=lambda table: (-(table.after or 0), -(table.rows or 0)))
    return Written(tuple(ordered), max(newest, default=None))


def _count(
    session: Session, name: list[str], point: datetime, until: datetime | None, *, readable: bool
) -> tuple[TableRows, datetime | None]:
    label = ".".join(name)
    if not readable:
        return TableRows(label, None, None), None
    query = sql.SQL(
        "select count(*), count(*) filter (where at > %s and (%s::timestamptz is null or at <= %s)), max(at)"
        " from (select pg_xact_commit_timestamp(xmin) as at from only {}) rows"
    ).format(sql.Identifier(*name))
    try:
        with session.attempt():
            rows, after, newest = session.rows(query, (point, until, until))[0]
    except Unreachable:
        return TableRows(label, None, None), None
    return TableRows(label, rows, after), newest


def end_other_sessions(database: Postgres, *, name: str) -> Step:
    """Return the step that ends every session of the application; the platform's own services stay connected."""

    def holds(_sight: Sight) -> Held:
        with database.reading() as session:
            found = others(session)
        seen: dict[str, Json] = {"sessions": list(found)}
        if not found:
            return Yes(seen)
        return No(seen, f"{database.where}: expected no session but ours, got {len(found)}: {', '.join(found[:5])}")

    def act(_sight: Sight) -> Json:
        with database.writing(END_SESSIONS) as session:
            ended = others(session)
            session.rows(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid = any(%s)",
                ([int(text.split(maxsplit=1)[0]) for text in ended],),
            )
        return {"ended": list(ended)}

    return Step(
        name=name,
        title="end the sessions of the application",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo("clients connect again by themselves as soon as they may"),
        expect=0.1,
        deadline=60.0,
        attempts=3,
    )


def others(session: Session) -> list[str]:
    """Return the sessions of the application as `pid user "application" since`."""
    found = session.rows(OTHERS, (OURS, list(PLATFORM_ROLES), f"{PLATFORM_PREFIX}%"))
    return [f'{pid} {user} "{application}" since {since:%H:%M:%S}' for pid, user, application, since in found]
