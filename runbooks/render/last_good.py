"""What a search for the last good instant has found, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.model.timepoint import Point

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from runbooks.model.last_good import Change, Changes, Found

NAMED: Final = 4  # tables of one commit that are named before the rest is counted


def lines(found: Found, zone: str) -> Iterator[str]:
    """Yield the result for people: until when it held, since when it does not, what was committed between."""
    yield f"Holds    until {_exact(found.good.at)}, {_spoken(found.good.at, zone)}: {found.good.why}"
    yield f"Fails    since {_exact(found.bad.at)}, {_spoken(found.bad.at, zone)}: {found.bad.why}"
    yield f"Between  {_between(found.changes)}"
    for change in found.changes.newest:
        yield f"         {_exact(change.at)}  {_wrote(change)}"
    if found.changes.not_looked:
        yield f"         not looked at: {', '.join(found.changes.not_looked)}"
    yield f"How      {found.how}"
    yield f"Exact    {found.precision}"
    yield f"Assumes  {found.assumes}"
    if found.loses:
        yield f"Loses    {found.loses} commits that ended before it and are stamped later: a restore by time loses them"
    if found.likely:
        yield f"Likely   just before the one commit of which no row is left: {found.likely}"


def _between(changes: Changes) -> str:
    if changes.unknown:
        return f"what was committed cannot be told: {changes.unknown}"
    if changes.count == 0:
        return "nothing was committed: the check depends on the time, or on what no copy holds"
    if changes.count == 1:
        return "one commit: this is it"
    listed = len(changes.newest)
    shown = "" if changes.count == listed else f", {listed} of them, first those of which no row is left"
    return (
        f"{changes.count} commits, one of which it was; the check is proven at none of them{shown}. "
        "Who knows which one loses less by going to just before it:"
    )


def _wrote(change: Change) -> str:
    """Say what a commit wrote. One that only deleted left no rows; what was overwritten since is not seen either."""
    if change.did:
        return "; ".join(change.did)
    if change.lsn:
        return f"at {change.lsn}"
    tables = sorted(change.wrote.items(), key=lambda item: -item[1])
    said = ", ".join(f"{table} {rows}" for table, rows in tables[:NAMED])
    more = f" and {len(tables) - NAMED} more tables" if len(tables) > NAMED else ""
    return (
        f"rows that are still as it wrote them: {said}{more}"
        if said
        else "no row is left of it: it deleted, or was overwritten"
    )


def _exact(at: datetime) -> str:
    return Point(at, "").utc


def _spoken(at: datetime, zone: str) -> str:
    return Point(at, "").spoken(zone).partition(" UTC ")[2].strip("()")
