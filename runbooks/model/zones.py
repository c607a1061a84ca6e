"""Guess which IANA zone a name was meant for: for examples in refusals only, never to act on."""

from __future__ import annotations

import difflib
import re
from typing import Final

from whenever import available_timezones

ABBREVIATIONS: Final = {
    "GMT": "UTC",
    "Z": "UTC",
    "Zulu": "UTC",
    "UCT": "UTC",
    "CET": "Europe/Paris",
    "CEST": "Europe/Paris",
    "MET": "Europe/Paris",
    "BST": "Europe/London",
    "GB": "Europe/London",
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "CST": "America/Chicago",
    "CDT": "America/Chicago",
    "MST": "America/Denver",
    "MDT": "America/Denver",
    "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
}
"""What an abbreviation most often stands for: shown as an example only, since most stand for several zones."""


def nearest_zone(name: str) -> str:
    """Return the IANA zone name that was most likely meant, UTC where nothing is close."""
    if known := ABBREVIATIONS.get(name):
        return known
    zones = {zone.lower(): zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")}
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(zones)}
    wanted = name.lower().replace(" ", "_")
    if close := difflib.get_close_matches(wanted, zones, n=1, cutoff=0.75):
        return zones[close[0]]
    if close := difflib.get_close_matches(wanted, cities, n=1, cutoff=0.75):
        return zones[cities[close[0]]]
    return "UTC"


def spelt_zone(zone: str) -> str:
    """Return the zone as the grammar writes it after a time: `Z`, `+01:00` or ` Europe/Paris`."""
    zone = zone.strip()
    if zone in ("", "Z", "z", "UTC"):
        return "Z"
    named = re.search(r"\[([A-Za-z_/+-]+)\]", zone)
    if offset := re.match(r"(?:UTC|GMT)?\s*([+-])\s*(\d{1,2}):?(\d\d)?", zone):
        return f"{offset[1]}{min(int(offset[2]), 14):02}:{offset[3] or '00'}"
    name = nearest_zone(named[1] if named else re.sub(r"[^A-Za-z_/ +-]", "", zone).strip())
    return "Z" if name == "UTC" else f" {name}"
