"""Who may connect to the database: everyone of before, or the operators alone.

The platform's word alone proves nothing: restrictions have been seen to stay `stored`. So somebody at an address that
is not allowed tries the door, where the stack file names one, and the same address must get in before and afterwards:
who never gets in is no proof that the door is shut.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.outside.outsider import Outsider
from runbooks.clients.supabase import Cidrs, Restrictions, Supabase, cidrs_of
from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import ActRefused, Refused
from runbooks.steps.database.server import must_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.stack import Database
    from runbooks.clients.postgres import Postgres

NOT_STOPPED: Final = "not stopped: whoever has the database's password; there are no network restrictions"
NOT_TRIED: Final = "not proven: that nobody else gets into the database while it is stopped; {}"

NO_OUTSIDER: Final = (
    "ems-ops:database.outsider names no address that must be refused: set it to a second address of this machine, "
    "outside operator_cidrs, that may connect today"
)


class Entry(msgspec.Struct, frozen=True):
    """Who might connect before anything was stopped; `unproven` says why a refused connection would prove nothing.

    `allowed` is None where the plan, or a server of our own, has no lists.
    """

    allowed: Cidrs | None
    unproven: str = ""

    def losses(self, *, here: bool) -> tuple[str, ...]:
        """Say who is not stopped, and what is not proven of who is; `here`: the database answers."""
        if self.allowed is None:
            return (NOT_STOPPED,) if here else ()
        return (NOT_TRIED.format(self.unproven),) if self.unproven else ()


@dataclass(frozen=True)
class Entrance:
    """The way into one project's database, closed and opened by the provider's restrictions."""

    supabase: Supabase
    database: Postgres
    told: Database

    @property
    def operators(self) -> Cidrs:
        """Return who may connect while the application is stopped."""
        return cidrs_of(self.told.operator_cidrs)

    @property
    def outsider(self) -> Outsider | None:
        """Return who tries the door from an address that is not allowed."""
        return Outsider(self.database, self.told.outsider) if self.told.outsider else None

    def look(self, former: Cidrs | None, *, here: bool) -> Entry:
        """Return who may connect now; `here`: the database answers. `former` is what a run that was left stopped found.

        Raises Refused where the stack file names an outsider that is none.
        """
        now = None if self.told.archive else self.supabase.restrictions()
        allowed = allowed_before(now, self.operators, former)
        if now is None or allowed is None:
            return Entry(None)
        if self.outsider is None:
            return Entry(allowed, NO_OUTSIDER)
        check_outsider(self.outsider.address, self.operators)
        if not here or now.config.all == self.operators.all != allowed.all:
            return Entry(allowed)  # what it may before is not to be seen: a stop of before stands, or nobody answers
        if not _covers(now.config, self.outsider.address):
            return Entry(allowed, f"{self.outsider.address} may not connect now either")
        tried = self.outsider.tries()
        return Entry(
            allowed, "" if tried.let_in else f"{self.outsider.address} does not get in now either: {tried.said}"
        )

    def close(self, entry: Entry, *, here: bool) -> tuple[Step, ...]:
        """Return the steps after which the operators alone get in, and others are seen to be refused."""
        if entry.allowed is None:
            return ()
        tries = self.outsider if here and not entry.unproven else None
        seen = Seen(self.supabase, self.operators, tries, partial(must_answer, self.database) if here else lambda: None)
        title = f"let only {', '.join(self.operators.all)} connect to the database"
        return (
            allow(self.supabase, self.operators, name="stop connections", title=title),
            seen.step("see others refused", self.told.waits.restricted),
        )

    def seen(self, entry: Entry) -> Seen:
        """Return the proof that others are shut out, of a database that answers."""
        tries = None if entry.unproven else self.outsider
        return Seen(self.supabase, self.operators, tries, partial(must_answer, self.database))

    def open(self, entry: Entry) -> tuple[Step, ...]:
        """Return the steps after which those of before get in again."""
        if entry.allowed is None:
            return ()
        seen = Seen(self.supabase, entry.allowed, None if entry.unproven else self.outsider)
        title = f"let {', '.join(entry.allowed.all) or 'nobody'} connect to the database again"
        return (
            allow(self.supabase, entry.allowed, name="allow connections", title=title),
            seen.step("see others let in", self.told.waits.restricted),
        )


def check_outsider(address: str, operators: Cidrs) -> None:
    """Raise Refused where the address that must be refused is one of the operators'."""
    if _covers(operators, address):
        told = f"expected an address outside operator_cidrs ({_listed(operators)}), got {address}"
        message = f"ems-ops:database.outsider: {told}."
        raise Refused(message)


