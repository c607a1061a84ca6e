"""What the operator is told while Cloudflare's API does not answer: what still serves, and what can still be done."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from runbooks.model.errors import Unreachable
from runbooks.steps.cloudflare.edge import users_get

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.edge import Edge
    from runbooks.clients.transport import Transport
    from runbooks.steps.rollback.asked import Asked

FactsT = TypeVar("FactsT")


def telling(gather: Callable[[], FactsT], asked: Asked, transport: Transport, edge: Edge) -> Callable[[], FactsT]:
    """Return how facts are gathered with an outage told: what was tried, that nothing was changed, what is left.

    The way that users take is another one than the API's: that is asked, too.
    """

    def told() -> FactsT:
        calls, began = transport.calls, time.monotonic()
        try:
            return gather()
        except Unreachable as error:
            if error.provider != transport.provider:
                raise
            tried = f"asked {transport.calls - calls} times in {time.monotonic() - began:.0f} s"
            message = f"{error} {tried.capitalize()}. {_left(asked, edge)}"
            raise Unreachable(message, provider=error.provider) from None

    return told


def _left(asked: Asked, edge: Edge) -> str:
    operators = ", ".join(asked.settings.stack.database.operator_cidrs)
    return (
        f"Nothing was changed. {_serving(asked, edge)} The dashboard and wrangler go by the same API: until it answers "
        "(www.cloudflarestatus.com) nothing at Cloudflare can be taken back. If what is live spoils data, Supabase can "
        f"still close the database to it: Network Restrictions, only {operators}; Workers are then shut out with "
        "everybody else and answer errors. Supabase's own HTTPS API stays open."
    )


def _serving(asked: Asked, edge: Edge) -> str:
    """Return what users get at this moment, by their own way."""
    api, host = asked.settings.stack.api, asked.settings.stack.hosts[-1]
    return users_get(edge, *((host, "/") if asked.arguments.service == "web" else (api.host, api.health.path)))
