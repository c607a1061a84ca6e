"""Find a resource whose creation was cut off, so that it is taken over and never made twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.apply.provider.naming import to_wire

if TYPE_CHECKING:
    from twin.apply.provider.wire import Wire

Found = dict[str, Any] | None


@dataclass(frozen=True)
class Search:
    """What is looked for: the inputs of the creation, where its collection is, and since when it may exist.

    `known` are ids that are ours already: a predecessor must not be taken for its successor.
    """

    inputs: dict[str, Any]
    collection: str
    since: str
    known: set[str]


Lookup = Callable[["Wire", Search], Found]


def nothing(_wire: Wire, _search: Search) -> Found:
    """Find nothing: creating it again has no further effect."""
    return None


def by(*names: str) -> Lookup:
    """Return a look-up of the one object whose fields of these names are as declared."""

    def find(wire: Wire, search: Search) -> Found:
        wanted = {name: to_wire(search.inputs[name]) for name in names if name in search.inputs}
        for row in wire.walk(search.collection):
            if str(row.get("id", "")) not in search.known and _is(row, wanted):
                return row
        return None

    return find


def bucket(wire: Wire, search: Search) -> Found:
    """Return the bucket of this name: the list of buckets is nested."""
    listed = wire.call("GET", search.collection)
    return next((row for row in listed["buckets"] if row["name"] == search.inputs["name"]), None)


def version(wire: Wire, search: Search) -> Found:
    """Return the version that was uploaded since, with the same message."""
    message = (search.inputs.get("annotations") or {}).get("workersMessage")
    for row in wire.walk(search.collection):
        said = (row.get("annotations") or {}).get("workers/message")
        if message and said == message and _is_new(row, search):
            return row
    return None


def deployment(wire: Wire, search: Search) -> Found:
    """Return the live deployment, when it was made since and is the one that was wanted."""
    rows = list(wire.walk(search.collection))
    wanted = {each["versionId"]: float(each["percentage"]) for each in search.inputs["versions"]}
    if rows and _is_new(rows[0], search):
        live = {each["version_id"]: float(each["percentage"]) for each in rows[0]["versions"]}
        return rows[0] if live == wanted else None
    return None


def _is(row: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Tell whether a row has the wanted values; what the provider adds inside an object doesn't matter."""
    for name, value in wanted.items():
        if isinstance(value, dict) and isinstance(row.get(name), dict):
            if not _is(row[name], value):
                return False
        elif row.get(name) != value:
            return False
    return True


def _is_new(row: dict[str, Any], search: Search) -> bool:
    # To the second: not every answer has fractions.
    created = str(row.get("created_on") or (row.get("metadata") or {}).get("created_on") or "")
    return created[:19] >= search.since[:19] and str(row.get("id")) not in search.known
