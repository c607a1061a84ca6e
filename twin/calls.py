"""Watch every call of a control plane: record it with its effect, apply faults, answer the twin's own `/__twin` API.

A handler that knows better than method and path what it changed says so: `request[EFFECT] = "..."`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin.faults import answers, caller
from twin.faults.fault import Fault, Faults
from twin.faults.stale import Memory
from twin.route import EFFECT
from twin.world import UnableError, UnrunnableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

EDGE = "edge"
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
        clear: Callable[[], None] = lambda: None,
    ) -> None:
        self.calls: deque[Call] = deque(maxlen=_KEPT)
        self.faults = Faults()
        self.memory = Memory()
        self._made = 0
        self._state = state
        self._cron = cron
        self._breaks = breaks
        self._heal = heal
        self._clear = clear

    def mount(self, app: web.Application, provider: str) -> None:
        """Watch all calls of this control plane."""

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith("/__twin/"):
                return await self._control(request)
            return await self._watched(provider, request, handler)

        app.middlewares.insert(0, watch)

    def mount_edge(self, app: web.Application) -> None:
        """Let faults strike what users ask for, as provider "edge"; their requests are not control plane calls."""

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._watched(EDGE, request, handler)

        app.middlewares.insert(0, watch)

    async def _watched(self, provider: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = self.faults.strike(provider, request.method, request.path)
        if fault is None:
            answer, effect = await self._asked(provider, request, handler)
            self._record(provider, request, answer.status, effect)
        else:
            answer = await self._broken(provider, request, handler, fault)
        if isinstance(answer, web.HTTPException):
            raise answer
        return answer

    async def _asked(
        self, provider: str, request: web.Request, handler: Handler
    ) -> tuple[web.StreamResponse, str | None]:
        """Let the call have its effect; return its answer and the effect."""
        try:
            answer = await handler(request)
        except web.HTTPException as raised:
            answer = raised
        effect = _effect(request, answer.status)
        if effect is not None:
            self.memory.wrote()
        elif request.method == "GET":
            self.memory.read(_key(provider, request), answer)
        return answer, effect

    async def _broken(self, provider: str, request: web.Request, handler: Handler, fault: Fault) -> web.StreamResponse:
        action, effect = fault.action, None
        await asyncio.sleep(action.delay)
        answer: web.StreamResponse | None = None
        if action.stale and request.method == "GET":
            answer = self.memory.before(_key(provider, request), action.stale)
        try:
            victim = caller.caller(answers.connection(request)) if action.kill else None
        except caller.UnknownCallerError as error:
            return web.json_response({"message": str(error)}, status=501)
        fault.struck += not action.stale or answer is not None
        if answer is None and not action.prevents:
            answer, effect = await self._asked(provider, request, handler)
        if action.cuts:
            self._record(provider, request, 0, effect)
            if victim is not None:
                caller.kill(victim)
            return await answers.silence(request, action.silence) if action.silence else answers.reset(request)
        if answer is None or action.status is not None:
            answer = answers.error(provider, action)
        self._record(provider, request, answer.status, effect)
        if action.skew:
            answer = answers.skewed(answer, action.skew)
        return answer if action.truncate is None else await answers.truncated(request, answer, action.truncate)

    def _record(self, provider: str, request: web.Request, status: int, effect: str | None) -> None:
        if provider == EDGE:
            return
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
            ("GET", "faults"): self._list_faults,
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
        except ValueError as error:
            return web.json_response({"message": str(error)}, status=400)
        except (KeyError, TypeError) as error:
            return web.json_response({"message": f"{type(error).__name__}: {error}"}, status=400)
        except (UnableError, UnrunnableError) as error:
            return web.json_response({"message": str(error)}, status=409)

    async def _list_calls(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        return [asdict(call) for call in self.calls]

    async def _show_state(self, _: dict[str, Any]) -> dict[str, Any]:
        return self._state()

    async def _list_faults(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        return [fault.told() for fault in self.faults.active]

    async def _add_fault(self, given: dict[str, Any]) -> dict[str, Any]:
        self.faults.active.append(Fault.read(given))
        return {"active": len(self.faults.active)}

    async def _clear_faults(self, _: dict[str, Any]) -> dict[str, Any]:
        self.faults.active.clear()
        self._clear()
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


def _key(provider: str, request: web.Request) -> str:
    """Return what a read is remembered by."""
    return f"{provider} {request.host if provider == EDGE else ''} {request.path_qs}"
