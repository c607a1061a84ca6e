"""Tails over WebSocket: a Worker's real lines as they happen, filtered, as wrangler reads them."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import httpx
import pytest

from tests.twin.cloudflare.observability.conftest import CRON
from twin.cloudflare.observability import tails as module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from tests.twin.cloudflare.observability.conftest import Watched

pytestmark = pytest.mark.twin

Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def tailing(watched: Watched, path: str, *filters: dict[str, Any]) -> AsyncIterator[Socket]:
    """Start a tail and connect as wrangler does; end both."""
    tail = watched.call("POST", f"{path}/tails", json={"filters": list(filters)})
    async with aiohttp.ClientSession() as session, session.ws_connect(tail["url"], protocols=("trace-v1",)) as socket:
        assert socket.protocol == "trace-v1"
        await socket.send_str('{"debug":false}')
        yield socket
    assert watched.call("DELETE", f"{path}/tails/{tail['id']}") is None


async def told(socket: Socket, count: int) -> list[dict[str, Any]]:
    """Return the next messages."""
    return [json.loads(await socket.receive_str(timeout=10)) for _ in range(count)]


async def visit(watched: Watched, name: str, *paths: str, **more: Any) -> None:  # noqa: ANN401
    """Send requests from another thread."""
    await asyncio.to_thread(watched.visit, name, *paths, **more)


def paths(messages: list[dict[str, Any]]) -> list[str]:
    """Return which requests the messages are about."""
    return [message["event"]["request"]["url"].partition(".example")[2] for message in messages]


def test_a_tail_tells_what_the_worker_did(watched: Watched) -> None:
    """Lines, exceptions, request, answer, version, times; secrets are hidden; a cron event has its schedule."""
    version = watched.worker("tailed", tag="r1")

    async def story() -> None:
        async with tailing(watched, "workers/scripts/tailed") as socket:
            await visit(watched, "tailed", "/slow", authorization="Bearer hidden")
            await visit(watched, "tailed", "/boom", method="POST")
            watched.fire("tailed")
            slow, boom, beat = await told(socket, 3)
        assert (slow["outcome"], slow["scriptName"]) == ("ok", "tailed")
        assert slow["scriptVersion"] == {"id": version, "tag": "r1"}
        assert [line["message"] for line in slow["logs"]] == [["asked", "/slow", {"n": 1}]]
        assert slow["event"]["response"] == {"status": 200}
        request = slow["event"]["request"]
        assert (request["method"], request["url"]) == ("GET", "https://tailed.ems.example/slow")
        assert request["headers"]["authorization"] == "REDACTED"
        assert request["cf"]["colo"] == "TWN"
        assert 200 <= slow["wallTime"] < 5000
        assert (boom["outcome"], boom["event"]["request"]["method"]) == ("exception", "POST")
        (thrown,) = boom["exceptions"]
        assert (thrown["name"], thrown["message"]) == ("TypeError", "boom")
        assert beat["event"]["cron"] == CRON
        assert abs(beat["event"]["scheduledTime"] - beat["eventTimestamp"]) < 5000
        assert beat["logs"][0]["level"] == "warn"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"outcome": ["exception", "unknown"]}, ["/boom"]),
        ({"method": ["POST"]}, ["/posted"]),
        ({"header": {"key": "X-Kind"}}, ["/a?x=1"]),
        ({"header": {"key": "x-kind", "query": "oth"}}, ["/a?x=1"]),
        ({"header": {"key": "x-kind", "query": "none"}}, []),
        ({"query": "asked /missing"}, ["/missing"]),
        ({"client_ip": ["127.0.0.9"]}, ["/far"]),
        ({"client_ip": ["self"]}, ["/a?x=1", "/boom", "/posted", "/missing"]),
        ({"scriptVersion": "no-such-version"}, []),
        ({"sampling_rate": 1}, ["/a?x=1", "/boom", "/posted", "/missing", "/far"]),
        ({"sampling_rate": 0.000001}, []),
    ],
)
def test_filters_let_through_what_they_name(watched: Watched, chosen: dict[str, Any], expected: list[str]) -> None:
    """Outcome, method, header, text, address, version and sampling are obeyed."""
    name = "filtered"
    if not any(row["id"] == name for row in watched.call("GET", "workers/scripts")):
        watched.worker(name)

    async def story() -> None:
        far = httpx.HTTPTransport(local_address="127.0.0.9")
        async with (
            tailing(watched, f"workers/scripts/{name}", chosen) as socket,
            tailing(watched, f"workers/scripts/{name}") as whole,
        ):
            await visit(watched, name, "/a?x=1", **{"x-kind": "other"})
            await visit(watched, name, "/boom")
            await visit(watched, name, "/posted", method="POST")
            await visit(watched, name, "/missing")
            with httpx.Client(transport=far, base_url=watched.twin.line["edge"]) as client:
                await asyncio.to_thread(client.get, "/far", headers={"host": f"{name}.ems.example"})
            assert len(await told(whole, 5)) == 5
            got = await told(socket, len(expected))
            assert sorted(paths(got)) == sorted(expected)
            with pytest.raises(TimeoutError):
                await socket.receive(timeout=0.05)

    asyncio.run(story())


def test_a_worker_that_goes_on_after_its_answer_is_told_when_it_is_done(watched: Watched) -> None:
    """What `waitUntil` logged is in the message, which comes after it."""
    watched.worker("late")

    async def story() -> None:
        async with tailing(watched, "workers/scripts/late") as socket:
            await visit(watched, "late", "/later")
            (message,) = await told(socket, 1)
        assert [line["message"][0] for line in message["logs"]] == ["asked", "much later"]
        assert message["outcome"] == "ok"

    asyncio.run(story())


def test_wranglers_frames_and_pings_are_taken(watched: Watched) -> None:
    """A frame without a mask, which wrangler sends, does not end the connection; a ping's payload comes back."""
    watched.worker("pinged")
    tail = watched.call("POST", "workers/scripts/pinged/tails", json={"filters": []})
    host, _, path = tail["url"].removeprefix("ws://").partition("/")

    async def story() -> None:
        reader, writer = await asyncio.open_connection(*host.split(":"))
        told = {
            "Host": host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Protocol": "trace-v1",
        }
        lines = [f"GET /{path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head
        assert b"trace-v1" in head
        said = b'{"debug":false}'
        writer.write(struct.pack("!BB", 0x81, len(said)) + said)
        mask, payload = os.urandom(4), b"wrangler tail ping"
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        writer.write(struct.pack("!BB", 0x89, 0x80 | len(payload)) + mask + masked)
        assert await reader.readexactly(2 + len(payload)) == struct.pack("!BB", 0x8A, len(payload)) + payload
        writer.close()

    asyncio.run(story())


def test_a_tail_ends_and_is_refused(watched: Watched) -> None:
    """Deleted, it hangs up and its address is gone; an eleventh viewer, a wrong filter, a wrong id are refused."""
    watched.worker("ended")
    scripts = "workers/scripts/ended/tails"

    async def story() -> None:
        tail = watched.call("POST", scripts, json={"filters": []})
        assert watched.call("GET", scripts)["id"] == tail["id"]
        async with aiohttp.ClientSession() as session:
            for refused in (f"{tail['url']}x", tail["url"]):
                with pytest.raises(aiohttp.WSServerHandshakeError):
                    await session.ws_connect(refused)  # an unknown id; no subprotocol
            viewers = [await session.ws_connect(tail["url"], protocols=("trace-v1",)) for _ in range(module.MOST)]
            status, code, text = watched.refused("POST", scripts, {"filters": []})
            assert (status, code) == (400, 10058)
            assert text == "A maximum of 10 clients can view the logs of a Worker at a time."
            watched.call("DELETE", f"{scripts}/{tail['id']}")
            assert {(await viewer.receive(timeout=5)).type for viewer in viewers} == {aiohttp.WSMsgType.CLOSE}
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(tail["url"], protocols=("trace-v1",))

    asyncio.run(story())
    assert watched.refused("DELETE", f"{scripts}/none", None)[:2] == (404, 10059)
    assert watched.refused("POST", "workers/scripts/none/tails", {})[:2] == (404, 10007)
    for wrong in ({"colour": "red"}, {"method": "POST"}, {"sampling_rate": 2}, "x"):
        status, _, text = watched.refused("POST", scripts, {"filters": [wrong]})
        assert status == 400
        assert "is no filter of a tail: there is sampling_rate, outcome" in text


def test_ids_expire() -> None:
    """A tail whose time is over is no longer found."""
    tails = module.Tails()
    tail = tails.create("api", [], "")
    assert tails.get(tail.id) is tail
    tail.expires = 0
    assert tails.get(tail.id) is None
    assert tails.newest("api") is None


def test_a_slow_viewer_is_told_what_it_misses() -> None:
    """Beyond a thousand waiting messages the rest is left out, with a notice when that begins and when it ends."""

    class Slow:
        closed = False

        def __init__(self) -> None:
            self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def send_str(self, text: str) -> None:
            self.sent.put_nowait(json.loads(text))

    async def story() -> None:
        slow = Slow()
        viewer = module.Viewer(cast("web.WebSocketResponse", slow))  # of a socket it needs these two
        for number in range(1500):
            viewer.take({"event": {"number": number}})
        sending = asyncio.create_task(viewer.send())
        got = [(await slow.sent.get())["event"] for _ in range(1002)]
        viewer.take({"event": {"number": "after"}})
        got.append((await slow.sent.get())["event"])
        sending.cancel()
        assert [one.get("type", one.get("number")) for one in got] == [
            *range(1000),
            "overload",
            "overload-stop",
            "after",
        ]

    asyncio.run(story())


def test_a_sites_requests_are_told(watched: Watched) -> None:
    """A tail of a Pages deployment tells its requests with their statuses; another deployment's tail is silent."""
    watched.call("POST", "pages/projects", json={"name": "site", "production_branch": "main"})
    old, new = (
        watched.call("POST", "pages/projects/site/deployments", files={"manifest": (None, "{}")})["id"]
        for _ in range(2)
    )

    async def story() -> None:
        path = "pages/projects/site/deployments"
        async with tailing(watched, f"{path}/{old}") as before, tailing(watched, f"{path}/{new}") as live:
            await asyncio.to_thread(watched.edge.get, "/none?x=1", headers={"host": "site.pages.dev"})
            (message,) = await told(live, 1)
            with pytest.raises(TimeoutError):
                await before.receive(timeout=0.05)
        assert message["event"]["request"]["url"] == "https://site.pages.dev/none?x=1"
        assert message["event"]["response"] == {"status": 404}
        assert message["scriptName"] == "site"

    asyncio.run(story())
    assert watched.refused("POST", "pages/projects/site/deployments/none/tails", {})[:2] == (404, 8000009)
