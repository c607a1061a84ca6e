"""Where a row of moments turns from good to bad: with few looks, and never past what was allowed."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from runbooks.steps.searching.bisecting import Bisection


def search(truth: str, most: int = 16) -> tuple[int | None, int, list[int], list[int]]:
    """Search a row written as + good, - bad, ? not to be told; return the edges, what was asked, and what was left."""
    asked: list[int] = []
    left: list[int] = []

    def look(place: int, following: int) -> bool | None:
        asked.append(place)
        left.append(following)
        return {"+": True, "-": False, "?": None}[truth[place]]

    good, bad = Bisection(len(truth), look, most).run()
    return good, bad, asked, left


def test_what_broke_after_the_newest_needs_one_look() -> None:
    """Most accidents are noticed soon: the newest place is asked first."""
    assert search("+" * 1000)[:3] == (999, 1000, [999])


def test_nothing_to_ask_finds_nothing() -> None:
    """Without a place there is no good one."""
    assert search("") == (None, 0, [], [])


@given(st.integers(1, 4000), st.data())
def test_one_turn_is_found_exactly_with_few_looks(count: int, data: st.DataObject) -> None:
    """However far back it is: the last good place and the first bad one, in about twice the logarithm of the way."""
    good = data.draw(st.integers(0, count - 1))
    found, bad, asked, left = search("+" * (good + 1) + "-" * (count - good - 1), most=100)
    assert (found, bad) == (good, good + 1)
    assert len(asked) == len(set(asked)) <= 2 * math.log2(count - good) + 3
    assert all(len(asked) - 1 - number <= count for number, count in enumerate(left))


@given(st.text("+-?", max_size=40), st.integers(0, 20))
@example("-+--", 16)
@example("?+?-?", 16)
def test_whatever_the_past_was_the_edges_are_a_turn(truth: str, most: int) -> None:
    """Good, bad, good again, or silent: what is returned was asked, and between the edges nothing is left to ask."""
    good, bad, asked, left = search(truth, most)
    assert len(asked) == len(set(asked)) <= most
    assert all(count + number < most for number, count in enumerate(left))
    if good is None:
        assert "+" not in truth or len(asked) == most
        return
    assert truth[good] == "+"
    assert bad == len(truth) or truth[bad] == "-"
    assert len(asked) == most or set(truth[good + 1 : bad]) <= {"?"}
