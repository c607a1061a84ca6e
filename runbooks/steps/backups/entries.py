"""The table of contents of a dump, sorted into what our role may load as it is, and what belongs to the platform."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS: Final = (
    *("ACL", "AGGREGATE", "ACCESS METHOD", "BLOB METADATA", "BLOB", "BLOBS", "CAST", "CHECK CONSTRAINT", "COLLATION"),
    *("COMMENT", "CONSTRAINT", "CONVERSION", "DATABASE PROPERTIES", "DATABASE", "DEFAULT ACL", "DEFAULT", "DOMAIN"),
    *("ENCODING", "EVENT TRIGGER", "EXTENSION", "FK CONSTRAINT", "FOREIGN DATA WRAPPER", "FOREIGN SERVER"),
    *("FOREIGN TABLE", "FUNCTION", "INDEX ATTACH", "INDEX", "LARGE OBJECT", "MATERIALIZED VIEW DATA"),
    *("MATERIALIZED VIEW", "OPERATOR CLASS", "OPERATOR FAMILY", "OPERATOR", "POLICY", "PROCEDURAL LANGUAGE"),
    *("PROCEDURE", "PUBLICATION TABLES IN SCHEMA", "PUBLICATION TABLE", "PUBLICATION", "ROW SECURITY", "RULE"),
    *("SCHEMA", "SEARCHPATH", "SECURITY LABEL", "SEQUENCE OWNED BY", "SEQUENCE SET", "SEQUENCE", "SERVER"),
    *("SHELL TYPE", "STATISTICS DATA", "STATISTICS", "STDSTRINGS", "SUBSCRIPTION TABLE", "SUBSCRIPTION"),
    *("TABLE ATTACH", "TABLE DATA", "TABLE", "TEXT SEARCH CONFIGURATION", "TEXT SEARCH DICTIONARY"),
    *("TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE", "TRANSFORM", "TRIGGER", "TYPE", "USER MAPPING", "VIEW"),
)
"""The kinds of entries that pg_dump 18 writes; of two that begin alike the longer one stands first."""
LINE: Final = re.compile(rf"\d+; \d+ \d+ (?P<kind>{'|'.join(KINDS)}) (?P<schema>\S+) (?P<name>.*?) ?(?P<owner>\S*)")
DATA: Final = ("TABLE DATA", "SEQUENCE SET", "BLOB", "BLOBS", "BLOB METADATA", "MATERIALIZED VIEW DATA")
BY_SUPERUSERS: Final = (
    *("DEFAULT ACL", "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "FOREIGN SERVER", "USER MAPPING", "PROCEDURAL LANGUAGE"),
    *("PUBLICATION", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA", "SUBSCRIPTION", "SUBSCRIPTION TABLE"),
    *("ACCESS METHOD", "CAST", "TRANSFORM", "SECURITY LABEL"),
)
"""What only its owner or a superuser makes: of another owner it cannot become ours."""


@dataclass(frozen=True)
class Entry:
    """One line of the list: what, in which schema, whose."""

    line: str
    kind: str
    schema: str
    name: str
    owner: str


@dataclass(frozen=True)
class Sorted:
    """Entries in the order in which they are loaded. `theirs` become ours; `skipped` are named, not loaded."""

    ours: tuple[Entry, ...]
    theirs: tuple[Entry, ...]
    skipped: tuple[Entry, ...]


def beginnings(*words: str) -> frozenset[str]:
    """Return what may be the first name in these words: names are not quoted in the list, and may hold spaces."""
    parts = " ".join(words).split(" ")
    return frozenset(" ".join(parts[:count]) for count in range(1, len(parts) + 1))


def entries(lines: Iterable[str]) -> list[Entry]:
    """Return the list of `pg_restore --list`; a line of a kind that is not known is taken as ours."""
    nothing = ("", "", "", "")
    matched = ((line, LINE.fullmatch(line)) for line in lines)
    return [
        Entry(line, *(match.group("kind", "schema", "name", "owner") if match else nothing)) for line, match in matched
    ]


def sort(found: Iterable[Entry], *, become: frozenset[str]) -> Sorted:
    """Sort entries for a role that may `become` these owners. Extensions are not loaded from the list."""
    ours: list[Entry] = []
    theirs: list[Entry] = []
    skipped: list[Entry] = []
    spaced = tuple(f" {role}" for role in become if " " in role)
    for entry in found:
        if entry.kind == "EXTENSION" or (entry.kind == "COMMENT" and entry.name.startswith("EXTENSION ")):
            continue
        if entry.owner in become or not entry.owner or entry.line.endswith(spaced):
            ours.append(entry)
        else:
            (skipped if entry.kind in BY_SUPERUSERS else theirs).append(entry)
    return Sorted(tuple(ours), tuple(theirs), tuple(skipped))
