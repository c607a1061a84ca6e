"""Cloudflare's cron expressions, and when they are fired."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from twin.workerd.cron import matches

FRIDAY = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "at", "expected"),
    [
        ("* * * * *", FRIDAY, True),
        ("15 10 * * *", FRIDAY, True),
        ("16 10 * * *", FRIDAY, False),
        ("*/5 * * * *", FRIDAY, True),
        ("*/10 * * * *", FRIDAY, False),
        ("5/10 * * * *", FRIDAY, True),
        ("0-20,45 9-11 * * *", FRIDAY, True),
        ("* * 20 11 *", FRIDAY, True),
        ("* * * NOV *", FRIDAY, True),
        ("* * * dec *", FRIDAY, False),
        ("* * * * 6", FRIDAY, True),
        ("* * * * MON-FRI", FRIDAY, True),
        ("0 0 * * 1", SUNDAY, True),
        ("0 0 * * sun", SUNDAY, True),
        ("* * 1 * FRI", FRIDAY, True),
        ("* * 1 * MON", FRIDAY, False),
    ],
)
def test_minutes(expression: str, at: datetime, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """Lists, ranges, steps and names as documented; days of the week count from 1, Sunday; either day is enough."""
    assert matches(expression, at) is expected


@pytest.mark.parametrize("expression", ["", "* * * *", "60 * * * *", "* * * * 8", "x * * * *", "5-1 * * * *"])
def test_what_is_no_expression(expression: str) -> None:
    """An expression that cannot be read is an error, never a silent "not now"."""
    with pytest.raises(ValueError, match=r".+"):
        matches(expression, FRIDAY)
