"""What a search for the last good instant finds."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - msgspec reads it from the annotations

import msgspec


class Change(msgspec.Struct, frozen=True):
    """One commit, and how many rows of each table still are as it wrote them.

    Where its WAL was read: its place there, and what it did, a table or kind of record each.
    """

    at: datetime
    wrote: dict[str, int]
    lsn: str = ""
    did: tuple[str, ...] = ()


class Changes(msgspec.Struct, frozen=True):
    """How many commits there were, the first and the last of them, the newest one by one.

    `unknown` says why nothing can be told, `not_looked` which tables' rows could not be. `silent` are those of which no
    row is left: they only deleted, or were overwritten since; `suspect` is the only such one, where that is known.
    """

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    newest: tuple[Change, ...] = ()
    not_looked: tuple[str, ...] = ()
    unknown: str = ""
    silent: int = 0
    suspect: datetime | None = None


class Probe(msgspec.Struct, frozen=True):
    """One look: at which moment of the data, into what, and what the check said: true, false, or None with a reason."""

    at: datetime
    into: str
    holds: bool | None
    why: str
    seconds: float


class Edge(msgspec.Struct, frozen=True):
    """An instant (UTC), and how it is known that the check held, or did not, at it."""

    at: datetime
    why: str


class Found(msgspec.Struct, frozen=True):
    """The last instant that is proven good, the first that is proven bad, what was committed between, and what next.

    Between the two nothing is proven; `exact` tells that there is only one commit in between, or none. `how` says what
    was looked into, `precision` how near it comes, `assumes` what was not asked, `loses` how many commits before it the
    next command cannot keep, `likely` the command that goes to just before the one commit that is likely the cause,
    where nothing better is known.
    """

    check: str
    good: Edge
    bad: Edge
    exact: bool
    changes: Changes
    probes: tuple[Probe, ...]
    next_command: str
    how: str = ""
    precision: str = ""
    assumes: str = ""
    loses: int = 0
    likely: str = ""
