"""What `caches.default` and `caches.open(…)` of Workers are: the runtime asks for it over HTTP.

Source: the cache of miniflare (cloudflare/workers-sdk, read 2026-11-28) for the protocol; Cloudflare's documentation of
the Cache API and of default lifetimes. Unlike there, it also works below workers.dev; ranges are answered whole.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import CIMultiDict

from twin.shield.cache import Keeping
from twin.world import Asset

if TYPE_CHECKING:
    from twin.shield.cache import Cache

LARGEST: Final = 512 << 20  # bytes of an answer that is kept
USUAL: Final = {200: 7200, 301: 7200, 302: 1200, 303: 1200, 404: 180, 410: 180}
"""Seconds for which an answer is kept that does not say it itself, by its status."""
HOP: Final = ("connection", "content-length", "transfer-encoding")


async def answer(cache: Cache, request: web.Request) -> web.Response:
    """Answer match (GET), put (PUT with an HTTP answer as its body) and delete (PURGE)."""
    name = request.headers.get("cf-cache-namespace", "")
    host, path = request.host.lower(), request.rel_url.raw_path_qs + (f"\0{name}" if name else "")
    if request.method == "PUT":
        asset = read(await request.read())
        seconds = lifetime(asset)
        if not seconds:
            return web.Response(status=413)
        cache.keep(host, path, asset, seconds, time.monotonic())
        return web.Response(status=204)
    if request.method == "PURGE":
        return web.Response(status=200 if cache.drop(host, path) else 404)
    kept = cache.kept(host, path, time.monotonic())
    if kept is None:
        return web.Response(status=504, headers={"cf-cache-status": "MISS"})
    headers = CIMultiDict(kept.headers)
    headers["cf-cache-status"] = "HIT"
    tag = headers.get("etag")
    if tag is not None and tag in request.headers.get("if-none-match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(status=kept.status, headers=headers, body=kept.body)


def read(message: bytes) -> Asset:
    """Return the HTTP answer that a message is. ValueError when it is none."""
    head, blank, body = message.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    if not blank or not status.startswith("HTTP/"):
        text = f"no HTTP answer: {status[:40]!r}"
        raise ValueError(text)
    named = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Asset(int(status.split()[1]), tuple((n, v) for n, v in named if n.lower() not in HOP), body)


def lifetime(asset: Asset) -> int:
    """Return for how many seconds an answer is kept; 0: not at all."""
    names = {name.lower() for name, _ in asset.headers}
    if "set-cookie" in names or len(asset.body) > LARGEST:
        return 0
    if "cache-control" not in names:
        return USUAL.get(asset.status, 0)
    return Keeping(on=True, by_status=()).seconds(Asset(200, asset.headers, b""))
