"""Guess which zones a name may have been meant for: for examples in refusals only, never to act on."""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Final

from whenever import available_timezones

ABBREVIATIONS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("GMT", "UTC", "UCT", "ZULU"), ("UTC",)),
    **dict.fromkeys(("CET", "CEST", "MET", "MEST"), ("Europe/Paris",)),
    **dict.fromkeys(("WET", "WEST"), ("Europe/Lisbon",)),
    **dict.fromkeys(("EET", "EEST"), ("Europe/Athens",)),
    **dict.fromkeys(("EST", "EDT"), ("America/New_York",)),
    **dict.fromkeys(("MST", "MDT"), ("America/Denver",)),
    **dict.fromkeys(("PST", "PDT"), ("America/Los_Angeles",)),
    **dict.fromkeys(("AKST", "AKDT"), ("America/Anchorage",)),
    **dict.fromkeys(("AEST", "AEDT"), ("Australia/Sydney",)),
    **dict.fromkeys(("NZST", "NZDT"), ("Pacific/Auckland",)),
    "AST": ("America/Halifax", "Asia/Riyadh"),
    "BST": ("Europe/London", "Asia/Dhaka"),
    "CDT": ("America/Chicago",),
    "CST": ("America/Chicago", "Asia/Shanghai"),
    "GB": ("Europe/London",),
    "HKT": ("Asia/Hong_Kong",),
    "HST": ("Pacific/Honolulu",),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "JST": ("Asia/Tokyo",),
    "KST": ("Asia/Seoul",),
    "MSK": ("Europe/Moscow",),
    "SGT": ("Asia/Singapore",),
}
"""What an abbreviation most often stands for: shown as examples only, since most stand for several zones."""
REGIONS: Final = re.compile("(Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific)/")
CLOSE: Final = 0.8  # of difflib: a letter or two of a city's name


def zones_meant(name: str) -> tuple[str, ...]:
    """Return the IANA names that may have been meant, likeliest first; none where nothing is close."""
    short = re.match(r"([A-Za-z]+)([+-]?\d.*)?$", name, re.ASCII)
    if short and (known := ABBREVIATIONS.get(short[1].upper())):
        return known
    zones, cities = _places()
    wanted = name.lower().replace(" ", "_")
    if close := difflib.get_close_matches(wanted, zones, n=1, cutoff=CLOSE):
        return (zones[close[0]],)
    if close := difflib.get_close_matches(wanted, cities, n=1, cutoff=CLOSE):
        return (zones[cities[close[0]]],)
    return ()


@cache
def _places() -> tuple[dict[str, str], dict[str, str]]:
    """Return the zones by their name in lower case, and those names by their city."""
    zones = {zone.lower(): zone for zone in available_timezones() if REGIONS.match(zone)}
    return zones, {zone.rpartition("/")[2]: zone for zone in sorted(zones)}


def spelt_zones(zone: str, own: str) -> tuple[str, ...]:
    """Return how a zone may be written after a time: `Z`, `+01:00`, ` Europe/Paris`.

    Where it is missing or nothing is recognised, that is UTC or the asker's `own` zone: the operator chooses.
    """
    text = zone.strip()
    if re.match(r"[Zz](?![A-Za-z])", text):
        return tuple(dict.fromkeys(("Z", *_recognised(text[1:].strip()))))
    return _recognised(text) or tuple(dict.fromkeys(("Z", _written(own))))


def _recognised(text: str) -> tuple[str, ...]:
    if turned := re.fullmatch(r"etc/gmt([+-])(\d{1,2})", text, re.ASCII | re.IGNORECASE):
        return (f"{'-' if turned[1] == '+' else '+'}{int(turned[2]):02}:00",) if int(turned[2]) <= 12 else ()  # noqa: PLR2004 - hours west
    if offset := re.match(r"(?:UTC|GMT)?\s*([+-])\s*(\d{1,2}):?(\d\d)?(?!\d)", text, re.ASCII | re.IGNORECASE):
        hours, minutes = int(offset[2]), int(offset[3] or 0)
        return (f"{offset[1]}{hours:02}:{minutes:02}",)
    named = re.search(r"\[([A-Za-z_/+-]+)\]", text)
    name = named[1] if named else re.sub(r"[^A-Za-z0-9_/ +-]", " ", text).strip()
    return tuple(_written(meant) for meant in zones_meant(name)) if name else ()


def _written(zone: str) -> str:
    return "Z" if zone == "UTC" else f" {zone}"
