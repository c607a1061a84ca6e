"""What a database holds at one moment: a digest of every table, and the definition of every object.

A manifest is written beside a copy and compared with what was restored from it. It holds no row and no secret:
passwords, scheduled commands, trigger arguments, options of foreign servers and settings of the application stand in
it as digests.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations
from enum import StrEnum
from typing import Final

import msgspec

from runbooks.steps.database.server import Server  # noqa: TC001 - msgspec reads it from the annotations

FORMAT: Final = 1
"""Rises when manifests of before cannot be compared with new ones."""


class Kind(StrEnum):
    """What an entry of a manifest is about, in the words that findings open with."""

    TABLE_ROWS = "rows of table"
    LARGE_OBJECTS = "large objects"
    SEQUENCE_VALUE = "value of sequence"
    SCHEMA = "schema"
    EXTENSION = "extension"
    TYPE = "type"
    TABLE = "table"
    COLUMN = "column"
    CONSTRAINT = "constraint"
    INDEX = "index"
    TRIGGER = "trigger"
    EVENT_TRIGGER = "event trigger"
    FUNCTION = "function"
    VIEW = "view"
    RULE = "rule"
    SEQUENCE = "sequence"
    STATISTICS = "statistics object"
    POLICY = "policy"
    PUBLICATION = "publication"
    OTHER = "object"
    COMMENT = "comment"
    OWNER = "owner of"
    GRANT = "grant"
    ROLE = "role"
    PASSWORD = "password of role"  # noqa: S105 - a word, not a password
    SETTING = "setting"
    ENCODING = "encoding"
    IDENTITY = "identity"
    VERSION = "version"
    REPLICATION = "replication"
    CRON = "cron job"
    PREPARED = "prepared transaction"


class Aspect(StrEnum):
    """What a comparison is about; each is compared or left out as a whole."""

    CONTENT = "content"
    SCHEMA = "schema"
    COMMENTS = "comments"
    ACCESS = "owners and grants"
    ROLES = "roles"
    ENCODING = "encoding"
    IDENTITY = "identity"
    RUNNING = "replication and scheduled work"


ASPECTS: Final = {
    **dict.fromkeys(Kind, Aspect.SCHEMA),
    **dict.fromkeys((Kind.TABLE_ROWS, Kind.LARGE_OBJECTS, Kind.SEQUENCE_VALUE), Aspect.CONTENT),
    **dict.fromkeys((Kind.OWNER, Kind.GRANT), Aspect.ACCESS),
    **dict.fromkeys((Kind.ROLE, Kind.PASSWORD, Kind.SETTING), Aspect.ROLES),
    **dict.fromkeys((Kind.IDENTITY, Kind.VERSION), Aspect.IDENTITY),
    **dict.fromkeys((Kind.REPLICATION, Kind.CRON, Kind.PREPARED), Aspect.RUNNING),
    Kind.COMMENT: Aspect.COMMENTS,
    Kind.ENCODING: Aspect.ENCODING,
}

EVERYTHING: Final = frozenset(Aspect)
SAME_CLUSTER: Final = EVERYTHING
"""What must be equal after a recovery of the same cluster (point in time)."""
FROM_A_DUMP: Final = frozenset({Aspect.CONTENT, Aspect.SCHEMA, Aspect.COMMENTS, Aspect.ACCESS, Aspect.ENCODING})
"""What a dump of one database carries to another server: roles and identity stay with a cluster."""


class Form(StrEnum):
    """How rows were turned into numbers; only equal forms can be compared.

    HASH is fast and holds within one major version of PostgreSQL (its hash functions may change with the next).
    TEXT is slower and compares across versions.
    """

    HASH = "hash"
    TEXT = "text"


class Contents(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rows of a table: how many, and the sum of their 64-bit hashes (order and place do not matter).

    `fresh` tells of a materialized view whether it holds what its query gives; None for tables, or where not known.
    """

    rows: int
    digest: str
    fresh: bool | None = None


class SequenceValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last value of a sequence, None when it was never used; the largest one in the columns that it fills.

    `step` is negative where it counts down.
    """

    last: int | None
    largest: int | None = None
    step: int = 1
    columns: tuple[str, ...] = ()

    @property
    def is_behind(self) -> bool:
        """Tell whether it would give a value that is taken already."""
        return self.largest is not None and (self.last is None or self.last * self.step < self.largest * self.step)


class Manifest(msgspec.Struct, frozen=True):
    """A database at one moment. `at` is its server's clock, `lsn` its place in the write-ahead log.

    `objects` holds definitions by kind and name. `unchecked` says what could not be read, and why, a line each.
    """

    format: int
    at: datetime
    database: str
    server: Server
    lsn: str
    form: Form
    tables: dict[str, Contents]
    sequences: dict[str, SequenceValue]
    large_objects: Contents | None
    objects: dict[Kind, dict[str, str]]
    unchecked: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Return how many rows all tables have."""
        return sum(contents.rows for contents in self.tables.values())
