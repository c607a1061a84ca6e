"""The definitions of the present, kept beside its copy; and what they say of a database that was taken back in time.

Going back takes the schema back as well, so a difference is no fault by itself. But what the present has, and nobody
wrote since the point (the commit times of the catalogue's own rows tell), was so at the point already.
"""

from __future__ import annotations

import os
from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.steps.database.proof.comparing import MISSING, Finding, Weight
from runbooks.steps.database.proof.manifest import Kind, SequenceValue
from runbooks.steps.database.proof.reading import read_objects, read_sequences
from runbooks.steps.database.proof.standing import catalogue_remarks
from runbooks.steps.database.server import look_at

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.postgres import Postgres, Session

FILE: Final = "definitions.json"
NAMES: Final = (Kind.SCHEMA, Kind.TABLE, Kind.COLUMN, Kind.TYPE, Kind.FUNCTION, Kind.VIEW, Kind.SEQUENCE, Kind.ROLE)
"""Kinds whose names stand in the definitions of others: a new name changes those without touching them."""
OWN_CHECKS: Final = (Kind.IDENTITY, Kind.VERSION, Kind.REPLICATION, Kind.CRON, Kind.PREPARED, Kind.ROLE, Kind.PASSWORD)
"""Kinds that are looked at by checks of their own, or that differ after every recovery."""
PARTS_GO: Final = (Kind.PUBLICATION, Kind.EXTENSION)
"""Kinds that lose a part without a trace in what stays."""


class Definitions(msgspec.Struct, frozen=True):
    """Every definition of the present; `settled` are the names that nobody wrote since the point.

    `sequences` and `standing` (what the catalogue showed as broken) are as they were in the present.
    """

    point: datetime
    objects: dict[Kind, dict[str, str]]
    settled: dict[Kind, tuple[str, ...]]
    unchecked: tuple[str, ...]
    sequences: dict[str, SequenceValue] = {}
    standing: tuple[str, ...] = ()

    def had(self, kind: Kind, name: str) -> bool:
        """Tell whether this is known to have been so at the point already, as it is in the present."""
        return name in self.settled.get(kind, ())


def read_definitions(session: Session, point: datetime) -> Definitions:
    """Return what is defined in the present, and what of it was so at the point already."""
    found = read_objects(session)
    settled: dict[Kind, tuple[str, ...]] = {}
    if look_at(session).commit_times:
        writers = sorted({writer for by in found.writers.values() for writer in by})
        query = "select x from unnest(%s::text[]) x where pg_xact_commit_timestamp(x::xid) > %s"
        late = {str(writer) for (writer,) in session.rows(query, (writers, point))}
        for kind, names in found.definitions.items():
            by = {name: found.writers[kind, name] for name in names}
            settled[kind] = tuple(name for name in names if by[name] and not by[name] & late)
    sequences, unread = read_sequences(session)
    standing = tuple(remark.text for remark in catalogue_remarks(session))
    return Definitions(point, found.definitions, settled, (*found.unchecked, *unread), sequences, standing)


def note_definitions(database: Postgres, folder: Path, point: datetime, *, name: str) -> Step:
    """Return the step that writes the present's definitions into the folder of its copy."""
    file = folder / FILE

    def holds(_sight: Sight) -> Held:
        noted = noted_definitions(folder)
        if noted is None or noted.point != point:
            return No({}, f"there is no {file} for this point")
        counted: dict[str, Json] = {kind: len(names) for kind, names in noted.objects.items()}
        return Yes({"file": str(file), "objects": counted, "unchecked": list(noted.unchecked)})

    def act(_sight: Sight) -> Json:
        with database.reading() as session:
            content = msgspec.json.format(msgspec.json.encode(read_definitions(session, point)))
        draft = file.with_name(f"{FILE}.part")
        with draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
        return {"bytes": len(content)}

    return Step(
        name=name,
        title="note the definitions of the present: tables, rights, functions, roles",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo("it stays beside the copy"),
        expect=0.3,
        deadline=300.0,
        attempts=2,
    )


def noted_definitions(folder: Path) -> Definitions | None:
    """Return what was noted beside a copy, None where nothing was or it cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Definitions)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def differences(present: Definitions, got: dict[Kind, dict[str, str]]) -> list[Finding]:
    """Return how a recovered database is defined otherwise than the present: faults where that cannot be, else notes.

    Something of the past that the present lacks was dropped or renamed since; then nothing is held against the others.
    """
    renamed = any(got.get(kind, {}).keys() - present.objects.get(kind, {}).keys() for kind in NAMES)
    findings = []
    for kind, names in present.objects.items():
        if kind in OWN_CHECKS or kind not in got:
            continue
        settled = set(present.settled.get(kind, ()))
        for name in sorted(names.keys() | got[kind].keys()):
            before, now = names.get(name), got[kind].get(name)
            if before == now:
                continue
            sure = kind is Kind.ENCODING or (name in settled and not renamed and not (kind in PARTS_GO and now))
            weight = Weight.FAULT if sure else Weight.NOTE
            findings.append(Finding(kind, name, before or MISSING, now or MISSING, weight))
    return findings
