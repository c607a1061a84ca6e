"""Answer as Supabase's Management API does: plain JSON, errors as `{"message": …}`."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

Json = dict[str, Any]


class ApiError(Exception):
    """A refusal with its HTTP status and text."""

    def __init__(self, status: int, message: str) -> None:
        """Keep status and text."""
        super().__init__(message)
        self.status = status
        self.message = message

    def response(self) -> web.Response:
        """Return the answer."""
        return web.json_response({"message": self.message}, status=self.status)


def ok(result: object, *, status: int = 200) -> web.Response:
    """Return a success; what JSON does not know (times, decimals) is written as text."""
    text = json.dumps(result, default=str)
    return web.json_response(text=text, status=status)


def empty(status: int = 200) -> web.Response:
    """Return a success without a body, as recorded."""
    return web.Response(status=status)


async def read(request: web.Request) -> Json:
    """Return the request's JSON object; 400 otherwise."""
    text = await request.text()
    try:
        content = json.loads(text) if text else {}
    except ValueError as error:
        raise ApiError(400, f"Unexpected token in JSON: {error}") from None
    if not isinstance(content, dict):
        raise ApiError(400, "Expected object, received another type")
    return content
