"""What goes wrong in recoveries and restrictions, as users report it, to be switched on by `POST /__twin/break`.

Source: user reports of 2024-2026 (discussions and issues of Supabase's repositories), collected in the operator's
facts. None of these is told by an error: the API answers well and the status looks fine, or never changes.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from twin.world import UnableError

if TYPE_CHECKING:
    from twin.supabase.store import Store
    from twin.world import Engines

BREAKS = {
    "restore-ignored": "a recovery is accepted, and nothing follows: the status stays, the data stays",
    "restore-pretended": "the status goes through a recovery, but the address still leads to the old server",
    "restore-restarted": "the server only starts anew, on the data that it had",
    "restore-empty": "after a recovery that ends as healthy none of the customer's schemas is there",
    "restore-stuck": "the project stays RESTORING, and nobody can connect",
    "restore-inactive": "the project comes up, and falls back to INACTIVE",
    "restore-odd": "the project has a status that the API's description does not name",
    "restore-shifted": "the recovery goes to another time: `seconds` later",
    "restrictions-stored": "restrictions stay `stored`, and nobody is shut out",
    "restrictions-unheld": "restrictions say `applied`, and nobody is shut out",
    "archive-none": "recovery is enabled, but there is no backup yet",
    "archive-stopped": "the archive does not grow any more",
}
"""What can be broken, and what it is in the wild."""


class Wild:
    """What is broken now: names of `BREAKS` with their values."""

    def __init__(self) -> None:
        """Begin with nothing broken."""
        self.now: dict[str, Any] = {}

    def break_(self, given: dict[str, Any]) -> None:
        """Break what `what` names, until it is healed. ValueError for a value that is none."""
        value: object = True
        if given["what"] == "archive-stopped":
            value = time.time()
        if given["what"] == "restore-shifted":
            value = given["seconds"]
            if isinstance(value, bool) or not isinstance(value, int):
                message = f"seconds is a whole number, not {value!r}"
                raise ValueError(message)
        self.now[given["what"]] = value

    def heal(self) -> None:
        """Let everything go well from now on."""
        self.now.clear()

    def __contains__(self, name: str) -> bool:
        """Tell whether this is broken."""
        return name in self.now

    def window(self, earliest: float | None, latest: float | None) -> tuple[float | None, float | None]:
        """Return how far recovery reaches, as the API shows it."""
        if "archive-none" in self:
            return None, None
        return earliest, self.now.get("archive-stopped", latest)


async def carry_out(store: Store, engines: Engines, target: int) -> None:
    """Let the engine recover to a Unix second, or do what users have seen instead. UnableError when it cannot."""
    wild = store.wild
    if "restore-pretended" in wild:
        await asyncio.sleep(store.lag)
        return
    if "restore-stuck" in wild or "restore-restarted" in wild:
        await engines.interrupt()
        if "restore-restarted" in wild:
            await engines.resume()
        return
    shifted = target + wild.now.get("restore-shifted", 0)
    if shifted > time.time():
        message = f"the point {shifted} lies in the future"
        raise UnableError(message)
    await engines.recover(shifted)
