"""Points in time: events, windows, how finely a strategy aims; the spellings are those of `points.jsonl`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.model.errors import Exit, Refused
from runbooks.model.timepoint import Point, Reach, Window, check_window, parse
from runbooks.model.timepoint_refusals import Asker, PointRefused

NOW = datetime(2026, 11, 20, 10, 57, 30, 500_000, tzinfo=UTC)
ASKER = Asker(NOW, "Europe/Paris")


def test_the_next_command_is_whole() -> None:
    """A refusal gives the command to type; where two things could have been meant, it only looks."""
    with pytest.raises(PointRefused) as refusal:
        parse("2026-10-25 02:30 Europe/Paris", Asker(NOW, command="invoke restore --stack=twin --point="))
    assert refusal.value.next_command == 'invoke restore --stack=twin --point="2026-10-25T02:30:00+02:00" --dry-run'
    with pytest.raises(PointRefused) as refusal:
        parse("16m", ASKER)
    assert refusal.value.next_command == 'invoke restore --point="16m ago"'
    with pytest.raises(PointRefused) as refusal:
        parse("gibberish now", ASKER)
    assert str(refusal.value) == (
        "The point 'gibberish now' is refused: it is no point in time of a known form. "
        "Write for example: 2026-11-20T10:42:30Z or 15m ago"
    )
    assert refusal.value.exit is Exit.REFUSED


def test_a_finer_reach_takes_fractions() -> None:
    """A strategy that aims at microseconds takes them, and refuses what is finer still."""
    assert parse("2026-11-20T10:15:00.123456Z", ASKER, reach=Reach.MICROSECOND).utc == "2026-11-20T10:15:00.123456Z"
    with pytest.raises(PointRefused, match="this restore aims at microseconds, and this is finer"):
        parse("2026-11-20T10:15:00.1234567Z", ASKER, reach=Reach.MICROSECOND)


def test_before_a_run_is_looked_up() -> None:
    """`before:<run>` is the moment that the caller knows, cut to what the strategy reaches."""
    moment = datetime(2026, 11, 20, 10, 14, 59, 900_000, tzinfo=UTC)
    point = parse("before:2026-11-20-1015-tango-7", ASKER, before={"2026-11-20-1015-tango-7": moment}.__getitem__)
    assert point == Point(datetime(2026, 11, 20, 10, 14, 59, tzinfo=UTC), "before:2026-11-20-1015-tango-7")


def test_both_clocks_are_spoken() -> None:
    """A point is shown in UTC and in the contacts' local time, with the day where it differs."""
    assert parse("2026-11-20T10:15:00Z", ASKER).spoken("Europe/Paris") == (
        "2026-11-20 10:15:00 UTC (11:15:00 Europe/Paris)"
    )
    assert parse("2026-11-19T23:30:00Z", ASKER).spoken("Europe/Paris") == (
        "2026-11-19 23:30:00 UTC (2026-11-20 00:30:00 Europe/Paris)"
    )


def test_before_the_window() -> None:
    """A point before the backups begin is refused with the earliest one; the window's end refuses nothing."""
    earliest, latest = NOW - timedelta(hours=1), NOW - timedelta(minutes=2)
    window = Window(earliest.replace(microsecond=0), latest)
    point = parse("2h ago", ASKER)
    with pytest.raises(PointRefused, match="the backups begin later, at 2026-11-20T09:57:30Z") as refusal:
        check_window(point, window, ASKER)
    assert refusal.value.examples == ("2026-11-20T09:57:30Z",)
    recent = parse("1m ago", ASKER)
    assert check_window(recent, window, ASKER) is recent
    with pytest.raises(PointRefused, match="the provider names no earliest point"):
        check_window(recent, Window(None, None), ASKER)


@given(st.datetimes(datetime(1, 1, 2), datetime(2026, 11, 20)), st.integers(-720, 840))  # noqa: DTZ001 - naive on purpose
def test_every_rfc_3339_time_is_read_as_itself(local: datetime, minutes: int) -> None:
    """A time with an offset is the same instant that the standard library reads."""
    written = local.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        expected = written.astimezone(UTC)
    except OverflowError:
        return
    if expected <= NOW:
        assert parse(written.isoformat(), ASKER).at == expected


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text leads to anything but a point or a refusal with a reason."""
    refused = ""
    at = NOW
    try:
        at = parse(text, ASKER).at
    except Refused as refusal:
        refused = str(refusal)
    assert refused.startswith("The point ") or at < NOW


SOUP = st.lists(
    st.sampled_from([*"0123456789TZ:+-./, ", "2026", "ago", "m", "11", "Europe/Paris", "W47", "UTC", "Nov", "PM"]),
    max_size=14,
).map("".join)


@given(SOUP)
def test_what_is_read_has_a_date_and_a_zone_or_is_a_distance(text: str) -> None:
    """Nothing without a zone is ever read, and every example that is shown can be typed."""
    examples: tuple[str, ...] = ()
    try:
        parse(text, ASKER)
    except PointRefused as refusal:
        examples = refusal.examples
    assert all(parse(example, ASKER) for example in examples)
    if not examples:
        assert re.search(r"([Zz]|[+-]\d\d:\d\d|UTC|Europe/Paris| ago)$", text.strip(" "))
