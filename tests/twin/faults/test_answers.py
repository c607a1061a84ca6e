"""What a caller sees of a broken call, on the wire."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from tests.twin.serving import served
from twin.calls import Controls
from twin.faults.caller import UnknownCallerError, caller

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = "2026-11-24T04:00:00"


def plane() -> web.Application:
    """Return a control plane with one number in it, and an edge beside it below /edge."""
    numbers = count(1)
    now = {"number": 0}

    async def make(_: web.Request) -> web.Response:
        now["number"] = next(numbers)
        return web.json_response(now)

    async def look(_: web.Request) -> web.Response:
        return web.json_response({**now, "at": f"{AT}Z", "exact": f"{AT}.250Z", "finer": f"{AT}.123456+00:00"})

    async def nothing(*_: Any) -> Any:  # noqa: ANN401 - what the controls would ask for
        raise AssertionError

    app = web.Application()
    app.router.add_post("/number", make)
    app.router.add_get("/number", look)
    controls = Controls(state=dict, cron=nothing, breaks={}, heal=nothing)
    controls.mount(app, "cloudflare")
    edge = web.Application()
    edge.router.add_get("/number", look)
    controls.mount_edge(edge)
    app.add_subapp("/edge", edge)
    return app


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """Serve it and give a client."""
    with served(plane) as address, httpx.Client(base_url=address, timeout=5) as client:
        yield client


def broken(client: httpx.Client, times: int | None = 1, **do: Any) -> None:  # noqa: ANN401 - a fault's own fields
    """Break the next call."""
    client.post("/__twin/faults", json={"path": "number", "times": times, "do": do}).raise_for_status()


def number(client: httpx.Client) -> int:
    """Read the number."""
    return int(client.get("/number").json()["number"])


def effects(client: httpx.Client) -> list[str | None]:
    """Return what each POST did."""
    calls = client.get("/__twin/calls").json()
    return [call["effect"] for call in calls if call["method"] == "POST"]


@pytest.mark.parametrize("applied", [False, True])
def test_silence(client: httpx.Client, applied: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The caller waits and gets nothing; only with `applied` did it happen."""
    broken(client, silence=0.3, applied=applied)
    began = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        client.post("/number")
    assert time.monotonic() - began >= 0.3
    assert (number(client), effects(client)) == ((1, ["POST /number"]) if applied else (0, [None]))


def test_a_silent_call_ends_with_its_caller(client: httpx.Client) -> None:
    """Who waits no longer is not waited for: the twin stops at once."""
    broken(client, silence=60)
    with pytest.raises(httpx.ReadTimeout):
        client.get("/number", timeout=0.1)
    assert number(client) == 0


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_a_share_of_the_body(client: httpx.Client, share: float) -> None:
    """The headers announce all of it; nothing or most of it comes."""
    whole = len(client.get("/number").content)
    broken(client, truncate=share)
    said = f"received {int(whole * share)} bytes, expected {whole}"
    with pytest.raises(httpx.RemoteProtocolError, match=said):
        client.get("/number")


def test_a_read_is_stale_after_a_write(client: httpx.Client) -> None:
    """It answers what it did before the write, as often as asked for; a path never read before can't be stale."""
    assert number(client) == 0
    client.post("/number")
    broken(client, times=3, stale=60)
    assert [number(client), number(client)] == [0, 0]
    assert client.get("/number?fresh").json()["number"] == 1
    assert number(client) == 1
    (fault,) = client.get("/__twin/faults").json()
    assert (fault["seen"], fault["struck"]) == (4, 2)


def test_a_stale_read_catches_up(client: httpx.Client) -> None:
    """So many seconds after the write the truth is told."""
    assert number(client) == 0
    client.post("/number")
    broken(client, times=None, stale=0.2)
    assert number(client) == 0
    time.sleep(0.25)
    assert number(client) == 1


def test_the_edge_can_be_broken(client: httpx.Client) -> None:
    """A user's request is struck as provider "edge", is stale after a write elsewhere, and is no recorded call."""
    assert client.get("/edge/number").json()["number"] == 0
    client.post("/number")
    fault = {"provider": "edge", "times": 2, "do": {"stale": 60}}
    client.post("/__twin/faults", json=fault)
    assert client.get("/edge/number").json()["number"] == 0
    client.request("DELETE", "/__twin/faults")
    client.post("/__twin/faults", json={"provider": "edge", "do": {"status": 503}})
    assert client.get("/edge/number").json() == {"message": "injected fault"}


def test_another_clock(client: httpx.Client) -> None:
    """The Date header and every time of day in the body are ahead, each written as before."""
    broken(client, skew=3600)
    answer = client.get("/number")
    ahead = parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)
    later = "2026-11-24T05:00:00"
    assert answer.json() == {
        "number": 0, "at": f"{later}Z", "exact": f"{later}.250Z", "finer": f"{later}.123456+00:00",
    }  # fmt: skip


@pytest.mark.parametrize("applied", [False, True])
def test_the_caller_is_killed(client: httpx.Client, applied: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The process that calls dies at that instant, before its effect or after it; the twin goes on."""
    broken(client, kill=True, applied=applied)
    call = "import sys, urllib.request as u; u.urlopen(sys.argv[1] + '/number', b'')"
    done = subprocess.run([sys.executable, "-c", call, str(client.base_url)], check=False, timeout=10)
    assert done.returncode == -9
    assert number(client) == int(applied)


def test_the_twin_does_not_kill_itself(client: httpx.Client) -> None:
    """A caller inside of its own process is refused, and nothing happens."""
    broken(client, kill=True)
    answer = client.post("/number")
    assert answer.status_code == 501
    assert "nobody was killed" in answer.json()["message"]
    assert (number(client), effects(client)) == (0, [])


def test_a_caller_that_cannot_be_told() -> None:
    """Who has left, or comes another way, is nobody."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for connection in (None, ours):
            with pytest.raises(UnknownCallerError, match="expected a caller on TCP over IPv4"):
                caller(connection)
