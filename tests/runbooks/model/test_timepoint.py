"""Points in time: what is read, what is refused, and that every refusal shows a spelling that is taken."""

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

READ = {
    "2026-11-20T10:15:00Z": "2026-11-20T10:15:00Z",
    "2026-11-20t10:15:00z": "2026-11-20T10:15:00Z",
    "2026-11-20 10:15:00Z": "2026-11-20T10:15:00Z",
    "2026-11-20T10:15Z": "2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00.000Z": "2026-11-20T10:15:00Z",
    "2026-11-20T11:15:00+01:00": "2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00-00:00": "2026-11-20T10:15:00Z",
    "2026-11-20T00:15:00+14:00": "2026-11-19T10:15:00Z",
    "2026-11-19T22:15:00-12:00": "2026-11-20T10:15:00Z",
    "2026-11-20T16:00:00+05:45": "2026-11-20T10:15:00Z",
    "2026-11-20 11:15 Europe/Paris": "2026-11-20T10:15:00Z",
    "2026-11-20T11:15:00 Europe/Paris": "2026-11-20T10:15:00Z",
    "2026-11-20 10:15 UTC": "2026-11-20T10:15:00Z",
    "2026-11-20 05:15 America/Argentina/Buenos_Aires": "2026-11-20T08:15:00Z",
    "2026-03-29 01:59:59 Europe/Paris": "2026-03-29T00:59:59Z",
    "2026-03-29 03:00 Europe/Paris": "2026-03-29T01:00:00Z",
    "2024-02-29T12:00:00Z": "2024-02-29T12:00:00Z",
    "1969-12-31T23:59:59Z": "1969-12-31T23:59:59Z",
    "15m ago": "2026-11-20T10:42:30Z",
    "1s ago": "2026-11-20T10:57:29Z",
    "2h ago": "2026-11-20T08:57:30Z",
    "7d ago": "2026-11-13T10:57:30Z",
    "  15m ago ": "2026-11-20T10:42:30Z",
}

