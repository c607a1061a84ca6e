"""What stays is the newest of each day, week and month, and what was proven last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from infra.shapes import Keep
from runbooks.steps.backups.retention import days_without, kept

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)


def nightly(days: int) -> list[tuple[str, datetime]]:
    """Return a backup a night, the newest last."""
    return [(f"{NOW - timedelta(days=back):%Y-%m-%d}", NOW - timedelta(days=back)) for back in range(days, -1, -1)]


def test_a_year_of_nights_becomes_days_weeks_and_months() -> None:
    """7 daily, 4 weekly, 12 monthly: each the newest of its period, in order, with its reasons."""
    stays = kept(nightly(500), Keep(), proven=None)
    assert list(stays) == sorted(stays)
    assert list(stays)[-8:] == [
        *("2026-11-15", "2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"),
        "2026-11-28",
    ]
    assert stays["2026-11-28"] == "daily 2026-11-28, weekly 2026-W48, monthly 2026-11"
    assert stays["2026-10-31"] == "monthly 2026-10"
    assert stays["2025-12-31"] == "monthly 2025-12"
    assert len(stays) == 7 + 2 + 11


def test_the_last_proven_one_never_goes() -> None:
    """However old it is."""
    assert kept(nightly(40), Keep(daily=1, weekly=0, monthly=0), proven="2026-11-01") == {
        "2026-11-01": "proven last",
        "2026-11-28": "daily 2026-11-28",
    }


@given(st.lists(st.integers(0, 800), unique=True, max_size=40), st.builds(Keep, daily=st.integers(1, 9)))
def test_what_stays_is_enough(days: list[int], keep: Keep) -> None:
    """The newest always stays, never more than asked for, and pruning again takes nothing more."""
    there = [(f"b{back}", NOW - timedelta(days=back)) for back in days]
    stays = kept(there, keep, proven=None)
    assert len(stays) <= keep.daily + keep.weekly + keep.monthly
    if there:
        assert f"b{min(days)}" in stays
    assert list(kept([one for one in there if one[0] in stays], keep, proven=None)) == list(stays)


def test_days_without_a_backup_are_told() -> None:
    """Only whole days count, and none before the first backup."""
    there = [NOW - timedelta(days=back) for back in (0, 1, 4, 5)]
    assert days_without(there, now=NOW, days=7) == ["2026-11-25", "2026-11-26"]
    assert days_without([], now=NOW, days=7) == []
