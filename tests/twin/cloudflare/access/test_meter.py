"""How many calls there may be, and what one that was too many is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from twin.cloudflare.access.meter import METERS, Meter, Meters

if TYPE_CHECKING:
    from tests.twin.cloudflare.conftest import Plane


def test_the_limit_blocks_when_it_is_enforced() -> None:
    """Over 1200 calls in five minutes the token is blocked for the next five, if that is switched on."""
    counting, blocking = Meter(), Meter(enforced=True)
    for meter in (counting, blocking):
        for _ in range(1200):
            meter.count(1000.0)
        assert meter.blocked_until == 0.0
        assert meter.count(1001.0) == 0
    assert (counting.blocked_until, blocking.blocked_until) == (0.0, 1301.0)
    assert "Retry-After" not in counting.headers(0, 1001.0)
    assert blocking.headers(0, 1100.5)["Retry-After"] == "201"
    assert blocking.count(1400.0) == 1199
    assert "Retry-After" not in blocking.headers(1199, 1400.0)


def test_the_headers_tell_when_the_oldest_call_is_forgotten() -> None:
    """`t` runs down from the window's length to when one more call is free."""
    meter = Meter()
    meter.count(0.0)
    left = meter.count(100.0)
    assert meter.headers(left, 100.0)["Ratelimit"] == '"default";r=1198;t=200'
    assert meter.headers(left, 100.0)["Ratelimit-Policy"] == '"default";q=1200;w=300'


def test_each_account_token_has_a_meter_of_its_own() -> None:
    """A user's tokens are counted together, an account's token by itself; lifting begins anew."""
    meters = Meters()
    meters.enforce(calls=1, seconds=60)
    assert [meters.of(who).count(1.0) for who in ("user", "user", "other")] == [0, 0, 0]
    assert (meters.of("user").blocked_until, meters.of("other").blocked_until) == (61.0, 0.0)
    meters.lift()
    assert meters.of("user").count(2.0) == 1199
    with pytest.raises(ValueError, match="must be positive"):
        meters.enforce(calls=0)


def test_a_call_too_many_has_no_effect(plane: Plane) -> None:
    """It is answered 429 with code 971 and Retry-After, also when it would be refused anyway; nothing is done."""
    meters = plane.app[METERS]
    meters.enforce(calls=1, seconds=300)
    assert plane.http.get("zones").status_code == 200
    blocked = plane.http.post(f"{plane.account}/workers/workers", json={"name": "api"})
    assert (blocked.status_code, blocked.json()["errors"]) == (
        429,
        [{"code": 971, "message": "Please wait and consider throttling your request speed"}],
    )
    assert 295 <= int(blocked.headers["Retry-After"]) <= 300
    assert blocked.headers["Ratelimit"].startswith('"default";r=0;')
    meters.lift()
    assert plane.ask("GET", "workers/workers") == []
