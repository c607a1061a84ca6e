"""Every refusal of a way back names a command: its own, or the restore without that way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest

from runbooks.model.errors import Refused
from runbooks.steps.recovery.strategy import Strategy, choose

if TYPE_CHECKING:
    from runbooks.steps.recovery.strategy import Reached

RETRY = 'invoke restore --stack twin --point="10m ago"'


@dataclass(frozen=True)
class Cannot:
    """A way that cannot be taken, and what helps."""

    helps: str | None
    name: str = "pitr"

    def reach(self) -> tuple[Reached, str]:
        """Refuse."""
        message = "it is not enabled."
        raise Refused(message, next_command=self.helps)


@pytest.mark.parametrize(
    ("helps", "typed"), [(None, f"{RETRY} --dry-run"), ("invoke backup.list", "invoke backup.list")]
)
def test_a_way_that_was_asked_for_and_cannot_names_what_to_type(helps: str | None, typed: str) -> None:
    """Where it knows nothing better, whether another way can is looked at."""
    with pytest.raises(Refused, match=r"^it is not enabled\.$") as refused:
        choose("pitr", [cast("Strategy", Cannot(helps))], project="ref", retry=RETRY)
    assert refused.value.next_command == typed
