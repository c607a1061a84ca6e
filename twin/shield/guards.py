"""Turn the rules of a zone, as the API keeps them, into guards that a request passes. A rule is taken whole or not.

Sources, read 2026-11-28: Cloudflare's documentation of custom rules, rate limiting rules, cache rules, single redirects
and of the `skip` action. A challenge is answered as to a visitor who does not solve it: 403 with `cf-mitigated`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from twin.shield.cache import Keeping
from twin.shield.expression import Getter, Test, compiled, compiled_value
from twin.shield.rates import Limit
from twin.shield.words import MalformedError, UnknownError

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
FIREWALL: Final = "http_request_firewall_custom"
RATES: Final = "http_ratelimit"
CACHE: Final = "http_request_cache_settings"
REDIRECTS: Final = "http_request_dynamic_redirect"
CHALLENGES: Final = frozenset({"challenge", "js_challenge", "managed_challenge"})
_MOVED: Final = 301
_STANDING: Final = frozenset({"block", "log", *CHALLENGES})


@dataclass(frozen=True)
class Guard:
    """One rule: what it fits and what it does. `phase` and `id` name it in logs."""

    phase: str
    id: str
    version: str
    matches: Test
    action: str
    answer: Json = field(default_factory=dict)
    skips: frozenset[str] = frozenset()
    limit: Limit | None = None
    counted: Test | None = None
    by: tuple[Getter, ...] = ()
    to_origin: bool = False
    keeping: Json = field(default_factory=dict)


def guard(phase: str, rule: Json) -> Guard:
    """Return the guard of a rule. UnknownError names what of it the twin cannot do; MalformedError: no expression."""
    build = _BUILDERS.get(phase)
    if build is None:
        message = f"phase {phase}"
        raise UnknownError(message)
    return build(phase, rule)


def _plain(phase: str, rule: Json, actions: frozenset[str], **more: Any) -> Guard:  # noqa: ANN401 - Guard's own fields
    if rule["action"] not in actions:
        message = f"action {rule['action']!r}"
        raise UnknownError(message)
    known = {"id": rule["id"], "version": rule["version"], "action": rule["action"]}
    return Guard(phase=phase, matches=compiled(rule["expression"]), **known, **more)


def _only(parameters: Json, *known: str) -> None:
    """Refuse a rule that asks for more than the twin does."""
    unknown = sorted(key for key, value in parameters.items() if key not in known and value not in (None, False, {}))
    if unknown:
        message = f"action_parameters.{unknown[0]}"
        raise UnknownError(message)


def _firewall(phase: str, rule: Json) -> Guard:
    parameters = rule.get("action_parameters") or {}
    if rule["action"] != "skip":
        _only(parameters, "response")
        return _plain(phase, rule, _STANDING, answer=_own_answer(parameters))
    _only(parameters, "ruleset", "phases")
    skips = {phase} if parameters.get("ruleset") == "current" else set()
    skips |= set(parameters.get("phases") or ())
    if not skips:
        message = "a skip of nothing"
        raise UnknownError(message)
    return _plain(phase, rule, frozenset({"skip"}), skips=frozenset(skips))


def _own_answer(parameters: Json) -> Json:
    """Return the answer that a rule has of its own: status, content and its type."""
    given = parameters.get("response") or {}
    return {**given, "status_code": int(given["status_code"])} if given.get("status_code") else dict(given)


def _rate(phase: str, rule: Json) -> Guard:
    parameters, rate = rule.get("action_parameters") or {}, rule.get("ratelimit") or {}
    _only(parameters, "response")
    known = ("characteristics", "period", "requests_per_period", "mitigation_timeout", "requests_to_origin")
    unknown = sorted(key for key, value in rate.items() if key not in (*known, "counting_expression") and value)
    if unknown or not rate.get("requests_per_period"):
        message = f"ratelimit.{unknown[0] if unknown else 'requests_per_period'}"
        raise UnknownError(message)
    counting = rate.get("counting_expression")
    return _plain(
        phase,
        rule,
        _STANDING,
        answer=_own_answer(parameters),
        limit=Limit(
            int(rate["requests_per_period"]), float(rate["period"]), float(rate.get("mitigation_timeout") or 0)
        ),
        counted=compiled(counting) if counting else None,
        by=tuple(_characteristic(name) for name in rate["characteristics"] if name != "cf.colo.id"),
        to_origin=bool(rate.get("requests_to_origin")),
    )


def _characteristic(name: str) -> Getter:
    """Return what requests are counted by: a field, or the first value of a header, a cookie or an argument."""
    return compiled_value(f"{name}[0]" if name.endswith("]") else name)


def _cached(phase: str, rule: Json) -> Guard:
    parameters = rule.get("action_parameters") or {}
    _only(parameters, "cache", "edge_ttl", "browser_ttl")
    _only(parameters.get("edge_ttl") or {}, "mode", "default", "status_code_ttl")
    keeping([parameters])
    return _plain(phase, rule, frozenset({"set_cache_settings"}), keeping=parameters)


def _redirect(phase: str, rule: Json) -> Guard:
    parameters = rule.get("action_parameters") or {}
    _only(parameters, "from_value")
    wanted = parameters.get("from_value") or {}
    target = wanted.get("target_url") or {}
    if not target.get("value"):
        message = "target_url.expression"
        raise UnknownError(message)
    status = int(wanted.get("status_code") or _MOVED)
    return _plain(
        phase, rule, frozenset({"redirect"}), answer={**wanted, "status_code": status, "target": target["value"]}
    )


_BUILDERS: Final[dict[str, Callable[[str, Json], Guard]]] = {
    FIREWALL: _firewall,
    RATES: _rate,
    CACHE: _cached,
    REDIRECTS: _redirect,
}


def guards(phase: str, rules: list[Json]) -> tuple[tuple[Guard, ...], tuple[str, ...]]:
    """Return the guards of a phase's enabled rules, in their order, and in words what the twin does not act on."""
    made: list[Guard] = []
    left: list[str] = []
    for rule in rules:
        if rule.get("enabled", True):
            try:
                made.append(guard(phase, rule))
            except (MalformedError, UnknownError) as error:
                left.append(f"{phase} rule {rule.get('description') or rule['id']!r}: the twin does not know {error}")
            except (AttributeError, KeyError, TypeError, ValueError) as error:  # parameters of another shape
                left.append(f"{phase} rule {rule.get('description') or rule['id']!r}: cannot be read: {error!r}")
    return tuple(made), tuple(left)


def keeping(parts: list[Json]) -> Keeping:
    """Return what cache rules say together: for each setting the last rule that names it."""
    whole: Json = {}
    for part in parts:
        whole |= {name: value for name, value in part.items() if value is not None}
    edge, browser = whole.get("edge_ttl") or {}, whole.get("browser_ttl") or {}
    spans = [_span(one) for one in edge.get("status_code_ttl") or []]
    respects = edge.get("mode") in {None, "respect_origin"}
    return Keeping(
        on=bool(whole.get("cache", True)) and edge.get("mode") != "bypass_by_default",
        edge=None if respects else int(edge.get("default") or 0),
        browser=int(browser.get("default") or 0) if browser.get("mode") == "override_origin" else None,
        by_status=tuple(spans),
    )


def _span(one: Json) -> tuple[range, int]:
    """Return the statuses of one entry of status_code_ttl with their seconds."""
    bounds = one.get("status_code_range") or {}
    first = int(one.get("status_code") or bounds.get("from") or 100)
    last = int(one.get("status_code") or bounds.get("to") or 599)
    return range(first, last + 1), int(one["value"])
