"""Turn one dataset's arguments and selected fields into SQL over recorded requests, and its rows into the answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from graphql import FieldNode, FragmentSpreadNode, GraphQLError, InlineFragmentNode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from graphql import GraphQLResolveInfo, SelectionSetNode

    from twin.cloudflare.analytics.datasets import Column, Dataset

MOST = 10_000
_RISING = {"ASC": "asc", "DESC": "desc"}
COMPARED = {
    "": "=",
    "_neq": "<>",
    "_gt": ">",
    "_geq": ">=",
    "_lt": "<",
    "_leq": "<=",
    "_in": "in",
    "_notin": "not in",
    "_like": "like",
    "_notlike": "not like",
}


def orders(dataset: Dataset) -> Iterator[str]:
    """Yield the names of orders: `datetime_ASC`, `count_DESC`, `sum_requests_DESC`."""
    names = [*dataset.plain, *dataset.dimensions]
    names += [f"{section}_{name}" for section, columns in dataset.sections.items() for name in columns]
    yield from (f"{name}_{way}" for name in names for way in _RISING)


@dataclass(frozen=True)
class Selection:
    """A statement, its values, and where each of its columns goes."""

    text: str
    given: dict[str, Any]
    places: tuple[tuple[str, str], ...]

    def rows(self, database: sqlite3.Connection) -> list[dict[str, Any]]:
        """Return the answer's objects."""
        return [self._shape(row) for row in database.execute(self.text, self.given)]

    def _shape(self, row: tuple[Any, ...]) -> dict[str, Any]:
        shaped: dict[str, Any] = {section: {} for section, _ in self.places if section}
        for (section, name), value in zip(self.places, row, strict=False):
            (shaped[section] if section else shaped)[name] = value
        return shaped


def select(dataset: Dataset, info: GraphQLResolveInfo[Any], given: dict[str, Any], *, zone: str) -> Selection:
    """Return the statement for one dataset of one account or zone; GraphQLError when its limits are exceeded."""
    limit = int(given["limit"])
    if not 0 < limit <= MOST:
        message = f"limit must be positive number and not greater than {MOST}"
        raise GraphQLError(message)
    chosen = given.get("filter") or {}
    _check_span(dataset, chosen)
    values: dict[str, Any] = {"zone": zone, "limit": limit}
    conditions = [dataset.where, *_conditions(dataset, chosen, values)]
    places = tuple(_places(info))
    columns = [_column(dataset, *place).sql for place in places] or ["count(*)"]
    groups = [str(index + 1) for index, (section, _) in enumerate(places) if section == "dimensions"]
    text = f"select {', '.join(columns)} from requests where {' and '.join(f'({one})' for one in conditions)}"
    if groups:
        text += f" group by {', '.join(groups)}"
    text += " having count(*) > 0"
    ordered = [_order(dataset, name) for name in given.get("orderBy") or ()]
    if ordered:
        text += f" order by {', '.join(ordered)}"
    return Selection(f"{text} limit :limit", values, places)


def _column(dataset: Dataset, section: str, name: str) -> Column:
    if not section:
        return dataset.plain[name]
    return (dataset.dimensions if section == "dimensions" else dataset.sections[section])[name]


def _places(info: GraphQLResolveInfo[Any]) -> Iterator[tuple[str, str]]:
    """Yield (section, field) of everything that is selected, through fragments; a plain field has no section."""
    found: dict[tuple[str, str], None] = {}
    for node in info.field_nodes:
        for field in _fields(node.selection_set, info):
            name = field.name.value
            inner = list(_fields(field.selection_set, info))
            found |= dict.fromkeys([(name, one.name.value) for one in inner] if inner else [("", name)])
    yield from (place for place in found if not place[1].startswith("__"))


def _fields(chosen: SelectionSetNode | None, info: GraphQLResolveInfo[Any]) -> Iterator[FieldNode]:
    for node in chosen.selections if chosen else ():
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode):
            yield from _fields(node.selection_set, info)
        elif isinstance(node, FragmentSpreadNode):
            yield from _fields(info.fragments[node.name.value].selection_set, info)


def _order(dataset: Dataset, name: str) -> str:
    field, _, way = name.rpartition("_")
    section, _, inner = field.rpartition("_")
    if section in dataset.sections:
        return f"{dataset.sections[section][inner].sql} {_RISING[way]}"
    return f"{(dataset.plain | dataset.dimensions)[field].sql} {_RISING[way]}"


def _conditions(dataset: Dataset, chosen: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    """Yield a filter's conditions as SQL; their values go into `values`. What is null does not filter."""
    for key, wanted in chosen.items():
        if wanted is None:
            continue
        if key in {"AND", "OR"}:
            parts = [" and ".join(_conditions(dataset, one, values)) or "true" for one in wanted]
            yield "(" + f" {key.lower()} ".join(f"({part})" for part in parts) + ")"
            continue
        name, ending = _split(dataset, key)
        column = dataset.dimensions[name]
        marks = []
        for one in wanted if isinstance(wanted, list) else [wanted]:
            mark = f"v{len(values)}"
            values[mark] = milliseconds(one) if column.type == "Time" else one
            marks.append(f":{mark}")
        value = f"({', '.join(marks)})" if ending in {"_in", "_notin"} else marks[0]
        yield f"{column.compared or column.sql} {COMPARED[ending]} {value}"


def _split(dataset: Dataset, key: str) -> tuple[str, str]:
    if key in dataset.dimensions:
        return key, ""
    name, _, ending = key.rpartition("_")
    return name, f"_{ending}"


def milliseconds(text: str) -> float:
    """Return RFC 3339, which the schema has looked at, as Unix milliseconds; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def _check_span(dataset: Dataset, chosen: dict[str, Any]) -> None:
    """Refuse a time that is too long ago, or a span that is too wide, with the provider's words."""
    now = time.time()
    begin = [milliseconds(chosen[key]) / 1000 for key in ("datetime_geq", "datetime_gt") if chosen.get(key)]
    end = [milliseconds(chosen[key]) / 1000 for key in ("datetime_leq", "datetime_lt") if chosen.get(key)]
    if not begin:
        return
    if now - max(begin) > dataset.oldest:
        message = f"cannot request data older than {dataset.oldest}s"
        raise GraphQLError(message)
    span = round(min([*end, now]) - max(begin))
    if span > dataset.widest:
        message = f"query time range is too large. Time range can't be wider than {dataset.widest}s, but it's {span}s"
        raise GraphQLError(message)
