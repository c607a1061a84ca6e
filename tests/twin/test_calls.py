"""The record of calls, faults on the wire, and the twin's own API."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from aiohttp import web

from tests.twin.serving import served
from twin.calls import Controls

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plane:
    """A control plane with one thing in it, and what was done to it."""

    def __init__(self) -> None:
        self.made = 0
        self.broken: list[str] = []
        self.healed = 0

    def app(self) -> web.Application:
        """Return it with the controls mounted."""

        async def make(_: web.Request) -> web.Response:
            self.made += 1
            return web.json_response({"made": self.made})

        async def look(_: web.Request) -> web.Response:
            return web.json_response({"made": self.made})

        async def heal() -> None:
            self.healed += 1

        async def stop(given: dict[str, Any]) -> None:
            self.broken.append(given["what"])

        async def fire(script: str, cron: str) -> str:
            return f"{script} {cron}"

        app = web.Application()
        app.router.add_post("/things", make)
        app.router.add_get("/things", look)
        Controls(state=lambda: {"made": self.made}, cron=fire, breaks={"stop": stop}, heal=heal).mount(
            app, "cloudflare"
        )
        return app


@contextmanager
def plane() -> Iterator[tuple[Plane, httpx.Client]]:
    """Serve a plane and give a client for it."""
    one = Plane()
    with served(one.app) as address, httpx.Client(base_url=address, timeout=5) as client:
        yield one, client


def broken(client: httpx.Client, **do: Any) -> None:  # noqa: ANN401 - a fault's own fields
    """Break the next POST."""
    answer = client.post("/__twin/faults", json={"method": "POST", "path": "^/things$", "times": 1, "do": do})
    assert answer.json() == {"active": 1}


def effects(client: httpx.Client) -> list[tuple[int, str | None]]:
    """Return status and effect of every recorded call."""
    return [(call["status"], call["effect"]) for call in client.get("/__twin/calls").json()]


def test_every_call_is_recorded_with_its_effect() -> None:
    """Reads have no effect, writes say what they did; the request id is kept, the query too."""
    with plane() as (_, client):
        client.get("/things?page=2")
        client.post("/things", headers={"x-request-id": "r-1"})
        client.post("/nowhere")
        read, write, lost = client.get("/__twin/calls").json()
    assert (read["seq"], read["path"], read["effect"], read["request_id"]) == (1, "/things?page=2", None, None)
    assert (write["provider"], write["status"], write["effect"]) == ("cloudflare", 200, "POST /things")
    assert write["request_id"] == "r-1"
    assert (lost["status"], lost["effect"]) == (404, None)


def test_a_status_comes_in_the_providers_envelope_and_without_effect() -> None:
    """The call is answered with code, text and Retry-After; nothing was made; the next one goes well."""
    with plane() as (one, client):
        broken(client, status=429, code=10429, message="slow down", retry_after=7)
        answer = client.post("/things")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
        assert answer.json()["errors"] == [{"code": 10429, "message": "slow down"}]
        assert one.made == 0
        assert client.post("/things").status_code == 200
        assert effects(client) == [(429, None), (200, "POST /things")]


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_reset_comes_before_or_after_the_effect(when: str, made: int) -> None:
    """The client sees a broken connection either way; only the record tells whether it happened."""
    with plane() as (one, client):
        broken(client, reset=when)
        with pytest.raises(httpx.TransportError):
            client.post("/things")
        assert one.made == made
        assert effects(client) == [(0, "POST /things" if made else None)]


def test_an_error_may_hide_an_effect() -> None:
    """With `applied` the answer is an error although the effect happened."""
    with plane() as (one, client):
        broken(client, status=502, applied=True)
        assert client.post("/things").status_code == 502
        assert one.made == 1


def test_a_truncated_answer() -> None:
    """The body ends in the middle of what its length announced."""
    with plane() as (_, client):
        broken(client, truncate=0.5)
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/things")


def test_reset_clears_and_heals() -> None:
    """/__twin/reset forgets faults and calls, and undoes what was broken."""
    with plane() as (one, client):
        broken(client, status=500)
        assert client.post("/__twin/break", json={"what": "stop"}).json() == {"broken": "stop"}
        client.post("/__twin/reset")
        assert effects(client) == []
        assert client.post("/things").status_code == 200
        assert (one.broken, one.healed) == (["stop"], 1)


def test_the_rest_of_the_api() -> None:
    """State and cron answer; what is asked wrongly is told what there is."""
    with plane() as (_, client):
        assert client.get("/__twin/state").json() == {"made": 0}
        fired = client.post("/__twin/cron", json={"script": "api", "cron": "* * * * *"})
        assert fired.json() == {"fired": "* * * * *", "outcome": "api * * * * *"}
        assert "stop" in client.post("/__twin/break", json={"what": "all"}).json()["message"]
        assert client.post("/__twin/cron", json={}).status_code == 400
        assert "GET /__twin/calls" in client.get("/__twin/nothing").json()["message"]
