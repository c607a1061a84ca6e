"""The application while Cloudflare's API is not asked: it stays live, and is shut out at the database's door.

The door alone stops what it writes then, so it is not enough that the provider says so: an outsider is refused, or the
application itself answers errors where it answered before; and no session of it is left.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.edge import IN_A_ROW, LOOK_AGAIN, PROPAGATION, any_version, serves
from runbooks.steps.cloudflare.maintenance import edge_is_stopped
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.database.replaced import origin_of
from runbooks.steps.database.server import end_other_sessions, others
from runbooks.steps.recovery.application import StoppedAtEdge
from runbooks.steps.recovery.serving import OWN_FAULTS, asked, expected, health_answer

if TYPE_CHECKING:
    from infra.stack import Api
    from runbooks.clients.edge import Edge
    from runbooks.clients.postgres import Postgres
    from runbooks.steps.database.restrictions import Seen
    from runbooks.steps.recovery.serving import Alone

NO_RESTRICTIONS: Final = "the plan of this Supabase project has none"
OF_OUR_OWN: Final = "a server of our own (database.archive) has none that could be set from here"
NOT_HELD: Final = "not held: scheduled work of {} at Cloudflare ({}): it runs, and does not reach the database"
NOT_LISTED: Final = "not listed: requests of {} since then, which Cloudflare's log has; rows of the database are"
NOT_STOPPED: Final = (
    "not stopped: {}: users get its own errors, not 503, until it may connect to the database again. Network "
    "restrictions alone stop what it writes"
)


@dataclass(frozen=True)
class StoppedAtDoor(StoppedAtEdge):
    """One API that is shut out of its database. `alone` is what is known of it without Cloudflare."""

    alone: Alone

    def stopped(self, *, live: str, maintenance: str, here: bool) -> tuple[Step, ...]:
        """Return how it is shut out, and the proof; `here`: the database answers."""
        del live
        steps = list(self.entrance.close(self.entry, here=here))
        if maintenance:
            steps.append(self._stays_stopped(maintenance, "see it stopped"))
        if here:
            steps.append(end_other_sessions(self.entrance.database, name="end sessions"))
        if here and not self.alone.stopped:
            steps.append(self._shut_out("see it shut out"))
        return tuple(steps)

    def still(self) -> tuple[Step, ...]:
        """Return the proof that it is shut out at a later moment: where what it writes would be lost, or unproven."""
        return () if self.alone.stopped else (self._shut_out("see it still shut out"),)

    def restarted(self, version: str, *, maintenance: str) -> tuple[Step, ...]:
        """Return the proof that it serves. Where an earlier run has stopped it, Cloudflare must let it serve first."""
        return super().restarted(version, maintenance=maintenance) if maintenance else self.serving(version)

    def serving(self, version: str, *, prefix: str = "") -> tuple[Step, ...]:
        """Return the proof that users are served, as far as anybody answers at the edge."""
        api, stack = self.settings.stack.api, shlex.quote(self.settings.argument)
        steps = serves(
            self.edge,
            api,
            version=given(version) if version and (self.alone.seen or self.alone.stopped) else any_version,
            clock=self.clock,
            next_command=f"invoke rollback --stack {stack}",
            prefix=prefix,
        )
        first = steps[0].name
        return tuple(IfAnybodyAnswers(self.edge, api, first, step).step() for step in steps)

    def as_before(self, live: str, *, maintenance: str) -> tuple[Step, ...]:
        """Return the proof of what was before; that is the stop of an earlier run where there was one."""
        if maintenance:
            return (self._stays_stopped(maintenance, "former stop"),)
        return super().as_before(live, maintenance=maintenance)

    def losses(self) -> tuple[str, ...]:
        """Say what is not stopped and not held, and what is not known."""
        api, not_listed = self.settings.stack.api, NOT_LISTED.format(self.settings.stack.api.name)
        if self.alone.stopped:
            return (not_listed,)
        crons = (NOT_HELD.format(api.name, ", ".join(api.crons)),) if api.crons else ()
        return (NOT_STOPPED.format(api.name), *crons, not_listed)

    def shows(self) -> tuple[str, ...]:
        """Say by what it is proven that nothing is written meanwhile, and what is taken to be so."""
        told, alone = self.settings.stack.database, self.alone
        by = f"a connection from {told.outsider} is refused"
        if self.entry.unproven:
            paths = ", ".join(alone.answering or expected(self.settings.stack.api))
            by = f"one of {paths} answers an error then"
        if alone.stopped:
            by = "users get the maintenance version, to which an earlier run has sent them"
        origin = origin_of(self.entrance.database.url)
        lines = [f"Proof    that nothing is written meanwhile: {by}; no session of it is left in the database"]
        lines.append(f"Assumes  that Hyperdrive {told.hyperdrive} goes to {origin}: Cloudflare is not asked")
        if alone.silent:
            lines.append(f"Unsure   whether users are served at the end: {alone.silent}")
        if alone.stopped:
            lines.append("Waits    at the end, until Cloudflare answers: only there users are let in again")
        return tuple(lines)

    def refuse_unprovable(self, *, here: bool, retry: str) -> None:
        """Raise Refused where nothing could stop what it writes, or nothing would prove that it is stopped.

        `retry` is the command without this way; `here`: the database answers.
        """
        settings, api, alone, unproven = self.settings, self.settings.stack.api, self.alone, self.entry.unproven
        if self.entry.allowed is None and not alone.stopped:
            none = OF_OUR_OWN if settings.stack.database.archive else NO_RESTRICTIONS
            message = (
                f"--without-cloudflare: network restrictions would be all that stops what {api.name} writes, and "
                f"{none}: what it accepts meanwhile would be lost. Nothing was stopped. It takes Cloudflare's API "
                "(www.cloudflarestatus.com)."
            )
            raise Refused(message, next_command=retry)
        if alone.stopped or not unproven or (alone.answering if here else not alone.silent):
            return
        also = alone.silent or f"none of its own paths answers well now ({', '.join(expected(api))})"
        message = (
            f"--without-cloudflare: nothing would prove that {api.name} is shut out of the database, which is all "
            f"that stops what it writes: {unproven}; {also.rstrip('.')}. Nothing was stopped. Give this machine a "
            "second address outside operator_cidrs and name it as ems-ops:database.outsider."
        )
        raise Refused(message, next_command=f"edit {settings.file}")

    def _stays_stopped(self, maintenance: str, name: str) -> Step:
        """Return the step that sees the maintenance version answer, to which an earlier run has sent users."""
        api = self.settings.stack.api
        return edge_is_stopped(self.edge, api.host, api.health.path, version=maintenance, name=name)

    def _shut_out(self, name: str) -> Step:
        """Return the step that proves it: by the provider, an outsider, the application itself, and its sessions."""
        api = self.settings.stack.api
        shut = ShutOut(self.entrance.seen(self.entry), self.entrance.database, self.edge, api, self.alone)
        return Step(
            name=name,
            title=f"see that {api.name} does not get into the database, and has no session in it",
            effect=Effect.READ,
            holds=shut.holds,
            act=lambda _sight: None,  # `holds` looks until the deadline
            undo=ONLY_READS,
            expect=0.5,
            deadline=self.settings.stack.database.waits.restricted,
        )


@dataclass(frozen=True)
class ShutOut:
    """The proof that an application does not get into its database.

    `door` is what the provider and an outsider say. Where no outsider can tell, one of the paths that answered well
    before must answer an error of the Worker's own now: it is up, and lacks its database.
    """

    door: Seen
    database: Postgres
    edge: Edge
    api: Api
    alone: Alone

    @property
    def by_itself(self) -> bool:
        """Tell whether it is the application's own answers that must show it."""
        return self.door.outsider is None

    def holds(self, sight: Sight) -> Held:
        """Ask the provider, let the outsider try, ask the application, and then look for sessions."""
        held = self.door.holds(sight)
        if not isinstance(held, Yes):
            return held
        seen = dict(held.evidence)
        if seen["allowed"] != list(self.door.cidrs.all):
            return No(seen, f"expected only {', '.join(self.door.cidrs.all)} to be allowed, got {seen['allowed']}")
        for _ in range(IN_A_ROW):
            statuses = asked(self.edge, self.api)
            seen["answers"] = [f"{path} {status or 'nothing'}" for path, status in statuses.items()]
            failing = [path for path in self.alone.answering or statuses if statuses[path] in OWN_FAULTS]
            if self.by_itself and not failing:
                told = ", ".join(f"{path} {status}" for path, status in statuses.items())
                return No(seen, f"{self.api.host} shows no error, as it would without its database: {told}")
        with self.database.reading() as session:
            found = others(session)
        seen["sessions"] = list(found)
        return No(seen, f"{self.database.where}: sessions are in it: {', '.join(found)}") if found else Yes(seen)