def allowed_before(now: Restrictions | None, operators: Cidrs, former: Cidrs | None) -> Cidrs | None:
    """Return who might connect before anything was stopped; None where the plan, or a server of our own, has no lists.

    `former` is what an earlier run that left the application stopped had found.
    """
    if now is None or now.entitlement != "allowed":
        return None
    return former if former is not None and now.config.all == operators.all else now.config


def allow(supabase: Supabase, cidrs: Cidrs, *, name: str, title: str) -> Step:
    """Return the step after which the platform was told that exactly these addresses may connect to the database.

    The undo allows those of before. Whether it holds to them is for another step to see (`Seen`): what was told must be
    taken back also where it never took effect.
    """
    change = Change(supabase, cidrs)
    return Step(
        name=name,
        title=title,
        effect=Effect.WRITE,
        holds=change.holds,
        act=change.act,
        undo=change.undo,
        attempts=3,
    )


@dataclass(frozen=True)
class Seen:
    """The proof that the platform holds to who may connect.

    `outsider` tries the door: it must be shut out, or let in, as the addresses say. `still` raises when we ourselves
    cannot connect any more.
    """

    supabase: Supabase
    cidrs: Cidrs
    outsider: Outsider | None = None
    still: Callable[[], None] = lambda: None

    def step(self, name: str, within: float) -> Step:
        """Return the step that looks until it is so, for so many seconds."""
        who, welcome = self.outsider, self.outsider is not None and _covers(self.cidrs, self.outsider.address)
        said = f", and that {who.address} is {'let in' if welcome else 'refused'}" if who else ""
        return Step(
            name=name,
            title=f"see that who may connect is applied{said}",
            effect=Effect.READ,
            holds=self.holds,
            act=lambda _sight: None,  # `holds` looks until the deadline
            undo=ONLY_READS,
            expect=0.5,
            deadline=within,
        )

    def holds(self, _sight: Sight) -> Held:
        """Ask the provider, then try it ourselves."""
        now = self.supabase.restrictions()
        seen = _seen(now)
        if not now.applied:
            text = f"it keeps them “{now.status}”, expected “applied”: until then everyone of before still gets in"
            return No(seen, f"Supabase project {self.supabase.ref}: {text}")
        self.still()
        return self._tried(self.outsider, seen) if self.outsider else Yes(seen)

    def _tried(self, outsider: Outsider, seen: dict[str, Json]) -> Held:
        """Let the outsider try the door."""
        tried, welcome = outsider.tries(), _covers(self.cidrs, outsider.address)
        seen["outsider"] = f"{outsider.address}: {tried.said}"
        if tried.let_in if welcome else tried.shut_out:
            return Yes(seen)
        wanted = f"a connection from {outsider.address} is not {'let in' if welcome else 'refused'}"
        text = f"it says “applied”, but {wanted} at {outsider.database.where}: {tried.said}"
        return No(seen, f"Supabase project {self.supabase.ref}: {text}")


@dataclass(frozen=True)
class Change:
    """One change of who may connect, which never replaces what somebody else changed meanwhile."""

    supabase: Supabase
    cidrs: Cidrs

    def holds(self, sight: Sight) -> Held:
        """Ask the provider what it was told."""
        now = self.supabase.restrictions()
        seen = _seen(now)
        if now.config.all == self.cidrs.all:
            return Yes(seen)
        seen["overtaken"] = bool(sight.request) and seen["allowed"] != sight.before.get("allowed")
        return No(seen, f"expected {_listed(self.cidrs)} to be allowed, got {_listed(now.config)}")

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


def _covers(cidrs: Cidrs, address: str) -> bool:
    given = ipaddress.ip_address(address)
    return any(given in ipaddress.ip_network(cidr, strict=False) for cidr in cidrs.all)


def _listed(cidrs: Cidrs) -> str:
    return ", ".join(cidrs.all) or "nobody"
