"""Say why a spelling of a point in time is refused, and show what was most likely meant, spelt right.

Each reading is tried in turn; the first that fits explains. An example is never acted on: the operator types it.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from runbooks.model.errors import Refused
from runbooks.model.spelling.asker import Asker
from runbooks.model.spelling.dates import ANY_EXAMPLE, clock_only, month_name, packed, year_first, year_last

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.model.spelling.dates import Reading

__all__ = ["ANY_EXAMPLE", "LONGEST", "Asker", "PointRefused", "explain"]

LONGEST: Final = 160
"""Characters: an event with an id of 128, and room; a longer text is not looked into."""
SHOWN: Final = 60  # characters of it that a refusal repeats
UNITS: Final = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 604800),
}
EPOCH_UNITS: Final = (
    ("seconds", 1, 9, 10),
    ("milliseconds", 1_000, 12, 13),
    ("microseconds", 1_000_000, 15, 16),
    ("nanoseconds", 1_000_000_000, 18, 19),
)
"""Unit, how many a second, digits from and to, for points between 1973 and 2286."""


class PointRefused(Refused):
    """The point is refused; `examples` are spellings that would be taken.

    The next command only looks where there are several, or one that is not made of what was given.
    """

    def __init__(self, given: str, reason: str, *examples: str, asker: Asker) -> None:
        look = " --dry-run" if examples[1:] or examples[:1] == (ANY_EXAMPLE,) else ""
        advice = f" Write for example: {' or '.join(examples)}" if examples else ""
        shown = repr(given) if len(given) <= LONGEST else f"{given[:SHOWN]!r}…"
        super().__init__(
            f"The point {shown} is refused: {reason}.{advice}",
            next_command=f'{asker.command}"{examples[0]}"{look}' if examples else None,
        )
        self.given = given
        self.reason = reason
        self.examples = examples


def explain(given: str, asker: Asker) -> PointRefused:
    """Return the refusal of a spelling that is none of the grammar's."""
    recent = asker.ago(timedelta(minutes=15))
    reason, *examples = _read(given, asker) or ("it is no point in time of a known form", recent, ANY_EXAMPLE)
    return PointRefused(given, reason, *examples, asker=asker)


def _read(given: str, asker: Asker) -> Reading:
    return next((found for reading in READINGS if (found := reading(given, asker))), None)


def _too_long(given: str, _asker: Asker) -> Reading:
    if len(given) <= LONGEST:
        return None
    return f"it has {len(given)} characters, more than any spelling of a point", ANY_EXAMPLE


def _empty(given: str, asker: Asker) -> Reading:
    return None if given else ("it is empty", asker.ago(timedelta(minutes=15)), ANY_EXAMPLE)


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