@dataclass
class IfAnybodyAnswers:
    """A proof at the edge that says what it could not check where nobody answers there. `first` is what waits for it.

    What a Worker cannot answer itself (from 520 on) is no answer either.
    """

    edge: Edge
    api: Api
    first: str
    proof: Step
    within: float = PROPAGATION
    silent: str = ""

    def step(self) -> Step:
        """Return the proof as a step."""
        return replace(self.proof, title=f"{self.proof.title}, if anybody answers", act=self.act, holds=self.holds)

    def act(self, sight: Sight) -> Json:
        """Prove it, or say that nobody answers. Raises NotSo where somebody does, and it is not so."""
        self.silent = self._silent(sight)
        if not self.silent:
            return self.proof.act(sight)
        sight.note(f"not checked: {self.proof.title}: {self.silent}")
        return {"not_checked": self.silent}

    def holds(self, sight: Sight) -> Held:
        """Tell what the act has seen."""
        return Yes({"not_checked": self.silent}) if self.silent else self.proof.holds(sight)

    def _silent(self, sight: Sight) -> str:
        """Return why nobody answers, once somebody was given the time; what waited before does not wait again."""
        told = sight.results.get(self.first)
        if self.proof.name != self.first and isinstance(told, dict):
            return str(told.get("not_checked") or "")
        until = time.monotonic() + self.within
        while (silent := health_answer(self.edge, self.api)[1]) and time.monotonic() < until:
            time.sleep(LOOK_AGAIN)
        return silent
