"""Let go what restores have held back in the database (mails, calls), after a person has looked at it.

What waited at the point of a restore has mostly left between then and the restore: letting it go sends it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Book, Step
from runbooks.steps.hazards.outgoing import counted, release_outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.shapes import Outgoing
    from runbooks.clients.postgres import Postgres

NAME: Final = "restore-release"


class Facts(msgspec.Struct, frozen=True):
    """How many of each kind are held."""

    held: dict[str, int]


@dataclass
class Release:
    """What is held, by kind of the stack file."""

    postgres: Postgres
    told: tuple[Outgoing, ...]
    in_use: Callable[[], None]

    def gather(self) -> Facts:
        """Count what is held. Raises Refused where the API uses another database."""
        self.in_use()
        with self.postgres.reading() as session:
            return Facts({one.name: counted(session, one.held) for one in self.told})

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return a step for each kind of which anything is held."""
        return tuple(
            release_outgoing(self.postgres, one, rows=facts.held[one.name], name=f"release {one.name}")
            for one in self.told
            if facts.held[one.name]
        )

    def summary(self, facts: Facts) -> str:
        """Return how much is held."""
        held = [f"{name} {rows}" for name, rows in facts.held.items() if rows]
        where = f"on {self.postgres.where}"
        return f"{where}: held are {', '.join(held)}" if held else f"{where}: nothing is held, there is nothing to do"

    def losses(self, facts: Facts) -> tuple[str, ...]:
        """Say what cannot be called back, and how to look at it before."""
        return tuple(
            f"{facts.held[one.name]} of {one.name} leave, some perhaps a second time; look at them first: {one.held}"
            for one in self.told
            if facts.held[one.name]
        )


def book(postgres: Postgres, told: tuple[Outgoing, ...], *, in_use: Callable[[], None]) -> Book[Facts]:
    """Return the book that lets go what is held. `in_use` raises Refused unless the API uses that database."""
    it = Release(postgres, told, in_use)
    return Book(
        name=NAME, facts_type=Facts, gather=it.gather, steps=it.steps, summary=it.summary, losses=it.losses,
        recheck=("held",),
    )  # fmt: skip
