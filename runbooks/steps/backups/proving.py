"""Restore a backup into a PostgreSQL of our own and compare it with what the database held when it was made."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.postgres_programs import Programs, own_extensions, own_version
from runbooks.clients.scratch.folder import private_folder
from runbooks.clients.scratch.postgres import Missing, scratch
from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import ActError, CheckError, Refused
from runbooks.model.reconciliation import LOAD_BACKUP
from runbooks.steps.backups.fetching import contents_of, fetch
from runbooks.steps.backups.loading import left_to, load, make_roles
from runbooks.steps.backups.proofs import Proof
from runbooks.steps.database.dress import create_like
from runbooks.steps.database.proof.comparing import Finding, Weight, compare
from runbooks.steps.database.proof.manifest import FROM_A_DUMP, Kind
from runbooks.steps.database.proof.reading import read_manifest
from runbooks.steps.database.statements import wrong_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from infra.stack import Check
    from runbooks.clients.postgres import Postgres
    from runbooks.steps.backups.catalog import Catalog, Extension, Manifest
    from runbooks.steps.database.proof import manifest as proof

DATABASE: Final = "proof"
NOT_LOADED: Final = "by pg_restore failed (exit 1)"
HERE: Final = re.compile(
    "No space left|[Cc]annot allocate|out of (shared )?memory|Disk quota|too many"
    "|not supported (in|by) this build|requires the server to be built with"
)
"""What keeps this machine from loading a backup: it is full, or its PostgreSQL is built without something."""
LACKS: Final = "does not exist"
"""What a load says of a type or an operator that an extension would bring."""
TOLD: Final = 40  # faults that a proof keeps word by word
OF_A_SCHEMA: Final = (Kind.SCHEMA, Kind.OWNER, Kind.GRANT)
OF_A_TABLE: Final = (Kind.INDEX, Kind.SEQUENCE, Kind.STATISTICS)
"""What belongs to a table and has a name of its own: its definition says whose it is."""
NOT_OF_A_DUMP: Final = (Kind.EXTENSION, Kind.ENCODING)
"""What this machine's own PostgreSQL may have otherwise: it says nothing about the backup."""


@dataclass(frozen=True)
class Proving:
    """One backup on trial."""

    catalog: Catalog
    manifest: Manifest
    private_key: str | None
    checks: tuple[Check, ...]
    environment: Mapping[str, str]
    root: Path
    clock: Callable[[], datetime]

    def prove(self, sight: Sight) -> Proof:
        """Return how it went. Faults of the backup are in it; what keeps us from trying raises."""
        began = time.monotonic()
        with private_folder() as private:
            try:
                folder = fetch(self.catalog, self.manifest, private, private_key=self.private_key, report=sight.report)
                contents = contents_of(folder)
            except Refused:
                raise
            except CheckError as error:
                if error.retryable:
                    raise
                return self._told(sight, began, [str(error)], [], rows=0)
            try:
                return self._restored(sight, began, folder, contents)
            except ActError as error:
                if NOT_LOADED not in str(error) or HERE.search(str(error)):
                    raise
                if self.missing and LACKS in str(error):
                    lacks = ", ".join(one.name for one in self.missing)
                    message = f"Nothing is proven: this machine's PostgreSQL has not got extension {lacks}; {error}"
                    raise ActError(message) from None
                return self._told(sight, began, [f"it cannot be loaded: {error}"], [], rows=0)

    def _restored(self, sight: Sight, began: float, folder: Path, contents: proof.Manifest) -> Proof:
        with self.loaded(folder, contents, report=sight.report) as target:
            got = read_manifest(target, form=contents.form, report=sight.report)
            findings = compare(contents, got, aspects=FROM_A_DUMP)
            theirs = left_to(self.missing, Programs(target, self.root, self.environment), folder)
            bad, unsaid = sorted_out(findings, left_out=self.manifest.left_out, not_made=theirs)
            bad += check_faults(target, self.checks)
        unsaid += [f"functions of extension {one.name}: this machine has not got it" for one in self.missing]
        return self._told(sight, began, bad, [*unsaid, *contents.unchecked], rows=got.rows)

    @property
    def missing(self) -> list[Extension]:
        """Return the extensions that this machine has not got."""
        return [one for one in self.manifest.extensions if one.name not in own_extensions()]

    @contextmanager
    def loaded(
        self, folder: Path, contents: proof.Manifest, *, report: Callable[[int, int], None]
    ) -> Iterator[Postgres]:
        """Give a server of our own that holds the fetched backup, gone at the end. Raises ActError, CheckError."""
        with scratch(self.environment, extensions=[stand_in(one) for one in self.missing]) as server:
            target = self._made(server, contents)
            programs = Programs(target, self.root, self.environment)
            load(programs, folder, self.manifest, lacking=bool(self.missing), report=report)
            yield target

    def _made(self, server: Postgres, contents: proof.Manifest) -> Postgres:
        """Make an empty database with the roles of the one that was backed up, its collation where there is one."""
        locale = contents.objects.get(Kind.ENCODING, {})
        with server.commanding(LOAD_BACKUP) as session:
            make_roles(session, self.manifest)
            try:
                session.run(create_like(DATABASE, locale))
            except CheckError:
                session.run(create_like(DATABASE, {"encoding": locale.get("encoding", "UTF8")}))
        return server.named(DATABASE)

    def _told(self, sight: Sight, began: float, bad: list[str], unsaid: list[str], *, rows: int) -> Proof:
        return Proof(
            backup=self.manifest.id,
            at=self.clock(),
            run=sight.run,
            good=not bad,
            major=int(own_version().partition(".")[0]),
            seconds=round(time.monotonic() - began, 3),
            tables=len(self.manifest.rows),
            rows=rows,
            faults=tuple(bad[:TOLD]),
            not_checked=tuple(unsaid[:TOLD]),
            manifest=self.catalog.digests.get(self.manifest.id, ""),
        )


