"""Numbers, times and evidence in the words that people read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60
HOUR = 3600
BYTES = 100_000  # no book counts so many of anything else
LONGEST_SEEN = 100  # characters of evidence on one line


def span(seconds: float) -> str:
    """Write a time span in seconds: `23 ms`, `0.4 s`, `42 s`, `5 min 2 s`, `2 h 5 min`."""
    if seconds < 0.1:  # noqa: PLR2004  `0.0 s` would say nothing
        return f"{seconds * 1000:.0f} ms" if seconds > 0 else "0 s"
    if seconds < 10:  # noqa: PLR2004  below ten seconds a tenth is still worth reading
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def amount(done: int, total: int) -> str:
    """Write how much is done of how much: `3 of 20`; so many can only be bytes: `1.4 MB of 20.0 MB`."""
    if total < BYTES:
        return f"{done} of {total}"
    return f"{done / 1e6:.1f} MB of {total / 1e6:.1f} MB"


def brief(evidence: Mapping[str, object]) -> str:
    """Write the plain values of evidence as `key value, key value`, cut to one line."""
    plain = [
        f"{key} {value}" for key, value in evidence.items() if isinstance(value, str | int | float) and value != ""
    ]
    text = " ".join(", ".join(plain).split())
    return text if len(text) <= LONGEST_SEEN else text[: LONGEST_SEEN - 1] + "…"


def moment(at: str) -> datetime:
    """Read an RFC 3339 time of a journal as an aware UTC datetime."""
    return datetime.fromisoformat(at).astimezone(UTC)


def utc(at: datetime) -> str:
    """Write an instant as `2026-11-20 10:15:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
