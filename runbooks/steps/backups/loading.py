"""Load a backup into a database that holds nothing of it yet: roles, extensions, definitions, rows, indexes.

A superuser loads all of it as it was. On a platform our role is none: what belongs to the platform's own roles becomes
ours in the new database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, LiteralString

from runbooks.clients.postgres import sql
from runbooks.clients.scratch.folder import private_folder
from runbooks.model.errors import CheckError
from runbooks.model.reconciliation import LOAD_BACKUP
from runbooks.steps.backups.catalog import DUMP
from runbooks.steps.backups.entries import DATA, Entry, Sorted, beginnings, entries, sort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from runbooks.clients.postgres import Session
    from runbooks.clients.postgres_programs import Programs
    from runbooks.steps.backups.catalog import Extension, Manifest

LOOK: Final = 0.5  # seconds between looks at how large the database has become
QUICK: Final = ("synchronous_commit=off", "maintenance_work_mem=256MB")
"""Safe while nobody uses the database: the commit that ends the load waits for the disk, and so for all before it."""
NO_TRIGGERS: Final = "session_replication_role=replica"
"""Rows come in any order: what a trigger or a foreign key would say of them was said when they were written."""

BECOME: Final = (
    "select rolname from pg_roles where rolname = current_user or pg_has_role(oid,"
    " case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)"
)
"""The roles whose objects our role may make. Before version 16 every member might."""
SCHEMAS: Final = "select nspname from pg_namespace"
OWNERS: Final = "select nspname, pg_get_userbyid(nspowner) from pg_namespace"


@dataclass(frozen=True)
class Loaded:
    """What a load left out, and why, a line each."""

    left_out: tuple[str, ...]


def load(
    programs: Programs,
    folder: Path,
    manifest: Manifest,
    *,
    lacking: bool = False,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Loaded:
    """Load a fetched backup into the database of `programs`, which holds nothing of it. Raises ActError, CheckError.

    `lacking`: extensions of the backup are not whole here, so their own tables cannot be filled.
    """
    database = replace(programs.database, statement_seconds=4 * 3600.0)
    listed = entries(programs.contents(folder / DUMP))
    with database.commanding(LOAD_BACKUP) as session:
        left_out = make_roles(session, manifest)
        chosen = without_configuration(_for_superuser(listed)) if lacking else _for_superuser(listed)
        if not session.value("select rolsuper from pg_roles where rolname = current_user"):
            left_out += make_extensions(session, manifest)
            chosen = without_strangers(sort(listed, become=_names(session, BECOME)), _names(session, SCHEMAS))
        made = _names(session, SCHEMAS)
        left_out += give_schemas(session, [one for one in chosen.ours if one.kind == "SCHEMA" and one.name in made])
    chosen = replace(chosen, ours=tuple(one for one in chosen.ours if one.kind != "SCHEMA" or one.name not in made))
    watch = _Watch(programs, manifest.server.bytes, report)
    with private_folder() as lists:
        for run in _runs(chosen):
            run(programs, folder / DUMP, lists, watch)
    with database.commanding(LOAD_BACKUP) as session:
        session.run("analyze (skip_locked)")
    skipped = [f"{entry.kind.lower()} {entry.schema}.{entry.name} of {entry.owner}" for entry in chosen.skipped]
    return Loaded((*left_out, *skipped))


def _names(session: Session, query: LiteralString) -> frozenset[str]:
    return frozenset(name for (name,) in session.rows(query))


def _for_superuser(listed: Sequence[Entry]) -> Sorted:
    """Return everything as it was; only what is said of an extension is the extension's own."""
    ours = tuple(one for one in listed if not (one.kind == "COMMENT" and one.name.startswith("EXTENSION ")))
    return Sorted(ours, (), ())


def left_to(extensions: Iterable[Extension], programs: Programs, folder: Path) -> frozenset[str]:
    """Return the schemas of these extensions that the dump does not make: they come with the extension alone."""
    made = {one.name for one in entries(programs.contents(folder / DUMP)) if one.kind == "SCHEMA"}
    return frozenset(name for extension in extensions for name in extension.schemas) - made


def without_configuration(chosen: Sorted) -> Sorted:
    """Skip rows of tables that the dump does not define: an extension does, where it is whole."""
    defined = {(one.kind, one.schema, one.name) for one in chosen.ours}
    kinds = {"TABLE DATA": "TABLE", "SEQUENCE SET": "SEQUENCE"}
    theirs = tuple(
        one for one in chosen.ours if one.kind in kinds and (kinds[one.kind], one.schema, one.name) not in defined
    )
    return Sorted(tuple(one for one in chosen.ours if one not in theirs), (), (*chosen.skipped, *theirs))


