"""The records of the zone: bring them back to what they were, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from runbooks.clients.pages import Pages
from runbooks.clients.zone.records import Zone
from runbooks.engine.step import Effect, Evidence, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import ActRefused
from runbooks.model.records import Change, Record, changes, ours, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infra.stack import Stack
    from runbooks.clients.cloudflare import Cloudflare


def zone_of(cloudflare: Cloudflare, stack: Stack) -> tuple[Zone, Callable[[], tuple[Record, ...]]]:
    """Return the stack's zone, and how to read the records in it that are ours.

    Not ours are those of other products, and the hosts of other sites of the account.
    """
    zone = Zone(cloudflare.transport, cloudflare.account, stack.zone)
    pages = Pages(cloudflare.transport, cloudflare.account)

    own = {site.name for site in stack.sites}

    @cache
    def others() -> frozenset[str]:
        return frozenset(host for site in pages.projects() if site.name not in own for host in site.domains)

    return zone, lambda: ours(zone.records(), others())


@dataclass(frozen=True, kw_only=True)
class Back:
    """The sets (name and type) of `wanted` and `planned` records as `wanted`, planned while they were `planned`."""

    zone: Zone
    owned: Callable[[], tuple[Record, ...]]
    planned: tuple[Record, ...]
    wanted: tuple[Record, ...]

    def now(self) -> tuple[Record, ...]:
        """Return what these sets are now."""
        keys = {record.key for record in (*self.planned, *self.wanted)}
        return tuple(record for record in self.owned() if record.key in keys)

    def holds(self, sight: Sight) -> Held:
        """Tell whether they say what is wanted."""
        now = self.now()
        if state_of(now) == state_of(self.wanted) and not sight.request:
            now = self.now()  # against the plan: one stale read must not skip the act
        seen = _evidence(now)
        if state_of(now) == state_of(self.wanted):
            return Yes(seen)
        left = "; ".join(change.words() for change in changes(now, self.wanted)[:3])
        return No(seen, f"{self.zone.name}: still to be done: {left}")

    def act(self, _sight: Sight) -> Json:
        """Change them. Raises ActRefused where somebody else has changed them since the plan was made."""
        now = self.now()
        if state_of(now) != state_of(self.planned):
            raise self.overtaken(changes(self.planned, now))
        self.zone.change(changes(now, self.wanted))
        return None

    def undo(self, sight: Sight) -> Json:
        """Bring back what was before. Raises ActRefused where somebody else has changed them meanwhile."""
        before = msgspec.convert(sight.before["was"], tuple[Record, ...])
        now = self.now()
        if state_of(now) == state_of(before):
            return None  # somebody has done it already
        if state_of(now) != state_of(self.wanted):
            raise self.overtaken(changes(self.wanted, now))
        self.zone.change(changes(now, before))
        return None

    def overtaken(self, made: Iterable[Change]) -> ActRefused:
        """Return the refusal to overwrite what somebody else has changed meanwhile."""
        lines = "; ".join(change.words() for change in made)
        return ActRefused(
            f"{self.zone.name}: somebody else has changed its records meanwhile ({lines}). They were left as they are."
        )


def bring_back(
    zone: Zone,
    owned: Callable[[], tuple[Record, ...]],
    *,
    planned: tuple[Record, ...],
    wanted: tuple[Record, ...],
    name: str = "bring back",
) -> Step:
    """Return the step that makes the records `planned` say what `wanted` says, all or nothing; see `Back`."""
    back = Back(zone=zone, owned=owned, planned=planned, wanted=wanted)
    count = len(changes(planned, wanted))
    return Step(
        name=name,
        title=f"change {count} records of {zone.name}, all or none",
        effect=Effect.WRITE,
        holds=back.holds,
        act=back.act,
        undo=back.undo,
        expect=0.5,
        deadline=60.0,
        attempts=3,
        settle=2.0,
    )


def _evidence(now: tuple[Record, ...]) -> Evidence:
    return {"records": len(now), "state": state_of(now), "was": msgspec.to_builtins(now)}
