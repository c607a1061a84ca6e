"""Look at one address once, as a health check does: through the twin's own edge, whatever the address is.

The edge speaks no TLS, so HTTPS is looked at without it. Source of the reasons: "Health Checks analytics" in
Cloudflare's documentation, read 2026-11-28; those that it does not name are not confirmed.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from twin.cloudflare.errors import Json

READ: Final = 100 << 10  # bytes of a body that are looked through
REDIRECTS: Final = 5
TIMED_OUT: Final = "HTTP timeout occurred"
AGENT: Final = "Mozilla/5.0 (compatible;Cloudflare-Healthchecks/1.0;+https://www.cloudflare.com/; healthcheck-id: {})"


async def look(session: aiohttp.ClientSession, edge: str, check: Json) -> str:
    """Return why the address is unhealthy, "" when it is not; a timeout is tried again as often as `retries` says."""
    reason = ""
    for _ in range(1 + int(check["retries"])):
        reason = await _once(session, edge, check)
        if reason != TIMED_OUT:
            break
    return reason


async def _once(session: aiohttp.ClientSession, edge: str, check: Json) -> str:
    how: Json = check.get("http_config") or {}
    try:
        async with asyncio.timeout(float(check["timeout"])):
            return await _follow(session, edge, check, how)
    except TimeoutError:
        return TIMED_OUT
    except aiohttp.ClientConnectorError:
        return "TCP connection failed"
    except aiohttp.ClientError:
        return "Connection reset by peer"


async def _follow(session: aiohttp.ClientSession, edge: str, check: Json, how: Json) -> str:
    """Ask, and go where a redirect leads if that is wanted: by name, never past the edge."""
    headers = {"Host": check["address"]}
    headers |= {name: ", ".join(values) for name, values in (how.get("header") or {}).items()}
    headers["User-Agent"] = AGENT.format(check["id"])
    method = "GET" if check["type"] == "TCP" else how.get("method") or "GET"
    path = how.get("path") or "/"
    for _ in range(REDIRECTS):
        url = URL(edge + path, encoded=True)
        async with session.request(method, url, headers=headers, allow_redirects=False) as answer:
            if check["type"] == "TCP":
                return ""
            place = answer.headers.get("Location")
            if place is None or not how.get("follow_redirects") or answer.status not in range(300, 400):
                return await _judge(answer, how)
        there = URL(f"http://{headers['Host']}{path}").join(URL(place))
        headers["Host"], path = there.host or headers["Host"], there.raw_path_qs
    return "Too many redirects"


async def _judge(answer: aiohttp.ClientResponse, how: Json) -> str:
    codes = how.get("expected_codes") or ["200"]
    if not any(re.fullmatch(str(code).lower().replace("x", r"\d"), str(answer.status)) for code in codes):
        return f"Response code mismatch error: {answer.status}"
    wanted = how.get("expected_body")
    if wanted and wanted.lower() not in (await answer.content.read(READ)).decode("utf-8", "replace").lower():
        return "Response body mismatch error"
    return ""
