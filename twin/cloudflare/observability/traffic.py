"""Open the account's ledger, recorder and tails with its app, and close them with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from twin.cloudflare.observability.ledger import Ledger
from twin.cloudflare.observability.recorder import Recorder
from twin.cloudflare.observability.tails import TAILS, Tails, view

if TYPE_CHECKING:
    from twin.cloudflare.store import Store

LEDGER = web.AppKey("ledger", Ledger)
RECORDER = web.AppKey("recorder", Recorder)


def mount(app: web.Application, store: Store) -> None:
    """Give the app what its handlers need, and the address that tails are watched at."""
    app[TAILS] = Tails()
    app[LEDGER] = Ledger(store.home.state / "traffic.sqlite")
    app[RECORDER] = Recorder(store, app[LEDGER], app[TAILS])
    app.router.add_route("GET", "/tails/{tail}", view)
    app.on_shutdown.append(app[TAILS].close)
    app.on_cleanup.append(_close)


async def _close(app: web.Application) -> None:
    app[RECORDER].close()
    app[LEDGER].close()
