"""Refuse rules that the provider refuses, and say which of the others the edge of the twin does not act on.

20217 and "could not parse filter expression" are known from public issues; the other codes are not confirmed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twin.cloudflare.access.permissions import RULES
from twin.cloudflare.errors import ApiError, Json, listed, required, shaped
from twin.shield.expression import compiled
from twin.shield.guards import FIREWALL, RATES, guards
from twin.shield.words import LONGEST, MalformedError, UnknownError

if TYPE_CHECKING:
    from collections.abc import Iterable

PHASES: Final = frozenset(RULES)
PERIODS: Final = (10, 60, 120, 300, 600, 3600)  # seconds
_CHALLENGES: Final = ("challenge", "js_challenge", "managed_challenge")
_BY_PHASE: Final = {
    FIREWALL: ("block", "log", "skip", *_CHALLENGES),
    RATES: ("block", "log", *_CHALLENGES),
    "http_request_cache_settings": ("set_cache_settings",),
    "http_request_dynamic_redirect": ("redirect",),
    "http_custom_errors": ("serve_error",),
    "http_response_headers_transform": ("rewrite",),
    "http_request_firewall_managed": ("execute", "skip"),
}


def check_phase(phase: str) -> str:
    """Refuse a phase that there is not."""
    if phase not in PHASES:
        raise ApiError(400, 20023, f"unknown phase {phase!r}")
    return phase


def check_rule(phase: str, rule: Json, at: int) -> None:
    """Refuse a rule by what is wrong with it; `at` is its place in the list."""
    shaped(rule, action=str, expression=str, action_parameters=dict, ratelimit=dict, ref=str, enabled=bool)
    required(rule, "action", "expression")
    where = {"pointer": f"/rules/{at}/expression"}
    if rule["action"] not in _BY_PHASE[phase]:
        text = f"'{rule['action']}' is not a valid value for action because it is not allowed in the phase {phase}"
        raise ApiError(400, 20016, text, source={"pointer": f"/rules/{at}/action"})
    if len(rule["expression"]) > LONGEST:
        raise ApiError(400, 20127, f"expression is longer than {LONGEST} characters", source=where)
    for name, text in _expressions(rule):
        try:
            compiled(text)
        except UnknownError:
            continue  # the provider may know it
        except MalformedError as error:
            said = f"'{text}' is not a valid value for {name} because could not parse filter expression: {error}"
            raise ApiError(400, 20127, said, source=where) from None
    if phase == RATES:
        _check_rate(rule, at)


def _expressions(rule: Json) -> Iterable[tuple[str, str]]:
    yield "expression", rule["expression"]
    counting = (rule.get("ratelimit") or {}).get("counting_expression")
    if isinstance(counting, str) and counting:
        yield "counting_expression", counting


def _check_rate(rule: Json, at: int) -> None:
    rate, where = rule.get("ratelimit"), {"pointer": f"/rules/{at}/ratelimit"}
    if not rate:
        raise ApiError(400, 20120, "a rule of this phase needs ratelimit", source=where)
    shaped(rate, period=int, requests_per_period=int, mitigation_timeout=int, counting_expression=str)
    if "cf.colo.id" not in listed(rate, "characteristics", str):
        raise ApiError(400, 20155, "characteristics must include cf.colo.id", source=where)
    if rate.get("period") not in PERIODS:
        allowed = ", ".join(map(str, PERIODS))
        raise ApiError(400, 20121, f"period {rate.get('period')} is none of {allowed}", source=where)
    if not rate.get("requests_per_period") and not rate.get("score_per_period"):
        raise ApiError(400, 20122, "requests_per_period is required", source=where)


def left_alone(rulesets: Iterable[Json]) -> list[Json]:
    """Return messages that say which rules are kept and not acted on."""
    texts = [text for row in rulesets for text in guards(row["phase"], row["rules"])[1]]
    return [{"code": 501, "message": f"kept, not applied: {text}"} for text in texts]
