"""The HTTP door: what it repeats, what it never repeats, and what it says."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.cloudflare import explain
from runbooks.clients.transport import Patience, Transport
from runbooks.model.errors import ActRefused, AnswerLost, CheckError, Refused, Unreachable
from runbooks.model.reconciliation import DEPLOY, ORDER
from tests.runbooks.stand_in import GONE, LOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runbooks.stand_in import StandIn

TOKEN = "token-that-must-not-be-seen-0123456789ab"
QUICK = Patience(connect=1, answer=1, read=3, attempts=4)
REFUSAL = {"success": False, "errors": [{"code": 10021, "message": "bad script"}], "result": None}


@pytest.fixture
def door(stand_in: StandIn) -> Iterator[Transport]:
    """Open a transport to the stand-in."""
    transport = Transport("Cloudflare", stand_in.address, TOKEN, explain=explain, patience=QUICK)
    yield transport
    transport.close()


def test_a_token_is_sent_and_shown_nowhere(stand_in: StandIn, door: Transport) -> None:
    """The token goes out as a bearer token, and stands in no error and no representation of an answer."""
    stand_in.next.append((403, {}, {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]}))
    with pytest.raises(CheckError, match=r"expected 2xx, got 403 \(10000: Authentication error\)") as raised:
        door.get("/zones")
    assert stand_in.seen[0][2]["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_read_is_asked_again(stand_in: StandIn, door: Transport, status: int) -> None:
    """A read that was answered "later" is asked again until there is an answer."""
    stand_in.next.extend([(status, {}, REFUSAL)] * 2)
    assert door.get("/x").status == 200
    assert door.calls == 3


def test_a_read_survives_a_cut_connection(stand_in: StandIn, door: Transport) -> None:
    """A connection that is cut before the answer does not end a read."""
    stand_in.next.append((GONE, {}, None))
    assert door.get("/x").status == 200


def test_retry_after_is_obeyed(stand_in: StandIn, door: Transport) -> None:
    """The provider's Retry-After sets the wait."""
    stand_in.next.append((429, {"retry-after": "1"}, REFUSAL))
    began = time.monotonic()
    door.get("/x")
    assert time.monotonic() - began >= 1.0


def test_supabases_reset_is_obeyed_where_nothing_remains(stand_in: StandIn, door: Transport) -> None:
    """Supabase says by other headers when to ask again; on an answer that leaves calls over they mean nothing."""
    spent = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "300"}
    stand_in.next.append((429, spent, REFUSAL))
    with pytest.raises(Unreachable) as raised:
        door.get("/x")
    assert (raised.value.after, door.calls) == (300.0, 1)
    stand_in.next.append((429, {**spent, "x-ratelimit-remaining": "7"}, REFUSAL))
    assert door.get("/x").status == 200


def test_a_wait_longer_than_patience_is_not_begun(stand_in: StandIn, door: Transport) -> None:
    """A Retry-After beyond the deadline fails at once, saying what came."""
    stand_in.next.append((429, {"retry-after": "300"}, REFUSAL))
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"GET .*/x: expected 2xx, got 429 \(10021: bad script\)"):
        door.get("/x")
    assert time.monotonic() - began < 300.0  # what it was asked to wait


def test_a_read_gives_up(stand_in: StandIn, door: Transport) -> None:
    """After its attempts a read says that nobody answers."""
    stand_in.next.extend([(503, {}, b"try later")] * 9)
    with pytest.raises(Unreachable, match=r"got 503 \(try later\)"):
        door.get("/x")
    assert door.calls == QUICK.attempts


def test_a_status_can_be_an_answer(stand_in: StandIn, door: Transport) -> None:
    """A 404 that the caller accepts is an answer, any other 4xx is an error at once."""
    stand_in.next.append((404, {}, REFUSAL))
    assert door.get("/x", accept=(404,)).status == 404
    stand_in.next.append((404, {}, REFUSAL))
    with pytest.raises(CheckError, match="got 404"):
        door.get("/x")
    assert door.calls == 2


def test_a_refused_write_carries_the_providers_code(stand_in: StandIn, door: Transport) -> None:
    """A 4xx to a write is a refusal: nothing happened, and the code and text are the provider's."""
    stand_in.next.append((400, {}, REFUSAL))
    with pytest.raises(ActRefused, match=r"refused; expected 2xx, got 400 \(10021: bad script\)") as raised:
        door.send(ORDER, "/x", json={})
    assert raised.value.code == "10021"


@pytest.mark.parametrize("fault", [(500, {}, REFUSAL), (GONE, {}, None), (LOST, {}, None), (200, {"sleep": "1.5"}, {})])
def test_a_write_is_never_repeated_blindly(
    stand_in: StandIn, door: Transport, fault: tuple[int, dict[str, str], object]
) -> None:
    """A write without a clear answer is sent once and reported as lost."""
    stand_in.next.append(fault)
    with pytest.raises(AnswerLost):
        door.send(ORDER, "/accounts/a/workers/scripts/s/other", json={})
    assert door.calls == 1


def test_a_write_that_was_put_off_is_sent_again(stand_in: StandIn, door: Transport) -> None:
    """429 to a write means that nothing was done: it is sent again when the provider says so."""
    stand_in.next.append((429, {"retry-after": "0"}, REFUSAL))
    assert door.send(ORDER, "/x", json={}).status == 200
    assert door.calls == 2


def test_a_write_that_never_left_may_be_repeated() -> None:
    """Where no connection is made nothing can have happened."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    transport = Transport("Cloudflare", address, patience=Patience(connect=0.5, answer=0.5, read=0.5, attempts=2))
    with pytest.raises(Unreachable, match="can't be reached, nothing was sent"):
        transport.send(ORDER, "/x", json={})
    transport.close()


def test_a_plan_only_reads(stand_in: StandIn, door: Transport) -> None:
    """The second lock of a dry run: anything but a read is refused before it is sent."""
    door.read_only = True
    door.get("/x")
    with pytest.raises(Refused, match=r"a plan only reads; expected GET, got POST\. Nothing was sent"):
        door.send(ORDER, "/x", json={})
    assert [method for method, *_ in stand_in.seen] == ["GET"]


def test_an_unclassified_write_is_not_sent(stand_in: StandIn, door: Transport) -> None:
    """A write to a path of which nobody said how its lost answer is settled never leaves."""
    with pytest.raises(
        ValueError, match=r"POST .*/x: expected a path like /accounts/.*/deployments: how a lost answer"
    ):
        door.send(DEPLOY, "/x", json={})
    assert stand_in.seen == []


def test_an_answer_of_another_shape_is_named(stand_in: StandIn, door: Transport) -> None:
    """A body that isn't what was expected says what came instead."""
    stand_in.next.append((200, {}, b"<html>blocked</html>"))
    answer = door.get("/x")
    with pytest.raises(CheckError, match=r"GET .*/x: expected dict as JSON, got '<html>blocked</html>'"):
        answer.decode(dict)
