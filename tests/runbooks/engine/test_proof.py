"""What one look at a step means: an error is a No, "not yet", or the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.engine.proof import LOOK_AGAIN, look
from runbooks.engine.step import Effect, Held, No, NoUndo, Settling, Sight, Step
from runbooks.model.errors import CheckError, NeverSo, NotSo, Unreachable

if TYPE_CHECKING:
    from runbooks.model.errors import OpsError


def raising(error: OpsError) -> Step:
    """Return a step whose look ends in an error."""

    def holds(_sight: Sight) -> Held:
        raise error

    return Step(
        name="a", title="a", effect=Effect.READ, holds=holds, act=lambda _sight: None, undo=NoUndo("it only reads")
    )


def test_a_failed_proof_is_looked_at_again() -> None:
    """It may hold in a moment; one that never will is raised at once, and so is any other error."""
    assert look(raising(NotSo("not yet")), Sight()) == No({}, "not yet")
    for error in (NeverSo("it failed for good"), CheckError("no such thing")):
        with pytest.raises(type(error), match=str(error)):
            look(raising(error), Sight())


def test_who_says_when_to_ask_again_is_obeyed() -> None:
    """No answer is asked for again soon; one that says “in a minute” is not asked before."""
    soon, later = (raising(Unreachable("later", after=after)) for after in (0.0, 60.0))
    assert look(soon, Sight()) == Settling({"unreachable": "later"}, LOOK_AGAIN)
    assert look(later, Sight()) == Settling({"unreachable": "later"}, 60.0)
