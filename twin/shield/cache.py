"""Keep what sites answer as long as cache rules say, and forget it when it is purged.

Sources, read 2026-11-28: Cloudflare's documentation of cache rules, of cf-cache-status and of purging. Not confirmed:
which statuses a rule without `status_code_ttl` keeps; here 200 and 301.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twin.world import Asset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST: Final = 2000  # answers
_KEPT: Final = frozenset({200, 301})
_AGE: Final = re.compile(r"(?:^|[\s,])(s-maxage|max-age)=(\d+)")


@dataclass(frozen=True)
class Keeping:
    """What the cache rules say of one request: seconds at the edge and in browsers; None: as the origin says.

    `by_status` are spans of statuses with their seconds, first match; below 0 or 0: not kept.
    """

    on: bool
    edge: int | None = None
    browser: int | None = None
    by_status: tuple[tuple[range, int], ...] = ()

    def seconds(self, asset: Asset) -> int:
        """Return for how long an answer is kept; 0: not at all."""
        if not self.on or any(name.lower() == "set-cookie" for name, _ in asset.headers):
            return 0
        for statuses, seconds in self.by_status:
            if asset.status in statuses:
                return max(seconds, 0)
        if asset.status not in _KEPT:
            return 0
        return _said(asset) if self.edge is None else self.edge


@dataclass(frozen=True)
class _Kept:
    asset: Asset
    at: float
    until: float


class Cache:
    """Answers by host and path with query; times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}

    def through(
        self, host: str, path: str, keeping: Keeping, origin: Callable[[], Asset], now: float
    ) -> tuple[Asset, str]:
        """Return an answer from the cache or from the origin, and the word for it in cf-cache-status."""
        if not keeping.on:
            return origin(), "BYPASS"
        key = (host, path)
        fresh = self.kept(host, path, now)
        if fresh is not None:
            return fresh, "HIT"
        asset = origin()
        seconds = keeping.seconds(asset)
        kept = self._kept.pop(key, None)
        if not seconds:
            return asset, "BYPASS"
        self.keep(host, path, asset, seconds, now)
        return asset, "MISS" if kept is None else "EXPIRED"

    def keep(self, host: str, path: str, asset: Asset, seconds: int, now: float) -> None:
        """Keep an answer that a Worker puts there."""
        self._kept.pop((host, path), None)
        if len(self._kept) >= _MOST:
            self._kept.pop(next(iter(self._kept)))
        self._kept[host, path] = _Kept(asset, now, now + seconds)

    def kept(self, host: str, path: str, now: float) -> Asset | None:
        """Return what is kept and not too old, with its age."""
        kept = self._kept.get((host, path))
        if kept is None or now >= kept.until:
            return None
        return Asset(kept.asset.status, (*kept.asset.headers, ("age", str(int(now - kept.at)))), kept.asset.body)

    def drop(self, host: str, path: str) -> bool:
        """Forget an answer; say whether there was one."""
        return self._kept.pop((host, path), None) is not None

    def purge(self, zone: str, wanted: Mapping[str, Any]) -> int:
        """Forget answers of a zone: `purge_everything`, or by `files`, `hosts`, `prefixes`, `tags`; return how many."""
        gone = [key for key, kept in self._kept.items() if _in_zone(key[0], zone) and _named(key, kept, wanted)]
        for key in gone:
            del self._kept[key]
        return len(gone)


def _said(asset: Asset) -> int:
    control = ",".join(value.lower() for name, value in asset.headers if name.lower() == "cache-control")
    if any(word in control for word in ("no-store", "no-cache", "private")):
        return 0
    ages: dict[str, str] = dict(_AGE.findall(control))
    return int(ages.get("s-maxage") or ages.get("max-age") or 0)


def _in_zone(host: str, zone: str) -> bool:
    return host == zone or host.endswith("." + zone)


def _named(key: tuple[str, str], kept: _Kept, wanted: Mapping[str, Any]) -> bool:
    host, path = key
    if wanted.get("purge_everything") or host in wanted.get("hosts", ()):
        return True
    files = [one if isinstance(one, str) else one["url"] for one in wanted.get("files", ())]
    if any(re.sub(r"^https?://", "", file) == host + path for file in files):
        return True
    if any((host + path).startswith(re.sub(r"^https?://", "", one)) for one in wanted.get("prefixes", ())):
        return True
    tags = {
        tag.strip() for name, value in kept.asset.headers if name.lower() == "cache-tag" for tag in value.split(",")
    }
    return not tags.isdisjoint(wanted.get("tags", ()))
