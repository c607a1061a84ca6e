"""Dump the database into a draft on this machine: one snapshot, described file by file, encrypted where told to."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.postgres import sql
from runbooks.clients.postgres_programs import own_version
from runbooks.clients.stores.files import PIECE
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActError, Unreachable
from runbooks.model.version import code_version
from runbooks.steps.backups.catalog import CONTENTS, DUMP, MANIFEST, Manifest, StoredFile
from runbooks.steps.backups.sealing import Seal, seal_for
from runbooks.steps.backups.source import extensions, roles
from runbooks.steps.database.proof.contents import REWRITTEN
from runbooks.steps.database.proof.manifest import Form, Kind
from runbooks.steps.database.proof.reading import held, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from runbooks.clients.postgres import Session
    from runbooks.clients.postgres_programs import Programs
    from runbooks.steps.backups.catalog import Extension, Role
    from runbooks.steps.database.proof import manifest as proof

DRAFT: Final = "draft-"
"""How the folder of a backup is named until it is stored: what lists backups passes it by."""
STATEMENT: Final = 4 * 3600.0
"""Seconds that one look at a table may take: it reads all of it."""
AT_ONCE: Final = 2  # files that are described at the same time
PLAIN: Final = "plain"


@dataclass(frozen=True)
class Found:
    """What one snapshot shows, beside the dump of it."""

    at: datetime
    contents: proof.Manifest
    roles: tuple[Role, ...]
    extensions: tuple[Extension, ...]


@dataclass
class Looked:
    """Whether a snapshot shows all that was in its tables when they were locked. `session` sees that snapshot."""

    session: Session
    without: tuple[str, ...]
    done: bool = False

    def once(self) -> None:
        """Raise Unreachable where a table was emptied or rewritten in between: the dump would miss its rows."""
        if self.done:
            return
        self.done = True
        found = [sql.Identifier(*name).as_string(None) for name in self.session.rows(REWRITTEN)]
        if gone := sorted(set(found) - set(self.without)):
            message = f"{', '.join(gone)}: emptied or rewritten right when the backup began, it would miss rows of it"
            raise Unreachable(message)


@dataclass(frozen=True)
class Dump:
    """One dump of the database: from where, into which draft, for whom, and how many bytes the last one had.

    `major` is the server's version: a proof on this machine's own PostgreSQL needs other digests when it differs.
    """

    programs: Programs
    place: Path
    backup: str
    without: tuple[str, ...]
    recipient: str | None
    expected: int
    major: int

    @property
    def draft(self) -> Path:
        """Return the folder that it is made in."""
        return self.place / f"{DRAFT}{self.backup}"

    def make(self, sight: Sight) -> Manifest:
        """Dump, describe, encrypt; the draft is whole once its manifest is there."""
        for former in self.place.glob(f"{DRAFT}*"):  # of a backup that was killed: nobody else is at it
            shutil.rmtree(former)
        plain = self.draft / (PLAIN if self.recipient else "") / DUMP
        plain.parent.mkdir(parents=True, mode=0o700)
        seal = seal_for(self.recipient) if self.recipient else None
        found = self._read(plain, sight)
        contents = found.contents
        tables = contents.objects.get(Kind.TABLE, {})  # what is not in it is a materialized view
        rows = {name: table.rows for name, table in contents.tables.items() if name in tables}
        _write(plain.parent / CONTENTS, msgspec.json.encode(contents))
        files = tuple(self._described(plain.parent, seal))
        shutil.rmtree(self.draft / PLAIN, ignore_errors=True)
        manifest = Manifest(
            id=self.backup, at=found.at, run=sight.run, code=code_version(), database=contents.database,
            server=contents.server, rows=rows,
            pg_dump=self.programs.version("pg_dump"), left_out=self.without, roles=found.roles,
            extensions=found.extensions,
            envelope=seal.envelope if seal else None, files=files,
        )  # fmt: skip
        _write(self.draft / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        return manifest

    def _read(self, into: Path, sight: Sight) -> Found:
        """Dump and describe what one snapshot shows, both at once: the dump compresses, the server hashes."""
        database = replace(self.programs.database, statement_seconds=STATEMENT)
        form = Form.HASH if self.major == int(own_version().partition(".")[0]) else Form.TEXT
        with held(database) as snapshot, ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_manifest, database, snapshot=snapshot, form=form)
            with database.reading(snapshot=snapshot.id) as session:
                needed, brought = roles(session), extensions(session)
                looked = Looked(session, self.without)

                def report(files: int, size: int) -> None:
                    sight.report(size, max(size, self.expected))
                    if files:
                        looked.once()  # from here on until its end the dump has locked every table

                self.programs.dump(into, without=self.without, snapshot=snapshot.id, report=report)
                looked.once()
            return Found(snapshot.at, reading.result(), needed, brought)

    def _described(self, folder: Path, seal: Seal | None) -> Iterator[StoredFile]:
        """Yield every file of the dump with its digest, on disk; encrypted first where there is a seal."""
        found = sorted(file for file in folder.rglob("*") if file.is_file())
        names = [file.relative_to(folder).as_posix() for file in found]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(lambda file, name: self._describe(file, name, seal), found, names)

    def _describe(self, file: Path, name: str, seal: Seal | None) -> StoredFile:
        digest, into = hashlib.sha256(), self.draft / name
        if seal is None:
            for piece in _pieces(file):
                digest.update(piece)
            _flush(file)
            return StoredFile(name, file.stat().st_size, digest.hexdigest())
        into.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with into.open("wb") as out:
            for piece in seal.encrypted(name, _pieces(file)):
                digest.update(piece)
                out.write(piece)
        _flush(into)
        file.unlink()
        return StoredFile(name, into.stat().st_size, digest.hexdigest())


def dump_database(dump: Dump, *, stored: Callable[[], bool], name: str) -> Step:
    """Return the step that makes the draft; it holds also once the backup is `stored`."""

    def holds(_sight: Sight) -> Held:
        if stored():
            return Yes({"backup": dump.backup, "stored": True})
        manifest = drafted(dump.draft)
        if manifest is None:
            return No({}, f"there is no whole draft {dump.draft}")
        seen: dict[str, Json] = {"backup": dump.backup, "at": manifest.at.isoformat(), "bytes": manifest.bytes}
        cut = [file.name for file in manifest.files if not _has(dump.draft / file.name, file.bytes)]
        return No(seen, f"draft {dump.draft}: missing or cut: {', '.join(cut)}") if cut else Yes(seen)

    def act(sight: Sight) -> Json:
        try:
            return {"bytes": dump.make(sight).bytes}
        except OSError as error:
            message = f"{dump.draft}: the dump could not be written there: {error}"
            raise ActError(message) from None

    return Step(
        name=name,
        title=f"dump the database on one snapshot{', encrypted' if dump.recipient else ''}",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo("the next backup removes a draft that was not stored"),
        expect=5.0,
        deadline=STATEMENT,
        attempts=2,
    )


def drafted(draft: Path) -> Manifest | None:
    """Return what a draft says of itself, None where it is not whole."""
    try:
        return msgspec.json.decode((draft / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while piece := content.read(PIECE):
            yield piece


def _has(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except OSError:
        return False


def _flush(file: Path) -> None:
    with file.open("rb") as content:
        os.fsync(content.fileno())


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
