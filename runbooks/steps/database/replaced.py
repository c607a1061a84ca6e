"""Which database of a server is the product's, where a restore could rename none: the new one says whose place it has.

The note stands on the new database, whose owner our role is, and goes with it. Where Hyperdrive's own word is to be
had, that counts more: it is what the API does.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import msgspec

from infra.pins.pinned import project_of
from runbooks.clients.cloudflare import Origin
from runbooks.clients.postgres import sql
from runbooks.engine.step import Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import CheckError, Refused
from runbooks.model.reconciliation import NOTE_PLACE
from runbooks.steps.database.renaming import BESIDE, LOADED, PLACE, notes

if TYPE_CHECKING:
    from runbooks.clients.postgres import Postgres, Session

PORT: Final = 5432
INSTEAD: Final = re.compile(rf"{LOADED}(?P<backup>\S+){PLACE.pattern}")
ENDING: Final = re.compile(r"_\d{8}_\d{6}$")
"""What a restore puts behind a database's name: when it was begun."""
LONGEST: Final = 40
"""Bytes that are kept of a name, of PostgreSQL's 63: it would cut the ending off itself, and mean another database."""
SIZES: Final = "select datname, pg_database_size(oid) from pg_database where datname = any(%s)"


class Instead(msgspec.Struct, frozen=True):
    """A database that took the place of `former`, which kept its name and stays; `bytes` is that one's size."""

    name: str
    former: str
    backup: str
    at: str
    run: str
    bytes: int = 0

    @property
    def since(self) -> datetime:
        """Return since when."""
        return datetime.fromisoformat(self.at)


def beside_name(current: str, ending: str) -> str:
    """Return what a database beside `current` is called; the ending of an earlier restore goes."""
    return f"{_short(current)}_{ending}"


def _short(name: str) -> str:
    return ENDING.sub("", name).encode()[:LONGEST].decode("utf-8", "ignore")


def origin_of(url: str, database: str = "") -> Origin:
    """Return where the address of a database leads, or another `database` of that server."""
    parts = urlsplit(url)
    name = database or unquote(parts.path.strip("/")) or "postgres"
    return Origin(parts.hostname or "", parts.port or PORT, name, unquote(parts.username or ""))


def same_server(one: Origin, other: Origin) -> bool | None:
    """Tell whether two addresses lead to one server; None where names alone cannot tell: a pooler has another."""
    if one.host == other.host and one.port == other.port:
        return True
    refs = [project_of(origin.host, origin.user) for origin in (one, other)]
    return refs[0] == refs[1] if all(refs) else None


def instead(session: Session) -> list[Instead]:
    """Return the databases of this server that took another one's place, where that one is there still."""
    told = notes(session)
    found = [(name, INSTEAD.fullmatch(comment)) for name, comment in told.items()]
    there = [Instead(name, note["former"], note["backup"], note["at"], note["run"]) for name, note in found if note]
    sizes = dict(session.rows(SIZES, ([one.former for one in there],)))
    return [msgspec.structs.replace(one, bytes=sizes[one.former]) for one in there if one.former in sizes]


def used_instead(database: Postgres, origin: Origin | None) -> str:
    """Return the database of this same server that the API uses in place of this one, "" where none is known.

    `origin` is Hyperdrive's, None where that cannot be asked: then the notes on the databases tell.
    """
    here = origin_of(database.url)
    if origin is not None and (origin.database == here.database or same_server(here, origin) is False):
        return ""
    if origin is not None and same_server(here, origin):
        return origin.database
    try:
        with database.named(BESIDE).reading() as session:
            newest = sorted((one for one in instead(session) if one.former == here.database), key=lambda one: one.at)
    except CheckError:
        return ""
    names = [one.name for one in newest if origin is None or one.name == origin.database]
    return names[-1] if names else ""


def refuse_replaced(database: Postgres, origin: Origin | None, *, hyperdrive: str) -> None:
    """Raise Refused where the API uses another database of this server; it names what to type."""
    name, here = used_instead(database, origin), origin_of(database.url)
    if not name:
        return
    says = f"Hyperdrive {hyperdrive} goes to {origin}" if origin else f"by the note on it, {name} took its place"
    message = (
        f"EMS_DATABASE_URL names database {here.database}, which the API does not use: {says} (`invoke restore` has "
        "moved it there, or somebody else). Nothing was done."
    )
    raise Refused(message, next_command=set_to(here, name))


def refuse_other(database: Postgres, origin: Origin | None, why: str, *, hyperdrive: str) -> str:
    """Raise Refused where the API uses another database, of any server; return what could not be told, "" if nothing.

    `why` says why Hyperdrive's `origin` is not known.
    """
    refuse_replaced(database, origin, hyperdrive=hyperdrive)
    here = origin_of(database.url)
    if origin is None:
        return f"not compared with what Hyperdrive {hyperdrive} uses: {why}"
    same = same_server(here, origin)
    if same is False or (same is None and origin.database != here.database):
        message = (
            f"EMS_DATABASE_URL names {here}, and Hyperdrive {hyperdrive} goes to {origin}: expected the database that "
            "the API uses. Nothing was done."
        )
        raise Refused(message, next_command=set_to(origin, origin.database))
    if same is None:
        return f"whether {here} and {origin}, where Hyperdrive {hyperdrive} goes, are one server cannot be told by name"
    return ""


def set_to(origin: Origin, database: str) -> str:
    """Return the command that names another database of a server."""
    return f"export EMS_DATABASE_URL='postgresql://{origin.user}:…@{origin.host}:{origin.port}/{database}'"


def left_by_restore(url: str, origin: Origin) -> bool:
    """Tell by the name alone whether a restore has moved the API from the database of this address to `origin`."""
    here = origin_of(url)
    begins = f"{_short(here.database)}_"
    moved = origin.database != here.database and origin.database.startswith(begins)
    ending = origin.database.removeprefix(begins.rstrip("_"))
    return moved and ENDING.fullmatch(ending) is not None and same_server(here, origin) is not False


def note_place(database: Postgres, fresh: str, former: str, backup: str, *, name: str) -> Step:
    """Return the step that notes on a database whose place it has: what a backup or a restore goes by later."""
    beside, plain = database.named(BESIDE), LOADED + backup

    def holds(sight: Sight) -> Held:
        with beside.reading() as session:
            found = notes(session).get(fresh, "")
        match = INSTEAD.fullmatch(found)
        seen: dict[str, Json] = {"note": found}
        if match and (match["former"], match["run"]) == (former, sight.run):
            return Yes(seen)
        return No(seen, f"{fresh} does not say that it took the place of {former}: {found or 'no note'}")

    def comment(text: str) -> None:
        with beside.commanding(NOTE_PLACE) as session:
            session.run(sql.SQL("comment on database {} is {}").format(sql.Identifier(fresh), sql.Literal(text)))

    def act(sight: Sight) -> Json:
        sight.note(f"from now on, wherever EMS_DATABASE_URL is set: {set_to(origin_of(database.url), fresh)}")
        with beside.reading() as session:
            at = session.value("select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        comment(f"{plain} in the place of {former} since {at} by run {sight.run}")
        return None

    def undo(_sight: Sight) -> Json:
        comment(plain)
        return None

    return Step(
        name=name,
        title=f"note on {fresh} that it took the place of {former}",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        expect=0.1,
        attempts=3,
    )
