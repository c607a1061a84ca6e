"""Answer GraphQL analytics: not in the API's envelope, and errors come with HTTP 200.

Source: Cloudflare's documentation of the GraphQL API (error responses, limits), read 2026-11-23.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from twin.cloudflare.access.trail import TOKEN
from twin.cloudflare.errors import read
from twin.cloudflare.observability.traffic import LEDGER
from twin.cloudflare.store import store_of
from twin.route import Route


async def post(request: web.Request) -> web.Response:
    """Answer a query over `workersInvocationsAdaptive` and `httpRequestsAdaptiveGroups`, grouped as it asks."""
    from twin.cloudflare.analytics import documents, schema  # noqa: PLC0415 - 70 ms that a start need not wait for

    context = schema.Context(store_of(request), request.app[LEDGER], request[TOKEN])
    data, errors = await documents.answer(await read(request), context)
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    told: list[dict[str, Any]] = [
        {
            "message": error.message,
            "path": [str(part) for part in error.path] if error.path else None,
            "extensions": {"timestamp": when, **(error.extensions or {})},
        }
        for error in errors
    ]
    return web.json_response({"data": data, "errors": told or None})


ROUTES = (Route("POST", "/graphql", post, "documentation; errors as quoted in public code", "2026-11-28"),)
