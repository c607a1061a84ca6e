"""A rollback while Cloudflare's API does not answer: what the operator is told, and that nothing is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from runbooks.model.errors import Exit, Unreachable
from runbooks.steps.rollback.asked import Arguments, Asked
from runbooks.steps.rollback.outage import telling
from tests.runbooks.desk import now
from tests.runbooks.test_rollback import book_of, roll_back

if TYPE_CHECKING:
    from tests.runbooks.desk import Desk

ATTEMPTS = 3  # of the desk's patience
SAID = {"success": False, "errors": [{"code": 10503, "message": "no healthy upstream"}]}
DOWN: tuple[int, dict[str, str], Any] = (503, {}, SAID)


def test_an_outage_is_told_with_what_is_left(desk: Desk) -> None:
    """What was tried, that nothing was changed, what users get, and what can be done without Cloudflare."""
    desk.release()
    bad = desk.release(good=False)
    desk.stand_in.next.extend([DOWN] * ATTEMPTS)
    with pytest.raises(Unreachable) as raised:
        roll_back(desk)
    text = str(raised.value)
    assert "expected 2xx, got 503 (10503: no healthy upstream). Asked 3 times in " in text
    assert f" Nothing was changed. Users are served as before: {desk.settings.stack.api.host}/api/health " in text
    assert f"answers 200 from version {bad}." in text
    assert "Network Restrictions, only 127.0.0.1/32; Workers are then shut out" in text
    assert raised.value.next_command is None  # the same command again
    assert (desk.stand_in.writes, desk.stand_in.live) == ([], bad)
    assert roll_back(desk).status == "done"


def test_an_outage_right_before_the_first_effect_is_told_too(desk: Desk) -> None:
    """The facts are read again before anything is done: the run is paused with the same words, and goes on."""
    good, bad = desk.release(), desk.release(good=False)
    book = book_of(desk)
    gather, asked = book.gather, []

    def again() -> object:
        asked.append(True)
        desk.stand_in.next.extend([DOWN] * ATTEMPTS * (len(asked) == 2))
        return gather()

    outcome = desk.run(replace(book, gather=again), reason="it throws")
    assert (outcome.status, outcome.exit) == ("paused", Exit.PAUSED)
    assert "Nothing was changed. Users are served as before" in outcome.text
    assert desk.stand_in.live == bad
    assert desk.runner().resume(outcome.run, book=book_of(desk), consent=desk.consent).status == "done"
    assert desk.stand_in.live == good


def test_users_without_an_answer_are_told(desk: Desk) -> None:
    """Where the edge is silent as well, it is said so."""
    desk.release()
    desk.release(good=False)
    desk.stand_in.next.extend([*[DOWN] * ATTEMPTS, (0, {}, None)])
    with pytest.raises(Unreachable, match=r"Nothing was changed\. Users get no answer either: GET https://api"):
        roll_back(desk)


def test_an_ops_home_out_of_reach_is_no_outage_of_cloudflare(desk: Desk) -> None:
    """What somebody else does not answer is told as it is."""

    def gather() -> None:
        message = "the ops home cannot be read"
        raise Unreachable(message)

    asked = Asked(desk.settings, desk.home, Arguments(), now)
    with pytest.raises(Unreachable, match=r"^the ops home cannot be read$"):
        telling(gather, asked, desk.cloudflare.transport, desk.edge)()
