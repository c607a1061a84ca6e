"""Watch every call of a control plane: record it with its effect, apply faults, answer the twin's own `/__twin` API.

A handler that knows better than method and path what it changed says so: `request[EFFECT] = "..."`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin.faults import Fault, Faults
from twin.route import EFFECT
from twin.world import UnableError, UnrunnableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twin.faults import Action

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_KEPT = 200_000
_REQUEST_ID_HEADERS = ("x-request-id", "idempotency-key")
_SUCCESS = range(200, 400)


@dataclass(frozen=True)
class Call:
    """One call as it was made and answered; `status` 0: the connection was cut, `effect` None: nothing changed."""

    seq: int
    at: str
    provider: str
    method: str
    path: str
    status: int
    effect: str | None
    request_id: str | None


class Controls:
    """What `/__twin` offers: the calls, the faults, the state, cron and breaking whole parts."""

    def __init__(
        self,
        *,
        state: Callable[[], dict[str, Any]],
        cron: Callable[[str, str], Awaitable[str]],
        breaks: dict[str, Callable[[dict[str, Any]], Awaitable[None]]],
        heal: Callable[[], Awaitable[None]],
    ) -> None:
        self.calls: deque[Call] = deque(maxlen=_KEPT)
        self.faults = Faults()
        self._made = 0
        self._state = state
        self._cron = cron
        self._breaks = breaks
        self._heal = heal

    def mount(self, app: web.Application, provider: str) -> None:
        """Watch all calls of this control plane."""

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/__twin/"):
                return await self._control(request)
            return await self._watched(provider, request, handler)

        app.middlewares.insert(0, watch)

    async def _watched(self, provider: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        action = self.faults.strike(provider, request.method, request.path)
        if action is not None:
            await asyncio.sleep(action.delay)
            if action.reset == "before":
                self._record(provider, request, 0, None)
                return _cut(request)
            if action.status is not None and not action.applied:
                self._record(provider, request, action.status, None)
                return _error(provider, action)
        try:
            answer = await handler(request)
        except web.HTTPException as raised:
            answer = raised
        effect = _effect(request, answer.status)
        if action is not None and action.reset == "after":
            self._record(provider, request, 0, effect)
            return _cut(request)
        if action is not None and action.status is not None:
            answer = _error(provider, action)
        self._record(provider, request, answer.status, effect)
        if action is not None and action.truncate:
            return await _truncated(request, answer)
        if isinstance(answer, web.HTTPException):
            raise answer
        return answer

    def _record(self, provider: str, request: web.Request, status: int, effect: str | None) -> None:
        self._made += 1
        self.calls.append(
            Call(
                seq=self._made,
                at=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
                provider=provider,
                method=request.method,
                path=request.path_qs,
                status=status,
                effect=effect,
                request_id=next((request.headers[h] for h in _REQUEST_ID_HEADERS if h in request.headers), None),
            )
        )

    async def _control(self, request: web.Request) -> web.Response:
        routes = {
            ("GET", "calls"): self._list_calls,
            ("GET", "state"): self._show_state,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("POST", "reset"): self._reset,
            ("POST", "cron"): self._fire,
            ("POST", "break"): self._break,
        }
        answer = routes.get((request.method, request.path.removeprefix("/__twin/")))
        if answer is None:
            offered = ", ".join(f"{method} /__twin/{name}" for method, name in routes)
            return web.json_response({"message": f"there is {offered}"}, status=404)
        try:
            return web.json_response(await answer(await request.json() if request.body_exists else {}))
        except (KeyError, TypeError, ValueError) as error:
            return web.json_response({"message": f"{type(error).__name__}: {error}"}, status=400)
        except (UnableError, UnrunnableError) as error:
            return web.json_response({"message": str(error)}, status=409)

    async def _list_calls(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        return [asdict(call) for call in self.calls]

    async def _show_state(self, _: dict[str, Any]) -> dict[str, Any]:
        return self._state()

    async def _add_fault(self, given: dict[str, Any]) -> dict[str, Any]:
        self.faults.active.append(Fault.read(given))
        return {"active": len(self.faults.active)}

    async def _clear_faults(self, _: dict[str, Any]) -> dict[str, Any]:
        self.faults.active.clear()
        return {"active": 0}

    async def _reset(self, _: dict[str, Any]) -> dict[str, Any]:
        self.faults.active.clear()
        self.calls.clear()
        await self._heal()
        return {"active": 0}

    async def _fire(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"fired": given["cron"], "outcome": await self._cron(given["script"], given["cron"])}

    async def _break(self, given: dict[str, Any]) -> dict[str, Any]:
        broken = self._breaks.get(given["what"])
        if broken is None:
            message = f"what is one of {', '.join(self._breaks)}, not {given['what']!r}"
            raise ValueError(message)
        await broken(given)
        return {"broken": given["what"]}


def _effect(request: web.Request, status: int) -> str | None:
    if EFFECT in request:
        return request[EFFECT]
    changes = request.method not in {"GET", "HEAD", "OPTIONS"} and status in _SUCCESS
    return f"{request.method} {request.path}" if changes else None


def _error(provider: str, action: Action) -> web.Response:
    status = action.status or 500
    if provider == "cloudflare":
        error = {"code": action.code if action.code is not None else 10000 + status, "message": action.message}
        body: dict[str, Any] = {"success": False, "errors": [error], "messages": [], "result": None}
    else:
        body = {"message": action.message} | ({} if action.code is None else {"code": action.code})
    headers = {} if action.retry_after is None else {"retry-after": str(action.retry_after)}
    return web.json_response(body, status=status, headers=headers)


def _cut(request: web.Request) -> web.Response:
    """Reset the connection; what is returned reaches nobody."""
    if request.transport is not None:
        raw: socket.socket | None = request.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response(status=500)


async def _truncated(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Send the headers and half of the body, then close the connection."""
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b" " * 64
    half = web.StreamResponse(status=answer.status, headers={"content-type": answer.content_type})
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
