"""Stand before what the edge serves: rules are compiled when they change; a request passes them in their order."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twin.shield.guards import CACHE, CHALLENGES, FIREWALL, RATES, REDIRECTS, Guard, guards, keeping
from twin.shield.rates import Rates

if TYPE_CHECKING:
    from twin.shield.cache import Keeping
    from twin.shield.visit import Visit
    from twin.world import Routing, Rules

_ORDER: Final = (REDIRECTS, FIREWALL, RATES, CACHE)
_CHALLENGE: Final = "<!DOCTYPE html><title>Just a moment...</title><p>Enable JavaScript and cookies to continue</p>"
_log = logging.getLogger("twin.shield")


@dataclass(frozen=True)
class Stop:
    """An answer in place of the service's, and the phase and id of the rule that gave it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    phase: str
    rule: str


class Judge:
    """The compiled rules of one zone. `left` says which rules the twin does not act on."""

    def __init__(self, rules: Rules, rates: Rates) -> None:
        self.revision = rules.revision
        self.bypass = rules.development
        made = {phase: guards(phase, rows) for phase, rows in rules.phases.items()}
        self.left = tuple(text for _, left in made.values() for text in left)
        self._phases = tuple((phase, made[phase][0]) for phase in _ORDER[:-1] if phase in made and made[phase][0])
        self._cached = made[CACHE][0] if CACHE in made else ()
        self._rates = rates
        self.idle = not self._phases and not self._cached

    def stop(self, visit: Visit) -> Stop | None:
        """Return the answer that a rule gives in place of the service, None when the request may pass."""
        skipped: set[str] = set()
        for phase, rules in self._phases:
            for rule in rules:
                if phase in skipped:
                    break
                if not rule.matches(visit):
                    continue
                if rule.action == "skip":
                    skipped |= rule.skips
                    continue
                stopped = self._act(rule, visit)
                if stopped is not None:
                    return stopped
        return None

    def reached_origin(self, visit: Visit) -> None:
        """Count a request that was not answered from the cache, for limits that count only those."""
        for phase, rules in self._phases:
            if phase == RATES:
                for rule in rules:
                    if rule.to_origin and rule.matches(visit):
                        self._count(rule, visit)

    def keeping(self, visit: Visit) -> Keeping | None:
        """Return what the cache rules say of a request, None when they say nothing."""
        parts = [rule.keeping for rule in self._cached if rule.matches(visit)]
        if self.bypass and parts:
            parts.append({"cache": False})
        return keeping(parts) if parts else None

    def _act(self, rule: Guard, visit: Visit) -> Stop | None:
        if rule.phase == REDIRECTS:
            return _redirected(rule, visit)
        wait = 0
        if rule.limit is not None:
            if not rule.to_origin:
                self._count(rule, visit)
            wait = self._rates.wait(_key(rule, visit), rule.limit, time.monotonic())
            if not wait:
                return None
        if rule.action == "log":
            _log.info("%s rule %s: %s %s", rule.phase, rule.id, visit.method, visit.address_text)
            return None
        return _refused(rule, wait)

    def _count(self, rule: Guard, visit: Visit) -> None:
        if rule.limit is not None and (rule.counted is None or rule.counted(visit)):
            self._rates.count(_key(rule, visit), rule.limit, time.monotonic())


class Shield:
    """The judges of all zones, each made anew when something in the store changed and its rules with it."""

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._judges: dict[str, Judge] = {}
        self._rates = Rates()

    def judge(self, host: str) -> Judge | None:
        """Return the judge of the zone that a host lies in, None when no rule stands there."""
        rules = self._routing.rules(host)
        if rules is None:
            return None
        judge = self._judges.get(rules.zone)
        if judge is None or judge.revision != rules.revision:
            before = () if judge is None else judge.left
            judge = self._judges[rules.zone] = Judge(rules, self._rates)
            for text in judge.left:
                if text not in before:
                    _log.warning("kept, not applied: %s", text)
        return None if judge.idle else judge


def _key(rule: Guard, visit: Visit) -> tuple[object, ...]:
    return (rule.id, rule.version, *(get(visit) for get in rule.by))


def _refused(rule: Guard, wait: int) -> Stop:
    """Return the answer of a block or a challenge; `wait` seconds of a rate limit, 0 for a firewall rule."""
    if rule.action in CHALLENGES:
        headers = (("cf-mitigated", "challenge"), ("content-type", "text/html; charset=UTF-8"))
        return Stop(403, headers, _CHALLENGE, rule.phase, rule.id)
    status, code = (429, 1015) if wait else (403, 1020)
    given = rule.answer
    kind = ("content-type", str(given.get("content_type") or "text/plain; charset=UTF-8"))
    return Stop(
        given.get("status_code") or status,
        (("retry-after", str(wait)), kind) if wait else (kind,),
        given.get("content") or f"error code: {code}",
        rule.phase,
        rule.id,
    )


def _redirected(rule: Guard, visit: Visit) -> Stop:
    place = rule.answer["target"]
    if rule.answer.get("preserve_query_string") and visit.query:
        place += ("&" if "?" in place else "?") + visit.query
    return Stop(rule.answer["status_code"], (("location", place),), "", rule.phase, rule.id)
