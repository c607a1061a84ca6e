"""Answer questions about Workers' logs: `workers/observability/telemetry`. Events of Workers that log nothing are none.

Source: the official SDK's types, read 2026-11-23. No error code of these calls is known; 10021 stands for all.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

from twin.cloudflare.errors import ApiError, Json, ok, read
from twin.cloudflare.observability import questions
from twin.cloudflare.observability.calculations import bucket_of, calculate, start_of
from twin.cloudflare.observability.conditions import Sql, path, pattern, whole
from twin.cloudflare.observability.messages import DATASET
from twin.cloudflare.observability.traffic import LEDGER
from twin.cloudflare.store import now, object_id, store_of
from twin.route import Route
from twin.workerd.console import instant

if TYPE_CHECKING:
    import sqlite3

    from aiohttp import web

VIEWS = ("events", "invocations", "calculations")
MOST = 2000  # events in one answer
DEFAULT = 50
BUCKETS = 60
_LOOKED_AT = 10_000  # events from which keys are gathered, the newest
_PARTS = {"$metadata", "$workers", "source", "dataset", "timestamp"}


def _where(query: questions.Query) -> Sql:
    asked = query.parameters
    if asked is None:
        raise ApiError(404, 10021, f"There is no saved query {query.query_id}: the twin keeps none, send parameters.")
    return whole(query.timeframe, asked.datasets, asked.filters, asked.filter_combination, asked.needle)


def _check(query: questions.Query) -> None:
    """Refuse what the twin does not compute rather than leave it out."""
    lacking = (
        f"view {query.view!r}" if query.view not in VIEWS else "",
        "compare" if query.compare else "",
        f"chartType {query.chart_type!r}" if query.chart_type == "distribution" else "",
    )
    for one in filter(None, lacking):
        raise ApiError(501, 10021, f"The twin does not answer {one}: add it to {__name__.replace('.', '/')}.py")
    if query.view == "calculations" and query.parameters is not None and not query.parameters.calculations:
        raise ApiError(400, 10021, "The view 'calculations' needs at least one calculation.")


def _answer(database: sqlite3.Connection, query: questions.Query, where: Sql) -> Json:
    """Return what the view asks for, with statistics."""
    begun = time.perf_counter()
    buckets = int(min(query.granularity or BUCKETS, MOST))
    result: Json = {}
    if query.view == "calculations":
        result["calculations"] = calculate(database, query, where, buckets)
    elif query.view == "events":
        result["events"] = _events(database, query, where, buckets)
    else:
        result["invocations"] = _invocations(database, query, where)
    span = (query.timeframe.begin, query.timeframe.to)
    seen = database.execute("select count(*), total(length(event)) from events where at between ? and ?", span)
    rows, size = seen.fetchone()
    spent = round(time.perf_counter() - begun, 6)
    return result | {"statistics": {"elapsed": spent, "rows_read": rows, "bytes_read": size}}


def _events(database: sqlite3.Connection, query: questions.Query, where: Sql, buckets: int) -> Json:
    condition, given = where
    page, more, order = "", [], "desc"
    if query.offset:
        before = query.offset_direction == "next"
        page, more, order = f" and {_ID} {'<' if before else '>'} ?", [query.offset], "desc" if before else "asc"
    text = f"select event from events where ({condition}){page} order by {_ID} {order} limit ?"
    found = [json.loads(row[0]) for row in database.execute(text, [*given, *more, _limit(query)])]
    counted = database.execute(f"select total(weight) from events where {condition}", given).fetchone()[0]
    shown: Json = {"count": counted, "events": found[:: -1 if order == "asc" else 1]}
    shown["fields"] = [{"key": key, "type": kind} for key, (kind, _) in sorted(_fields(found).items())]
    if not query.ignore_series:
        shown["series"] = _series(database, query, where, buckets)
    return shown


_ID = """json_extract(event, '$."$metadata"."id"')"""
_ERROR = """json_extract(event, '$."$metadata"."level"') = 'error'"""
_REQUEST = """json_extract(event, '$."$metadata"."requestId"')"""


def _limit(query: questions.Query) -> int:
    asked = query.limit or (query.parameters.limit if query.parameters else None) or DEFAULT
    return int(min(asked, MOST))


def _series(database: sqlite3.Connection, query: questions.Query, where: Sql, buckets: int) -> list[Json]:
    bucket, given = bucket_of(query, buckets)
    text = f"select {bucket}, sum(weight), avg(weight), min(at), max(at), total(iif({_ERROR}, weight, 0)) from events"
    series = []
    for at, count, interval, first, last, errors in database.execute(
        f"{text} where {where[0]} group by 1 order by 1", [*given, *where[1]]
    ):
        told = {"_count": round(count), "_interval": interval, "bin": at}
        told |= {"_firstSeen": instant(first), "_lastSeen": instant(last)}
        data = {"aggregates": told, "count": count, "interval": interval, "sampleInterval": interval, "errors": errors}
        series.append({"time": instant(start_of(query, at, buckets)), "data": [data]})
    return series


def _invocations(database: sqlite3.Connection, query: questions.Query, where: Sql) -> dict[str, list[Json]]:
    """Return all events of the newest invocations of which one event at least fits."""
    text = f"select {_REQUEST} from events where {where[0]} group by 1 order by max(at) desc limit ?"
    wanted = [row[0] for row in database.execute(text, [*where[1], _limit(query)])]
    found: dict[str, list[Json]] = {request: [] for request in wanted}
    marks = ", ".join("?" * len(wanted))
    for row in database.execute(f"select event from events where {_REQUEST} in ({marks}) order by {_ID}", wanted):
        event = json.loads(row[0])
        found[event["$metadata"]["requestId"]].append(event)
    return found


def _fields(events: list[Json]) -> dict[str, tuple[str, int]]:
    """Return the fields of these events: type and when each was seen last."""
    found: dict[str, tuple[str, int]] = {}

    def add(key: str, value: Any, at: int) -> None:  # noqa: ANN401 - a Worker may log anything
        if isinstance(value, dict):
            for name, inner in value.items():
                add(f"{key}.{name}" if key and key != "source" else name, inner, at)
        elif value is not None and not isinstance(value, list):
            kind = "boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "string"
            found[key] = (kind, max(at, found.get(key, ("", 0))[1]))

    for event in events:
        for part in _PARTS:
            add(part, event.get(part), event["timestamp"])
    return found


async def query(request: web.Request) -> web.Response:
    """Answer a query: views events, invocations, calculations; refused: traces, agents, compare, distribution."""
    body = await read(request)
    asked = questions.read(body, questions.Query)
    _check(asked)
    where = _where(asked)
    result = await request.app[LEDGER].read(lambda database: _answer(database, asked, where))
    return ok({"run": _run(request, body, asked, result["statistics"]), **result})


def _run(request: web.Request, body: Json, asked: questions.Query, statistics: Json) -> Json:
    user, when = store_of(request).data["user"], now()
    saved = {"id": asked.query_id, "name": asked.query_id, "adhoc": True, "parameters": body.get("parameters")}
    saved |= {"created": when, "createdBy": user, "updated": when, "updatedBy": user}
    return {
        "id": object_id(),
        "accountId": store_of(request).account,
        "userId": user,
        "query": saved,
        "dry": asked.dry,
        "granularity": int(asked.granularity or BUCKETS),
        "timeframe": body["timeframe"],
        "status": "COMPLETED",
        "statistics": statistics,
        "created": when,
        "updated": when,
    }


async def keys(request: web.Request) -> web.Response:
    """List the fields that events have, with their types."""
    asked = questions.read(await read(request), questions.Keys)
    span = None
    if asked.begin is not None or asked.to is not None:
        span = questions.Span(asked.begin or 0, asked.to or time.time() * 1000)
    where = whole(span, asked.datasets, asked.filters, "and", asked.needle)

    def look(database: sqlite3.Connection) -> list[Json]:
        text = f"select event from events where {where[0]} order by at desc limit {_LOOKED_AT}"
        return [json.loads(row[0]) for row in database.execute(text, where[1])]

    found = _fields(await request.app[LEDGER].read(look))
    rows = [{"key": key, "type": kind, "lastSeenAt": at} for key, (kind, at) in sorted(found.items())]
    return ok([row for row in rows if _named(str(row["key"]), asked.key_needle)][: int(min(asked.limit, _LOOKED_AT))])


def _named(key: str, needle: questions.Needle | None) -> bool:
    if needle is None:
        return True
    text = str(needle.value)
    sought = pattern(text) if needle.is_regex else re.escape(text)
    return re.search(sought, key, 0 if needle.match_case else re.IGNORECASE) is not None


async def values(request: web.Request) -> web.Response:
    """List the values that a field has."""
    asked = questions.read(await read(request), questions.Values)
    where = whole(asked.timeframe, asked.datasets, asked.filters, "and", asked.needle)

    def look(database: sqlite3.Connection) -> list[Any]:
        text = f"select json_extract(event, ?) from events where {where[0]} and json_type(event, ?) not in ({_NONE})"
        at = path(asked.key)
        text += " group by 1 order by count(*) desc limit ?"
        return [row[0] for row in database.execute(text, [at, *where[1], at, int(min(asked.limit, _LOOKED_AT))])]

    found = await request.app[LEDGER].read(look)
    if asked.type == "boolean":
        found = [bool(value) for value in found]
    return ok([{"dataset": DATASET, "key": asked.key, "type": asked.type, "value": value} for value in found])


_NONE = "'null', 'array', 'object'"
PATH = "/accounts/{account}/workers/observability/telemetry"
ROUTES = (
    Route("POST", PATH + "/query", query, "official SDK"),
    Route("POST", PATH + "/keys", keys, "official SDK"),
    Route("POST", PATH + "/values", values, "official SDK"),
)
