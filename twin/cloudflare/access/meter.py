"""Count calls as the provider does: 1,200 in five minutes for a user's tokens together, and for each account token.

Source: the API's documentation of its limits, read 2026-11-23; code 971 from a public issue.
"""

from __future__ import annotations

from collections import defaultdict, deque
from math import ceil

from aiohttp import web

LIMIT, WINDOW = 1200, 300.0  # calls and seconds


class Meter:
    """The calls of one user or account token: over the limit it is blocked for a window, when that is enforced."""

    def __init__(self, *, limit: int = LIMIT, window: float = WINDOW, enforced: bool = False) -> None:
        """Begin with no calls."""
        self.limit = limit
        self.window = window
        self.enforced = enforced
        self.times: deque[float] = deque()
        self.blocked_until = 0.0

    def count(self, now: float) -> int:
        """Count a call at a monotonic time in seconds and return how many are left."""
        while self.times and self.times[0] <= now - self.window:
            self.times.popleft()
        self.times.append(now)
        if self.enforced and len(self.times) > self.limit and now >= self.blocked_until:
            self.blocked_until = now + self.window
        return max(self.limit - len(self.times), 0)

    def headers(self, left: int, now: float) -> dict[str, str]:
        """Return the headers of an answer: what is left, until when, and how long to wait when nothing is."""
        reset = ceil(round(self.times[0] + self.window - now, 3)) if self.times else ceil(self.window)
        told = {
            "Ratelimit": f'"default";r={left};t={reset}',
            "Ratelimit-Policy": f'"default";q={self.limit};w={self.window:g}',
        }
        if now < self.blocked_until:
            told["Retry-After"] = str(ceil(round(self.blocked_until - now, 3)))
        return told


class Meters:
    """One meter for each user or account token; they count always and block only after `enforce`."""

    def __init__(self) -> None:
        """Begin without blocking."""
        self._of: defaultdict[str, Meter] = defaultdict(Meter)

    def enforce(self, *, calls: int = LIMIT, seconds: float = WINDOW) -> None:
        """Block whoever makes more calls than that in so many seconds; counting begins anew."""
        if calls < 1 or seconds <= 0:
            message = f"calls and seconds must be positive, not {calls} and {seconds}"
            raise ValueError(message)
        self._of = defaultdict(lambda: Meter(limit=calls, window=seconds, enforced=True))

    def lift(self) -> None:
        """Block nobody any more."""
        self._of = defaultdict(Meter)

    def of(self, who: str) -> Meter:
        """Return the meter of a user or account token."""
        return self._of[who]


METERS: web.AppKey[Meters] = web.AppKey("meters", Meters)
