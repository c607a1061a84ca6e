"""One call of an emulated provider: what the router, the coverage list and its test all read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

EFFECT: web.RequestKey[str | None] = web.RequestKey("effect")
"""Where a handler that changed something says what, in a few words (None: nothing): the list of calls shows it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """A call that the twin answers.

    `path` is in aiohttp's form below the provider's base; `source` names where its behaviour is known from and
    `checked` the day that was read. `door` is who may come in: the API's own token, or a Pages upload token.
    """

    method: str
    path: str
    handler: Handler
    source: str
    checked: str = "2026-11-23"
    door: str = "token"
