"""Telemetry over what Workers really logged: events, invocations, calculations, keys, values, refusals."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.cloudflare.observability.conftest import service

if TYPE_CHECKING:
    from tests.twin.cloudflare.observability.conftest import Watched

pytestmark = pytest.mark.twin


def leaf(key: str, operation: str, value: Any = None, kind: str = "string") -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a filter."""
    return {"key": key, "operation": operation, "type": kind, "value": value}


@pytest.fixture(scope="module")
def logs(watched: Watched) -> Watched:
    """Give a twin whose Worker `logs` has logged 19 events in 7 invocations."""
    watched.worker("logs", tag="r7")
    assert watched.visit("logs", *(f"/fields?id={number}" for number in (1, 2, 3)), "/boom", "/slow", "/missing") == [
        200,
        200,
        200,
        500,
        200,
        404,
    ]
    watched.fire("logs")
    watched.settled("logs", 3 * 3 + 3 + 2 + 2 + 2)
    return watched


def count(logs: Watched, *filters: dict[str, Any], **parameters: Any) -> int:  # noqa: ANN401 - JSON
    """Return how many events of `logs` fit."""
    asked = {"filters": [service("logs"), *filters], **parameters}
    return int(logs.query(view="events", parameters=asked)["events"]["count"])


def test_events_are_the_workers_own_lines(logs: Watched) -> None:
    """A line has its level, text, fields, request and version; the invocation has outcome and times; newest first."""
    told = logs.query(view="events", limit=100, parameters={"filters": [service("logs")]})["events"]
    assert told["count"] == len(told["events"]) == 18
    at = [event["timestamp"] for event in told["events"]]
    assert at == sorted(at, reverse=True)
    (line,) = (event for event in told["events"] if event["source"].get("user") == {"id": 2})
    assert line["source"] == {"level": "info", "user": {"id": 2}, "paid": True}
    about, worker = line["$metadata"], line["$workers"]
    assert (about["level"], about["type"], about["trigger"]) == ("info", "cf-worker-log", "GET /fields")
    assert (worker["scriptName"], worker["outcome"], worker["eventType"]) == ("logs", "ok", "fetch")
    assert worker["scriptVersion"]["tag"] == "r7"
    assert worker["event"]["request"]["url"] == "https://logs.ems.example/fields?id=2"
    (thrown,) = (event for event in told["events"] if "exception" in event["source"])
    assert thrown["$metadata"]["error"] == "TypeError: boom"
    assert "index.js" in thrown["source"]["exception"]["stack"]
    (slow,) = (e for e in told["events"] if e["$metadata"]["trigger"] == "GET /slow" and "wallTimeMs" in e["$workers"])
    assert 200 <= slow["$workers"]["wallTimeMs"] < 5000
    assert slow["$metadata"]["statusCode"] == 200
    (beat,) = (e for e in told["events"] if str(e["source"].get("message")).startswith("beat"))
    assert len({event["$metadata"]["requestId"] for event in told["events"]}) == 7
    assert (beat["$workers"]["eventType"], beat["$metadata"]["level"]) == ("scheduled", "warn")
    assert {"key": "user.id", "type": "number"} in told["fields"]
    assert sum(part["data"][0]["count"] for part in told["series"]) == 18


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([leaf("$metadata.error", "exists")], 1),
        ([leaf("$metadata.error", "is_null"), leaf("$workers.wallTimeMs", "exists")], 7),
        ([leaf("$metadata.level", "eq", "info"), leaf("user.id", "exists")], 3),
        ([leaf("user.id", "eq", 2, "number")], 1),
        ([leaf("user.id", "gte", 2, "number")], 2),
        ([leaf("user.id", "lt", "2", "number")], 1),
        ([leaf("user.id", "neq", 2, "number"), leaf("paid", "eq", "true", "boolean")], 2),
        ([leaf("user.id", "in", "1, 3", "number")], 2),
        ([leaf("$metadata.trigger", "not_in", "GET /fields,GET /boom")], 6),
        ([leaf("$metadata.trigger", "starts_with", "GET /fi")], 9),
        ([leaf("$metadata.trigger", "ends_with", "boom")], 3),
        ([leaf("$metadata.message", "includes", "asked /boom")], 1),
        ([leaf("$metadata.message", "INCLUDES", "ASKED")], 0),
        ([leaf("$metadata.message", "not_includes", "asked")], 12),
        ([leaf("$metadata.message", "regex", r"^asked /(slow|missing) ")], 2),
        ([leaf("$metadata.statusCode", ">=", 400, "number")], 1),
        (
            [
                {
                    "kind": "group",
                    "filterCombination": "or",
                    "filters": [leaf("user.id", "=", 1, "number"), leaf("$metadata.error", "EXISTS")],
                }
            ],
            2,
        ),
    ],
)
def test_filters_mean_what_they_say(logs: Watched, filters: list[dict[str, Any]], expected: int) -> None:
    """Each operation, in each spelling, finds the events that were sent to fit it."""
    assert count(logs, *filters) == expected


