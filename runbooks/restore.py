"""Take the database back to a point in time, and prove it before anybody is served again.

The guide's five steps: identify the point → (copy the present, so that this can itself be undone) → stop the
application → restore the database → verify the data → restart the application. A failed proof leaves it stopped.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from whenever import Instant

from runbooks.clients.supabase import Cidrs, cidrs_of
from runbooks.engine.step import Book, Sight, Step
from runbooks.model.errors import Refused
from runbooks.model.timepoint import Point, check_window, distance, parse
from runbooks.model.timepoint_refusals import Asker
from runbooks.steps.cloudflare.edge import serves
from runbooks.steps.cloudflare.maintenance import edge_is_stopped, serving_release
from runbooks.steps.cloudflare.workers import SHORT, given, route_traffic
from runbooks.steps.database.copies import copying, folder_of, keep_later_writes, way_back
from runbooks.steps.database.present import (
    Present,
    check_own_address,
    check_without_present,
    losses,
    owed,
    read_present,
)
from runbooks.steps.database.restrictions import allow, allowed_before
from runbooks.steps.database.server import end_other_sessions
from runbooks.steps.database.strategies import choose
from runbooks.steps.database.supabase import let_the_archive_reach, recover
from runbooks.steps.database.verification import verify
from runbooks.steps.journals import first_change, left_stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.clients.postgres_programs import Programs
    from runbooks.clients.supabase import Supabase
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings

NAME = "restore"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator asks for. `without_copy` agrees to go on although the database cannot be copied."""

    point: str
    strategy: str = "auto"
    without_copy: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What the plan rests on. Instants in UTC; `live` and `maintenance` are version ids of the Worker.

    `allowed` is who could connect before; None where the provider offers no network restrictions. `present` is None
    when the database did not answer.
    """

    point: datetime
    strategy: str
    why: str
    looked_at: datetime
    live: str
    maintenance: str
    allowed: Cidrs | None
    present: Present | None
    backup: str


@dataclass
class Restore:
    """One restore: what it needs, and its book."""

    settings: Settings
    home: Home
    cloudflare: Cloudflare
    edge: Edge
    supabase: Supabase
    programs: Programs
    arguments: Arguments
    clock: Callable[[], datetime]

    @property
    def worker(self) -> str:
        """Return the Worker's name."""
        return self.settings.stack.api.name

    @cached_property
    def asker(self) -> Asker:
        """Return who asks for the point: a distance is counted from the first time it is looked at."""
        command = f"invoke {NAME} --stack {shlex.quote(self.settings.argument)} --point="
        return Asker(self.clock(), self.settings.stack.contacts.time_zone, command)

    @cached_property
    def point(self) -> Point:
        """Return the point that was asked for. Raises PointRefused."""
        return parse(self.arguments.point, self.asker, before=lambda run: first_change(self.home, run))

    def gather(self) -> Facts:
        """Read what can be reached, what is live, and what would be lost. Raises Refused where it cannot be done."""
        point = self.point
        backups = self.supabase.backups()
        retry = f'{self.asker.command}"{self.arguments.point}"'
        strategy, why = choose(self.arguments.strategy, backups, project=self.supabase.ref, retry=retry)
        check_window(point, backups.window, self.asker)
        present = self.present
        if present is None:
            where, agreed = self.programs.database.where, self.arguments.without_copy
            check_without_present(point, backups.window.latest, where=where, agreed=agreed, asker=self.asker)
        else:
            self.programs.find("pg_dump")
        former = left_stopped(self.home, NAME, self.settings.name, Facts)
        restrictions = self.supabase.restrictions()
        live = serving_release(self.cloudflare, self.worker) or (former.live if former else None)
        if live is None:
            message = f"Worker {self.worker}: expected a release to go back to after the restore, none was ever live."
            raise Refused(message, next_command=f"invoke deploy --stack {shlex.quote(self.settings.argument)}")
        return Facts(
            point=point.at,
            strategy=strategy,
            why=why,
            looked_at=self.asker.now,
            live=live,
            maintenance=self.cloudflare.maintenance(self.worker).id,
            allowed=allowed_before(restrictions, self.operators, former.allowed if former else None),
            present=present,
            backup=f"{self.asker.now:%Y-%m-%dT%H-%M-%S}Z",
        )

    @cached_property
    def present(self) -> Present | None:
        """Return the database as it is, None when it does not answer. Read once: it may take minutes."""
        database = self.settings.stack.database
        present = read_present(self.programs.database, self.point.at, database.heartbeat)
        if present is not None:
            check_own_address(present.server, database.operator_cidrs, file=self.settings.file.name)
        return present

    @property
    def operators(self) -> Cidrs:
        """Return who may connect while the application is stopped."""
        return cidrs_of(self.settings.stack.database.operator_cidrs)

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure: identify, copy, stop, restore, verify, restart."""
        return (
            let_the_archive_reach(self.supabase, self.programs.database, facts.point, name="identify"),
            *self.copying(facts),
            *self.stopping(facts),
            recover(
                self.supabase,
                self.programs.database,
                facts.point,
                clock=self.clock,
                way_back=self.way_back(facts),
                expect=60.0,
                name="restore",
            ),
            self.verifying(facts),
            *self.restarting(facts),
        )

    def copying(self, facts: Facts) -> tuple[Step, ...]:
        """Return the copy of the present, if there is one that can be copied."""
        if facts.present is None:
            return ()
        return copying(self.programs, self.settings.home, facts.backup, facts.point)

    def stopping(self, facts: Facts) -> tuple[Step, ...]:
        """Return how the application is stopped: at the edge, at the database's door, and inside."""
        api, here = self.settings.stack.api, facts.present is not None
        steps = [
            route_traffic(
                self.cloudflare, self.worker, to=facts.maintenance, back_to=facts.live, what=NAME, force=True,
                name="stop traffic", title=f"stop traffic and scheduled work of {self.worker} (maintenance version)",
            ),
            edge_is_stopped(self.edge, api.host, api.health.path, version=facts.maintenance, name="see it stopped"),
        ]  # fmt: skip
        if facts.allowed is not None:
            steps.append(
                allow(
                    self.supabase, self.operators, name="stop connections",
                    title=f"let only {', '.join(self.operators.all)} connect to the database",
                    still=self.can_connect if here else lambda: None,
                )
            )  # fmt: skip
        if facts.present is not None:
            steps.append(end_other_sessions(self.programs.database, name="end sessions"))
            if facts.present.server.commit_times:
                later = keep_later_writes(self.programs, self.settings.home, facts.backup, name="keep later writes")
                steps.append(later)
        return tuple(steps)

    def can_connect(self) -> None:
        """Raise Unreachable when we are shut out ourselves."""
        with self.programs.database.reading() as session:
            session.value("select 1")

    def verifying(self, facts: Facts) -> Step:
        """Return the proof inside the database."""
        stack, present = self.settings.stack, facts.present
        earlier = Point(facts.point - timedelta(minutes=1), "").utc

        def after_failure(sight: Sight) -> tuple[str, str]:
            undo = f"invoke runs.undo --run {sight.run} --stack {shlex.quote(self.settings.argument)}"
            return f'{self.asker.command}"{earlier}"', undo

        return verify(
            self.programs.database,
            owed(facts.point, present),
            heartbeat=stack.database.heartbeat,
            checks=stack.database.checks,
            noted=folder_of(self.settings.home, facts.backup) if present else None,
            seconds=stack.database.verify_seconds,
            after_failure=after_failure,
            name="verify",
        )

    def restarting(self, facts: Facts) -> tuple[Step, ...]:
        """Return how the application comes back, in the reverse order, and the proof that it does."""
        steps = []
        if facts.allowed is not None:
            title = f"let {', '.join(facts.allowed.all) or 'nobody'} connect to the database again"
            steps.append(allow(self.supabase, facts.allowed, name="allow connections", title=title))
        title = f"restart traffic of {self.worker} on {facts.live[:SHORT]}"
        return (
            *steps,
            route_traffic(
                self.cloudflare, self.worker, to=facts.live, back_to=facts.maintenance, what=NAME, force=True,
                name="restart traffic", title=title,
            ),
            *self.serving(facts),
        )  # fmt: skip

    def serving(self, facts: Facts, *, prefix: str = "") -> tuple[Step, ...]:
        """Return the proof that users are served by the release that served them before."""
        otherwise = f"invoke rollback --stack {shlex.quote(self.settings.argument)}"
        return serves(
            self.edge,
            self.settings.stack.api,
            version=given(facts.live),
            clock=self.clock,
            next_command=otherwise,
            prefix=prefix,
        )

    def way_back(self, facts: Facts) -> str:
        """Return in words how a restore is itself taken back."""
        if facts.present is None:
            return "the present could not be copied: there is no way back"
        return f"the copy of the present is the way back: {way_back(self.settings.home, facts.backup)}"

    def summary(self, facts: Facts) -> str:
        """Return what is restored, to when, and what is kept."""
        database, zone = self.settings.stack.database, self.settings.stack.contacts.time_zone
        ago = distance(Instant(facts.looked_at) - Instant(facts.point))
        keeps = f"a copy of the present first: backup {facts.backup} (so this restore can itself be undone)"
        if facts.present is None:
            keeps = "nothing: the database does not answer, so there is no copy of the present"
        return (
            f"{database.hyperdrive} to {Point(facts.point, '').spoken(zone)}, {ago} ago   strategy: "
            f"{facts.strategy} ({facts.why})\nKeeps    {keeps}"
        )


def book(
    settings: Settings,
    cloudflare: Cloudflare,
    edge: Edge,
    supabase: Supabase,
    programs: Programs,
    *,
    home: Home,
    arguments: Arguments,
    clock: Callable[[], datetime],
) -> Book[Facts]:
    """Return the restore of the database to a point in time."""
    it = Restore(settings, home, cloudflare, edge, supabase, programs, arguments, clock)
    return Book(
        name=NAME,
        facts_type=Facts,
        gather=it.gather,
        steps=it.steps,
        summary=it.summary,
        losses=lambda facts: losses(facts.present, restricted=facts.allowed is not None),
        recheck=("live", "allowed"),
        after_undo=lambda facts: it.serving(facts, prefix="former "),
    )
