"""Read Cloudflare's cron expressions and fire them each minute.

Source: Cloudflare's documentation of cron triggers, read 2026-11-23: UTC, five fields, days of the week from
1 (Sunday) to 7 (Saturday) or by name.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp

from twin.world import UnrunnableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twin.world import Routing

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (1, 7, _DAYS))
_LOOK = 0.2
_log = logging.getLogger("twin.cron")


def matches(expression: str, at: datetime) -> bool:
    """Say whether the expression names this minute (UTC). ValueError when it cannot be read."""
    minute, hour, day, month, weekday = (
        _values(field, *limits) for field, limits in zip(expression.split(), _FIELDS, strict=True)
    )
    fields = expression.split()
    on_day = at.day in day
    on_weekday = at.isoweekday() % 7 + 1 in weekday
    # As in every cron: with both fields given either one is enough.
    either = fields[2] != "*" and fields[4] != "*"
    right_day = (on_day or on_weekday) if either else (on_day and on_weekday)
    return at.minute in minute and at.hour in hour and at.month in month and right_day


def _values(field: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    found: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if first == "*":
            begin, end = low, high
        else:
            begin = _number(first, low, names)
            end = _number(last, low, names) if last else high if step else begin
        if not low <= begin <= end <= high:
            message = f"{part!r} is not between {low} and {high}"
            raise ValueError(message)
        found.update(range(begin, end + 1, int(step or 1)))
    return found


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    return low + names.index(text) if text in names else int(text)


class Schedules:
    """Fire every schedule at its minutes, and once soon after a deployment or a new schedule."""

    def __init__(self, routing: Routing, fire: Callable[[str, str], Awaitable[str]]) -> None:
        self._routing = routing
        self._fire = fire
        self._known: dict[tuple[str, str], tuple[tuple[str, float], ...]] = {}
        self._minute = int(time.time() // 60)
        self._fired: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            minute = int(time.time() // 60)
            due = minute != self._minute
            self._minute = minute
            now = datetime.fromtimestamp(minute * 60, UTC)
            schedules = {key: self._routing.live(key[0]) for key in self._routing.crons()}
            for key, live in schedules.items():
                if live and (self._known.get(key) != live or (due and self._is_due(key, now))):
                    task = asyncio.create_task(self._one(*key))
                    self._fired.add(task)
                    task.add_done_callback(self._fired.discard)
            self._known = schedules
            await asyncio.sleep(_LOOK)

    def _is_due(self, key: tuple[str, str], now: datetime) -> bool:
        try:
            return matches(key[1], now)
        except ValueError as error:
            _log.warning("%s: cron %r is not understood: %s", *key, error)
            return False

    async def _one(self, script: str, cron: str) -> None:
        try:
            await self._fire(script, cron)
        except (UnrunnableError, KeyError, aiohttp.ClientError) as error:
            _log.error("%s: cron %r did not run: %s", script, cron, error)
