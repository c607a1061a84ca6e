"""GraphQL analytics over requests that were really sent: numbers, groups, filters, and the provider's errors."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.twin import serving
from tests.twin.cloudflare.access.test_tokens import EVERY_ZONE, WHOLE_ACCOUNT, asks, made, policy
from tests.twin.cloudflare.observability.conftest import CRON
from tests.twin.running import eventually

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane
    from tests.twin.cloudflare.observability.conftest import Watched

pytestmark = pytest.mark.twin

WORKERS = """query ($a: string!, $s: String, $from: Time!, $to: string) { viewer { accounts(filter: {accountTag: $a}) {
  workersInvocationsAdaptive(
    limit: 100, orderBy: [status_ASC], filter: {scriptName: $s, datetime_geq: $from, datetime_leq: $to}
  ) {
    dimensions { status scriptVersion scriptName }
    sum { requests errors cpuTimeUs wallTime clientDisconnects responseBodySize subrequests duration }
    quantiles { wallTimeP50 wallTimeP99 cpuTimeP99 } avg { sampleInterval } } } } }"""
ZONE = """query ($z: string!, $h: string!) { viewer { zones(filter: {zoneTag: $z}) {
  httpRequestsAdaptiveGroups(limit: 100, orderBy: [count_DESC], filter: {clientRequestHTTPHost: $h}) {
    count dimensions { edgeResponseStatus clientRequestPath } sum { edgeResponseBytes } }
  whole: httpRequestsAdaptiveGroups(limit: 1, filter: {clientRequestHTTPHost: $h, edgeResponseStatus_neq: 0}) {
    count ratio { status4xx status5xx }
    ... on ZoneHttpRequestsAdaptiveGroups { avg { edgeTimeToFirstByteMs } } } } } }"""


def instant(**ago: float) -> str:
    """Return a moment of the past as RFC 3339."""
    return (datetime.now(UTC) - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def workers(watched: Watched, name: str, **times: str) -> list[dict[str, Any]]:
    """Return the Worker's groups by status and version."""
    asked = {"from": instant(minutes=10), "to": instant(minutes=-1), **times}
    told = watched.graphql(WORKERS, a=watched.account, s=name, **asked)
    assert told["errors"] is None, told
    return list(told["data"]["viewer"]["accounts"][0]["workersInvocationsAdaptive"])


def requests(watched: Watched, name: str) -> int:
    """Return how many requests analytics know of."""
    return sum(group["sum"]["requests"] for group in workers(watched, name))


def test_workers_are_counted_and_measured_as_they_ran(watched: Watched) -> None:
    """Requests, errors, time and bytes by status and version are those of what was sent; cron events count too."""
    version = watched.worker("counted")
    assert watched.visit("counted", "/", "/", "/slow", "/busy", "/missing", "/boom", "/boom") == [
        *[200] * 4,
        404,
        500,
        500,
    ]
    watched.call("PUT", "workers/scripts/counted/schedules", json=[{"cron": CRON}])  # fires once at once
    assert eventually(lambda: requests(watched, "counted") == 8, within=10)
    threw, went = workers(watched, "counted")
    assert threw["dimensions"] == {
        "status": "scriptThrewException",
        "scriptVersion": version,
        "scriptName": "counted",
    }
    assert (threw["sum"]["requests"], threw["sum"]["errors"]) == (2, 2)
    assert (went["dimensions"]["status"], went["sum"]["requests"], went["sum"]["errors"]) == ("success", 6, 0)
    assert went["sum"]["responseBodySize"] == 4 * 100 + len("no")
    assert went["sum"]["wallTime"] > 200_000
    assert went["quantiles"]["wallTimeP99"] > 200_000 > went["quantiles"]["wallTimeP50"]
    assert went["sum"]["cpuTimeUs"] >= went["quantiles"]["cpuTimeP99"] > threw["quantiles"]["cpuTimeP99"] > 0
    assert went["sum"]["duration"] == pytest.approx(went["sum"]["wallTime"] / 1e6 / 8)
    assert went["sum"]["subrequests"] is None  # the runtime does not tell
    assert went["avg"] == {"sampleInterval": 1.0}
    assert workers(watched, "counted", to=instant(minutes=5)) == []
    assert workers(watched, "none") == []


