"""The published spellings of points in time, each held against the standard library's own calendar and zones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runbooks.model.timepoint import Point, parse
from runbooks.model.timepoint_refusals import Asker, PointRefused

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of `points.jsonl`: a spelling, who types it, and the instant or the refusal."""

    kind: str
    point: str
    now: str = "2026-11-20T10:57:30Z"
    zone: str = "Europe/Paris"
    at: str = ""
    refused: str = ""
    examples: tuple[str, ...] = ()

    @property
    def asker(self) -> Asker:
        """Return who types it."""
        return Asker(datetime.fromisoformat(self.now), self.zone)


LINES: Final = (Path(__file__).parent / "points.jsonl").read_bytes().splitlines()
CASES: Final = tuple(msgspec.json.decode(line, type=Case) for line in LINES)
TAKEN: Final = tuple(case for case in CASES if case.at)
REFUSED: Final = tuple(case for case in CASES if case.refused)
SUMMER: Final = tuple(case for case in REFUSED if "exist" in case.refused and "in the future" not in case.refused)


def line_of(case: Case) -> str:
    """Return where a case stands in the file."""
    return f"line {CASES.index(case) + 1}"


def by_calendar(text: str, now: datetime) -> set[datetime]:
    """Return every instant that a well-formed text can mean by the standard library: none, one or two."""
    text = text.strip(" ")
    if match := re.fullmatch(r"([0-9]+)([smhd]) +ago", text):
        at = now - timedelta(seconds=int(match[1]) * SECONDS[match[2]])
        return {at.replace(microsecond=0)}
    written, _, zone = text.rpartition(" ")
    if not re.fullmatch("[A-Za-z].*/.*|UTC", zone):
        return {
            datetime.fromisoformat(
                re.sub(" +", " ", text.upper()).replace(" Z", "Z").replace(" +", "+").replace(" -", "-")
            )
        }
    local = datetime.fromisoformat(re.sub(" +", " ", written.strip()))
    both = [local.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1)]
    found = {at.astimezone(UTC) for at in both}
    return {at for at in found if at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local}


def read(case: Case, text: str) -> Point | PointRefused:
    """Return what a text is to the asker of a case."""
    try:
        return parse(text, case.asker)
    except PointRefused as refusal:
        return refusal


def test_the_corpus_is_large_and_says_each_thing_once() -> None:
    """It holds hundreds of spellings, good and bad, none of them twice for the same asker."""
    assert len(CASES) >= 600
    assert len(TAKEN) >= 100
    assert len({(case.point, case.now, case.zone) for case in CASES}) == len(CASES)
    assert all(bool(case.at) != bool(case.refused) for case in CASES)


@pytest.mark.parametrize("case", TAKEN, ids=line_of)
def test_what_is_taken_means_one_instant(case: Case) -> None:
    """The instant is that of the corpus, and the only one that the standard library finds for the spelling."""
    point = read(case, case.point)
    assert isinstance(point, Point)
    assert (point.utc, {point.at}) == (case.at, by_calendar(case.point, case.asker.now))
    assert read(case, point.utc) == Point(point.at, point.utc)


@pytest.mark.parametrize("case", REFUSED, ids=line_of)
def test_what_is_refused_shows_what_would_be_taken(case: Case) -> None:
    """The reason and the examples are those of the corpus; the same asker is taken at their word with each of them."""
    refusal = read(case, case.point)
    assert isinstance(refusal, PointRefused)
    assert (refusal.reason, refusal.examples) == (case.refused, case.examples)
    assert case.examples
    for shown in case.examples:
        assert isinstance(read(case, shown), Point)
    assert refusal.next_command is not None
    assert refusal.next_command.startswith(f'invoke restore --point="{case.examples[0]}"')
    assert len(str(refusal)) < 500


@pytest.mark.parametrize("case", SUMMER, ids=line_of)
def test_a_local_time_that_is_refused_is_none_or_two(case: Case) -> None:
    """What is refused for summer time does not exist by the standard library, or exists as the two examples."""
    found = by_calendar(case.point, case.asker.now)
    shown = {parse(text, case.asker).at for text in case.examples}
    assert found == (shown if "exists twice" in case.refused else set())
    assert len(shown) == (2 if found else 1)


SEPARATORS: Final = st.sampled_from([*" \t\n\xa0Tt_.,;:/-+zZ'\"", "T ", "  ", "[", "]"])
WRITTEN: Final = tuple(case for case in TAKEN if not case.point.endswith("ago"))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(WRITTEN), st.data())
def test_other_separators_mean_the_same_or_are_refused(case: Case, data: st.DataObject) -> None:
    """Whatever stands between the numbers: the text means the same instant, or another zone that it names, or none."""
    places = [place for place, character in enumerate(case.point) if not character.isalnum()]
    place = data.draw(st.sampled_from([0, *places, len(case.point)]))
    removed = data.draw(st.integers(0, 1))
    text = case.point[:place] + data.draw(st.just("") | SEPARATORS) + case.point[place + removed :]
    found = read(case, text)
    if isinstance(found, Point):
        assert {found.at} == by_calendar(text, case.asker.now)
        same_sign = [c for c in text if c in "+-"] == [c for c in case.point if c in "+-"]
        assert not same_sign or found.utc == case.at


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TAKEN), st.data())
def test_any_slip_means_what_the_calendar_says_or_is_refused(case: Case, data: st.DataObject) -> None:
    """A character lost, doubled, swapped or mistyped: what is then taken has one meaning by the calendar, that one."""
    place = data.draw(st.integers(0, len(case.point) - 1))
    before, here, after = case.point[:place], case.point[place], case.point[place + 1 :]
    other = data.draw(st.characters(max_codepoint=0x2FF) | st.sampled_from("0123456789Zz+- "))
    slips = [before + after, before + 2 * here + after, before + other + after, before + here + other + after]
    text = data.draw(st.sampled_from([*slips, before + after[:1] + here + after[1:]]))
    found = read(case, text)
    if isinstance(found, Point):
        assert {found.at} == by_calendar(text, case.asker.now)
    else:
        assert all(isinstance(read(case, shown), Point) for shown in found.examples)


ZONES: Final = ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC")


@settings(max_examples=200, deadline=None)
@given(
    st.datetimes(datetime(1890, 1, 1), datetime(2026, 11, 18)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001 - naive on purpose
    st.sampled_from(ZONES),
    st.sampled_from(["{:%Y-%m-%d %H:%M:%S} {}", "{:%Y-%m-%dT%H:%M:%S}  {}"]),
)
@example(datetime(2026, 10, 25, 2, 30), "Europe/Paris", "{:%Y-%m-%d %H:%M:%S} {}")  # noqa: DTZ001 - as above
def test_every_local_time_is_read_as_the_one_instant_that_it_is(local: datetime, zone: str, form: str) -> None:
    """A local time is taken exactly where the standard library finds one instant for it, and comes back as it was."""
    text, case = form.format(local, zone), CASES[0]
    found, instants = read(case, text), by_calendar(text, case.asker.now)
    if isinstance(found, PointRefused):
        assert len(instants) != 1
        return
    assert {found.at} == instants
    assert found.at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local
    assert read(case, found.utc) == Point(found.at, found.utc)
