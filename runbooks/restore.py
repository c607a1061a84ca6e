"""Take the database back to a point in time, and prove it before anybody is served again.

The guide's five steps: identify the point → (copy the present, so that this can itself be undone) → stop the
application → restore the database → verify the data → restart the application. A failed proof leaves it stopped.
While Cloudflare's API is down it is stopped at the database's door alone, where that is agreed to.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING

from whenever import Instant

from runbooks.engine.step import Book, Sight, Step
from runbooks.model.timepoint import Point, Reach, distance, parse
from runbooks.model.timepoint_refusals import Asker
from runbooks.steps.backups.room import refuse_without_room, server_free
from runbooks.steps.database.copies import NO_WAY_BACK, copying, folder_of, keep_later_writes, needed, way_back
from runbooks.steps.database.present import Looking, known_before
from runbooks.steps.database.replaced import refuse_replaced
from runbooks.steps.database.restrictions import Entrance
from runbooks.steps.database.server import answers_us
from runbooks.steps.database.statements import refuse_wrong_statements
from runbooks.steps.hazards.erasures import erased_since
from runbooks.steps.hazards.jobs import Jobs, Sees, jobs_of
from runbooks.steps.hazards.plan import Holding
from runbooks.steps.journals import left_stopped
from runbooks.steps.moments import moments_of
from runbooks.steps.recovery.application import StoppedAtEdge
from runbooks.steps.recovery.archive import Archive
from runbooks.steps.recovery.asked import Arguments, Facts
from runbooks.steps.recovery.door import StoppedAtDoor
from runbooks.steps.recovery.dump import Dump
from runbooks.steps.recovery.outage import FLAG, Typed, telling
from runbooks.steps.recovery.pitr import Pitr
from runbooks.steps.recovery.serving import Look, origin_of_api
from runbooks.steps.recovery.strategy import Around, Strategy, choose
from runbooks.steps.recovery.whole import fits_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.clients.postgres_programs import Programs
    from runbooks.clients.supabase import Supabase
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings
    from runbooks.steps.backups.catalog import Catalog
    from runbooks.steps.database.present import Present

__all__ = ["NAME", "Arguments", "Facts", "book"]

NAME = "restore"


@dataclass
class Restore:
    """One restore: what it needs, and its book."""

    settings: Settings
    home: Home
    cloudflare: Cloudflare
    edge: Edge
    supabase: Supabase
    programs: Programs
    catalog: Callable[[], Catalog]
    arguments: Arguments
    clock: Callable[[], datetime]

    def __post_init__(self) -> None:
        """Look at the present once: it takes long."""
        self.looking = Looking(self.programs.database, self.settings.stack.database, self.settings.file.name)

    @property
    def told(self) -> Cloudflare | None:
        """Return Cloudflare, None where it is not asked."""
        return None if self.arguments.without_cloudflare else self.cloudflare

    @property
    def typed(self) -> Typed:
        """Return the command as it was typed."""
        return Typed(self.settings, self.arguments)

    @cached_property
    def asker(self) -> Asker:
        """Return who asks for the point: a distance is counted from the first time it is looked at."""
        flag = "" if self.told else f" {FLAG}"
        command = f"invoke {NAME} --stack {shlex.quote(self.settings.argument)}{flag} --point="
        return Asker(self.clock(), self.settings.stack.contacts.time_zone, command)

    @cached_property
    def point(self) -> Point:
        """Return the point that was asked for. Raises PointRefused."""
        exact = self.settings.stack.database.archive and self.arguments.strategy in ("auto", "archive")
        return parse(
            self.arguments.point, self.asker, reach=Reach.MICROSECOND if exact else Reach.SECOND,
            before=moments_of(self.home, self.cloudflare, self.settings.stack).before,
            backup=lambda name: self.catalog().get(name).at,
        )  # fmt: skip

    @cached_property
    def ways(self) -> tuple[Strategy, ...]:
        """Return the ways back, the one that loses least first; a point that is a backup has only its own."""
        database, told = self.programs.database, self.settings.stack.database
        agreed = self.arguments.without_copy
        it_answers = partial(answers_us, database, agreed=agreed)
        dump = Dump(
            self.settings, self.home, self.told, self.programs, self.catalog, self.point, it_answers,
            self.asker.now, partial(server_free, self.supabase, told.archive, self.settings.root),
            self.clock,
        )  # fmt: skip
        pitr = Pitr(self.supabase, database, told, self.point, self.asker, it_answers, agreed, self.clock)
        archive = Archive(self.settings, self.programs, self.point, it_answers, self.asker.now)
        if dump.backup:
            return (dump,)
        return (pitr, archive, dump) if told.archive else (pitr, dump)

    def way(self, facts: Facts) -> Strategy:
        """Return the way that the plan takes."""
        return next(way for way in self.ways if way.name == facts.strategy)

    def gather(self) -> Facts:
        """Read what can be reached, what is live, and what would be lost. Raises Refused where it cannot be done."""
        retry = f'{self.asker.command}"{self.arguments.point}"'
        database, hyperdrive = self.programs.database, self.settings.stack.database.hyperdrive
        refuse_replaced(database, origin_of_api(self.told, hyperdrive), hyperdrive=hyperdrive)
        way, reached, why = choose(self.arguments.strategy, self.ways, project=self.supabase.ref, retry=retry)
        present = self.looking.at(reached.at)
        if present is not None:
            refuse_wrong_statements(database, self.settings.stack, file=self.settings.file)
            self.check_can_copy(way, present)
        former = left_stopped(self.home, NAME, self.settings.name, Facts)
        entry = self.entrance.look(former.allowed if former else None, here=present is not None)
        look = Look(
            self.home, self.settings.stack, former, database if present else None, reached.at, self.asker.now,
            self.arguments.version, retry,
        )  # fmt: skip
        serving = look.by_cloudflare(self.told) if self.told else look.by_edge(self.edge)
        facts = Facts(
            point=self.point.at,
            strategy=way.name,
            why=why,
            reached=reached,
            looked_at=self.asker.now,
            live=serving.live,
            maintenance=serving.maintenance,
            allowed=entry.allowed,
            present=present,
            backup=f"{self.asker.now:%Y-%m-%dT%H-%M-%S}Z",
            erased=erased_since(
                self.home, reached.at, self.settings.stack.hazards.erasures, file=self.settings.file.name
            ),
            whole=serving.whole,
            jobs=jobs_of(database) if present else Jobs(Sees.NOTHING),
            unproven=entry.unproven,
            known=known_before(former, reached.at),
            alone=serving.alone,
        )
        self.application(facts).refuse_unprovable(here=present is not None, retry=self.typed.command(without=False))
        return facts

    def check_can_copy(self, way: Strategy, present: Present) -> None:
        """Raise Refused where the program, or the room for a copy of the present, is not there."""
        home = self.settings.home
        if way.program:
            self.programs.find(way.program)
        if way.copies_present:
            refuse_without_room([needed(home, present.server.bytes)], next_command=f"df -h {home}")

    def holding(self, facts: Facts) -> Holding:
        """Return what is held back in the recovered database before anybody is let in."""
        return Holding(self.settings.stack, facts.erased, self.home, self.told, self.clock)

    @property
    def entrance(self) -> Entrance:
        """Return the way into the database."""
        return Entrance(self.supabase, self.programs.database, self.settings.stack.database)

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure: identify, copy, stop, restore, verify, restart."""
        way = self.way(facts)
        return (
            *way.before(facts.reached, facts.present, self.around(facts)),
            *self.copying(facts),
            *self.stopping(facts),
            *way.recovering(facts.reached, facts.known.present if facts.known else facts.present, self.around(facts)),
            *self.restarting(facts),
        )

    def copying(self, facts: Facts) -> tuple[Step, ...]:
        """Return the copy of the present, if it is given up and can be copied."""
        given_up = facts.present is not None and self.way(facts).copies_present
        return copying(self.programs, self.settings.home, facts.backup, facts.point) if given_up else ()

    def stopping(self, facts: Facts) -> tuple[Step, ...]:
        """Return how the application is stopped, and what is kept of what it has written until then."""
        database, here = self.programs.database, facts.present is not None
        steps = list(self.application(facts).stopped(live=facts.live, maintenance=facts.maintenance, here=here))
        if facts.present is not None:
            if facts.present.server.commit_times and self.way(facts).copies_present:
                steps += (keep_later_writes(self.programs, self.settings.home, facts.backup, name="keep later writes"),)
            steps += self.holding(facts).given_up(database, facts.reached.at)
        return tuple(steps)

    def application(self, facts: Facts) -> StoppedAtEdge:
        """Return the application, as it is stopped and let in again."""
        clients = (self.settings, self.cloudflare, self.edge, self.clock, self.entrance, facts.entry)
        return StoppedAtDoor(*clients, facts.alone) if facts.alone else StoppedAtEdge(*clients)

    def around(self, facts: Facts) -> Around:
        """Return what a strategy must know of this restore."""
        here, home = facts.present is not None, self.settings.home
        back = f"the copy of the present is the way back: {way_back(home, facts.backup)}" if here else NO_WAY_BACK
        copied = facts.known.backup if facts.known else facts.backup if here else None
        noted, still = folder_of(home, copied) if copied else None, self.application(facts).still()
        return Around(self.after_failure, back, noted, self.holding(facts), still)

    def after_failure(self, sight: Sight) -> tuple[str, str]:
        """Return what to type after a proof that failed, and what serves nevertheless."""
        stack = shlex.quote(self.settings.argument)
        earlier = Point(self.point.at.replace(microsecond=0) - timedelta(minutes=1), "").utc
        return f'{self.asker.command}"{earlier}"', f"invoke runs.undo --run {sight.run} --stack {stack}"

    def restarting(self, facts: Facts) -> tuple[Step, ...]:
        """Return how the application comes back, in the reverse order, and the proof that it does."""
        application, database = self.application(facts), self.programs.database
        return (
            *fits_whole(database, self.settings.stack, facts.whole, facts.reached, self.asker.command),
            *application.let_in(),
            *application.restarted(facts.whole.restart, maintenance=facts.maintenance),
        )

    def summary(self, facts: Facts) -> str:
        """Return what is restored, to when, and what is kept."""
        database, zone = self.settings.stack.database, self.settings.stack.contacts.time_zone
        ago = distance(Instant(facts.looked_at) - Instant(facts.reached.at))
        copied = f"a copy of the present first: backup {facts.backup} (so this restore can itself be undone)"
        if facts.present is None:
            copied = "nothing: the database does not answer, so there is no copy of the present"
        return (
            f"{database.hyperdrive} to {Point(facts.reached.at, '').spoken(zone)}, {ago} ago   strategy: "
            f"{facts.strategy} ({facts.why})\nKeeps    {self.way(facts).keeps(facts.reached, copied)}"
        )

    def next_command(self, facts: Facts) -> str | None:
        """Return what is still to be typed when all is done."""
        asks = f"invoke deploy.drift --stack {shlex.quote(self.settings.argument)}" if facts.alone else None
        return self.way(facts).afterwards(facts.reached) or asks

    def shows(self, facts: Facts) -> tuple[str, ...]:
        """Return what else the plan says: what was and will be live, what is held back, what is to do afterwards."""
        command = self.next_command(facts)
        when = "once Cloudflare's API answers: " if facts.alone else ""
        after = (f"After    {when}{command}",) if command else ()
        return (*facts.whole.lines(facts.live), *self.application(facts).shows(), *self.holding(facts).lines(), *after)

    def losses(self, facts: Facts) -> tuple[str, ...]:
        """Return what is lost, and who is not stopped."""
        here = facts.present is not None
        return (
            *self.way(facts).losses(facts.reached, facts.present),
            *facts.jobs.not_held(answers=here),
            *facts.entry.losses(here=here),
            *self.application(facts).losses(),
        )


def book(
    settings: Settings,
    cloudflare: Cloudflare,
    edge: Edge,
    supabase: Supabase,
    programs: Programs,
    *,
    catalog: Callable[[], Catalog],
    home: Home,
    arguments: Arguments,
    clock: Callable[[], datetime],
) -> Book[Facts]:
    """Return the restore of the database to a point in time."""
    it = Restore(settings, home, cloudflare, edge, supabase, programs, catalog, arguments, clock)
    return Book(
        name=NAME,
        facts_type=Facts,
        gather=telling(it.gather, it.typed, cloudflare.transport, edge),
        steps=it.steps,
        summary=it.summary,
        losses=it.losses,
        shows=it.shows,
        recheck=("allowed", "erased") if arguments.without_cloudflare else ("live", "allowed", "erased", "whole"),
        after_undo=lambda facts: it.application(facts).as_before(facts.live, maintenance=facts.maintenance),
        next_command=it.next_command,
    )
