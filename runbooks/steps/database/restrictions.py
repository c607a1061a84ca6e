"""Who may connect to the database: everyone of before, or the operators alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.supabase import Cidrs, Restrictions, Supabase, cidrs_of
from runbooks.engine.step import Effect, Held, Json, No, Settling, Sight, Step, Yes
from runbooks.model.errors import ActRefused
from runbooks.steps.database.supabase import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

RESTRICTED_WITHIN: Final = 300.0
"""Seconds after which the provider has applied what it was told."""


def allowed_before(now: Restrictions | None, operators: Cidrs, former: Cidrs | None) -> Cidrs | None:
    """Return who might connect before anything was stopped; None where the plan, or a server of our own, has no lists.

    `former` is what an earlier run that left the application stopped had found.
    """
    if now is None or now.entitlement != "allowed":
        return None
    return former if former is not None and now.config.all == operators.all else now.config


def allow(
    supabase: Supabase,
    cidrs: Cidrs,
    *,
    name: str,
    title: str,
    still: Callable[[], None] = lambda: None,
) -> Step:
    """Return the step after which exactly these addresses may connect to the database; the undo allows those of before.

    `still` raises when we ourselves cannot connect any more.
    """
    door = Door(supabase, cidrs, still)
    return Step(
        name=name,
        title=title,
        effect=Effect.WRITE,
        holds=door.holds,
        act=door.act,
        undo=door.undo,
        deadline=RESTRICTED_WITHIN,
        attempts=3,
    )


@dataclass
class Door:
    """One change of who may connect, which never replaces what somebody else changed meanwhile."""

    supabase: Supabase
    cidrs: Cidrs
    still: Callable[[], None]
    pace: Pace = field(default_factory=Pace)

    def holds(self, sight: Sight) -> Held:
        """Ask the provider, then try it ourselves."""
        now = self.supabase.restrictions()
        seen = _seen(now)
        if now.config.all != self.cidrs.all:
            seen["overtaken"] = bool(sight.request) and seen["allowed"] != sight.before.get("allowed")
            return No(seen, f"expected {_listed(self.cidrs)} to be allowed, got {_listed(now.config)}")
        if now.applied:
            self.still()
            return Yes(seen)
        return Settling(seen, self.pace.next())

    def act(self, sight: Sight) -> Json:
        """Allow exactly these. Raises ActRefused where somebody else changed it after our lost request."""
        if sight.before.get("overtaken"):
            raise self._overtaken(self.supabase.restrictions())
        return _seen(self.supabase.restrict(self.cidrs))

    def undo(self, sight: Sight) -> Json:
        """Allow those of before. Raises ActRefused where somebody else changed it after us."""
        before = cidrs_of(msgspec.convert(sight.before["allowed"], tuple[str, ...]))
        now = self.supabase.restrictions()
        # What looks as if somebody had done it already may be a stale read: it is told again, which changes nothing.
        if now.config.all not in (self.cidrs.all, before.all):
            raise self._overtaken(now)
        return _seen(self.supabase.restrict(before))

    def _overtaken(self, now: Restrictions) -> ActRefused:
        return ActRefused(
            f"Supabase project {self.supabase.ref}: somebody else has changed who may connect meanwhile (now "
            f"{_listed(now.config)}). It was left as it is."
        )


def _seen(restrictions: Restrictions) -> dict[str, Json]:
    return {"allowed": list(restrictions.config.all), "status": restrictions.status}


def _listed(cidrs: Cidrs) -> str:
    return ", ".join(cidrs.all) or "nobody"