REFUSED = {
    "": "it is empty. Write for example: 2026-11-20T10:42:30Z or 15m ago",
    "now": "a word names no exact instant. Write for example: 2026-11-19T10:57:30Z",
    "yesterday 10:15": "a word names no exact instant. Write for example: 2026-11-19T10:57:30Z",
    "gibberish": "it is no point in time of a known form. Write for example: 2026-11-20T10:42:30Z or 15m ago",
    # no zone
    "2026-11-20T10:15:00": "it has no zone, and none is guessed. Write for example: 2026-11-20T10:15:00Z or "
    "2026-11-20T10:15:00 Europe/Paris",
    "2026-11-20 10:15": "it has no zone, and none is guessed. Write for example: 2026-11-20T10:15:00Z or "
    "2026-11-20T10:15:00 Europe/Paris",
    "2026-11-20": "it names a day, not an instant. Write for example: 2026-11-20T00:00:00Z",
    "2026-11-20 Europe/Paris": "it names a day, not an instant. Write for example: 2026-11-20T00:00:00 Europe/Paris",
    "10:15": "it names no day. Write for example: 2026-11-20T10:15:00Z",
    "10:15Z": "it names no day. Write for example: 2026-11-20T10:15:00Z",
    # zones that could mean another hour
    "2026-11-20 10:15 CET": "CET is not an IANA zone name of the form Region/City, nor UTC. Write for example: "
    "2026-11-20T10:15:00 Europe/Paris",
    "2026-11-20 10:15 EST": "EST is not an IANA zone name of the form Region/City, nor UTC. Write for example: "
    "2026-11-20T10:15:00 America/New_York",
    "2026-11-20 10:15 Paris": "Paris is not an IANA zone name of the form Region/City, nor UTC. Write for example: "
    "2026-11-20T10:15:00 Europe/Paris",
    "2026-11-20 10:15 europe/paris": "europe/paris is not an IANA zone name of the form Region/City, nor UTC. "
    "Write for example: 2026-11-20T10:15:00 Europe/Paris",
    "2026-11-20 10:15 Europe/Pariss": "Europe/Pariss is not an IANA zone name of the form Region/City, nor UTC. "
    "Write for example: 2026-11-20T10:15:00 Europe/Paris",
    "2026-11-20 10:15 Etc/GMT+1": "Etc/GMT+1 means UTC-01:00, the other way round than it reads. "
    "Write for example: 2026-11-20T10:15:00-01:00",
    "2026-11-20T10:15:00 UTC+1": "an offset is written +hh:mm or -hh:mm. Write for example: 2026-11-20T10:15:00+01:00",
    "2026-11-20T10:15:00+0100": "an offset is written +hh:mm or -hh:mm. Write for example: 2026-11-20T10:15:00+01:00",
    "2026-11-20T10:15:00+01": "an offset is written +hh:mm or -hh:mm. Write for example: 2026-11-20T10:15:00+01:00",
    "2026-11-20T10:15:00+25:00": "no place on Earth is at +25:00; offsets run from -12:00 to +14:00. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00+14:30": "no place on Earth is at +14:30; offsets run from -12:00 to +14:00. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20T11:15:00+01:00[Europe/Paris]": "it names its zone twice; once is enough. "
    "Write for example: 2026-11-20T11:15:00+01:00",
    "2026-11-20T10:15:00Z ago": "'Z ago' is neither Z, an offset nor an IANA zone name. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00Z; drop table x": "'Z; drop table x' is neither Z, an offset nor an IANA zone name. "
    "Write for example: 2026-11-20T10:15:00Z",
    # summer time
    "2026-03-29 02:30 Europe/Paris": "this local time does not exist in Europe/Paris: clocks go forward over it. "
    "Write for example: 2026-03-29T03:30:00+02:00",
    "2026-10-25 02:30 Europe/Paris": "this local time exists twice in Europe/Paris: clocks go back over it. "
    "Write for example: 2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00",
    "2026-03-08 02:30 America/New_York": "this local time does not exist in America/New_York: clocks go forward over "
    "it. Write for example: 2026-03-08T03:30:00-04:00",
    "2026-11-01 01:30 America/New_York": "this local time exists twice in America/New_York: clocks go back over it. "
    "Write for example: 2026-11-01T01:30:00-04:00 or 2026-11-01T01:30:00-05:00",
    "2026-04-05 01:45 Australia/Lord_Howe": "this local time exists twice in Australia/Lord_Howe: clocks go back over "
    "it. Write for example: 2026-04-05T01:45:00+11:00 or 2026-04-05T01:45:00+10:30",
    "2011-12-30 12:00 Pacific/Apia": "this local time does not exist in Pacific/Apia: clocks go forward over it. "
    "Write for example: 2011-12-31T12:00:00+14:00",
    # later than now
    "2027-01-01T00:00:00Z": "2027-01-01T00:00:00Z lies in the future; it is 2026-11-20T10:57:30Z now. "
    "Write for example: 15m ago",
    "2026-11-20T10:57:31Z": "2026-11-20T10:57:31Z lies in the future; it is 2026-11-20T10:57:30Z now. "
    "Write for example: 15m ago",
    "9999-12-31T23:59:59Z": "9999-12-31T23:59:59Z lies in the future; it is 2026-11-20T10:57:30Z now. "
    "Write for example: 15m ago",
    # bare numbers
    "1795169700": "a bare number says no unit; as seconds since 1970 it would be 2026-11-20T10:15:00Z. "
    "Write for example: 2026-11-20T10:15:00Z",
    "1795169700000": "a bare number says no unit; as milliseconds since 1970 it would be 2026-11-20T10:15:00Z. "
    "Write for example: 2026-11-20T10:15:00Z",
    "1795169700000000": "a bare number says no unit; as microseconds since 1970 it would be 2026-11-20T10:15:00Z. "
    "Write for example: 2026-11-20T10:15:00Z",
    "1795169700.25": "a bare number says no unit; as seconds since 1970 it would be 2026-11-20T10:15:00Z. "
    "Write for example: 2026-11-20T10:15:00Z",
    "15": "a bare number says neither unit nor zone. Write for example: 15m ago",
    "-900": "a bare number says neither unit nor zone. Write for example: 15m ago",
    "1e9": "a bare number says neither unit nor zone. Write for example: 15m ago",
    # distances
    "15m": "a distance is one whole number, one of s m h d (24 hours), and `ago`. Write for example: 15m ago",
    "-15m": "a distance is one whole number, one of s m h d (24 hours), and `ago`. Write for example: 15m ago",
    "15 minutes ago": "a distance is one whole number, one of s m h d (24 hours), and `ago`. "
    "Write for example: 15m ago",
    "15mago": "a distance is one whole number, one of s m h d (24 hours), and `ago`. Write for example: 15m ago",
    "1.5h ago": "a distance is one whole number, one of s m h d (24 hours), and `ago`. Write for example: 90m ago",
    "1h30m ago": "a distance is one whole number, one of s m h d (24 hours), and `ago`. Write for example: 90m ago",
    "1M ago": "a distance is one whole number, one of s m h d (24 hours), and `ago`. Write for example: 1m ago",
    "2w ago": "a distance is one whole number, one of s m h d (24 hours), and `ago`. Write for example: 14d ago",
    "2 months ago": "'months' is no unit of a distance; s, m, h and d are. Write for example: 15m ago",
    "1y ago": "'y' is no unit of a distance; s, m, h and d are. Write for example: 15m ago",
    "0s ago": "that is now, and nothing would be taken back. Write for example: 15m ago",
    "999999999d ago": "that is before the year 1. Write for example: 15m ago",
    "99999999999d ago": "the distance is out of bounds. Write for example: 15m ago",
    # days and clocks that there are not
    "2026-02-29T10:15:00Z": "February 2026 has 28 days, and no day 29. Write for example: 2026-02-28T10:15:00Z",
    "2026-04-31T10:15:00Z": "April 2026 has 30 days, and no day 31. Write for example: 2026-04-30T10:15:00Z",
    "2026-20-11T10:15:00Z": "there is no month 20. Write for example: 2026-11-20T10:15:00Z",
    "2026-00-10T10:15:00Z": "there is no month 0. Write for example: 15m ago",
    "0000-01-01T00:00:00Z": "there is no year 0. Write for example: 15m ago",
    "0001-01-01T00:00:00+14:00": "that is outside the years 1 to 9999. Write for example: 15m ago",
    "2026-11-19T24:00:00Z": "hours run from 00 to 23. Write for example: 2026-11-20T00:00:00Z",
    "2026-11-19T10:15 PM Europe/Paris": "hours run from 00 to 23. Write for example: 2026-11-19T22:15:00 Europe/Paris",
    "2026-11-19T12:15 a.m. UTC": "hours run from 00 to 23. Write for example: 2026-11-19T00:15:00Z",
    "2016-12-31T23:59:60Z": "a leap second is on no database's clock. Write for example: 2016-12-31T23:59:59Z",
    "2026-11-19T25:00:00Z": "that time is on no clock. Write for example: 2026-11-19T23:00:00Z",
    "2026-11-19T10:61:00Z": "that time is on no clock. Write for example: 2026-11-19T10:59:00Z",
    # other orders and other forms
    "20/11/2026 10:15": "the order of day and month is not said; a date is year-month-day. "
    "Write for example: 2026-11-20T10:15:00Z",
    "11/20/2026 08:15 AM": "the order of day and month is not said; a date is year-month-day. "
    "Write for example: 2026-11-20T08:15:00Z",
    "03/04/2026 10:15 UTC": "the order of day and month is not said; a date is year-month-day. "
    "Write for example: 2026-04-03T10:15:00Z or 2026-03-04T10:15:00Z",
    "20.11.2026 10h15": "the order of day and month is not said; a date is year-month-day. "
    "Write for example: 2026-11-20T10:15:00Z",
    "26-11-20T10:15:00Z": "a year of two digits may be the day; a date is year-month-day, the year with four digits. "
    "Write for example: 2020-11-26T10:15:00Z or 2026-11-20T10:15:00Z",
    "2026/11/20 10:15 UTC": "a date is written year-month-day: hyphens, four and two and two digits. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-1-2T3:04:05Z": "a date is written year-month-day: hyphens, four and two and two digits. "
    "Write for example: 2026-01-02T03:04:05Z",
    "2026-11-20T9:15:00Z": "a time is written hours:minutes:seconds, two digits each. "
    "Write for example: 2026-11-20T09:15:00Z",
    "20261120T101500Z": "of ISO 8601 only the form year-month-day with hyphens is read. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-W47-5T10:15:00Z": "of ISO 8601 only the form year-month-day with hyphens is read. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-324T10:15:00Z": "of ISO 8601 only the form year-month-day with hyphens is read. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-W60-1T10:15:00Z": "this form of ISO 8601 is not read, and it names no day. Write for example: 15m ago",
    "Fri, 20 Nov 2026 10:15:00 +0000": "a month is written as a number: year-month-day. "
    "Write for example: 2026-11-20T10:15:00Z",
    "20 Nov 2026 10:15 UTC": "a month is written as a number: year-month-day. Write for example: 2026-11-20T10:15:00Z",
    # finer than the archive's aim
    "2026-11-20T10:15:00.123Z": "this restore aims at whole seconds, and this is finer. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00.000000001Z": "this restore aims at whole seconds, and this is finer. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00,5Z": "a fraction of a second is a dot and at most nine digits. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20T10:15.5Z": "a fraction of a second is a dot and at most nine digits. "
    "Write for example: 2026-11-20T10:15:00Z",
    # characters that only look right
    "２０２６-11-20T10:15:00Z": "it contains U+FF12 (fullwidth digit two), and only plain ASCII is read. "  # noqa: RUF001 - the wrong character is the test
    "Write for example: 2026-11-20T10:15:00Z",
    "٢٠٢٦-11-20T10:15:00Z": "it contains U+0662 (arabic-indic digit two), and only plain ASCII is read. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20T10:15:00−01:00": "it contains U+2212 (minus sign), and only plain ASCII is read. "  # noqa: RUF001 - the wrong character is the test
    "Write for example: 2026-11-20T10:15:00-01:00",
    "2026-11-20T10:15:00Z\n": "it contains U+000A (a control character), and only plain ASCII is read. "
    "Write for example: 2026-11-20T10:15:00Z",
    "2026-11-20\xa010:15:00Z": "it contains U+00A0 (no-break space), and only plain ASCII is read. "
    "Write for example: 2026-11-20T10:15:00Z",
    # events
    "before:2026-11-20-1015-tango-7": "no runs can be looked up here. Write for example: 2026-11-20T10:42:30Z",
    "backup:2026-11-20T03-00": "no backups can be looked up here. Write for example: 2026-11-20T10:42:30Z",
    "before:": "before: needs an id after it; `invoke runs` lists the runs. Write for example: 15m ago",
    "after:x": "after: is no kind of event that is known; before:<run> is. Write for example: 15m ago",
}