def test_needles_are_sought_in_every_field(logs: Watched) -> None:
    """Case does not matter unless it is said to; a pattern may be given; a field's name is no hit."""
    assert count(logs, needle={"value": "TYPEERROR: boom"}) == 1
    assert count(logs, needle={"value": "TYPEERROR: boom", "matchCase": True}) == 0
    assert count(logs, needle={"value": "^beat .", "isRegex": True}) == 1
    assert count(logs, needle={"value": "wallTimeMs"}) == 0


def test_numbers_are_computed_in_groups(logs: Watched) -> None:
    """Count, min, max, avg, sum, percentiles and uniq are those of the values sent, in the order asked for."""
    users = [
        {"operator": name, "key": "user.id", "keyType": "number"}
        for name in ("min", "max", "avg", "sum", "median", "p90", "uniq")
    ]
    asked: dict[str, Any] = {"filters": [service("logs")], "calculations": users}
    told = logs.query(view="calculations", parameters=asked)["calculations"]
    assert [one["aggregates"][0]["value"] for one in told] == [1, 3, 2, 6, 2, 3, 3]
    calculations = [{"operator": "count"}, {"operator": "p99", "key": "$workers.wallTimeMs", "alias": "slowest"}]
    asked = {
        "filters": [service("logs"), leaf("$metadata.type", "eq", "cf-worker-event")],
        "calculations": calculations,
    }
    asked["groupBys"] = [{"type": "string", "value": "$metadata.trigger"}]
    asked |= {"orderBy": {"value": "slowest", "order": "desc"}, "limit": 1}
    counted, slowest = logs.query(view="calculations", parameters=asked)["calculations"]
    assert slowest["alias"] == "slowest"
    (group,) = slowest["aggregates"]
    assert group["groups"] == [{"key": "$metadata.trigger", "value": "GET /slow"}]
    assert group["value"] >= 200
    assert (group["count"], group["sampleInterval"]) == (1, 1)
    assert counted["aggregates"][0]["value"] == 1
    assert sum(part["data"][0]["count"] for part in slowest["series"]) == 1
    asked = {"filters": [service("logs")], "calculations": [{"operator": "count"}], "limit": 10}
    asked |= {
        "groupBys": [{"type": "string", "value": "$metadata.trigger"}],
        "havings": [{"key": "count", "operation": "gt", "value": 3}],
    }
    (counted,) = logs.query(view="calculations", parameters=asked)["calculations"]
    assert [(one["groups"][0]["value"], one["value"]) for one in counted["aggregates"]] == [("GET /fields", 9)]


def test_invocations_hold_all_events_of_a_request(logs: Watched) -> None:
    """One event that fits is enough; the others of its request come with it."""
    asked = {"filters": [service("logs"), leaf("$metadata.error", "exists")]}
    ((request, events),) = logs.query(view="invocations", parameters=asked)["invocations"].items()
    assert {event["$metadata"]["requestId"] for event in events} == {request}
    assert sorted(event["$metadata"]["type"] for event in events) == [
        "cf-worker-event",
        "cf-worker-log",
        "cf-worker-log",
    ]


def test_pages_of_events_follow_each_other(logs: Watched) -> None:
    """The id of the last event leads to the next page, without gap or repetition."""
    seen: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = logs.query(view="events", limit=7, parameters={"filters": [service("logs")]}, **more)["events"]["events"]
        if not page:
            break
        seen += [event["$metadata"]["id"] for event in page]
        more = {"offset": seen[-1]}
    assert len(seen) == len(set(seen)) == 18


