"""Count requests against rate limits: per rule and characteristics, in windows, and how long one stays blocked.

Source: "Rate limiting parameters" in Cloudflare's documentation, read 2026-11-28. The provider's window slides; here
it begins with the first request, so that an example can be worked out by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

_MOST: Final = 20_000  # counters; beyond that the older half of those that block nobody is forgotten


@dataclass
class _Counter:
    begun: float
    count: int = 0
    blocked_until: float = 0.0


@dataclass(frozen=True)
class Limit:
    """So many requests in a period (seconds); then blocked for `timeout` seconds, or, when 0, until the period ends."""

    requests: int
    period: float
    timeout: float


class Rates:
    """The counters of all rules. Keys name rule, version and who is counted; times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._counters: dict[Hashable, _Counter] = {}

    def wait(self, key: Hashable, limit: Limit, now: float) -> int:
        """Return for how many seconds, rounded up, a request must wait; 0: it may pass."""
        counter = self._current(key, limit, now)
        until = counter.blocked_until
        if not limit.timeout and counter.count > limit.requests:
            until = counter.begun + limit.period
        return max(ceil(until - now), 0)

    def count(self, key: Hashable, limit: Limit, now: float) -> None:
        """Count a request; the one that is too many starts the block."""
        counter = self._current(key, limit, now)
        counter.count += 1
        if counter.count > limit.requests and limit.timeout and now >= counter.blocked_until:
            counter.blocked_until = now + limit.timeout

    def _current(self, key: Hashable, limit: Limit, now: float) -> _Counter:
        counter = self._counters.get(key)
        if counter is None or (now >= counter.begun + limit.period and now >= counter.blocked_until):
            if len(self._counters) >= _MOST:
                self._forget(now)
            counter = self._counters[key] = _Counter(now)
        return counter

    def _forget(self, now: float) -> None:
        """Keep who is blocked and the younger half of the others."""
        blocked = {key: counter for key, counter in self._counters.items() if now < counter.blocked_until}
        others = [key for key in self._counters if key not in blocked]
        self._counters = blocked | {key: self._counters[key] for key in others[len(others) // 2 :]}
