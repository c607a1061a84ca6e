"""Read a point in time as an operator types it, and refuse whatever could mean two things.

    2026-11-20T10:15:00Z               RFC 3339 with its zone, also +01:00
    2026-11-20 11:15 Europe/Paris      local time with an IANA zone name
    15m ago                            a distance: s, m, h or d (24 hours)
    before:<id>                        the moment before a run's first change or a deployment, looked up by the caller
    backup:<id>                        the moment of a backup's snapshot, looked up by the caller

Everything else is refused with the reason and corrected examples, each of which would be taken (`timepoint_refusals`,
`spelling`). A point is kept in UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec
from whenever import Instant, OffsetDateTime, PlainDateTime, RepeatedTime, SkippedTime, TimeDelta, available_timezones

from runbooks.model.errors import Refused
from runbooks.model.spelling.zones import spelt_zones
from runbooks.model.timepoint_refusals import ANY_EXAMPLE, LONGEST, Asker, PointRefused, explain

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
MOMENT: Final = timedelta(microseconds=1)
"""What lies between an event and the moment before it: PostgreSQL's clock knows nothing finer."""
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
        fraction = f"{self.at:.%f}" if self.at.microsecond else ""
        return f"{self.at:%Y-%m-%d %H:%M:%S}{fraction} UTC ({when} {zone})"


class Window(msgspec.Struct, frozen=True):
    """What can be reached, as the provider says: UTC instants, None where it does not say."""

    earliest: datetime | None
    latest: datetime | None


class TooLate(PointRefused):
    """The point lies in the future."""


Lookup: TypeAlias = "Callable[[str], datetime]"
"""Gives the instant of an event by its id. Raises Refused where there is none of it, or several."""


def parse(
    text: str,
    asker: Asker,
    *,
    reach: Reach = Reach.SECOND,
    before: Lookup | None = None,
    backup: Lookup | None = None,
) -> Point:
    """Turn what was typed into a Point that is not later than the asker's now.

    `before` looks up the moment of a run's first change or of a deployment, `backup` that of a backup's snapshot,
    which is exact. A distance and the moment before an event are cut to what `reach` allows; a written time that is
    finer is refused. Raises PointRefused with the reason and examples that would be taken, and what a look-up raises.
    """

    def read(text: str) -> Point:
        return _read(text.strip(" "), asker, reach, {"before": before, "backup": backup})

    try:
        return read(text)
    except PointRefused as refusal:
        examples, late = _taken(refusal, read)
        if examples == refusal.examples:
            raise
        reason = f"{refusal.reason}; {late} would lie in the future" if late and not examples else refusal.reason
        raise PointRefused(refusal.given, reason, *(examples or (ANY_EXAMPLE,)), asker=asker) from None


def _read(given: str, asker: Asker, reach: Reach, lookups: dict[str, Lookup | None]) -> Point:
    if len(given) > LONGEST:
        raise explain(given, asker)
    if event := EVENT.fullmatch(given):
        at = _of_event(given, event["kind"], event["id"], asker, lookups[event["kind"]])
        at = at if event["kind"] == "backup" else _cut(at, reach)
    elif distance := DISTANCE.fullmatch(given):
        at = _cut(_of_distance(given, int(distance["count"]) * SECONDS[distance["unit"]], asker), reach)
    elif match := ISO.fullmatch(given):
        at = _reachable(given, _of_iso(given, match, asker), reach, asker)
    else:
        raise explain(given, asker)
    if at > asker.now:
        now = Point(asker.now.replace(microsecond=0), "").utc
        reason = f"{Point(at, '').utc} lies in the future; it is {now} now"
        raise TooLate(given, reason, ANY_EXAMPLE, asker=asker)
    return Point(at, given)


def _taken(refusal: PointRefused, read: Callable[[str], Point]) -> tuple[tuple[str, ...], str]:
    """Return the refusal's examples as far as they would be taken, else what their own refusals show; and a late one.

    A local time that is shown without its zone may be one that exists twice; a day may lie in the future.
    """
    taken: list[str] = []
    late = ""
    for example in refusal.examples:
        try:
            read(example)
            taken.append(example)
        except TooLate:
            late = late or example
        except PointRefused as other:
            better, later = _taken(other, read) if other.given != refusal.given else ((), "")
            taken += better
            late = late or later
        except Refused:
            continue  # an event that is not there
    return tuple(dict.fromkeys(taken)), late


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
        raise PointRefused(given, "that is now, and nothing would be taken back", ANY_EXAMPLE, asker=asker)
    try:
        return asker.now.astimezone(UTC) - timedelta(seconds=seconds)
    except OverflowError:
        raise PointRefused(given, "that is before the year 1", ANY_EXAMPLE, asker=asker) from None


def _of_event(given: str, kind: str, name: str, asker: Asker, lookup: Lookup | None) -> datetime:
    if lookup is None:
        raise PointRefused(given, f"no {kind}:<id> can be looked up here", ANY_EXAMPLE, asker=asker)
    at = lookup(name)
    return at - MOMENT if kind == "before" else at


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
        raise PointRefused(given, "that is outside the years 1 to 9999", ANY_EXAMPLE, asker=asker) from None


def _at_offset(given: str, local: PlainDateTime, offset: str, asker: Asker) -> Instant:
    if offset != "Z":
        minutes = int(offset[:3]) * 60 + int(offset[0] + offset[4:])
        if not WIDEST_OFFSETS[0] <= minutes <= WIDEST_OFFSETS[1] or int(offset[4:]) > 59:  # noqa: PLR2004 - minutes
            reason = f"no place on Earth is at {offset}; offsets run from -12:00 to +14:00"
            examples = (f"{local.format_iso()}{zone}" for zone in spelt_zones("", asker.zone))
            raise PointRefused(given, reason, *examples, asker=asker)
    return OffsetDateTime.parse_iso(f"{local.format_iso()}{offset}").to_instant()


def _in_zone(given: str, local: PlainDateTime, zone: str, asker: Asker) -> Instant:
    if re.match(r"(UTC|GMT)[+-]?\d", zone):
        raise explain(given, asker)
    if zone != UNZONED and ("/" not in zone or zone not in available_timezones()):
        examples = (f"{local.format_iso()}{meant}" for meant in spelt_zones(zone, asker.zone))
        reason = f"{zone} is not an IANA zone name of the form Region/City, nor UTC"
        raise PointRefused(given, reason, *examples, asker=asker)
    if turned := re.fullmatch(r"Etc/GMT([+-])([1-9]\d*)", zone):
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