def test_keys_and_values_are_found(logs: Watched) -> None:
    """Keys have their types, narrowed by a needle; values are those that were logged."""
    keys = logs.call("POST", "workers/observability/telemetry/keys", json={"filters": [service("logs")], "limit": 1000})
    found = {row["key"]: row["type"] for row in keys}
    assert (found["user.id"], found["paid"], found["$workers.wallTimeMs"]) == ("number", "boolean", "number")
    narrowed = logs.call("POST", "workers/observability/telemetry/keys", json={"keyNeedle": {"value": "WALL"}})
    assert [row["key"] for row in narrowed] == ["$workers.wallTimeMs"]
    asked = {
        "datasets": ["cloudflare-workers"],
        "timeframe": {"from": 0, "to": time.time() * 1000 + 1000},
        "filters": [service("logs")],
    }
    told = logs.call(
        "POST", "workers/observability/telemetry/values", json={**asked, "key": "user.id", "type": "number"}
    )
    assert sorted(row["value"] for row in told) == [1, 2, 3]
    told = logs.call("POST", "workers/observability/telemetry/values", json={**asked, "key": "paid", "type": "boolean"})
    assert [row["value"] for row in told] == [True]
    assert (
        logs.call(
            "POST",
            "workers/observability/telemetry/values",
            json={**asked, "datasets": ["other"], "key": "paid", "type": "boolean"},
        )
        == []
    )


def test_a_worker_without_observability_logs_nothing_that_is_kept(watched: Watched) -> None:
    """No event of it is found; one that samples is counted by what each event stands for."""
    watched.worker("quiet", logs=False)
    watched.worker("sampled", rate=0.5)
    watched.visit("quiet", *["/"] * 5)
    watched.visit("sampled", *["/"] * 60)
    watched.worker("marker")
    watched.visit("marker", "/")
    watched.settled("marker", 2)
    assert watched.logged("quiet") == 0
    calculations = [{"operator": "count"}, {"operator": "uniq", "key": "$metadata.id"}]
    counted, kept = watched.query(
        view="calculations", parameters={"filters": [service("sampled")], "calculations": calculations}
    )["calculations"]
    assert 0 < kept["aggregates"][0]["value"] < 120
    assert counted["aggregates"][0]["value"] == 2 * kept["aggregates"][0]["value"]
    assert counted["aggregates"][0]["sampleInterval"] == 2


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"view": "traces", "parameters": {}}, 501, "view 'traces'"),
        ({"view": "events", "parameters": {}, "compare": True}, 501, "compare"),
        ({"view": "events"}, 404, "There is no saved query adhoc"),
        ({"view": "calculations", "parameters": {}}, 400, "at least one calculation"),
        ({"parameters": {"calculations": [{"operator": "p42", "key": "x"}]}}, 400, "no operator 'p42'"),
        ({"parameters": {"calculations": [{"operator": "avg"}]}}, 400, "avg needs a key"),
        ({"parameters": {"calculations": [{"operator": "count"}], "orderBy": {"value": "x"}}}, 400, "called 'x'"),
        ({"view": "events", "parameters": {"filters": [leaf("a", "like", "x")]}}, 400, "no operation 'like'"),
        ({"view": "events", "parameters": {"filters": [leaf("a", "gt", "x", "number")]}}, 400, "'x' is no number"),
        ({"view": "events", "parameters": {"filters": [leaf("a", "regex", "(")]}}, 400, "Invalid regular expression"),
        ({"view": "events", "parameters": {"filters": [leaf("a", "regex", "(?=x)")]}}, 400, "RE2 has no lookaround"),
        ({"view": "events", "parameters": {}, "limit": -1}, 400, "Expected `float` >= 1.0 - at `$.limit`"),
        ({"view": "events", "parameters": {"filters": 3}}, 400, "`$.parameters.filters`"),
        ({"view": "events", "parameters": {}, "timeframe": {"from": 2, "to": 1}}, 400, "'from' must be earlier"),
    ],
)
def test_what_cannot_be_answered_is_refused(watched: Watched, body: dict[str, Any], status: int, message: str) -> None:
    """A question that is wrong, or that the twin lacks, is refused with what is wrong."""
    whole = {"queryId": "adhoc", "timeframe": {"from": 1, "to": 2}, **body}
    told = watched.refused("POST", "workers/observability/telemetry/query", whole)
    assert told[0] == status
    assert message in told[2]