def _bare_number(given: str, asker: Asker) -> Reading:
    if not re.fullmatch(r"@?[+-]?\d+(\.\d+)?(e[+-]?\d+)?(Z| *UTC)?", given, re.ASCII | re.IGNORECASE):
        return None
    whole = re.sub(r"^@|\..*|(Z| *UTC)$", "", given, flags=re.IGNORECASE)
    if len(whole) == len("20261120") and (day := packed(whole, asker)) and day[1] != ANY_EXAMPLE:
        return day
    for unit, per_second, fewest, most in EPOCH_UNITS:
        if whole.isdigit() and fewest <= len(whole) <= most:
            at = datetime.fromtimestamp(int(whole) // per_second, UTC).isoformat().replace("+00:00", "Z")
            return f"a bare number says no unit; as {unit} since 1970 it would be {at}", at
    return "a bare number says neither unit nor zone", ANY_EXAMPLE


def _word(given: str, asker: Asker) -> Reading:
    words = r"now|today|yesterday|tomorrow|noon|midnight|last (night|week|month|hour|day)|this morning|latest|earliest"
    if not re.match(rf"({words})\b", given, re.IGNORECASE):
        return None
    if minus := re.fullmatch(r"now\s*-\s*(.*)", given, re.IGNORECASE):
        _, *examples = _loose_distance(minus[1], asker) or ("", ANY_EXAMPLE)
        return "a distance is counted from now anyway, and ends with `ago`", *examples
    return "a word names no exact instant", asker.ago(timedelta(days=1))


def _event(given: str, _asker: Asker) -> Reading:
    match = re.match(r"([A-Za-z]+)\s*:(?!\d)(.*)", given, re.DOTALL)
    if not match:
        match = re.match(r"(before|backup)\s*:(.*)", given, re.DOTALL | re.IGNORECASE)
    if not match:
        return None
    kind, name = match[1].lower(), re.sub(r"[^A-Za-z0-9._-]", "", match[2])
    if kind not in ("before", "backup"):
        known = "before:<run, deployment or version> and backup:<id> are"
        return f"{match[1]}: is no kind of event that is known; {known}", ANY_EXAMPLE
    if not name:
        lists = "`invoke backup.list` lists the backups" if kind == "backup" else "`invoke runs` lists the runs"
        return f"{kind}: needs an id after it; {lists}", ANY_EXAMPLE
    return "an event is written in lower case, its id of letters, digits, dots and hyphens", f"{kind}:{name}"


def _loose_distance(given: str, _asker: Asker) -> Reading:
    part = r"([+-]?\d+(?:[.,]\d+)?)\s*([A-Za-z]+)"
    if not re.fullmatch(rf"-?((?:{part}[\s,]*)+?)(\s*ago)?", given, re.ASCII | re.IGNORECASE):
        return None
    seconds = 0.0
    for count, unit in re.findall(part, given, re.ASCII):
        name = re.sub("(?<=.)ago$", "", unit, flags=re.IGNORECASE)
        size = UNITS.get(name if name == "M" else name.lower())  # M: months to some
        if size is None:
            return f"{unit!r} is no unit of a distance; s, m, h and d are", ANY_EXAMPLE
        seconds += abs(float(count.replace(",", "."))) * size
    return _distance("a distance is one whole number, one of s m h d (24 hours), and `ago`", seconds)


def _duration(given: str, _asker: Asker) -> Reading:
    """Read ISO 8601's durations: -PT15M, P1DT2H."""
    count = r"(\d+(?:[.,]\d+)?)"
    match = re.fullmatch(
        rf"[+-]?P(?=.)(?:{count}W)?(?:{count}D)?(?:T(?=\d)(?:{count}H)?(?:{count}M)?(?:{count}S)?)?( +ago)?",
        given,
        re.ASCII | re.IGNORECASE,
    )
    if not match:
        if re.fullmatch(r"[+-]?P[\dTYMWDHS.,]+", given, re.ASCII):
            return "months and years have no fixed length; a distance has s, m, h or d", ANY_EXAMPLE
        return None
    sizes = (UNITS[unit] for unit in "wdhms")
    seconds = sum(
        float((number or "0").replace(",", ".")) * size for number, size in zip(match.groups(), sizes, strict=False)
    )
    return _distance("a duration is no point in time; a distance ends with `ago`", seconds)


def _distance(reason: str, seconds: float) -> Reading:
    if not 1 <= seconds <= 999_999_999:  # noqa: PLR2004 - nine digits, as the grammar reads them
        return "the distance is out of bounds", ANY_EXAMPLE
    whole = round(seconds)
    unit = next(unit for unit in "dhms" if whole % UNITS[unit] == 0)
    return reason, f"{whole // UNITS[unit]}{unit} ago"


READINGS: Final[tuple[Callable[[str, Asker], Reading], ...]] = (
    _too_long,
    _empty,
    _foreign_characters,
    _bare_number,
    _word,
    _event,
    packed,
    year_first,
    _loose_distance,
    _duration,
    year_last,
    clock_only,
    month_name,
)