def test_a_canary_is_judged_by_version(watched: Watched) -> None:
    """Two versions of one Worker are told apart: the share of each is what its answers said."""
    old = watched.worker("canary", tag="old")
    watched.visit("canary", "/", "/", "/")
    new = watched.worker("canary", tag="new")
    watched.visit("canary", "/boom", "/")
    assert eventually(lambda: requests(watched, "canary") == 5, within=10)
    told = Counter(
        {
            (g["dimensions"]["scriptVersion"], g["dimensions"]["status"]): g["sum"]["requests"]
            for g in workers(watched, "canary")
        }
    )
    assert told == {(old, "success"): 3, (new, "success"): 1, (new, "scriptThrewException"): 1}


def test_a_zone_counts_what_its_visitors_got(watched: Watched) -> None:
    """Groups by path and status, bytes, ratios and time to first byte; what a Worker asks another is not a visit."""
    watched.worker("zoned")
    watched.visit("zoned", "/", "/?q=1", "/missing", "/boom", "/self")
    told: dict[str, Any] = {}

    def all_there() -> bool:
        told.update(watched.graphql(ZONE, z=watched.zone, h="zoned.ems.example"))
        return [group["count"] for group in told["data"]["viewer"]["zones"][0]["whole"]] == [5]

    assert eventually(all_there, within=10), told
    (zone,) = told["data"]["viewer"]["zones"]
    groups = [
        (g["dimensions"]["clientRequestPath"], g["dimensions"]["edgeResponseStatus"], g["count"])
        for g in zone["httpRequestsAdaptiveGroups"]
    ]
    assert groups[0] == ("/", 200, 2)
    assert sorted(groups[1:]) == [("/boom", 500, 1), ("/missing", 404, 1), ("/self", 200, 1)]
    assert zone["httpRequestsAdaptiveGroups"][0]["sum"] == {"edgeResponseBytes": 200}
    assert zone["whole"][0]["ratio"] == {"status4xx": pytest.approx(0.2), "status5xx": pytest.approx(0.2)}
    assert zone["whole"][0]["avg"]["edgeTimeToFirstByteMs"] > 0
    assert requests(watched, "zoned") == 6  # with the one through the service binding


def test_a_visitor_who_leaves_is_a_disconnect(watched: Watched) -> None:
    """A request that its client gave up is neither a success nor an error."""
    watched.worker("left")
    watched.visit("left", "/")
    with pytest.raises(httpx.ReadTimeout):
        watched.edge.get("/slow", headers={"host": "left.ems.example"}, timeout=0.05)
    assert eventually(lambda: requests(watched, "left") == 2, within=10)
    told = {group["dimensions"]["status"]: group["sum"] for group in workers(watched, "left")}
    assert told.keys() == {"clientDisconnected", "success"}
    assert (told["clientDisconnected"]["clientDisconnects"], told["clientDisconnected"]["errors"]) == (1, 0)


ACCOUNT = '{ viewer { accounts(filter: {accountTag: "%s"}) { %s } } }'
DATASET = "workersInvocationsAdaptive%s { %s }"
ARGUMENTS = 'error parsing args for "workersInvocationsAdaptive"'


