"""Ask `holds` until its answer can be relied on."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from runbooks.engine.step import Held, No, Settling, Sight, Step, Yes
from runbooks.model.errors import NeverSo, NotSo, OpsError, Unreachable

if TYPE_CHECKING:
    from runbooks.engine.signals import Stop

LOOK_AGAIN: Final = 1.0
"""Seconds before a system that did not answer is asked again."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Seconds between two looks at something that is not so yet: short at first, then longer."""

Counts = Callable[[Held], bool]


def at_once(held: Held) -> bool:
    """Take any answer but "settling": before an act."""
    return not isinstance(held, Settling)


def only_yes(held: Held) -> bool:
    """Take a Yes: after an act that was answered, a No may be a stale read, and acting again would repeat it."""
    return isinstance(held, Yes)


def only_no(held: Held) -> bool:
    """Take a No: after an undo that was answered."""
    return isinstance(held, No)


def lasting(wanted: type[Held], *, seconds: float) -> Counts:
    """Take the wanted answer at once, and its opposite once it was given `seconds` from now: after a lost answer."""
    proven = time.monotonic() + seconds
    return lambda held: isinstance(held, wanted) or (not isinstance(held, Settling) and time.monotonic() >= proven)


def look(step: Step, sight: Sight) -> Held:
    """Ask once. No answer is "settling", a failed proof is a No unless it can never hold; other errors are raised."""
    try:
        return step.holds(sight)
    except NeverSo:
        raise
    except NotSo as error:
        return No({}, str(error))
    except OpsError as error:
        if not error.retryable:
            raise
        after = error.after if isinstance(error, Unreachable) else 0.0
        return Settling({"unreachable": str(error)}, max(LOOK_AGAIN, after))


def settle(step: Step, sight: Sight, *, stop: Stop, limit: int, counts: Counts, until: float) -> Held:
    """Ask until the answer counts, at least once and once more at the monotonic instant `until`; return the last one.

    `limit` is how many signals end the wait. Raises StopNow.
    """
    pause = FIRST_PAUSE
    while True:
        held = stop.during(limit, partial(look, step, sight))
        left = until - time.monotonic()
        if counts(held) or left <= 0:
            return held
        wanted = held.look_again_after if isinstance(held, Settling) else pause
        pause = min(pause * 2, LONGEST_PAUSE)
        stop.during(limit, partial(time.sleep, min(wanted, left)))


def why(held: Held) -> str:
    """Return in one line what the last look saw."""
    if isinstance(held, No):
        return held.why
    seen = ", ".join(f"{name} {value}" for name, value in held.evidence.items())
    return f"still settling ({seen})" if seen else "still settling"
