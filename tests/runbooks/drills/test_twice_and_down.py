"""What the drills of an outage and of two operators hold against the books."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.clients.twin import Call
from runbooks.drills import bad_release_twice, control_plane_down
from runbooks.model.errors import NotSo

if TYPE_CHECKING:
    from collections.abc import Iterator


def calls(*given: tuple[str, str, int, str | None]) -> tuple[Call, ...]:
    """Make calls: method, path, status, effect."""

    def made() -> Iterator[Call]:
        for seq, (method, path, status, effect) in enumerate(given, 1):
            yield Call(seq, "", "cloudflare", method, f"/client/v4/{path}", status, effect)

    return tuple(made())


LOST = ("POST", "scripts/api/deployments", 503, "deployed")
DOWN = ("GET", "scripts/api/deployments", 503, None)


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (calls(DOWN, LOST, DOWN), []),
        (calls(DOWN), ["the traffic was routed 0 times, expected once"]),
        (calls(LOST, DOWN, LOST), ["the traffic was routed 2 times, expected once"]),
        (
            calls(("POST", "scripts/api/deployments", 200, "deployed")),
            ["the answer of the call that routes the traffic was not lost: nothing is proven of that"],
        ),
        (
            calls(DOWN, LOST),
            ["the API was not down after the call that routes the traffic: nothing is proven of that"],
        ),
    ],
)
def test_a_lost_answer_counts_once(seen: tuple[Call, ...], problem: list[str]) -> None:
    """The call that matters had its effect once, its answer was lost, and nothing answered after it."""
    assert control_plane_down.once(seen) == problem


def test_a_command_that_says_nothing_is_no_run() -> None:
    """The first operator's command must print the run that it was."""
    with pytest.raises(NotSo, match=r"invoke rollback --json: expected one run, got b'\{\}'"):
        bad_release_twice.outcome_of(b"{}")
