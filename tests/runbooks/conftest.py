"""What tests of the runbooks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runbooks.stand_in import StandIn, serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """Give a provider and its edge on this machine."""
    with serving() as state:
        yield state