def without_strangers(chosen: Sorted, made: frozenset[str]) -> Sorted:
    """Skip rows of tables in a schema that neither the dump nor the database makes.

    They are an extension's own (pg_cron's jobs), which cannot be made here: pg_cron lives in one database of a server.
    """
    every = (*chosen.ours, *chosen.theirs)
    here = (beginnings(one.name, one.owner) for one in every if one.kind == "SCHEMA")
    known = frozenset({"-", "", *made}).union(*here)
    strange = tuple(one for one in every if one.kind in DATA and not beginnings(one.schema, one.name) & known)
    ours, theirs = (tuple(one for one in part if one not in strange) for part in (chosen.ours, chosen.theirs))
    return Sorted(ours, theirs, (*chosen.skipped, *strange))


@dataclass
class _Watch:
    """Tell how large the database has become."""

    programs: Programs
    expected: int
    report: Callable[[int, int], None]
    looked: float = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self.looked < LOOK:
            return
        self.looked = time.monotonic()
        try:
            with self.programs.database.reading() as session:
                size = int(session.value("select pg_database_size(current_database())"))
        except CheckError:
            return
        self.report(min(size, self.expected), self.expected)


@dataclass(frozen=True)
class _Run:
    """One run of pg_restore."""

    chosen: Sequence[Entry]
    section: str
    theirs: bool = False

    def __call__(self, programs: Programs, dump: Path, lists: Path, watch: Callable[[], None]) -> None:
        if not self.chosen:
            return
        file = lists / "entries"
        file.write_text("\n".join([*(entry.line for entry in self.chosen), ""]), "utf-8")
        settings = (*QUICK, NO_TRIGGERS) if self.section == "data" else QUICK
        programs.restore(dump, entries=file, section=self.section, as_ours=self.theirs, settings=settings, watch=watch)


def _runs(chosen: Sorted) -> Iterable[_Run]:
    """Return the runs in order. Without anything of the platform it is one, which can load in parallel throughout."""
    if not chosen.theirs and not chosen.skipped:
        return (_Run(chosen.ours, ""),)
    return (
        _Run(chosen.theirs, "pre-data", theirs=True),
        _Run(chosen.ours, "pre-data"),
        _Run((*chosen.theirs, *chosen.ours), "data"),
        _Run(chosen.theirs, "post-data", theirs=True),
        _Run(chosen.ours, "post-data"),
    )


def make_roles(session: Session, manifest: Manifest) -> list[str]:
    """Make the roles that are missing, without passwords; return what could not be made."""
    there = {name for (name,) in session.rows("select rolname from pg_roles")}
    missing, failed = [role for role in manifest.roles if role.name not in there], []
    for role in missing:
        options = sql.SQL(role.options)  # made of words by the query that read it
        try:
            session.run(sql.SQL("create role {} {}").format(sql.Identifier(role.name), options))
        except CheckError as error:
            failed.append(f"role {role.name}: {error}")
    for role in missing:
        for group in role.member_of:
            grant = sql.SQL("grant {} to {}").format(sql.Identifier(group), sql.Identifier(role.name))
            try:
                session.run(grant)
            except CheckError as error:
                failed.append(f"role {role.name} as member of {group}: {error}")
    return failed


def give_schemas(session: Session, there: Iterable[Entry]) -> list[str]:
    """Give schemas that are there already (`public`, an extension's) their owners; return what could not be given."""
    owners, failed = dict(session.rows(OWNERS)), []
    for one in there:
        if one.owner and owners[one.name] != one.owner:
            to = sql.SQL("alter schema {} owner to {}").format(sql.Identifier(one.name), sql.Identifier(one.owner))
            try:
                session.run(to)
            except CheckError as error:
                failed.append(f"owner of schema {one.name}: {error}")
    return failed


def make_extensions(session: Session, manifest: Manifest) -> list[str]:
    """Make the extensions that are missing, in their schemas; return what could not be made."""
    there = {name for (name,) in session.rows("select extname from pg_extension")}
    failed = []
    for extension in manifest.extensions:
        if extension.name in there:
            continue
        schema = sql.Identifier(extension.schema)
        try:
            if not extension.schema.startswith("pg_"):  # of the server's own ones none can be made
                session.run(sql.SQL("create schema if not exists {}").format(schema))
            session.run(sql.SQL("create extension {} with schema {}").format(sql.Identifier(extension.name), schema))
        except CheckError as error:
            failed.append(f"extension {extension.name}: {error}")
    return failed