@pytest.mark.parametrize("spelling", READ)
def test_reads(spelling: str) -> None:
    """A spelling of the grammar is read as exactly this instant."""
    assert parse(spelling, ASKER).utc == READ[spelling]


@pytest.mark.parametrize("spelling", REFUSED)
def test_refuses(spelling: str) -> None:
    """Anything else is refused with its reason and a corrected example."""
    with pytest.raises(PointRefused) as refusal:
        parse(spelling, ASKER)
    assert str(refusal.value) == f"The point {spelling.strip(' ')!r} is refused: {REFUSED[spelling]}"
    assert refusal.value.exit is Exit.REFUSED


@pytest.mark.parametrize("spelling", REFUSED)
def test_examples_are_taken(spelling: str) -> None:
    """What a refusal shows as an example is itself read, unless it lies in the future."""
    with pytest.raises(PointRefused) as refusal:
        parse(spelling, ASKER)
    assert refusal.value.examples
    for example in refusal.value.examples:
        parse(example, Asker(datetime(9999, 12, 31, tzinfo=UTC)))


def test_the_next_command_is_whole() -> None:
    """A refusal gives the command to type; where two things could have been meant, it only looks."""
    with pytest.raises(PointRefused) as refusal:
        parse("2026-10-25 02:30 Europe/Paris", Asker(NOW, command="invoke restore --stack=twin --point="))
    assert refusal.value.next_command == 'invoke restore --stack=twin --point="2026-10-25T02:30:00+02:00" --dry-run'
    with pytest.raises(PointRefused) as refusal:
        parse("15m", ASKER)
    assert refusal.value.next_command == 'invoke restore --point="15m ago"'


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
    try:
        parse(text, ASKER)
    except PointRefused as refusal:
        for example in refusal.examples:
            _taken(example)
    else:
        assert re.search(r"([Zz]|[+-]\d\d:\d\d|UTC|Europe/Paris| ago)$", text.strip(" "))


def _taken(example: str) -> None:
    refused = ""
    try:
        parse(example, Asker(datetime(9999, 12, 31, tzinfo=UTC)))
    except PointRefused as refusal:
        refused = refusal.reason
    # an example may name a local time that summer time skips, or an event that needs the journal
    assert re.search("^$|exist|no runs|no backups|future|years 1 to 9999", refused), example
