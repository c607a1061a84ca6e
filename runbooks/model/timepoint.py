"""Read a point in time as an operator types it, and refuse whatever could mean two things.

    2026-11-20T10:15:00Z               RFC 3339 with its zone, also +01:00
    2026-11-20 11:15 Europe/Paris      local time with an IANA zone name
    15m ago                            a distance: s, m, h or d (24 hours)
    before:<run>                       the moment before a run's first change, looked up by the caller
    backup:<id>                        the moment of an own backup, likewise

Everything else is refused with the reason and a corrected example (`timepoint_refusals`). A point is kept in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from whenever import Instant, OffsetDateTime, PlainDateTime, RepeatedTime, SkippedTime, TimeDelta, available_timezones

from runbooks.model.timepoint_refusals import Asker, PointRefused, explain
from runbooks.model.zones import nearest_zone

if TYPE_CHECKING:
    from collections.abc import Callable

ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)(?:[Tt]| +)(?P<time>\d\d:\d\d)(?P<second>:\d\d)?(?P<fraction>\.\d{1,9})?"
    r"(?: *(?P<offset>[Zz]|[+-]\d\d:\d\d)| +(?P<zone>[A-Za-z][A-Za-z0-9_+/-]*))",
    re.ASCII,
)
DISTANCE: Final = re.compile(r"(?P<count>\d{1,9})(?P<unit>[smhd]) +ago", re.ASCII)
EVENT: Final = re.compile(r"(?P<kind>before|backup):(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{0,127})", re.ASCII)
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WIDEST_OFFSETS: Final = (-12 * 60, 14 * 60)
"""Minutes east of UTC: the offsets in use on Earth run from -12:00 to +14:00 (IANA tz database)."""
UNZONED: Final = "UTC"
"""The only zone name without a `Region/`: others (CET, EST, GMT0 …) name a rule that surprises half of the year."""


class Reach(StrEnum):
    """How finely a strategy can aim, in the word that the operator reads."""

    SECOND = "whole seconds"
    MICROSECOND = "microseconds"


class Point(msgspec.Struct, frozen=True):
    """One instant. `at` is UTC; `given` is what the operator typed."""

    at: datetime
    given: str

    @property
    def utc(self) -> str:
        """Return the instant as RFC 3339 in UTC, with a fraction only where there is one."""
        return self.at.isoformat().replace("+00:00", "Z")

    def spoken(self, zone: str) -> str:
        """Return the instant for the operator: UTC, then the local time of `zone` (an IANA name)."""
        local = Instant(self.at).to_tz(zone).to_stdlib()
        when = f"{local:%H:%M:%S}" if local.date() == self.at.date() else f"{local:%Y-%m-%d %H:%M:%S}"
        return f"{self.at:%Y-%m-%d %H:%M:%S} UTC ({when} {zone})"


class Window(msgspec.Struct, frozen=True):
    """What can be reached, as the provider says: UTC instants, None where it does not say."""

    earliest: datetime | None
    latest: datetime | None


def parse(
    text: str,
    asker: Asker,
    *,
    reach: Reach = Reach.SECOND,
    before: Callable[[str], datetime] | None = None,
    backup: Callable[[str], datetime] | None = None,
) -> Point:
    """Turn what was typed into a Point that is not later than the asker's now.

    `before` looks up the moment before a run's first change by the run's id, `backup` the moment of a backup, which
    is exact. A distance and a run's moment are cut to what `reach` allows; a written time that is finer is refused.
    Raises PointRefused with the reason and examples.
    """
    given = text.strip(" ")
    if event := EVENT.fullmatch(given):
        backs_up = event["kind"] == "backup"
        lookup, kind = (backup, "backups") if backs_up else (before, "runs")
        at = _of_event(given, event["id"], asker, lookup, kind=kind)
        at = at if backs_up else _cut(at, reach)
    elif distance := DISTANCE.fullmatch(given):
        at = _cut(_of_distance(given, int(distance["count"]) * SECONDS[distance["unit"]], asker), reach)
    elif match := ISO.fullmatch(given):
        at = _reachable(given, _of_iso(given, match, asker), reach, asker)
    else:
        raise explain(given, asker)
    if at > asker.now:
        now = Point(asker.now.replace(microsecond=0), "").utc
        reason = f"{Point(at, '').utc} lies in the future; it is {now} now"
        raise PointRefused(given, reason, "15m ago", asker=asker)
    return Point(at, given)


def check_window(point: Point, window: Window, asker: Asker) -> Point:
    """Return the point if the window begins before it; raise PointRefused with the earliest point otherwise.

    The window's end is no reason to refuse: archives lag behind by minutes, and a restore waits for them.
    """
    if window.earliest is None:
        raise PointRefused(point.given, "the provider names no earliest point, so nothing can be reached", asker=asker)
    if point.at < window.earliest:
        earliest = Point(window.earliest, "").utc
        raise PointRefused(point.given, f"the backups begin later, at {earliest}", earliest, asker=asker)
    return point


def _cut(at: datetime, reach: Reach) -> datetime:
    return at.replace(microsecond=0) if reach is Reach.SECOND else at


def _reachable(given: str, instant: Instant, reach: Reach, asker: Asker) -> datetime:
    at = instant.to_stdlib()
    if _cut(at, reach) == at and instant == Instant(at):
        return at
    reason = f"this restore aims at {reach.value}, and this is finer"
    raise PointRefused(given, reason, Point(_cut(at, reach), "").utc, asker=asker)


def _of_distance(given: str, seconds: int, asker: Asker) -> datetime:
    if seconds == 0:
        raise PointRefused(given, "that is now, and nothing would be taken back", "15m ago", asker=asker)
    try:
        return asker.now.astimezone(UTC) - timedelta(seconds=seconds)
    except OverflowError:
        raise PointRefused(given, "that is before the year 1", "15m ago", asker=asker) from None


def _of_event(given: str, name: str, asker: Asker, lookup: Callable[[str], datetime] | None, *, kind: str) -> datetime:
    if lookup is not None:
        return lookup(name)
    example = Point(asker.now.replace(microsecond=0) - timedelta(minutes=15), "").utc
    raise PointRefused(given, f"no {kind} can be looked up here", example, asker=asker)


def _of_iso(given: str, match: re.Match[str], asker: Asker) -> Instant:
    """Return the instant of a written time. A leap second, hour 24 and impossible dates are refused."""
    plain = f"{match['date']}T{match['time']}{match['second'] or ':00'}{match['fraction'] or ''}"
    if match["second"] == ":60" or (match["fraction"] and not match["second"]):
        raise explain(given, asker)
    try:
        local = PlainDateTime.parse_iso(plain)
    except ValueError:
        raise explain(given, asker) from None
    try:
        if match["offset"]:
            return _at_offset(given, local, match["offset"].upper(), asker)
        return _in_zone(given, local, match["zone"], asker)
    except ValueError:
        raise PointRefused(given, "that is outside the years 1 to 9999", "15m ago", asker=asker) from None


def _at_offset(given: str, local: PlainDateTime, offset: str, asker: Asker) -> Instant:
    if offset != "Z":
        minutes = int(offset[:3]) * 60 + int(offset[0] + offset[4:])
        if not WIDEST_OFFSETS[0] <= minutes <= WIDEST_OFFSETS[1] or int(offset[4:]) > 59:  # noqa: PLR2004 - minutes
            reason = f"no place on Earth is at {offset}; offsets run from -12:00 to +14:00"
            raise PointRefused(given, reason, f"{local.format_iso()}Z", asker=asker)
    return OffsetDateTime.parse_iso(f"{local.format_iso()}{offset}").to_instant()


def _in_zone(given: str, local: PlainDateTime, zone: str, asker: Asker) -> Instant:
    if re.match(r"(UTC|GMT)[+-]?\d", zone):
        raise explain(given, asker)
    if zone != UNZONED and ("/" not in zone or zone not in available_timezones()):
        example = f"{local.format_iso()} {nearest_zone(zone)}"
        reason = f"{zone} is not an IANA zone name of the form Region/City, nor UTC"
        raise PointRefused(given, reason, example, asker=asker)
    if turned := re.fullmatch(r"Etc/GMT([+-])(\d+)", zone):
        offset = f"{'-' if turned[1] == '+' else '+'}{int(turned[2]):02}:00"
        reason = f"{zone} means UTC{offset}, the other way round than it reads"
        raise PointRefused(given, reason, f"{local.format_iso()}{offset}", asker=asker)
    try:
        return local.assume_tz(zone, disambiguation="raise").to_instant()
    except SkippedTime:
        reason = f"this local time does not exist in {zone}: clocks go forward over it"
        raise PointRefused(given, reason, _spelt(local, zone, "later"), asker=asker) from None
    except RepeatedTime:
        both = (_spelt(local, zone, "earlier"), _spelt(local, zone, "later"))
        reason = f"this local time exists twice in {zone}: clocks go back over it"
        raise PointRefused(given, reason, *both, asker=asker) from None


def _spelt(local: PlainDateTime, zone: str, which: Literal["earlier", "later"]) -> str:
    return local.assume_tz(zone, disambiguation=which).to_fixed_offset().format_iso()


def distance(span: TimeDelta) -> str:
    """Return a time span as it is said: "42 min", "1 h 05 min", "3 d 4 h"."""
    seconds = int(span.total("seconds"))
    if seconds < SECONDS["m"]:
        return f"{seconds} s"
    minutes = seconds // SECONDS["m"]
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:  # noqa: PLR2004 - hours of a day
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"
