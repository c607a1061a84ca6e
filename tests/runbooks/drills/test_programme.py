"""Which drills are run."""

from __future__ import annotations

import pytest

from runbooks.drills.programme import SCENARIOS, USUAL, chosen
from runbooks.model.errors import Refused


def test_without_a_name_the_quick_ones_are_run() -> None:
    """The usual two for nothing, each by its name in the order of the programme, every one when asked for."""
    assert tuple(scenario.name for scenario in chosen(())) == USUAL
    assert [scenario.name for scenario in chosen(("lost-table", "bad-dns"))] == ["bad-dns", "lost-table"]
    assert chosen((), every=True) == SCENARIOS
    assert SCENARIOS[-1].name == "lost-database"  # what moves the product away


def test_an_unknown_drill_is_refused_with_those_that_are_known() -> None:
    """A typo names what could have been meant."""
    with pytest.raises(Refused, match="drill bad-site2: expected one of bad-release, bad-release-twice, ") as raised:
        chosen(("bad-site2",))
    assert raised.value.next_command == "invoke drill --list"
