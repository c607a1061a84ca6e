"""Compute counts, averages, percentiles and so on over stored events, in groups and over time."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from twin.cloudflare.errors import ApiError, Json
from twin.cloudflare.observability.conditions import Sql, path
from twin.workerd.console import instant

if TYPE_CHECKING:
    import sqlite3

    from twin.cloudflare.observability.questions import Calculation, GroupBy, Query

DEFAULT_GROUPS, MOST_GROUPS = 10, 2000
_AGGREGATES = {
    "count": "sum(weight)",
    "uniq": "count(distinct {x})",
    "count_distinct": "count(distinct {x})",
    "max": "max({x})",
    "min": "min({x})",
    "sum": "sum({x} * weight)",
    "avg": "sum({x} * weight) / sum(iif({x} is null, 0, weight))",
    "median": "quantile({x}, weight, 0.5)",
    "variance": "avg({x} * {x}) - avg({x}) * avg({x})",
    "stddev": "sqrt(max(0, avg({x} * {x}) - avg({x}) * avg({x})))",
}
_SHARES = {"p001": 0.001, "p01": 0.01, "p05": 0.05, "p10": 0.1, "p25": 0.25}
_SHARES |= {"p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_AGGREGATES |= {name: f"quantile({{x}}, weight, {share})" for name, share in _SHARES.items()}
_COMPARED = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


class Row(NamedTuple):
    """One group (of one stretch of time): its values by calculation, None where nothing had the field."""

    bucket: int
    groups: tuple[Any, ...]
    weight: float
    interval: float
    values: tuple[float | None, ...]


def calculate(database: sqlite3.Connection, query: Query, where: Sql, buckets: int) -> list[Json]:
    """Return `calculations` as the API shows them."""
    assert query.parameters is not None  # noqa: S101 - the caller has refused a query without
    asked = query.parameters
    wanted = asked.calculations
    rows = [row for row in _rows(database, query, where, 0) if _has(row, query)]
    order = _index(wanted, asked.order_by.value) if asked.order_by else 0
    rising = asked.order_by is not None and asked.order_by.order == "asc"
    rows.sort(key=lambda row: (row.values[order] is not None, row.values[order] or 0), reverse=not rising)
    limit = int(min(asked.limit or query.limit or DEFAULT_GROUPS, MOST_GROUPS))
    rows = rows[:limit]
    kept = {row.groups for row in rows}
    series = [] if query.ignore_series else [r for r in _rows(database, query, where, buckets) if r.groups in kept]
    return [
        {
            "calculation": one.operator,
            **({"alias": one.alias} if one.alias else {}),
            "aggregates": [_shown(row, index, asked.group_bys) for row in rows if row.values[index] is not None],
            "series": _series(series, index, query, buckets),
        }
        for index, one in enumerate(wanted)
    ]


def start_of(query: Query, bucket: int, buckets: int) -> float:
    """Return when a stretch of the time frame begins: Unix milliseconds."""
    return query.timeframe.begin + (query.timeframe.to - query.timeframe.begin) * bucket / buckets


def bucket_of(query: Query, buckets: int) -> Sql:
    """Return the SQL that numbers the stretches of the time frame."""
    begin, to = query.timeframe.begin, query.timeframe.to
    return "min(cast((at - ?) * ? / ? as integer), ?)", [begin, buckets, to - begin, buckets - 1]


def _rows(database: sqlite3.Connection, query: Query, where: Sql, buckets: int) -> list[Row]:
    """Group and compute: over the whole time, or in so many stretches of it."""
    assert query.parameters is not None  # noqa: S101 - see calculate()
    bucket: Sql = bucket_of(query, buckets) if buckets else ("0", [])
    groups: list[Sql] = [
        ("ifnull(json_extract(event, ?), '')", [path(one.value)]) for one in query.parameters.group_bys
    ]
    numbers = [_number(one) for one in query.parameters.calculations]
    columns = [bucket, *groups, ("sum(weight)", []), ("avg(weight)", []), *numbers]
    text = f"select {', '.join(column for column, _ in columns)} from events where {where[0]}"
    keys = [str(index + 1) for index in range(len(groups) + 1)]
    text += f" group by {', '.join(keys)} having count(*) > 0 order by 1"
    given = [value for _, values in columns for value in values]
    end = 1 + len(groups)
    return [
        Row(row[0], tuple(row[1:end]), row[end], row[end + 1], tuple(row[end + 2 :]))
        for row in database.execute(text, [*given, *where[1]])
    ]


def _number(one: Calculation) -> Sql:
    """Return the SQL of a calculation; 400 for an operator that there is not, or without its key."""
    text = _AGGREGATES.get(one.operator.lower())
    if text is None:
        raise ApiError(400, 10021, f"There is no operator {one.operator!r}.")
    if "{x}" in text and not one.key:
        raise ApiError(400, 10021, f"The operator {one.operator} needs a key.")
    made = text.replace("{x}", "json_extract(event, ?)")
    return made, [path(one.key)] * made.count("?")


def _index(wanted: list[Calculation], name: str) -> int:
    """Return which calculation has this alias or operator; 400 when none has."""
    for index, one in enumerate(wanted):
        if name in {one.alias, one.operator}:
            return index
    raise ApiError(400, 10021, f"No calculation of this query is called {name!r}.")


def _has(row: Row, query: Query) -> bool:
    assert query.parameters is not None  # noqa: S101 - see calculate()
    for one in query.parameters.havings:
        value = row.values[_index(query.parameters.calculations, one.key)]
        if value is None or not _COMPARED[one.operation](value, one.value):
            return False
    return True


def _shown(row: Row, index: int, groups: list[GroupBy]) -> Json:
    shown: Json = {"value": row.values[index], "count": row.weight}
    shown |= {"interval": row.interval, "sampleInterval": row.interval}
    if groups:
        shown["groups"] = [
            {"key": one.value, "value": bool(value) if one.type == "boolean" else value}
            for one, value in zip(groups, row.groups, strict=True)
        ]
    return shown


def _series(rows: list[Row], index: int, query: Query, buckets: int) -> list[Json]:
    assert query.parameters is not None  # noqa: S101 - see calculate()
    by_time: dict[int, list[Json]] = {}
    for row in rows:
        if row.values[index] is not None:
            by_time.setdefault(row.bucket, []).append(_shown(row, index, query.parameters.group_bys))
    return [{"time": instant(start_of(query, bucket, buckets)), "data": data} for bucket, data in by_time.items()]