def restore_and_compare(proving: Proving, *, name: str) -> Step:
    """Return the step that restores a backup beside everything else and compares it; it ends well also when it is bad.

    How it went is what the step saw: it is written down before anybody acts on it.
    """
    done: list[Proof] = []

    def act(sight: Sight) -> Json:
        done[:] = [proving.prove(sight)]
        told: Json = msgspec.to_builtins(done[0])
        return told

    def holds(_sight: Sight) -> Held:
        if not done:
            return No({}, "it was not tried yet")
        return Yes({"good": done[0].good, "rows": done[0].rows, "faults": list(done[0].faults)})

    return Step(
        name=name,
        title=f"restore backup {proving.manifest.id} into a PostgreSQL of our own, and compare every table",
        effect=Effect.READ,
        holds=holds,
        act=act,
        undo=ONLY_READS,
        expect=5.0,
        deadline=4 * 3600.0,
    )


def find_it_good(backup: str, *, of: str, name: str) -> Step:
    """Return the step that ends the run unproven where the step `of` found faults."""

    def holds(sight: Sight) -> Held:
        proof = msgspec.convert(sight.results[of], Proof)
        seen: dict[str, Json] = {"rows": proof.rows, "seconds": proof.seconds, "not_checked": list(proof.not_checked)}
        if proof.good:
            return Yes(seen)
        return No({**seen, "faults": list(proof.faults)}, f"backup {backup} is not good: {'; '.join(proof.faults)}")

    return Step(
        name=name,
        title="find it equal to what the database held",
        effect=Effect.READ,
        holds=holds,
        act=lambda _sight: None,
        undo=ONLY_READS,
        expect=0.1,
        deadline=1.0,
    )


def stand_in(extension: Extension) -> Missing:
    """Return an extension whose functions look like those of one that is missing, and refuse to be called.

    What names a type that only the real one has is left out: a table that needs it cannot be loaded either.
    """
    body = f"language plpgsql as $$begin raise exception 'extension {extension.name} is not there'; end$$"
    wanted = [f"create schema if not exists {schema}" for schema in extension.schemas]
    wanted += [f"create function {signature} {body}" for signature in extension.functions]
    tried = "do $do$ begin execute $it${}$it$; exception when others then null; end $do$;\n"
    return Missing(extension.name, extension.version, "".join(tried.format(one) for one in wanted))


def sorted_out(
    findings: list[Finding],
    *,
    left_out: tuple[str, ...],
    became_ours: frozenset[str] = frozenset(),
    not_made: frozenset[str] = frozenset(),
) -> tuple[list[str], list[str]]:
    """Return what is wrong, and what was not compared: what a dump does not carry, and what was left out of it.

    Of what `became_ours` (`table auth.users`), owner and grants are others. `not_made` are schemas of extensions
    that could not be made.
    """
    outside = _of_tables(left_out)
    theirs = {finding.where for finding in findings if finding.what in OF_A_TABLE and outside(finding.expected)}
    bad, unsaid = [], []
    for finding in findings:
        named = f" {finding.where.partition(' to ')[0]}"
        absent = outside(finding.where) or any(named.endswith(f" {one}") for one in theirs)
        absent |= finding.what in (Kind.OWNER, Kind.GRANT) and finding.where.partition(" to ")[0] in became_ours
        absent |= finding.where.partition(" to ")[0].removeprefix("schema ") in not_made and finding.what in OF_A_SCHEMA
        brought = finding.what is Kind.COMMENT and finding.where.startswith("extension ")
        carried = finding.what not in NOT_OF_A_DUMP and not absent and not brought
        if finding.weight is Weight.FAULT and carried:
            bad.append(str(finding))
        elif finding.weight is not Weight.NOTE:
            unsaid.append(str(finding))
    return bad, unsaid


def _of_tables(quoted: tuple[str, ...]) -> Callable[[str], bool]:
    """Return what tells whether a text is about one of these tables (`"public"."log"`, never `public.logins`)."""
    if not quoted:
        return lambda _text: False
    words = (re.sub(r'"([a-z_][a-z0-9_]*)"', r'(?:\1|"\1")', re.escape(name)) for name in quoted)
    pattern = re.compile(rf'(?<![\w$".])(?:{"|".join(words)})(?![\w$"])')
    return lambda text: pattern.search(text) is not None


def check_faults(database: Postgres, checks: tuple[Check, ...]) -> list[str]:
    """Return the statements of the stack file that do not hold in what was restored.

    Raises Refused for one that is no check, whatever the data are: it says nothing about them.
    """
    faults = []
    with database.reading() as session:
        for check in checks:
            try:
                with session.attempt():
                    said = "" if session.truth(check.sql) else "is not true"
            except CheckError as error:
                said = f"failed: {error}"
            if not said:
                continue
            if wrong := wrong_check(session, check):
                message = f"ems-ops:database.checks “{check.name}”: expected a query for one boolean, got {wrong}"
                raise Refused(message)
            faults.append(f"check “{check.name}” {said}")
    return faults
