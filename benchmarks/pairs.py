"""Measure two sides in turns, so that what the machine does meanwhile falls on both."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def alternate(ours: Callable[[], float], peer: Callable[[], float], runs: int) -> dict[str, Any]:
    """Return the medians of both sides in seconds, their ratio, and every single measurement."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        seconds[0].append(ours())
        seconds[1].append(peer())
    middle = [median(side) for side in seconds]
    return {
        "ours": round(middle[0], 4),
        "peer": round(middle[1], 4),
        "ratio": round(middle[0] / middle[1], 3),
        "runs": runs,
        "unit": "s",
        "all_ours": [round(one, 4) for one in seconds[0]],
        "all_peer": [round(one, 4) for one in seconds[1]],
    }
