"""Databases of one server that take each other's place: what says whose turn it is stands on the databases themselves.

A comment on a database moves with it when it is renamed, and is committed with the renaming: after a crash it tells
what happened.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.postgres import sql
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActRefused, Refused
from runbooks.model.reconciliation import DROP_FORMER, SWITCH

if TYPE_CHECKING:
    from runbooks.clients.postgres import Postgres, Session

BESIDE: Final = "template1"
"""The database from which others are renamed and dropped: every server has it, nobody works in it."""
LOADED: Final = "ems-ops: loaded whole from backup "
FORMER: Final = "ems-ops: former database, kept by run "
NOTE: Final = re.compile(rf"{FORMER}(?P<run>\S+) when backup (?P<backup>\S+) took its place at (?P<at>\S+)")
PLACE: Final = re.compile(r" in the place of (?P<former>.+) since (?P<at>\S+) by run (?P<run>\S+)$")
"""What a loaded database says besides where it took another one's place under a name of its own (`replaced`)."""

DATABASES: Final = """
select datname, coalesce(shobj_description(oid, 'pg_database'), ''), pg_database_size(oid)
  from pg_database where not datistemplate order by 1
"""
CAN_RENAME: Final = """
select (select rolsuper or (rolcreatedb and pg_has_role(d.datdba, 'usage')) from pg_roles where rolname = current_user),
       (select coalesce(string_agg(format('%s of %s', a.pid, a.usename), ', '), '')
          from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
         where a.datid = d.oid and a.pid <> pg_backend_pid() and r.rolsuper
           and not (select rolsuper from pg_roles where rolname = current_user))
  from pg_database d where d.datname = current_database()
"""


PREPARED: Final = "select gid from pg_prepared_xacts where database = current_database() order by prepared, gid"


class Kept(msgspec.Struct, frozen=True):
    """A database that another one took the place of. `backup` is what came instead, `bytes` its size."""

    name: str
    run: str
    backup: str
    at: str
    bytes: int


def notes(session: Session) -> dict[str, str]:
    """Return the comment on every database of the server."""
    return {name: comment for name, comment, _ in session.rows(DATABASES)}


def kept(session: Session) -> list[Kept]:
    """Return the databases that are kept since another one took their place."""
    found = ((name, NOTE.fullmatch(comment), size) for name, comment, size in session.rows(DATABASES))
    return [Kept(name, note["run"], note["backup"], note["at"], size) for name, note, size in found if note]


def why_not_renamed(session: Session) -> str:
    """Return why the present database cannot be renamed, nothing when it can."""
    may, sessions = session.rows(CAN_RENAME)[0]
    if not may:
        return "our role neither owns the database nor may create one"
    return f"sessions of superusers are in it, which our role cannot end: {sessions}" if sessions else ""


def refuse_prepared(session: Session) -> None:
    """Raise Refused where a transaction is prepared in the present database: until it ends, nobody can rename that."""
    if found := [str(gid) for (gid,) in session.rows(PREPARED)]:
        message = (
            f"Database {session.where}: transactions are prepared in it and neither committed nor rolled back: "
            f"{', '.join(found)}. Until then it cannot be renamed. Nothing was begun. An owner ends each, by commit "
            "or by rollback, as its application would."
        )
        ending = sql.SQL("rollback prepared {}").format(sql.Literal(found[0])).as_string(None)
        raise Refused(message, next_command=f'psql "$EMS_DATABASE_URL" -c {shlex.quote(ending)}')


@dataclass(frozen=True)
class Places:
    """Three names: `fresh` becomes `current`, and what was `current` becomes `former`."""

    postgres: Postgres
    current: str
    fresh: str
    former: str
    backup: str

    @property
    def beside(self) -> Postgres:
        """Return the way to rename them."""
        return self.postgres.named(BESIDE)


