"""Copies of the present, taken before it is given up: `backups/<id>/` in the ops home.

backups/<id>/dump/            pg_dump's directory format: `pg_restore -l backups/<id>/dump` lists it
backups/<id>/manifest.json    what is in it, every file with its size and SHA-256
backups/<id>/definitions.json  how the present is defined, and what of that was so at the point already
backups/<id>/later/*.csv      rows written between the copy and the stop of the application, one file a table
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.postgres import sql
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActError
from runbooks.steps.backups.room import Need, dump_bytes
from runbooks.steps.database.proof.definitions import note_definitions
from runbooks.steps.database.server import Server, look_at, tables, written_after

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.postgres import Session
    from runbooks.clients.postgres_programs import Programs

NO_WAY_BACK: Final = "the present could not be copied: there is no way back"
BACKUPS: Final = "backups"
MANIFEST: Final = "manifest.json"
DUMP: Final = "dump"
OWN: Final = "own.list"
LATER: Final = "later"
STAYS: Final = "the copy stays where it is: it is the way back"


class CopiedFile(msgspec.Struct, frozen=True):
    """One file of a copy: its size in bytes and its digest."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a copy holds. `at` is the server's clock right before the copy began; `left_out` could not be read."""

    id: str
    at: datetime
    server: Server
    tables: int
    left_out: tuple[str, ...]
    files: tuple[CopiedFile, ...]

    @property
    def bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.bytes for file in self.files)


class Later(msgspec.Struct, frozen=True):
    """The rows that were kept beside a copy, by table, and the tables of which it could not be told."""

    rows: dict[str, int]
    unknown: tuple[str, ...]


def folder_of(home: Path, backup: str) -> Path:
    """Return where a copy lies."""
    return home / BACKUPS / backup


def copying(programs: Programs, home: Path, backup: str, point: datetime) -> tuple[Step, ...]:
    """Return the steps that keep the present before it is given up: its rows, and how it is defined."""
    return (
        copy_present(programs, home, backup, name="copy the present"),
        note_definitions(programs.database, folder_of(home, backup), point, name="note the definitions"),
    )


def needed(home: Path, database: int) -> Need:
    """Return what a copy of the present may take: more than the last one, or most of what such a database gives."""
    there = sorted((home / BACKUPS).glob(f"*/{MANIFEST}"))
    last = next((found.bytes for file in reversed(there) if (found := read_manifest(file.parent))), 0)
    return Need(home / BACKUPS, dump_bytes(last, database), "for the copy of the present")


def copy_present(programs: Programs, home: Path, backup: str, *, name: str) -> Step:
    """Return the step that dumps the database as it is now into `backups/<backup>/` of the ops home.

    A copy is there with its manifest or not at all: it is made beside its place and then moved there.
    """
    place = folder_of(home, backup)

    def holds(_sight: Sight) -> Held:
        manifest = read_manifest(place)
        if manifest is None:
            return No({}, f"there is no copy {place}")
        wrong = [file.name for file in manifest.files if not _same_size(place / file.name, file.bytes)]
        seen: dict[str, Json] = {
            "backup": backup,
            "folder": str(place),
            "at": manifest.at.isoformat(),
            "tables": manifest.tables,
            "bytes": manifest.bytes,
            "left_out": list(manifest.left_out),
        }
        return No(seen, f"copy {place}: files are missing or cut: {', '.join(wrong)}") if wrong else Yes(seen)

    def act(sight: Sight) -> Json:
        return {"bytes": _copy(programs, place, sight).bytes}

    return Step(
        name=name,
        title=f"copy the present into {BACKUPS}/{backup}",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo(STAYS),
        expect=2.0,
        deadline=4 * 3600.0,
        attempts=2,
    )


