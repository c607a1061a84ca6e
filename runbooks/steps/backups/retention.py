"""Which backups stay: the newest of each of the last days, weeks and months, and never the last proven one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from infra.shapes import Keep


def kept(backups: Iterable[tuple[str, datetime]], keep: Keep, *, proven: str | None) -> dict[str, str]:
    """Return why each backup that stays does, by id, in the order given; all others may go.

    Days are UTC days, weeks those of ISO 8601. The newest backup always stays, and so does `proven`, the one that was
    proven last: a newer one may turn out not to be whole.
    """
    newest_first = sorted(backups, key=lambda one: one[1], reverse=True)
    reasons: dict[str, list[str]] = {name: [] for name, _ in newest_first}
    rules: tuple[tuple[str, int, Callable[[datetime], str]], ...] = (
        ("daily", keep.daily, lambda at: f"{at:%Y-%m-%d}"),
        ("weekly", keep.weekly, lambda at: f"{at:%G-W%V}"),
        ("monthly", keep.monthly, lambda at: f"{at:%Y-%m}"),
    )
    for rule, count, period in rules:
        seen: set[str] = set()
        for name, at in newest_first:
            if period(at) not in seen and len(seen) < count:
                seen.add(period(at))
                reasons[name].append(f"{rule} {period(at)}")
    if proven in reasons:
        reasons[proven].append("proven last")
    return {name: ", ".join(why) for name, why in reversed(reasons.items()) if why}


def days_without(backups: Iterable[datetime], *, now: datetime, days: int) -> list[str]:
    """Return the UTC days without a backup among the last `days` whole ones, since the first backup of all."""
    there = {at.date() for at in backups}
    if not there:
        return []
    wanted = (now.date() - timedelta(days=back) for back in range(days, 0, -1))
    return [f"{day}" for day in wanted if day not in there and day > min(there)]
