"""Say why a spelling of a point in time is refused, and show what was most likely meant, spelt right.

Each reading is tried in turn; the first that fits explains. An example is never acted on: the operator types it.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from runbooks.model.errors import Refused
from runbooks.model.zones import spelt_zone

if TYPE_CHECKING:
    from collections.abc import Callable

ANY_EXAMPLE: Final = "15m ago"
UNITS: Final = {
    **dict.fromkeys(("s", "sec", "second"), 1),
    **dict.fromkeys(("m", "min", "minute"), 60),
    **dict.fromkeys(("h", "hr", "hour"), 3600),
    **dict.fromkeys(("d", "day"), 86400),
    **dict.fromkeys(("w", "week"), 604800),
}
EPOCH_UNITS: Final = (("seconds", 1, 9, 10), ("milliseconds", 1_000, 12, 13), ("microseconds", 1_000_000, 15, 16))
"""Unit, how many a second, digits from and to, for points between 1973 and 2286."""

Reading = tuple[str, ...] | None
"""The reason, then one or more corrected examples; None where this reading does not fit."""


@dataclass(frozen=True)
class Asker:
    """Who typed the point: `now` in UTC, the IANA `zone` they most likely think in, and the command they typed."""

    now: datetime
    zone: str = "UTC"
    command: str = "invoke restore --point="


class PointRefused(Refused):
    """The point is refused; `examples` are spellings that would be taken. Of several the next command only looks."""

    def __init__(self, given: str, reason: str, *examples: str, asker: Asker) -> None:
        look = " --dry-run" if examples[1:] else ""
        advice = f" Write for example: {' or '.join(examples)}" if examples else ""
        super().__init__(
            f"The point {given!r} is refused: {reason}.{advice}",
            next_command=f'{asker.command}"{examples[0]}"{look}' if examples else None,
        )
        self.reason = reason
        self.examples = examples


def explain(given: str, asker: Asker) -> PointRefused:
    """Return the refusal of a spelling that is none of the grammar's."""
    reason, *examples = _read(given, asker) or ("it is no point in time of a known form", _z(_recent(asker)), "15m ago")
    return PointRefused(given, reason, *examples, asker=asker)


def _read(given: str, asker: Asker) -> Reading:
    return next((found for reading in READINGS if (found := reading(given, asker))), None)


def _z(at: datetime) -> str:
    return at.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _recent(asker: Asker) -> datetime:
    return asker.now - timedelta(minutes=15)


def _empty(given: str, asker: Asker) -> Reading:
    return None if given else ("it is empty", _z(_recent(asker)), ANY_EXAMPLE)


def _foreign_characters(given: str, asker: Asker) -> Reading:
    strange = next((c for c in given if not c.isascii() or not c.isprintable()), None)
    if strange is None:
        return None
    plain = re.sub(r"[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", given))
    digits = "".join(str(unicodedata.digit(c, c)) for c in plain)
    fixed = "".join(c if c.isprintable() else " " for c in digits if c.isascii()).strip()
    name = unicodedata.name(strange, "a control character").lower()
    _, *examples = _read(fixed, asker) or ("", ANY_EXAMPLE)
    return f"it contains U+{ord(strange):04X} ({name}), and only plain ASCII is read", *examples


