"""Which base backup and timeline a point in time is recovered from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twin.postgres.history import Base, Era, History
from twin.world import UnableError

if TYPE_CHECKING:
    from pathlib import Path

FIRST, LATER, SECOND = Base("base-1", 1, 100.0), Base("base-1b", 1, 300.0), Base("base-2", 2, 520.0)


def history() -> History:
    """Return a database that was recovered to 200 at 500, after base backups at 100 and 300."""
    eras = [Era(1, 0.0, sealed=490.0), Era(2, 500.0, parent=1, forked_at=200.0)]
    return History(data="data-2", eras=eras, bases=[FIRST, LATER, SECOND])


@pytest.mark.parametrize(
    ("at", "base", "timeline", "time", "inclusive"),
    [
        (150, FIRST, 1, 150, True),
        (299, FIRST, 1, 299, True),
        (300, LATER, 1, 300, True),
        (489, LATER, 1, 489, True),  # takes the recovery back
        (495, LATER, 1, 490, False),  # between the eras: all that was committed before the seal
        (510, FIRST, 2, 510, True),  # no base of its own yet; the one at 300 lies beyond the fork at 200
        (520, SECOND, 2, 520, True),
    ],
)
def test_choice(at: int, base: Base, timeline: int, time: float, inclusive: bool) -> None:  # noqa: FBT001 - a column
    """The newest base that the point's own past contains, on the timeline that was the database then."""
    target = history().target(at)
    assert (target.base, target.era.timeline, target.time, target.inclusive) == (base, timeline, time, inclusive)


def test_before_the_first_base() -> None:
    """A point before the first base backup cannot be reached, and earliest says so beforehand."""
    assert history().earliest == 100.0
    assert History().earliest is None
    with pytest.raises(UnableError, match="before the first base backup"):
        history().target(99)


def test_it_is_remembered(tmp_path: Path) -> None:
    """What was saved is loaded; no file is an empty history."""
    file = tmp_path / "history.json"
    assert History.load(file) == History()
    history().save(file)
    assert History.load(file) == history()
