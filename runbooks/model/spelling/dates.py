"""Say why a spelling of a date or a time of day is refused, and show what was most likely meant, spelt right."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from runbooks.model.spelling.zones import spelt_zones

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.model.spelling.asker import Asker

ANY_EXAMPLE: Final = "15m ago"

Reading = tuple[str, ...] | None
"""The reason, then one or more corrected examples; None where this reading does not fit."""

REST: Final = re.compile(
    r"(?P<year>\d{4})(?P<dash>[-/.])(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?:[Tt_,;\s]+|(?=[Zz+\[])|$)"
    r"(?P<time>\d{1,2}(?::\d{1,2}(?::\d{1,2})?|(?P<dot>[-.])\d\d(?P=dot)\d\d|h\d\d|\d\d(?:\d\d)?)?)?"
    r"(?P<fraction>[.,]\d+)?\s*(?P<zone>.*)",
    re.ASCII | re.DOTALL,
)
MONTHS: Final = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
MONTH: Final = rf"(?P<month>{'|'.join(MONTHS)})[a-z]*\.?"
DAY: Final = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
NAMED_MONTHS: Final = tuple(
    re.compile(pattern, re.ASCII | re.IGNORECASE | re.DOTALL)
    for pattern in (
        rf"(?:[a-z]+\.?,? )?{MONTH} +{DAY} +(?P<rest>\d\d?:\S+)(?P<zone> +[^\d\s]\S*)? +(?P<year>\d{{4}})",
        rf"(?:[a-z]+\.?,? )?{DAY}[ /-]+{MONTH}[ /,-]+(?P<year>\d{{4}})(?!\d)[:,T ]*(?P<rest>.*)",
        rf"(?:[a-z]+\.?,? )?{MONTH}[ /-]+{DAY}[ /,-]+(?P<year>\d{{4}})(?!\d)[:,T ]*(?P<rest>.*)",
    )
)


def year_first(given: str, asker: Asker) -> Reading:
    """Explain what is wrong with a date that begins with its year, part by part."""
    match = REST.fullmatch(given)
    if not match:
        return None
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    zone = match["zone"].strip()
    half = re.match(r"([ap])\.?m\.?(?![a-z])\s*", zone, re.IGNORECASE)
    zones = spelt_zones(zone[half.end() :] if half else zone, asker.zone)
    if not is_date(year, month, day):
        return _no_such_day(year, month, day, _clock(match["time"]), zones)
    on = f"{year:04}-{month:02}-{day:02}"
    if not match["time"]:
        return "it names a day, not an instant", *_each(f"{on}T00:00:00", zones)
    hour, minute, second = _parts(match["time"], match["fraction"])
    if half:
        return "hours run from 00 to 23", *_each(f"{on}T{_full(hour, half[1]):02}:{minute:02}:{second:02}", zones)
    if impossible := _off_the_clock(on, hour, minute, second, zones):
        return impossible
    reason = next(reason for reason, made in _slips(given, on, match) if made)
    return reason, *_each(f"{on}T{hour:02}:{minute:02}:{second:02}", zones)


def year_last(given: str, asker: Asker) -> Reading:
    """Read 20/11/2026, 11/20/2026, 20.11.26: show every order that is a date."""
    match = re.match(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d\d)(?!\d)(.*)", given, re.ASCII | re.DOTALL)
    if not match:
        return None
    first, second, third = int(match[1]), int(match[2]), int(match[3])
    orders = [(third, second, first), (third, first, second)]
    reason = "the order of day and month is not said; a date is year-month-day"
    if len(match[3]) == 2:  # noqa: PLR2004 - two digits of a year
        orders = [(2000 + third, second, first), (2000 + third, first, second), (2000 + first, second, third)]
        reason = "a year of two digits may be the day; a date is year-month-day, the year with four digits"
    dates = [f"{y:04}-{m:02}-{d:02}{match[4]}" for y, m, d in orders if is_date(y, m, d)]
    examples = dict.fromkeys(example for text in dates for example in (year_first(text, asker) or ("",))[1:])
    return reason, *(examples or (ANY_EXAMPLE,))


def packed(given: str, asker: Asker) -> Reading:
    """Read 20261120T101500Z, 2026-324T…, 2026-W47-5T…: other forms of ISO 8601."""
    match = re.match(
        r"((\d{4})-?W(\d\d)(?:-?(\d))?|(\d{4})(\d\d)(\d\d)|(\d{4})-?(\d{3}))(?!\d)(?=$|[T ])(.*)",
        given,
        re.ASCII | re.DOTALL,
    )
    if not match or re.fullmatch(r"\d{7}", given, re.ASCII):
        return None
    _, of_week, week, weekday, year, month, day, of_day, number, rest = match.groups()
    try:
        if of_week:
            on = date.fromisocalendar(int(of_week), int(week), int(weekday or 1))
        elif year:
            on = date(int(year), int(month), int(day))
        else:
            on = date(int(of_day), 1, 1) + timedelta(days=int(number) - 1)
            if on.year != int(of_day):
                raise ValueError  # noqa: TRY301 - as a day that there is not in the other forms
    except (ValueError, OverflowError):
        return "this form of ISO 8601 is not read, and it names no day", ANY_EXAMPLE
    _, *examples = year_first(f"{on}{rest}", asker) or ("", ANY_EXAMPLE)
    return "of ISO 8601 only the form year-month-day with hyphens is read", *examples


def clock_only(given: str, asker: Asker) -> Reading:
    """Read a time of day without its day."""
    if not re.match(r"T?\d{1,2}[:h]\d\d", given, re.ASCII):
        return None
    _, *examples = year_first(f"{asker.now:%Y-%m-%d} {given.removeprefix('T')}", asker) or ("", ANY_EXAMPLE)
    return "it names no day", *examples


def month_name(given: str, asker: Asker) -> Reading:
    """Read `Fri, 20 Nov 2026 10:15:00 +0000`, `Nov 20 10:15:00 CET 2026`, a log's `20/Nov/2026:10:15:00 +0100`."""
    if not re.search(rf"(?<![a-z]){MONTH}(?![a-z])", given, re.IGNORECASE):
        return None
    examples = [asker.ago(timedelta(minutes=15))]
    if match := next((match for form in NAMED_MONTHS if (match := form.fullmatch(given))), None):
        parts = match.groupdict()
        on = f"{parts['year']}-{MONTHS[parts['month'].lower()]:02}-{int(parts['day']):02}"
        _, *examples = year_first(f"{on} {parts['rest']}{parts.get('zone') or ''}", asker) or ("", *examples)
    return "a month is written as a number: year-month-day", *examples


