"""Compare two manifests: what was expected, what was found, and what nobody looked at."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.steps.database.proof.manifest import ASPECTS, EVERYTHING, Aspect, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.steps.database.proof.manifest import Contents, Manifest, SequenceValue

SHOWN: Final = 12  # characters of a digest in a message
MISSING: Final = "nothing"
LOGGED_AHEAD: Final = 32
"""Values that PostgreSQL logs ahead of a sequence: after a recovery it may stand that much further (SEQ_LOG_VALS)."""


class Weight(StrEnum):
    """How much a finding matters, in the word that the operator reads."""

    FAULT = "fault"
    NOTE = "note"
    UNCHECKED = "not checked"


class Finding(msgspec.Struct, frozen=True):
    """One difference: what it is about and where, what was expected, what was got."""

    what: Kind
    where: str
    expected: str
    got: str
    weight: Weight = Weight.FAULT

    def __str__(self) -> str:
        """Return it as one line."""
        if self.weight is Weight.UNCHECKED:
            return f"{self.what} {self.where}: not compared, {self.got}"
        return f"{self.what} {self.where}: expected {self.expected}, got {self.got}"


def compare(expected: Manifest, got: Manifest, *, aspects: frozenset[Aspect] = EVERYTHING) -> list[Finding]:
    """Return every difference: faults first, then notes, then what was not compared.

    `aspects` is what must be equal: SAME_CLUSTER after a recovery in place, FROM_A_DUMP after a dump was loaded
    elsewhere.
    """
    in_place = Aspect.IDENTITY in aspects
    found = [*_contents(expected, got, in_place=in_place), *_sequences(expected, got), *_objects(expected, got)]
    chosen = [finding for finding in found if ASPECTS[finding.what] in aspects]
    order = list(Weight)
    return sorted(chosen, key=lambda finding: order.index(finding.weight))


def faults(findings: list[Finding]) -> list[Finding]:
    """Return the findings that mean: this is not what it should be."""
    return [finding for finding in findings if finding.weight is Weight.FAULT]


def _contents(expected: Manifest, got: Manifest, *, in_place: bool) -> Iterator[Finding]:
    comparable = expected.form == got.form and (expected.form == "text" or expected.server.major == got.server.major)
    unread = _unread(expected) | _unread(got)
    for table in sorted(expected.tables.keys() | got.tables.keys() | unread):
        wanted, found = expected.tables.get(table), got.tables.get(table)
        if in_place and found is not None and not found.rows and _is_unlogged(expected, table):
            if wanted is not None and wanted.rows:
                yield Finding(Kind.TABLE_ROWS, table, _spoken(wanted), "none: a recovery empties it", Weight.NOTE)
        elif wanted is not None and found is not None:
            filled = not in_place and found.fresh is True  # anew, by its query, when the dump was loaded
            yield from _rows(Kind.TABLE_ROWS, table, wanted, found, comparable=comparable, filled=filled)
        elif table in unread:
            why = f"it was not read {'before' if wanted is None else 'now'}"
            yield Finding(Kind.TABLE_ROWS, table, "", why, Weight.UNCHECKED)
        else:
            yield Finding(Kind.TABLE_ROWS, table, _spoken(wanted), _spoken(found))
    if expected.large_objects is None or got.large_objects is None:
        yield Finding(Kind.LARGE_OBJECTS, "", "", "they were not read on one side", Weight.UNCHECKED)
    else:
        blobs = expected.large_objects, got.large_objects
        yield from _rows(Kind.LARGE_OBJECTS, "", *blobs, comparable=comparable, filled=False)


def _is_unlogged(manifest: Manifest, table: str) -> bool:
    return manifest.objects.get(Kind.TABLE, {}).get(table, "").startswith("table unlogged")


def _rows(
    kind: Kind, table: str, wanted: Contents, found: Contents, *, comparable: bool, filled: bool
) -> Iterator[Finding]:
    # a materialized view: what its query gives depends on when it is asked ("of the last 30 days"), so a new answer is
    # as good; and one that was stale already was not kept so
    weight = Weight.NOTE if filled or wanted.fresh is False else Weight.FAULT
    if wanted.rows != found.rows:
        yield Finding(kind, table, _spoken(wanted), _spoken(found), weight)
    elif not comparable:
        why = "the digests were made in different forms or versions of PostgreSQL"
        yield Finding(kind, table, _spoken(wanted), why, Weight.UNCHECKED)
    elif wanted.digest != found.digest:
        same = f"{_spoken(wanted)} with digest …{wanted.digest[-SHOWN:]}"
        yield Finding(kind, table, same, f"…{found.digest[-SHOWN:]}: rows differ", weight)
    elif wanted.fresh is True and found.fresh is False:
        yield Finding(kind, table, "what its query gives", "something else: it is stale")


def _spoken(contents: Contents | None) -> str:
    return "no table" if contents is None else f"{contents.rows} rows"


def _unread(manifest: Manifest) -> set[str]:
    """Return the tables that a manifest knows of and has not read."""
    views = manifest.objects.get(Kind.VIEW, {}).items()
    filled = {name for name, text in views if text.startswith("materialized") and "NOT POPULATED" not in text}
    tables = {name for name, text in manifest.objects.get(Kind.TABLE, {}).items() if text.startswith("table")}
    return (tables | filled) - manifest.tables.keys()


def _sequences(expected: Manifest, got: Manifest) -> Iterator[Finding]:
    kind = Kind.SEQUENCE_VALUE
    for name in sorted(expected.sequences.keys() & got.sequences.keys()):
        wanted, found = expected.sequences[name], got.sequences[name]
        last = _steps(wanted, wanted.last)
        now = _steps(found, found.last)
        if now < last:
            yield Finding(kind, name, f"at least {wanted.last}", str(found.last))
        elif now > last + LOGGED_AHEAD * abs(wanted.step):
            yield Finding(kind, name, str(wanted.last), str(found.last), Weight.NOTE)
        if found.is_behind:
            where = f"at least {found.largest}, the last one in {', '.join(found.columns)}"
            # where it was so before as well, the application gives those values itself
            yield Finding(kind, name, where, str(found.last), Weight.NOTE if wanted.is_behind else Weight.FAULT)


def _steps(sequence: SequenceValue, value: int | None) -> float:
    """Return a value in the direction in which the sequence counts; one that was never used is before all."""
    return float("-inf") if value is None else value if sequence.step > 0 else -value


def _objects(expected: Manifest, got: Manifest) -> Iterator[Finding]:
    for kind in Kind:
        before, now = expected.objects.get(kind), got.objects.get(kind)
        if before is None and now is None:
            continue
        if kind != Kind.CRON and (before is None or now is None):
            side = "before" if before is None else "now"
            yield Finding(kind, "", "", f"it could not be read {side}", Weight.UNCHECKED)
            continue
        weight = Weight.NOTE if kind is Kind.VERSION else Weight.FAULT
        wanted, found = before or {}, now or {}
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                yield Finding(kind, name, wanted.get(name, MISSING), found.get(name, MISSING), weight)
