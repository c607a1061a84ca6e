"""The point just before a fault is found from evidence, in whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runbooks.drills.rig.detect import Look
from runbooks.drills.rig.going_back import just_before


def at(seconds: float) -> datetime:
    """Return an instant of the minute."""
    return datetime.fromtimestamp(1_790_000_000 + seconds, UTC)


GOOD = Look(at(10.4), at(10.5), at(10.45), ())


@pytest.mark.parametrize(
    ("rewritten", "point", "evidence"),
    [
        (11.7, 11, "catalog"),
        (12.0, 11, "catalog"),
        (None, 10, "last look"),
        (9.0, 10, "last look"),
        (14.0, 10, "last look"),
    ],
    ids=["within a second", "on a second", "no commit times", "before the last good look", "after it was noticed"],
)
def test_the_point_lies_just_before(rewritten: float | None, point: int, evidence: str) -> None:
    """The catalog's commit time counts between the last good look and the first bad one, else the look itself."""
    found, why = just_before(None if rewritten is None else at(rewritten), good=GOOD, noticed=at(13))
    assert found == at(point)
    assert evidence in why


def test_without_the_databases_time_our_own_counts() -> None:
    """A look that could not ask the database for the time gives its own beginning."""
    found, _ = just_before(None, good=Look(at(8.2), at(8.3), None, ()), noticed=at(13))
    assert found == at(8)
