"""Rules as a request passes them: order, skips, answers, and rules that are kept and not applied."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict

from twin.shield.guards import CACHE, FIREWALL, RATES, REDIRECTS
from twin.shield.rates import Rates
from twin.shield.shield import Judge
from twin.shield.visit import Visit
from twin.world import Rules

RATE = {"characteristics": ["cf.colo.id", "ip.src"], "period": 60, "requests_per_period": 1, "mitigation_timeout": 60}


def rule(action: str, expression: str = "true", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a rule's own fields
    """Return a rule as the API keeps it."""
    return {"id": f"{action}-{expression}", "version": "1", "action": action, "expression": expression, **more}


def judge(**phases: list[dict[str, Any]]) -> Judge:
    """Return the judge of these phases."""
    names = {"firewall": FIREWALL, "rates": RATES, "cache": CACHE, "redirects": REDIRECTS, "managed": "managed"}
    return Judge(Rules("z", 1, {names[key]: rules for key, rules in phases.items()}), Rates())


def visit(path: str = "/", remote: str = "192.0.2.1", **headers: str) -> Visit:
    """Return a request."""
    sent = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Visit(method="GET", host="ems.example", target=path, headers=sent, remote=remote)


def status(one: Judge, asked: Visit) -> int:
    """Return what a rule answers, 0 when the request may pass."""
    stop = one.stop(asked)
    return stop.status if stop else 0


def test_blocks_challenges_and_answers_of_a_rule_itself() -> None:
    """A block is 403, a challenge 403 with its mark, a rule may have an answer of its own; log lets pass."""
    own = {"response": {"status_code": 451, "content": "no", "content_type": "text/plain"}}
    stop = judge(firewall=[rule("log"), rule("block", action_parameters=own)]).stop(visit())
    assert stop is not None
    assert (stop.status, stop.body, stop.headers) == (451, "no", (("content-type", "text/plain"),))
    for action in ("challenge", "js_challenge", "managed_challenge"):
        stop = judge(firewall=[rule(action)]).stop(visit())
        assert stop is not None
        assert (stop.status, dict(stop.headers)["cf-mitigated"]) == (403, "challenge")
    stop = judge(firewall=[rule("block")]).stop(visit())
    assert stop is not None
    assert (stop.status, stop.body) == (403, "error code: 1020")


def test_a_skip_leaves_out_the_rest_or_other_phases() -> None:
    """`ruleset: current` ends the ruleset, `phases` leaves those out; a request that does not fit skips nothing."""
    current = rule("skip", 'http.request.uri.path eq "/ok"', action_parameters={"ruleset": "current"})
    one = judge(firewall=[current, rule("block")], rates=[rule("block", ratelimit=RATE | {"requests_per_period": 9})])
    assert [status(one, visit("/ok")), status(one, visit("/no"))] == [0, 403]
    phases = rule("skip", action_parameters={"phases": [RATES]})
    limited = [rule("block", ratelimit=RATE)]
    assert [status(judge(firewall=[phases], rates=limited), visit()) for _ in range(3)] == [0, 0, 0]


def test_a_rate_limit_counts_by_its_characteristics() -> None:
    """By address and by a header; what is too much is told how long to wait."""
    one = judge(rates=[rule("block", ratelimit=RATE)])
    assert [status(one, visit()), status(one, visit()), status(one, visit(remote="192.0.2.2"))] == [0, 429, 0]
    stop = one.stop(visit())
    assert stop is not None
    assert (dict(stop.headers)["retry-after"], stop.body) == ("60", "error code: 1015")
    by_key = RATE | {"characteristics": ["cf.colo.id", 'http.request.headers["x-key"]']}
    keyed = judge(rates=[rule("block", ratelimit=by_key)])
    assert [status(keyed, visit(x_key=key)) for key in ("a", "b", "a")] == [0, 0, 429]


def test_a_limit_may_count_other_requests_than_it_stops() -> None:
    """With a counting expression only those count; with requests_to_origin only what the cache did not answer."""
    failing = RATE | {"counting_expression": 'http.request.uri.path eq "/login"'}
    one = judge(rates=[rule("block", ratelimit=failing)])
    assert [status(one, visit(path)) for path in ("/", "/", "/login", "/login", "/")] == [0, 0, 0, 429, 429]
    to_origin = judge(rates=[rule("block", ratelimit=RATE | {"requests_to_origin": True})])
    assert [status(to_origin, visit()) for _ in range(3)] == [0, 0, 0]
    for _ in range(2):
        to_origin.reached_origin(visit())
    assert status(to_origin, visit()) == 429


def test_redirects_come_first() -> None:
    """A redirect answers before the firewall does, with the query when that is wanted."""
    target = {"target_url": {"value": "https://ems.example/new"}, "status_code": 302, "preserve_query_string": True}
    moved = rule("redirect", 'http.request.uri.path eq "/old"', action_parameters={"from_value": target})
    one = judge(firewall=[rule("block")], redirects=[moved])
    stop = one.stop(visit("/old?a=1"))
    assert stop is not None
    assert (stop.status, dict(stop.headers)["location"]) == (302, "https://ems.example/new?a=1")
    assert status(one, visit("/new")) == 403


@pytest.mark.parametrize(
    ("phase", "left", "reason"),
    [
        ("firewall", rule("block", "cf.bot_management.score lt 30"), "field 'cf.bot_management.score'"),
        ("firewall", rule("skip", action_parameters={"products": ["waf"]}), "action_parameters.products"),
        ("firewall", rule("rewrite"), "action 'rewrite'"),
        ("rates", rule("block", ratelimit=RATE | {"score_per_period": 5}), "ratelimit.score_per_period"),
        (
            "rates",
            rule("block", ratelimit=RATE | {"characteristics": ["cf.unique_visitor_id"]}),
            "cf.unique_visitor_id",
        ),
        ("cache", rule("set_cache_settings", action_parameters={"cache_key": {"a": 1}}), "action_parameters.cache_key"),
        ("redirects", rule("redirect", action_parameters={"from_value": {"target_url": {}}}), "target_url.expression"),
        ("managed", rule("execute"), "phase managed"),
    ],
)
def test_a_rule_is_taken_whole_or_not_at_all(phase: str, left: dict[str, Any], reason: str) -> None:
    """What the twin cannot do of a rule is named, the rule does nothing, its neighbours go on."""
    one = judge(**{phase: [left]})
    assert len(one.left) == 1
    assert reason in one.left[0]
    assert (one.idle, status(one, visit())) == (True, 0)


def test_a_rule_that_is_switched_off_does_nothing() -> None:
    """`enabled: false` is no guard and no complaint."""
    one = judge(firewall=[rule("block", enabled=False)])
    assert (one.idle, one.left) == (True, ())


def test_in_development_mode_nothing_is_kept() -> None:
    """Cache rules are left out while the zone is in development mode."""
    hour = {"cache": True, "edge_ttl": {"mode": "override_origin", "default": 3600}}
    rules = {CACHE: [rule("set_cache_settings", action_parameters=hour)]}
    kept = [Judge(Rules("z", 1, rules, development=mode), Rates()).keeping(visit()) for mode in (False, True)]
    assert [one.on for one in kept if one is not None] == [True, False]
