"""What the operator is told while Cloudflare's API does not answer: that nothing was done, and what does without it."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from runbooks.model.errors import Outage, Refused, Unreachable
from runbooks.steps.cloudflare.edge import users_get

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.edge import Edge
    from runbooks.clients.transport import Transport
    from runbooks.model.settings import Settings
    from runbooks.steps.recovery.asked import Arguments

FactsT = TypeVar("FactsT")
FLAG: Final = "--without-cloudflare"


@dataclass(frozen=True)
class Typed:
    """A restore as it was typed."""

    settings: Settings
    arguments: Arguments

    def command(self, *, without: bool) -> str:
        """Return the command, with that way or not."""
        told = self.arguments
        words = ["invoke restore --stack", shlex.quote(self.settings.argument), f'--point="{told.point}"']
        return " ".join([*words, *told.flags, *([FLAG] if without else [])])


def telling(gather: Callable[[], FactsT], typed: Typed, transport: Transport, edge: Edge) -> Callable[[], FactsT]:
    """Return how facts are gathered with an outage told. A token that is not valid is no outage, nor a "later"."""

    def told() -> FactsT:
        calls, began = transport.calls, time.monotonic()
        try:
            return gather()
        except Unreachable as error:
            if error.provider != transport.provider or error.busy:
                raise
            tried = f"{error} Asked {transport.calls - calls} times in {time.monotonic() - began:.0f} s"
            raise _told(tried, typed, edge) from None

    return told


def _told(tried: str, typed: Typed, edge: Edge) -> Refused | Outage:
    point, stack = typed.arguments.point, typed.settings.stack
    if typed.arguments.without_cloudflare or point.startswith("before:"):
        message = (
            f"--point={point}: which moment that is only Cloudflare knows, and its API does not answer. {tried}. "
            "Nothing was changed. Name the time, or a run (`invoke runs`)."
        )
        return Refused(message, next_command=f"invoke runs --stack {shlex.quote(typed.settings.argument)}")
    api, operators = stack.api, ", ".join(stack.database.operator_cidrs)
    message = (
        f"{tried}. Nothing was changed. {users_get(edge, api.host, api.health.path)} {FLAG} goes on without it: "
        f"{api.name} is not sent to its maintenance version, so users get its own errors instead of 503; what it "
        f"writes is stopped at the database's door (Supabase's network restrictions: only {operators}; its sessions "
        "are ended), and that is proven first; what was live is not asked and stays, no version is restarted; its "
        "schedules are not held. Else wait until Cloudflare answers (www.cloudflarestatus.com)."
    )
    return Outage(message, next_command=typed.command(without=True), provider="Cloudflare")