def _bare_number(given: str, _asker: Asker) -> Reading:
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", given, re.ASCII | re.IGNORECASE):
        return None
    whole = given.partition(".")[0]
    for unit, per_second, fewest, most in EPOCH_UNITS:
        if whole.isdigit() and fewest <= len(whole) <= most:
            at = _z(datetime.fromtimestamp(int(whole) // per_second, UTC))
            return f"a bare number says no unit; as {unit} since 1970 it would be {at}", at
    return "a bare number says neither unit nor zone", ANY_EXAMPLE


def _word(given: str, asker: Asker) -> Reading:
    words = r"now|today|yesterday|tomorrow|noon|midnight|last (night|week|month|hour|day)|this morning|latest|earliest"
    if not re.match(rf"({words})\b", given, re.IGNORECASE):
        return None
    return "a word names no exact instant", _z(asker.now - timedelta(days=1))


def _event(given: str, _asker: Asker) -> Reading:
    match = re.match(r"([A-Za-z]+)\s*:(?!\d)(.*)", given, re.DOTALL)
    if not match:
        return None
    kind, name = match[1].lower(), re.sub(r"[^A-Za-z0-9._-]", "", match[2])
    if kind not in ("before", "backup"):
        return f"{match[1]}: is no kind of event that is known; before:<run> is", ANY_EXAMPLE
    if not name:
        return f"{kind}: needs an id after it; `invoke runs` lists the runs", ANY_EXAMPLE
    return "an event is written in lower case, its id without spaces", f"{kind}:{name}"


def _loose_distance(given: str, _asker: Asker) -> Reading:
    part = r"([+-]?\d+(?:[.,]\d+)?)\s*([A-Za-z]+)"
    if not re.fullmatch(rf"-?((?:{part}[\s,]*)+?)(\s*ago)?", given, re.ASCII | re.IGNORECASE):
        return None
    seconds = 0.0
    for count, unit in re.findall(part, given, re.ASCII):
        size = UNITS.get(unit.lower().removesuffix("ago").rstrip("s") or "s")
        if size is None:
            return f"{unit!r} is no unit of a distance; s, m, h and d are", ANY_EXAMPLE
        seconds += abs(float(count.replace(",", "."))) * size
    if not 1 <= seconds <= 999_999_999:  # noqa: PLR2004 - nine digits, as the grammar reads them
        return "the distance is out of bounds", ANY_EXAMPLE
    return "a distance is one whole number, one of s m h d (24 hours), and `ago`", _in_one_unit(round(seconds))


def _in_one_unit(seconds: int) -> str:
    unit = next(unit for unit in "dhms" if seconds % UNITS[unit] == 0)
    return f"{seconds // UNITS[unit]}{unit} ago"


def _year_last(given: str, _asker: Asker) -> Reading:
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
    dates = dict.fromkeys(f"{y:04}-{m:02}-{d:02}T{_clock(match[4])}Z" for y, m, d in orders if _is_date(y, m, d))
    return reason, *(dates or (ANY_EXAMPLE,))


def _clock(text: str) -> str:
    match = re.search(r"(\d{1,2})[:.h](\d\d)(?:[:.](\d\d))?\s*([ap])?", text, re.ASCII | re.IGNORECASE)
    if not match:
        return "00:00:00"
    hour = int(match[1]) % 24
    if match[4]:
        hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
    return f"{hour:02}:{int(match[2]) % 60:02}:{int(match[3] or 0) % 60:02}"


def _is_date(year: int, month: int, day: int) -> bool:
    return (
        year in range(1, 10_000) and month in range(1, 13) and day in range(1, calendar.monthrange(year, month)[1] + 1)
    )


def _packed(given: str, _asker: Asker) -> Reading:
    """Read 20261120T101500Z, 2026-324T…, 2026-W47-5T…: other forms of ISO 8601."""
    text = re.sub(r"(?<=[T ])(\d\d)(\d\d)(\d\d)", r"\1:\2:\3", given)
    match = re.match(
        r"((\d{4})-?W(\d\d)(?:-?(\d))?|(\d{4})(\d\d)(\d\d)|(\d{4})-?(\d{3}))(?!\d)(?=$|[T ])(.*)",
        text,
        re.ASCII | re.DOTALL,
    )
    if not match:
        return None
    _, of_week, week, weekday, year, month, day, of_day, number, rest = match.groups()
    try:
        if of_week:
            on = date.fromisocalendar(int(of_week), int(week), int(weekday or 1))
        elif year:
            on = date(int(year), int(month), int(day))
        else:
            on = date(int(of_day), 1, 1) + timedelta(days=int(number) - 1)
    except (ValueError, OverflowError):
        return "this form of ISO 8601 is not read, and it names no day", ANY_EXAMPLE
    return "of ISO 8601 only the form year-month-day with hyphens is read", f"{on}T{_clock(rest)}Z"


DATE: Final = r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
REST: Final = re.compile(
    rf"{DATE}(?:[Tt_]|\s+|$)(?P<time>\d{{1,2}}(?::?\d\d)?(?::?\d\d)?)?(?P<fraction>[.,]\d+)?\s*(?P<zone>.*)",
    re.ASCII | re.DOTALL,
)


def _year_first(given: str, asker: Asker) -> Reading:
    """Explain what is wrong with a date that begins with its year, part by part."""
    match = REST.fullmatch(given)
    if not match:
        return None
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    if not _is_date(year, month, day):
        return _no_such_day(year, month, day, match)
    on, zone = f"{year:04}-{month:02}-{day:02}", match["zone"].strip()
    if not match["time"]:
        return "it names a day, not an instant", f"{on}T00:00:00{spelt_zone(zone)}"
    digits = re.findall(r"\d\d?", match["time"])
    hour, minute, second = (int(n) for n in (*digits, 0, 0)[:3])
    at = f"{on}T{hour:02}:{minute:02}:{second:02}"
    if impossible := _off_the_clock(on, hour, minute, second, zone):
        return impossible
    if not zone:
        return "it has no zone, and none is guessed", *dict.fromkeys((f"{at}Z", f"{at}{spelt_zone(asker.zone)}"))
    return _wrong_spelling(given, at, match)


def _no_such_day(year: int, month: int, day: int, match: re.Match[str]) -> Reading:
    time, zone = _clock(match["time"] or ""), spelt_zone(match["zone"])
    if year < 1:
        return "there is no year 0", ANY_EXAMPLE
    if month not in range(1, 13):
        swapped = f"{year:04}-{day:02}-{month:02}T{time}{zone}" if _is_date(year, day, month) else ANY_EXAMPLE
        return f"there is no month {month}", swapped
    last = calendar.monthrange(year, month)[1]
    reason = f"{calendar.month_name[month]} {year} has {last} days, and no day {day}"
    return reason, f"{year:04}-{month:02}-{last:02}T{time}{zone}"


def _off_the_clock(on: str, hour: int, minute: int, second: int, zone: str) -> Reading:
    noon = 12
    half = re.match(r"([ap])\.?m\.?(?![a-z])\s*", zone, re.IGNORECASE)
    if half and 1 <= hour <= noon:
        hour = hour % noon + (noon if half[1].lower() == "p" else 0)
        at = f"{on}T{hour:02}:{minute:02}:{second:02}"
        return "hours run from 00 to 23", f"{at}{spelt_zone(zone[half.end() :])}"
    if (hour, minute, second) == (24, 0, 0) and on != "9999-12-31":
        following = date.fromisoformat(on) + timedelta(days=1)
        return "hours run from 00 to 23", f"{following}T00:00:00{spelt_zone(zone)}"
    if hour < 24 and minute < 60 and second < 60:  # noqa: PLR2004 - the clock's bounds
        return None
    reason = "a leap second is on no database's clock" if second == 60 else "that time is on no clock"  # noqa: PLR2004 - 23:59:60
    return reason, f"{on}T{min(hour, 23):02}:{min(minute, 59):02}:{min(second, 59):02}{spelt_zone(zone)}"


def _wrong_spelling(given: str, at: str, match: re.Match[str]) -> Reading:
    zone, fraction = match["zone"].strip(), match["fraction"] or ""
    right = f"{at}{spelt_zone(zone)}"
    if not given.startswith(at[:10]):
        return "a date is written year-month-day: hyphens, four and two and two digits", right
    if not re.fullmatch(r"\d\d:\d\d(:\d\d)?", match["time"]):
        return "a time is written hours:minutes:seconds, two digits each", right
    if fraction.startswith(",") or len(fraction) > 10 or (fraction and match["time"].count(":") == 1):  # noqa: PLR2004 - a dot and nine digits
        return "a fraction of a second is a dot and at most nine digits", right
    if re.fullmatch(r"(Z|[+-]\d\d:\d\d)?\s*\[.*\]", zone):
        return "it names its zone twice; once is enough", right
    if re.match(r"(UTC|GMT)?\s*[+-]\s*\d", zone):
        return "an offset is written +hh:mm or -hh:mm", right
    return f"{zone!r} is neither Z, an offset nor an IANA zone name", right


def _clock_only(given: str, asker: Asker) -> Reading:
    if not re.match(r"T?\d{1,2}[:h]\d\d", given, re.ASCII):
        return None
    return "it names no day", f"{asker.now:%Y-%m-%d}T{_clock(given)}Z"


def _month_name(given: str, asker: Asker) -> Reading:
    """Read `Fri, 20 Nov 2026 10:15:00 +0000` and other dates with a month's name."""
    if not re.search(r"(?<![a-z])(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*", given, re.IGNORECASE):
        return None
    try:
        at = parsedate_to_datetime(given)
        example = _z(at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, TypeError, IndexError, OverflowError):
        example = _z(_recent(asker))
    return "a month is written as a number: year-month-day", example


READINGS: Final[tuple[Callable[[str, Asker], Reading], ...]] = (
    _empty,
    _foreign_characters,
    _bare_number,
    _word,
    _event,
    _packed,
    _year_first,
    _loose_distance,
    _year_last,
    _clock_only,
    _month_name,
)
