"""What databases beside the present one are called."""

from __future__ import annotations

import pytest

from runbooks.steps.database.replaced import beside_name

ENDING = "20261128_111845"
MOST = 63  # bytes: PostgreSQL cuts the rest of a name off, and would mean the present database itself


@pytest.mark.parametrize("current", ["postgres", "p" * MOST, "ü" * 31, "馬" * 21, f"postgres_{ENDING}"])
def test_no_name_is_cut_by_the_server(current: str) -> None:
    """The new and the former database have names of their own, whole, however long the present one's is."""
    names = {current, beside_name(current, ENDING), beside_name(current, f"former_{ENDING}")}
    cut = {name.encode()[:MOST] for name in names}
    assert cut == {name.encode() for name in names}
    assert len(cut) == len(names) or current.endswith(ENDING)
