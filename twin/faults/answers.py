"""Break an answer on its way: none at all, another one, half of it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from twin.faults.fault import Action

_LOOK: Final = 0.05  # seconds between looks whether somebody still waits
_TIME: Final = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:?00)")


def error(provider: str, action: Action) -> web.Response:
    """Return the error in the provider's own shape."""
    status = action.status or 500
    if provider == "cloudflare":
        said = {"code": action.code if action.code is not None else 10000 + status, "message": action.message}
        body: dict[str, Any] = {"success": False, "errors": [said], "messages": [], "result": None}
    else:
        body = {"message": action.message} | ({} if action.code is None else {"code": action.code})
    headers = {} if action.retry_after is None else _when(provider, action.retry_after)
    return web.json_response(body, status=status, headers=headers)


def _when(provider: str, seconds: int) -> dict[str, str]:
    """Return how a provider says when to ask again; Supabase by the headers that were recorded."""
    if provider == "supabase":
        return {"x-ratelimit-limit": "120", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(seconds)}
    return {"retry-after": str(seconds)}


def connection(request: web.Request) -> socket.socket | None:
    """Return our end of the connection, None when it is gone."""
    ours: socket.socket | None = request.transport.get_extra_info("socket") if request.transport else None
    return ours


def reset(request: web.Request) -> web.Response:
    """Reset the connection; what is returned reaches nobody."""
    ours = connection(request)
    if ours is not None:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def silence(request: web.Request, seconds: float) -> web.Response:
    """Say nothing for so long, or until nobody waits any more; then close the connection."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and _waits(request):  # noqa: ASYNC110 - aiohttp has no event for who leaves
        await asyncio.sleep(_LOOK)
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


async def truncated(request: web.Request, answer: web.StreamResponse, share: float) -> web.StreamResponse:
    """Send the headers and this share of the body, then close the connection."""
    if not answer.prepared:
        body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b" " * 64
        part = web.StreamResponse(status=answer.status, headers={"content-type": answer.content_type})
        part.content_length = max(len(body), 1)  # something must be missing
        await part.prepare(request)
        await part.write(body[: int(len(body) * share)])
        answer = part
    if request.transport is not None:
        request.transport.close()
    return answer


def skewed(answer: web.StreamResponse, seconds: float) -> web.StreamResponse:
    """Let the answer's clock be so many seconds ahead: its Date, and every time of day that it tells."""
    by = timedelta(seconds=seconds)
    if answer.prepared:
        return answer
    answer.headers["date"] = format_datetime(datetime.now(UTC) + by, usegmt=True)
    if isinstance(answer, web.Response) and isinstance(answer.body, bytes):
        answer.body = _TIME.sub(lambda found: _moved(found[0].decode(), by).encode(), answer.body)
    return answer


def _waits(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _moved(text: str, by: timedelta) -> str:
    """Move a time of day, written as it was but for more digits than microseconds."""
    moment, fraction, zone = re.fullmatch(r"([^.Z+]+)(\.\d+)?(\D.*)", text).groups("")  # type: ignore[union-attr] # it is one
    spec = {0: "seconds", 4: "milliseconds"}.get(len(fraction), "microseconds")
    moved = datetime.fromisoformat(moment + fraction[:7].ljust(7, "0")) if fraction else datetime.fromisoformat(moment)
    return (moved + by).isoformat(sep=text[10], timespec=spec) + zone
