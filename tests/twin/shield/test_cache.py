"""What cache rules keep of a site, for how long, and what a purge forgets."""

from __future__ import annotations

from typing import Any

import pytest

from twin.shield.cache import Cache, Keeping
from twin.shield.guards import keeping
from twin.world import Asset

HOUR = Keeping(on=True, edge=3600)


class Origin:
    """A site whose answers are numbered."""

    def __init__(self, *headers: tuple[str, str], status: int = 200) -> None:
        self.asked = 0
        self._headers = headers
        self._status = status

    def __call__(self) -> Asset:
        """Answer."""
        self.asked += 1
        return Asset(self._status, self._headers, str(self.asked).encode())


def states(origin: Origin, rule: Keeping, *times: float) -> list[str]:
    """Return the cache's word at each time."""
    cache = Cache()
    return [cache.through("www.ems.example", "/a", rule, origin, now)[1] for now in times]


def test_an_answer_is_kept_for_as_long_as_the_rule_says() -> None:
    """The first is missed, then hit with its age, then expired and asked for anew."""
    origin, cache = Origin(), Cache()
    told = [cache.through("h", "/a", HOUR, origin, now) for now in (0, 10, 3600)]
    assert [state for _, state in told] == ["MISS", "HIT", "EXPIRED"]
    assert [asset.body for asset, _ in told] == [b"1", b"1", b"2"]
    assert told[1][0].headers == (("age", "10"),)


@pytest.mark.parametrize(
    ("origin", "rule", "expected"),
    [
        (Origin(), Keeping(on=False), ["BYPASS", "BYPASS"]),
        (Origin(("set-cookie", "a=1")), HOUR, ["BYPASS", "BYPASS"]),
        (Origin(status=404), HOUR, ["BYPASS", "BYPASS"]),
        (Origin(status=404), Keeping(on=True, by_status=((range(400, 500), 60),)), ["MISS", "HIT"]),
        (Origin(), Keeping(on=True, edge=60, by_status=((range(200, 300), -1),)), ["BYPASS", "BYPASS"]),
        (Origin(("cache-control", "public, max-age=60")), Keeping(on=True), ["MISS", "HIT"]),
        (Origin(("cache-control", "max-age=60, s-maxage=1")), Keeping(on=True), ["MISS", "EXPIRED"]),
        (Origin(("cache-control", "private, max-age=60")), Keeping(on=True), ["BYPASS", "BYPASS"]),
        (Origin(), Keeping(on=True), ["BYPASS", "BYPASS"]),
    ],
)
def test_what_may_not_be_kept_is_asked_for_each_time(origin: Origin, rule: Keeping, expected: list[str]) -> None:
    """Cookies, statuses, the origin's own word and the rule's decide."""
    assert states(origin, rule, 0, 5) == expected


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"purge_everything": True}, ["other.example/a"]),
        ({"files": ["https://www.ems.example/a"]}, ["www.ems.example/b", "ems.example/a", "other.example/a"]),
        ({"files": [{"url": "http://ems.example/a"}]}, ["www.ems.example/a", "www.ems.example/b", "other.example/a"]),
        ({"hosts": ["www.ems.example"]}, ["ems.example/a", "other.example/a"]),
        ({"prefixes": ["www.ems.example/b"]}, ["www.ems.example/a", "ems.example/a", "other.example/a"]),
        ({"tags": ["none"]}, ["www.ems.example/a", "www.ems.example/b", "ems.example/a", "other.example/a"]),
        ({"tags": ["t2"]}, ["other.example/a"]),
    ],
)
def test_a_purge_forgets_what_it_names_in_its_zone(wanted: dict[str, Any], left: list[str]) -> None:
    """Everything, files, hosts, prefixes or tags; another zone's answers stay."""
    cache, places = Cache(), ["www.ems.example/a", "www.ems.example/b", "ems.example/a", "other.example/a"]

    def state(place: str) -> str:
        host, slash, path = place.partition("/")
        return cache.through(host, slash + path, HOUR, Origin(("Cache-Tag", "t1, t2")), 0)[1]

    for place in places:
        assert state(place) == "MISS"
    assert cache.purge("ems.example", wanted) == len(places) - len(left)
    assert [place for place in places if state(place) == "HIT"] == left


def test_the_last_rule_that_names_a_setting_counts() -> None:
    """Rules add up: one keeps for an hour, a later one changes only what browsers do, the last one switches off."""
    hour: dict[str, Any] = {"cache": True, "edge_ttl": {"mode": "override_origin", "default": 3600}}
    browsers: dict[str, Any] = {"browser_ttl": {"mode": "override_origin", "default": 5}}
    assert keeping([hour, browsers]) == Keeping(on=True, edge=3600, browser=5)
    assert keeping([hour, {"cache": False}]).on is False
    spans = [{"status_code_range": {"to": 299}, "value": 9}, {"status_code": 404, "value": 0}]
    by_status = keeping([{"edge_ttl": {"mode": "respect_origin", "status_code_ttl": spans}}]).by_status
    assert by_status == ((range(100, 300), 9), (range(404, 405), 0))
    assert keeping([{"edge_ttl": {"mode": "bypass_by_default"}}]).on is False
