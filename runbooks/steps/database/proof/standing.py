"""What stands in the catalogue of a recovered database and should not: broken, switched off, left over, out of date.

What the present had just the same is a note: the recovery did not bring it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.steps.database.proof.comparing import Weight
from runbooks.steps.database.proof.manifest import Kind
from runbooks.steps.database.proof.questions import Remark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runbooks.clients.postgres import Session
    from runbooks.steps.database.proof.definitions import Definitions
    from runbooks.steps.database.proof.manifest import SequenceValue

    Objects = Mapping[Kind, Mapping[str, str]]

MARKS: Final = (
    (Kind.INDEX, "INVALID", True),
    (Kind.INDEX, "NOT READY", True),
    (Kind.VIEW, "NOT POPULATED", True),
    (Kind.TRIGGER, "DISABLED", False),
    (Kind.EVENT_TRIGGER, "DISABLED", False),
    (Kind.RULE, "DISABLED", False),
    (Kind.CONSTRAINT, "NOT ENFORCED", False),
    (Kind.CONSTRAINT, "NOT VALID", False),
)
"""Words in definitions that tell of something broken or switched off; whether nobody ever means it."""

LEFT: Final = (Kind.REPLICATION, Kind.PREPARED)
"""Kinds that act, or hold locks, as soon as the database is up."""

CATALOGUE: Final = (
    (
        "collation {0}: its version is {1} where the index was built, {2} on this machine: text may be ordered wrongly",
        (
            "select format('%I.%I', n.nspname, c.collname), c.collversion, pg_collation_actual_version(c.oid)"
            "  from pg_collation c join pg_namespace n on n.oid = c.collnamespace"
            " where c.collversion <> pg_collation_actual_version(c.oid) and exists"
            "       (select from pg_depend d where d.refclassid = 'pg_collation'::regclass and d.refobjid = c.oid)"
        ),
    ),
    (
        "database {0}: its collation version is {1}, {2} on this machine: rebuild the indexes on text",
        (
            "select datname, datcollversion, pg_database_collation_actual_version(oid) from pg_database"
            " where datname = current_database() and datcollversion <> pg_database_collation_actual_version(oid)"
        ),
    ),
    (
        "partition {0} of {1}: it is half detached",
        ("select inhrelid::regclass::text, inhparent::regclass::text from pg_inherits where inhdetachpending"),
    ),
    (
        "extension {0}: version {1} is not installed on this server",
        (
            "select extname, extversion from pg_extension e where not exists"
            "  (select from pg_available_extension_versions v where v.name = e.extname and v.version = e.extversion)"
        ),
    ),
    (
        "role {0}: its password is valid until {1} only, it cannot log in",
        ("select rolname, rolvaliduntil::text from pg_roles where rolcanlogin and rolvaliduntil < now()"),
    ),
    (
        "role {0}: it may log in, but not connect to this database",
        (
            "select rolname from pg_roles where rolcanlogin and not rolsuper and rolname !~ '^pg_'"
            "   and not has_database_privilege(oid, current_database(), 'connect')"
        ),
    ),
)


def catalogue_remarks(session: Session) -> list[Remark]:
    """Return what the catalogue itself shows as broken."""
    remarks = []
    for text, query in CATALOGUE:
        remarks += [Remark(Weight.FAULT, text.format(*row)) for row in session.rows(query)]
    return remarks


def object_remarks(got: Objects, present: Definitions | None) -> Iterator[Remark]:
    """Yield what definitions show: switched off or broken objects, lost roles, what runs by itself or was left over.

    What somebody defined, altered or dropped since the point may well have been so at the point.
    """
    for kind, mark, never_meant in MARKS:
        for name, text in got.get(kind, {}).items():
            if mark in text:
                before = "" if present is None else present.objects.get(kind, {}).get(name, "")
                sure = never_meant if present is None else present.had(kind, name) and mark not in before
                yield Remark(_weight(sure=sure), f"{kind} {name}: {mark.lower()}{_as_before(before == text)}")
    yield from _by_itself(got, None if present is None else present.objects)
    if present is not None:
        yield from _roles(got, present)
        yield from _partitions(got, present)


def _by_itself(got: Objects, present: Objects | None) -> Iterator[Remark]:
    """Yield what acts by itself or was left over, and what a recovery empties."""
    for kind in LEFT:
        for name, text in got.get(kind, {}).items():
            known = present is not None and name in present.get(kind, {})
            yield Remark(_weight(sure=not known), f"{kind} {name}: left over ({text}){_as_before(known)}")
    for name, text in got.get(Kind.CRON, {}).items():
        if " active" in f" {text}".replace("not active", ""):
            before = None if present is None else present.get(Kind.CRON, {}).get(name, "")
            sure = before is not None and before != text
            yield Remark(_weight(sure=sure), f"cron job {name}: active, it runs by itself{_as_before(before == text)}")
    for name, text in got.get(Kind.TABLE, {}).items():
        if text.startswith("table unlogged"):
            yield Remark(Weight.NOTE, f"table {name}: unlogged, a recovery empties it")


def sequence_remarks(sequences: Mapping[str, SequenceValue], present: Definitions | None) -> Iterator[Remark]:
    """Yield the sequences that would give a value that is taken already.

    Where the present has it so as well, the application gives those values itself.
    """
    for name, value in sequences.items():
        if value.is_behind:
            before = None if present is None else present.sequences.get(name)
            meant = before is not None and before.is_behind
            where = ", ".join(value.columns)
            text = f"sequence {name}: at {value.last}, but {where} holds {value.largest} already: the next insert fails"
            yield Remark(_weight(sure=not meant), f"{text}{_as_before(meant)}")


def _roles(got: Objects, present: Definitions) -> Iterator[Remark]:
    """Yield roles that could log in before and cannot now, and passwords that are no longer the same."""
    roles = got.get(Kind.ROLE, {})
    for name, text in present.objects.get(Kind.ROLE, {}).items():
        if text.startswith("login") and not roles.get(name, "").startswith("login"):
            now = "there is no such role" if name not in roles else "it may not log in any more"
            sure = present.had(Kind.ROLE, name) or present.had(Kind.PASSWORD, name)
            since = "" if sure else ", unless it was made or allowed to since the point"
            yield Remark(_weight(sure=sure), f"role {name}: {now}; what connects as it will fail{since}")
        elif roles.get(name) != text:
            yield Remark(Weight.NOTE, f"role {name}: {roles.get(name, 'nothing')}, in the present {text}")
    passwords = got.get(Kind.PASSWORD, {})
    for name, digest in present.objects.get(Kind.PASSWORD, {}).items():
        if name in passwords and passwords[name] != digest:
            lost = passwords[name] == "none"
            now = "it has no password any more" if lost else "its password is an earlier one"
            yield Remark(_weight(sure=lost and present.had(Kind.PASSWORD, name)), f"role {name}: {now}")


def _partitions(got: Objects, present: Definitions) -> Iterator[Remark]:
    """Yield tables that are partitions in the present, were so at the point, and stand alone now."""
    for name, text in present.objects.get(Kind.TABLE, {}).items():
        now = got.get(Kind.TABLE, {}).get(name)
        if "partition of" in text and now is not None and "partition of" not in now and present.had(Kind.TABLE, name):
            parent = text.partition("partition of ")[2].partition(" ")[0]
            yield Remark(Weight.FAULT, f"table {name}: it is no partition of {parent}, its rows are not found there")


def _weight(*, sure: bool) -> Weight:
    return Weight.FAULT if sure else Weight.NOTE


def _as_before(same: bool) -> str:  # noqa: FBT001 - a clause of a sentence
    return ", as in the present" if same else ""