def switch(places: Places, *, name: str) -> Step:
    """Return the step that puts the loaded database in the place of the present one, both renamed in one transaction.

    Whoever is connected to either is cut off and comes back to the new one by the old name.
    """

    def holds(_sight: Sight) -> Held:
        with places.beside.reading() as session:
            found = notes(session)
        seen: dict[str, Json] = {"databases": {key: found[key] for key in found if found[key].startswith("ems-ops")}}
        if found.get(places.current, "").startswith(LOADED + places.backup) and places.former in found:
            return Yes(seen)
        return No(seen, f"{places.current} is not backup {places.backup}: {found.get(places.current) or 'no note'}")

    def undo(sight: Sight) -> Json:
        told = {places.fresh: LOADED + places.backup, places.current: _noted_before(sight, places.current)}
        _rename(places, [(places.current, places.fresh), (places.former, places.current)], notes=told)
        return {"back": places.current}

    return Step(
        name=name,
        title=f"put it in the place of {places.current}, which stays as {places.former}",
        effect=Effect.WRITE,
        holds=holds,
        act=lambda sight: _exchange(places, sight.run),
        undo=undo,
        expect=0.3,
        deadline=120.0,
        attempts=3,
    )


def drop_former(postgres: Postgres, database: str, *, what: str, name: str) -> Step:
    """Return the step that drops a database that was kept; never one that is not noted as such."""
    beside = postgres.named(BESIDE)

    def holds(_sight: Sight) -> Held:
        with beside.reading() as session:
            there = [one for one in kept(session) if one.name == database]
        return No({"bytes": there[0].bytes}, f"{database} is there") if there else Yes({"database": database})

    def act(_sight: Sight) -> Json:
        with beside.commanding(DROP_FORMER) as session:
            if database not in {one.name for one in kept(session)}:
                message = f"Database {database}: it is not noted as one that was kept any more. It was left as it is."
                raise ActRefused(message)
            session.run(sql.SQL("drop database {} with (force)").format(sql.Identifier(database)))
        return None

    return Step(
        name=name,
        title=f"drop {database} ({what})",
        effect=Effect.DESTROY,
        holds=holds,
        act=act,
        undo=NoUndo("what was dropped is gone"),
        expect=0.5,
        deadline=300.0,
        attempts=3,
    )


def _exchange(places: Places, run: str) -> Json:
    """Rename both."""
    with places.beside.reading() as session:
        at = session.value("select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        loaded = _loaded(places, notes(session))
    note = f"{FORMER}{run} when backup {places.backup} took its place at {at}"
    told = {places.former: note, places.current: loaded}
    _rename(places, [(places.current, places.former), (places.fresh, places.current)], notes=told)
    return {"former": places.former}


def _loaded(places: Places, found: dict[str, str]) -> str | None:
    """Return the note for the database that comes; with the place of another, where the present one has that."""
    place = PLACE.search(found.get(places.current, ""))
    return f"{LOADED}{places.backup}{place[0] if place else ''}"


def _noted_before(sight: Sight, database: str) -> str | None:
    """Return the note that a database had before the switch, None where it had none of ours."""
    before = sight.before.get("databases")
    was = before.get(database) if isinstance(before, dict) else None
    return str(was) if was else None


def _rename(places: Places, pairs: list[tuple[str, str]], *, notes: dict[str, str | None]) -> None:
    """Cut everybody off and rename, all at once or not at all; the notes say who was former."""
    with places.beside.writing(SWITCH) as session:
        names = [name for pair in pairs for name in pair]
        session.rows(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = any(%s) and pid <> pg_backend_pid() and backend_type = 'client backend'",
            (names,),
        )
        for old, new in pairs:
            session.run(sql.SQL("alter database {} rename to {}").format(sql.Identifier(old), sql.Identifier(new)))
        for database, text in notes.items():
            session.run(sql.SQL("comment on database {} is {}").format(sql.Identifier(database), sql.Literal(text)))