def keep_later_writes(programs: Programs, home: Path, backup: str, *, name: str) -> Step:
    """Return the step that keeps the rows written since the copy began: the application was still running then.

    One CSV file a table, new versions of rows included; what was deleted meanwhile is still in the copy.
    """
    place = folder_of(home, backup)

    def holds(_sight: Sight) -> Held:
        note = place / LATER / MANIFEST
        if not note.is_file():
            return No({}, f"there is no {note}")
        later = msgspec.json.decode(note.read_bytes(), type=Later)
        return Yes({"folder": str(place / LATER), "rows": dict(later.rows), "unknown": list(later.unknown)})

    def act(_sight: Sight) -> Json:
        _keep(programs, place)
        return None

    return Step(
        name=name,
        title="keep the rows that were written after the copy had begun",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo(STAYS),
        expect=0.5,
        deadline=1800.0,
        attempts=2,
    )


def way_back(home: Path, backup: str) -> str:
    """Return the command that puts a copy back in place of what our role owns in the database."""
    place = folder_of(home, backup)
    words = ["pg_restore", "--clean", "--if-exists", "--single-transaction", f"--use-list={place / OWN}"]
    return f'{shlex.join(words)} --dbname="$EMS_DATABASE_URL" {shlex.quote(str(place / DUMP))}'


def read_manifest(place: Path) -> Manifest | None:
    """Return what a copy says of itself, None where there is none or it is not readable."""
    try:
        return msgspec.json.decode((place / MANIFEST).read_bytes(), type=Manifest)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _copy(programs: Programs, place: Path, sight: Sight) -> Manifest:
    """Make the copy beside its place, describe it, and move it there."""
    draft = place.with_name(f"{place.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    with programs.database.reading() as session:
        server, found, role = look_at(session), tables(session), session.value("select current_user")
    readable = [name for *name, ours in found if ours]
    hidden = [sql.Identifier(*name).as_string(None) for *name, ours in found if not ours]
    programs.dump(draft / DUMP, without=hidden, report=lambda files, _bytes: sight.report(files, len(readable)))
    own = [line for line in programs.contents(draft / DUMP) if _is_own(line, role)]
    _write(draft / OWN, "\n".join([*own, ""]).encode())
    files = tuple(_described(file, draft) for file in sorted(draft.rglob("*")) if file.is_file())
    manifest = Manifest(place.name, server.now, server, len(readable), tuple(hidden), files)
    _write(draft / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
    shutil.rmtree(place, ignore_errors=True)  # one whose files were cut
    draft.rename(place)
    return manifest


def _keep(programs: Programs, place: Path) -> None:
    """Write the rows since the copy beside their place, and move them there."""
    manifest = read_manifest(place)
    if manifest is None:
        message = f"Copy {place}: expected its manifest, there is none."
        raise ActError(message)
    draft = place / f"{LATER}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    with programs.database.reading() as session:
        later = {found.table: found.after for found in written_after(session, manifest.at).tables}
        names = {".".join(name): name for *name, _ in tables(session)}
        rows = {table: count for table, count in later.items() if count}
        for table in rows:
            _copy_rows(session, names[table], manifest.at, draft / f"{table.replace('/', '_')}.csv")
    unknown = tuple(table for table, count in later.items() if count is None)
    _write(draft / MANIFEST, msgspec.json.encode(Later(rows, unknown)))
    shutil.rmtree(place / LATER, ignore_errors=True)
    draft.rename(place / LATER)


def _copy_rows(session: Session, name: list[str], since: datetime, into: Path) -> None:
    query = sql.SQL(
        "copy (select * from only {} where pg_xact_commit_timestamp(xmin) > {}) to stdout (format csv, header)"
    ).format(sql.Identifier(*name), sql.Literal(since))
    with into.open("wb") as file:
        for chunk in session.copied(query):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _is_own(line: str, role: str) -> bool:
    """Tell whether our role may drop and make an entry: `215; 1259 16390 TABLE public orders postgres`.

    A schema stays as it is: it may hold what others own.
    """
    return line.endswith(f" {role}") and " SCHEMA - " not in line and " - SCHEMA " not in line


def _same_size(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except OSError:
        return False


def _described(file: Path, folder: Path) -> CopiedFile:
    """Return a file's size and digest, and put it on disk."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        os.fsync(content.fileno())
    return CopiedFile(file.relative_to(folder).as_posix(), file.stat().st_size, digest)


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