@pytest.mark.parametrize(
    ("arguments", "fields", "message"),
    [
        ("limit: 1", "sum { hits }", 'unknown field "hits"'),
        ("limit: 1", "sum", 'object field "sum" must have selections'),
        ("limit: 1", "sum { errors { x } }", 'scalar field "errors" must have no selection'),
        ("", "sum { errors }", f"{ARGUMENTS}: limit: not a number"),
        ('limit: "x"', "sum { errors }", f"{ARGUMENTS}: limit: not a number"),
        (
            "limit: 1, first: 2",
            "sum { errors }",
            f"{ARGUMENTS}: unknown arg first",
        ),
        (
            "limit: 1, filter: {name: 1}",
            "sum { errors }",
            f"{ARGUMENTS}: filter: unknown arg name",
        ),
        (
            'limit: 1, filter: {date_geq: "today"}',
            "sum { errors }",
            f"{ARGUMENTS}: filter: date_geq: date format should be '2006-01-02'",
        ),
        (
            'limit: 1, filter: {datetime_lt: "soon"}',
            "sum { errors }",
            f"{ARGUMENTS}: filter: datetime_lt: time format should be RFC 3339",
        ),
        ("limit: 10001", "sum { errors }", "limit must be positive number and not greater than 10000"),
        (
            'limit: 1, filter: {datetime_geq: "2020-01-01T00:00:00Z"}',
            "sum { errors }",
            "cannot request data older than 7776000s",
        ),
    ],
)
def test_what_is_wrong_is_told_in_the_providers_words(
    watched: Watched, arguments: str, fields: str, message: str
) -> None:
    """An error comes with HTTP 200, without data, with a time; the text says which field or argument."""
    dataset = DATASET % (f"({arguments})" if arguments else "", fields)
    told = watched.graphql(ACCOUNT % (watched.account, dataset))
    assert told["data"] is None
    assert [error["message"] for error in told["errors"]] == [message]
    assert told["errors"][0]["extensions"]["timestamp"].endswith("Z")


def test_what_is_not_ours_and_what_is_too_wide(watched: Watched) -> None:
    """Another account or zone is refused with the path; so is more than a week; a query that does not parse, too."""
    other = watched.graphql(ACCOUNT % ("f" * 32, DATASET % ("(limit: 1)", "sum { errors }")))
    assert other["errors"][0]["message"] == "not authorized for that account"
    assert other["errors"][0]["path"] == ["viewer", "accounts"]
    zone = watched.graphql(ZONE, z="e" * 32, h="x")
    assert zone["errors"][0]["message"] == f"zones [{'e' * 32}] are not authorized"
    wide = watched.graphql(WORKERS, a=watched.account, s="x", to=instant(), **{"from": instant(days=8)})
    assert wide["errors"][0]["message"].startswith("query time range is too large")
    assert wide["errors"][0]["path"] == ["viewer", "accounts", "0", "workersInvocationsAdaptive"]
    assert watched.api.post("graphql", json={"query": WORKERS, "variables": [1]}).json()["errors"][0]["message"] == (
        "variables: not an object"
    )
    assert "Syntax Error" in watched.graphql("{ viewer {")["errors"][0]["message"]


def test_a_token_sees_what_it_may(plane: Plane) -> None:
    """Account Analytics opens the account, Analytics its zone; neither opens a tail."""
    account = ACCOUNT % (serving.ACCOUNT, "accountTag")
    zone = f'{{ viewer {{ zones(filter: {{zoneTag: "{plane.zone}"}}) {{ zoneTag }} }} }}'
    on_account = made(plane, policy(WHOLE_ACCOUNT, "Account Analytics Read"))
    on_zone = made(plane, policy(EVERY_ZONE, "Analytics Read"))
    expected = (
        (on_account, (None, f"zones [{plane.zone}] are not authorized")),
        (on_zone, ("not authorized for that account", None)),
    )
    for token, sees in expected:
        headers = {"Authorization": f"Bearer {token['value']}"}
        answers = [
            plane.http.post("graphql", json={"query": query}, headers=headers).json() for query in (account, zone)
        ]
        assert tuple(answer["errors"] and answer["errors"][0]["message"] for answer in answers) == sees
        for method, path in (("POST", "tails"), ("DELETE", "tails/x")):
            refused = asks(plane, token, method, f"{plane.account}/workers/scripts/api/{path}")
            assert refused == (403, 10000, "Authentication error")


def test_the_schema_tells_its_names(watched: Watched) -> None:
    """Introspection works, under the provider's names of types."""
    told = watched.graphql('{ __type(name: "AccountWorkersInvocationsAdaptiveDimensions") { fields { name } } }')
    names = {field["name"] for field in told["data"]["__type"]["fields"]}
    assert {"scriptName", "scriptVersion", "status", "datetime", "datetimeHour", "date"} <= names
    told = watched.graphql(
        '{ __type(name: "ZoneHttpRequestsAdaptiveGroupsFilter_InputObject") { inputFields { name } } }'
    )
    assert "edgeResponseStatus_geq" in {field["name"] for field in told["data"]["__type"]["inputFields"]}
