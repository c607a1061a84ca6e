"""Rate limits by hand: windows, blocks, who is counted together."""

from __future__ import annotations

from twin.shield.rates import Limit, Rates


def asked(rates: Rates, limit: Limit, *times: float, who: str = "a") -> list[int]:
    """Count a request at each time and return how long each had to wait."""
    waits = []
    for now in times:
        rates.count(who, limit, now)
        waits.append(rates.wait(who, limit, now))
    return waits


def test_the_one_too_many_starts_a_block_that_others_do_not_lengthen() -> None:
    """Two in ten seconds are let through, the third starts thirty seconds; asking on does not begin them anew."""
    rates, limit = Rates(), Limit(2, 10, 30)
    assert asked(rates, limit, 0, 1, 2, 20, 31.5) == [0, 0, 30, 12, 1]
    assert asked(rates, limit, 32) == [0]


def test_a_new_window_begins_when_the_old_one_is_over() -> None:
    """What was counted ten seconds ago does not count."""
    assert asked(Rates(), Limit(2, 10, 30), 0, 9, 10, 11, 12) == [0, 0, 0, 0, 30]


def test_without_a_timeout_only_what_is_too_much_waits() -> None:
    """A throttle lets pass again when the window is over."""
    assert asked(Rates(), Limit(1, 10, 0), 0, 4, 9.5, 10) == [0, 6, 1, 0]


def test_each_is_counted_alone() -> None:
    """One visitor's requests are not another's."""
    rates, limit = Rates(), Limit(1, 10, 10)
    assert asked(rates, limit, 0, 1) == [0, 10]
    assert asked(rates, limit, 1, who="b") == [0]


def test_counters_that_say_nothing_are_forgotten() -> None:
    """Very many visitors do not fill the memory, and the blocked ones stay blocked."""
    rates, limit = Rates(), Limit(1, 10, 30)
    asked(rates, limit, 0, 0, who="blocked")
    for number in range(30_000):
        rates.count(number, limit, 1)
    assert rates.wait("blocked", limit, 1) == 29
    assert len(rates._counters) <= 20_001
