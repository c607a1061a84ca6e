"""Load a backup into a new database beside the present one, and find it equal before anybody is sent to it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import sql
from runbooks.clients.postgres_programs import Programs
from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import CheckError, NotSo
from runbooks.model.reconciliation import LOAD_BACKUP
from runbooks.steps.backups.fetching import FETCHED, contents_of, fetch
from runbooks.steps.backups.loading import BECOME, left_to, load
from runbooks.steps.backups.proving import TOLD, check_faults, sorted_out
from runbooks.steps.database.dress import create_like, dress, locale_of
from runbooks.steps.database.proof.comparing import compare
from runbooks.steps.database.proof.manifest import FROM_A_DUMP, Kind
from runbooks.steps.database.proof.reading import read_manifest
from runbooks.steps.database.renaming import BESIDE, FORMER, LOADED, notes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.stack import Check
    from runbooks.clients.postgres import Postgres
    from runbooks.steps.backups.catalog import Catalog, Manifest

WHOLE: Final = "whole"
"""The file that says that a backup was fetched to its end."""
LONG: Final = 4 * 3600.0


@dataclass(frozen=True)
class Beside:
    """One backup on its way into the database `fresh`; `current` gives its encoding and collation."""

    programs: Programs
    catalog: Catalog
    manifest: Manifest
    home: Path
    private_key: str | None
    current: str
    fresh: str

    @property
    def place(self) -> Path:
        """Return where the backup is on this machine: its own folder where it can be read as it is."""
        own = self.catalog.files.path(self.manifest.id)
        plain = own is not None and self.manifest.envelope is None
        return own if plain and own else self.home / FETCHED / self.manifest.id

    @property
    def target(self) -> Postgres:
        """Return the way into the new database."""
        return self.programs.database.named(self.fresh)

    @property
    def is_fetched(self) -> bool:
        """Tell whether it had to be brought to this machine."""
        return self.place.parent.name == FETCHED


def have_on_this_machine(beside: Beside, *, name: str) -> Step:
    """Return the step after which the backup is on this machine, every file proven against its manifest."""
    manifest, whole = beside.manifest, beside.place / WHOLE

    def holds(_sight: Sight) -> Held:
        seen: dict[str, Json] = {"backup": manifest.id, "bytes": manifest.bytes, "folder": str(beside.place)}
        if not beside.is_fetched:
            bad = beside.catalog.faults(manifest)
            return No(seen, f"backup {manifest.id}: {bad}") if bad else Yes(seen)
        return Yes(seen) if whole.is_file() else No(seen, f"there is no whole {beside.place}")

    def act(sight: Sight) -> Json:
        _forget(beside)
        folder = fetch(beside.catalog, manifest, beside.place, private_key=beside.private_key, report=sight.report)
        contents_of(folder)
        if beside.is_fetched:
            whole.touch(mode=0o600)
        return None

    return Step(
        name=name,
        title=f"have backup {manifest.id} on this machine, every file proven",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=lambda _sight: _forget(beside),
        half=True,
        expect=1.0,
        deadline=LONG,
        attempts=2,
    )


def load_beside(beside: Beside, *, name: str) -> Step:
    """Return the step that loads the backup into a new database; the last thing is a note on it that it is whole."""
    note, database = LOADED + beside.manifest.id, beside.programs.database

    def holds(sight: Sight) -> Held:
        with database.named(BESIDE).reading() as session:
            at = _loaded(beside, notes(session), note, run=sight.run)
        return Yes({"database": at, "note": note}) if at else No({}, f"no database is noted as “{note}”")

    def act(sight: Sight) -> Json:
        _make_empty(beside)
        programs = Programs(beside.target, beside.programs.folder, beside.programs.environment)
        loaded = load(programs, beside.place, beside.manifest, report=sight.report)
        with database.named(BESIDE).commanding(LOAD_BACKUP) as session:
            bare = dress(session, beside.fresh, like=beside.current)
            session.run(sql.SQL("comment on database {} is {}").format(sql.Identifier(beside.fresh), sql.Literal(note)))
        return {"left_out": [*loaded.left_out, *bare]}

    def undo(_sight: Sight) -> Json:
        with database.named(BESIDE).commanding(LOAD_BACKUP) as session:
            if notes(session).get(beside.fresh) in (note, ""):  # whole, or what a load that was cut short has left
                session.run(sql.SQL("drop database {} with (force)").format(sql.Identifier(beside.fresh)))
        return None

    return Step(
        name=name,
        title=f"load it into the new database {beside.fresh}, beside the present one",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        half=True,
        expect=10.0,
        deadline=LONG,
        attempts=2,
    )


def _loaded(beside: Beside, found: dict[str, str], note: str, *, run: str) -> str | None:
    """Return the database that says that it was loaded, None where none does.

    The present one counts only once this very run has put it there: an earlier restore may have come from the same
    backup, and what was written since is in it.
    """
    switched = any(said.startswith(f"{FORMER}{run} when ") for said in found.values())
    places = (beside.fresh, beside.current) if switched else (beside.fresh,)
    return next((one for one in places if found.get(one, "").startswith(note)), None)


def find_equal(
    beside: Beside, checks: tuple[Check, ...], *, after_failure: Callable[[Sight], tuple[str, str]], name: str
) -> Step:
    """Return the step that compares the new database with what was backed up, table by table, and asks the checks.

    It looks at `fresh`, and after the switch at what has taken the present one's name.
    """
    done: list[tuple[list[str], dict[str, Json]]] = []

    look = partial(_compared, beside, checks)

    def act(sight: Sight) -> None:
        bad, seen = look(sight)
        if bad:
            _, undo = after_failure(sight)
            message = (
                f"Backup {beside.manifest.id} in {beside.fresh} is not what was backed up: {'; '.join(bad[:TOLD])}. "
                f"The application stays stopped, the present database is untouched. To serve that again: {undo}"
            )
            raise NotSo(message, next_command=undo)
        done[:] = [(bad, seen)]

    def holds(sight: Sight) -> Held:
        bad, seen = done.pop() if done else look(sight)
        return No({**seen, "faults": list(bad)}, "; ".join(bad)) if bad else Yes(seen)

    return Step(
        name=name,
        title=f"verify it there: every table's rows, definitions, {len(checks)} checks",
        effect=Effect.READ,
        holds=holds,
        act=act,
        undo=ONLY_READS,
        expect=2.0,
        deadline=LONG,
    )


def _compared(beside: Beside, checks: tuple[Check, ...], sight: Sight) -> tuple[list[str], dict[str, Json]]:
    """Return what is not as it was backed up, and what was seen."""
    database = beside.target if _is_there(beside.target) else beside.programs.database  # else it was switched
    expected = contents_of(beside.place)
    got = read_manifest(database, form=expected.form, report=sight.report)
    with database.reading() as session:
        become = {name for (name,) in session.rows(BECOME)}
        made = {name for (name,) in session.rows("select extname from pg_extension")}
    owners = expected.objects.get(Kind.OWNER, {}).items()
    lacking = [one for one in beside.manifest.extensions if one.name not in made]
    bad, unsaid = sorted_out(
        compare(expected, got, aspects=FROM_A_DUMP),
        left_out=beside.manifest.left_out,
        became_ours=frozenset(what for what, owner in owners if owner not in become),
        not_made=left_to(lacking, beside.programs, beside.place),
    )
    bad += check_faults(database, checks)
    rows: dict[str, Json] = {table: contents.rows for table, contents in got.tables.items()}
    return bad, {"rows": rows, "checks": [check.name for check in checks], "not_checked": list(unsaid)}


def forget(beside: Beside, *, name: str) -> Step:
    """Return the step that removes the plain copy of a backup that was brought to this machine."""

    def holds(_sight: Sight) -> Held:
        if beside.is_fetched and beside.place.exists():
            return No({}, f"{beside.place} is there")
        return Yes({"folder": str(beside.place)})

    return Step(
        name=name,
        title="remove the plain copy of the backup from this machine",
        effect=Effect.WRITE,
        holds=holds,
        act=lambda _sight: _forget(beside),
        undo=NoUndo("it is still in its store"),
        expect=0.1,
    )


def _forget(beside: Beside) -> Json:
    if beside.is_fetched:
        shutil.rmtree(beside.place, ignore_errors=True)
    return None


def _is_there(database: Postgres) -> bool:
    try:
        with database.reading() as session:
            return bool(session.value("select true"))
    except CheckError:
        return False


def _make_empty(beside: Beside) -> None:
    """Make the new database like the present one, without anything in it; what a killed try left of it goes."""
    fresh = sql.Identifier(beside.fresh)
    with beside.programs.database.named(BESIDE).commanding(LOAD_BACKUP) as session:
        locale = locale_of(session, beside.current)
        session.run(sql.SQL("drop database if exists {} with (force)").format(fresh))
        session.run(create_like(beside.fresh, locale))
