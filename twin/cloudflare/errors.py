"""Answer as Cloudflare's API does: the envelope, and errors with the provider's codes and texts.

```
ApiError                any refusal: HTTP status, code, text
├── missing(...)        404 of a named kind of object
├── misread(...)        400 of a request that a handler stumbled over
└── unrouted(...)       a call that the twin lacks: 501 and the file to extend
```
"""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

from aiohttp import web

Json = dict[str, Any]
_log = logging.getLogger("twin.cloudflare")


class ApiError(Exception):
    """A refusal with the provider's HTTP status, code and text."""

    def __init__(self, status: int, code: int, message: str, **extra: Any) -> None:  # noqa: ANN401 - provider JSON
        """Keep what the envelope shows; `extra` goes into the error object (error_chain, source …)."""
        super().__init__(message)
        self.status = status
        self.errors: list[Json] = [{"code": code, "message": message, **extra}]
        self.messages: list[Any] = []

    def response(self) -> web.Response:
        """Return the envelope of a refusal.

        `x-should-retry: false` on 409 and 501: the Pulumi provider would repeat them for minutes otherwise.
        """
        body = {"success": False, "errors": self.errors, "messages": self.messages, "result": None}
        headers = {"x-should-retry": "false"} if self.status in {409, 501} else {}
        return web.json_response(body, status=self.status, headers=headers)


def ok(
    result: object, *, info: Json | None = None, status: int = 200, messages: list[Json] | None = None
) -> web.Response:
    """Return the envelope of a success; `info` becomes `result_info`."""
    body: Json = {"success": True, "errors": [], "messages": messages or [], "result": result}
    if info is not None:
        body["result_info"] = info
    return web.json_response(body, status=status)


def misread(error: Exception) -> ApiError:
    """Return 400 for a request whose parts are of other kinds than a handler took them for; it names the place."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/twin/" in frame.filename]
    where = f"twin/{frames[-1].filename.rpartition('/twin/')[2]}:{frames[-1].lineno}" if frames else "the twin"
    _log.error("a request was not understood", exc_info=error)
    refusal = ApiError(400, 10021, "The request could not be read: a part of it is not of the expected kind.")
    refusal.messages.append(f"{where}: {type(error).__name__}: {error}; if the request is right, mend it there")
    return refusal


def unrouted(method: str, path: str, extend: str) -> ApiError:
    """Return 501 in the envelope of an unknown URI, with the file in which the call would be added."""
    text = f"Could not route to {path}, perhaps your object identifier is invalid?"
    error = ApiError(501, 7003, text)
    error.errors.append({"code": 7000, "message": "No route for that URI"})
    error.messages.append(f"the twin does not answer {method} {path}: add it to {extend}")
    return error


def number(request: web.Request, name: str, default: int) -> int:
    """Return a query parameter as a whole number; 400 when it is none."""
    text = request.query.get(name, str(default))
    if not text.isdigit():
        raise ApiError(400, 10021, f"invalid {name} parameter")
    return int(text)


def page(request: web.Request, rows: list[Any], *, per_page: int, most: int) -> tuple[list[Any], Json]:
    """Return one page of the rows and its `result_info`: page, per_page, count, total_count, total_pages."""
    index = max(number(request, "page", 1), 1)
    size = min(max(number(request, "per_page", per_page), 1), most)
    part = rows[(index - 1) * size : index * size]
    total = len(rows)
    info = {"page": index, "per_page": size, "count": len(part), "total_count": total}
    return part, {**info, "total_pages": -(-total // size)}


async def read(request: web.Request) -> Json:
    """Return the request's JSON object; 400 with the provider's 6007 when it is none."""
    content = await read_any(request)
    if not isinstance(content, dict):
        raise ApiError(400, 6007, "Malformed JSON in request body")
    return content


async def read_any(request: web.Request) -> object:
    """Return the request's JSON value of any kind; 400 when it does not parse."""
    try:
        text = await request.text()
        return json.loads(text) if text else {}
    except (LookupError, ValueError):  # an encoding that there is not, bytes that are none of it, no JSON
        raise ApiError(400, 6007, "Malformed JSON in request body") from None


def objects(value: object, what: str, *, code: int = 10021) -> list[Json]:
    """Return a list of JSON objects; 400 when it is none."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ApiError(400, code, f"{what} must be a list of objects")
    return value


def required(content: Json, *names: str, code: int = 10021) -> None:
    """Refuse a body that lacks one of the fields."""
    for name in names:
        if content.get(name) in (None, ""):
            raise ApiError(400, code, f"{name} is required")


KINDS: dict[type, str] = {bool: "true or false", dict: "an object", float: "a number", int: "a number", list: "a list"}


def shaped(content: object, code: int = 10021, /, **kinds: type) -> Json:
    """Return an object whose fields are of these kinds, where they are sent; 400 names the one that is not."""
    if not isinstance(content, dict):
        raise ApiError(400, code, "an object is expected")
    for name, kind in kinds.items():
        value = content.get(name)
        wanted = int | float if kind in {int, float} else kind
        if value is not None and (not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool)):
            raise ApiError(400, code, f"{name} must be {KINDS.get(kind, 'a text')}")
    return content


def listed(content: Json, name: str, kind: type, code: int = 10021) -> list[Any]:
    """Return a field that is a list of one kind of thing, empty when it is not sent; 400 otherwise."""
    rows = shaped(content, code, **{name: list}).get(name) or []
    if not all(isinstance(row, kind) for row in rows):
        raise ApiError(400, code, f"{name} must be a list of {'objects' if kind is dict else 'texts'}")
    return list(rows)