def is_date(year: int, month: int, day: int) -> bool:
    """Tell whether there is such a day in the years 1 to 9999."""
    return (
        year in range(1, 10_000) and month in range(1, 13) and day in range(1, calendar.monthrange(year, month)[1] + 1)
    )


def _each(at: str, zones: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{at}{zone}" for zone in zones)


def _parts(time: str, fraction: str | None) -> tuple[int, int, int]:
    """Return hour, minute, second; a fraction of an hour or a minute is turned into whole seconds."""
    digits = re.findall(r"\d{1,2}", time)
    hour, minute, second = (int(n) for n in (*digits, 0, 0, 0)[:3])
    if fraction and len(digits) < 3:  # noqa: PLR2004 - no seconds
        unit = 3600 if len(digits) == 1 else 60
        more_minutes, second = divmod(int(float(f"0.{fraction[1:]}") * unit), 60)
        minute += more_minutes
    return hour, minute, second


def _full(hour: int, half: str) -> int:
    """Return the hour of a clock of 12 hours as one of 24; one that is of no such clock stays."""
    noon = 12
    return hour % noon + (noon if half.lower() == "p" else 0) if 1 <= hour <= noon else min(hour, 23)


def _clock(time: str | None) -> str:
    hour, minute, second = _parts(time or "", None)
    return f"{min(hour, 23):02}:{min(minute, 59):02}:{min(second, 59):02}"


def _no_such_day(year: int, month: int, day: int, time: str, zones: tuple[str, ...]) -> Reading:
    if year < 1:
        return "there is no year 0", ANY_EXAMPLE
    if month not in range(1, 13):
        swapped = _each(f"{year:04}-{day:02}-{month:02}T{time}", zones) if is_date(year, day, month) else (ANY_EXAMPLE,)
        return f"there is no month {month}", *swapped
    last = calendar.monthrange(year, month)[1]
    reason = f"{calendar.month_name[month]} {year} has {last} days, and no day {day}"
    return reason, *_each(f"{year:04}-{month:02}-{max(1, min(day, last)):02}T{time}", zones)


def _off_the_clock(on: str, hour: int, minute: int, second: int, zones: tuple[str, ...]) -> Reading:
    if (hour, minute, second) == (24, 0, 0) and on != "9999-12-31":
        following = date.fromisoformat(on) + timedelta(days=1)
        return "hours run from 00 to 23", *_each(f"{following}T00:00:00", zones)
    if hour < 24 and minute < 60 and second < 60:  # noqa: PLR2004 - the clock's bounds
        return None
    reason = "a leap second is on no database's clock" if second == 60 else "that time is on no clock"  # noqa: PLR2004 - 23:59:60
    return reason, *_each(f"{on}T{min(hour, 23):02}:{min(minute, 59):02}:{min(second, 59):02}", zones)


def _slips(given: str, on: str, match: re.Match[str]) -> Iterator[tuple[str, bool]]:
    """Yield every slip of the pen in turn, and whether it was made."""
    zone, fraction = match["zone"].strip(), match["fraction"] or ""
    yield "it has no zone, and none is guessed", not zone
    yield "a date is written year-month-day: hyphens, four and two and two digits", not given.startswith(on)
    clock = re.fullmatch(r"\d\d:\d\d(:\d\d)?", match["time"], re.ASCII)
    yield "a time is written hours:minutes:seconds, two digits each", not clock
    bad = fraction[:1] == "," or len(fraction) > len(".123456789") or (fraction and match["time"].count(":") == 1)
    yield "a fraction of a second is a dot and at most nine digits", bool(bad)
    yield "between date and time stands a T or a space", not re.match(r"[Tt]\d| +\d", given[len(on) :], re.ASCII)
    yield "a zone is written without brackets", zone.startswith("[")
    yield "it names its zone twice; once is enough", bool(re.fullmatch(r"(Z|[+-]\d\d:\d\d)\s*\[.*\]", zone))
    offset = re.match(r"(UTC|GMT)?\s*[+-]\s*\d", zone)
    yield "an offset is written +hh:mm or -hh:mm, and nothing after it", bool(offset)
    yield f"{zone!r} is neither Z, an offset nor an IANA zone name", True
