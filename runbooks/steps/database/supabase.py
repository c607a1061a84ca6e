"""The Supabase project: how far its archive reaches, and the recovery itself.

The platform's word alone proves nothing: a project has been seen to say ACTIVE_HEALTHY before its recovery began, and
after one that left an empty cluster (user reports, 2024-2026). What counts is what the server inside says of itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.supabase import FAILED, ProjectStatus, Supabase
from runbooks.engine.step import Effect, Evidence, Held, Json, No, NoUndo, Settling, Sight, Step, Yes
from runbooks.model.errors import NeverSo, OpsError, Refused, Unreachable
from runbooks.model.reconciliation import EMPTY_TRANSACTION
from runbooks.steps.database.server import Server, look_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.shapes import Waits
    from runbooks.clients.postgres import Postgres

SOON: Final = 60.0
"""Seconds by which a step outlasts its own wait, so that it is its text that is said."""
BEGUN_WITHIN: Final = 20.0
"""Seconds after which a recovery whose request was lost has left ACTIVE_HEALTHY, if it was ever asked for."""
SERVICES: Final = ("db", "auth", "rest")
SUPPORT: Final = "https://supabase.com/dashboard/support/new"


@dataclass
class Pace:
    """How long to wait between looks: an eighth of what was waited so far, 0.1 to 5 seconds (120 calls a minute)."""

    began: float | None = None

    @property
    def waited(self) -> float:
        """Return the seconds since this was first asked."""
        if self.began is None:
            self.began = time.monotonic()
        return time.monotonic() - self.began

    def next(self) -> float:
        """Return the seconds until the next look."""
        return min(5.0, max(0.1, self.waited / 8))


def let_the_archive_reach(
    supabase: Supabase,
    database: Postgres,
    point: datetime,
    *,
    within: float,
    instead: Callable[[datetime | None], str],
    name: str,
) -> Step:
    """Return the step after which the provider's archive covers the point.

    Where nothing is written nothing is shipped, so its act commits one transaction that changes no row: without one
    PostgreSQL cannot tell that it has reached the point. `within` is in seconds: WAL is shipped every 2 minutes
    (Supabase, 2026-11). `instead` gives what to type when it stays behind, from how far it reaches.
    """
    pace = Pace()

    def holds(sight: Sight) -> Held:
        latest = supabase.backups().window.latest
        seen: dict[str, Json] = {"point": point.isoformat(), "latest": latest.isoformat() if latest else None}
        if latest is not None and latest >= point:
            return Yes(seen)
        behind = _behind(supabase.ref, point, latest)
        if sight.request and pace.waited > within:
            message = f"{behind}, {within:g} s later. Nothing was stopped."
            raise NeverSo(message, next_command=instead(latest))
        return No(seen, behind)

    return Step(
        name=name,
        title=f"let the provider's archive reach {point:%Y-%m-%d %H:%M:%S} UTC",
        effect=Effect.WRITE,
        holds=holds,
        act=lambda _sight: _empty_transaction(database),
        undo=NoUndo("an empty transaction leaves nothing behind"),
        expect=0.1,
        deadline=within + SOON,
        attempts=3,
    )


def recover(
    supabase: Supabase,
    database: Postgres,
    point: datetime,
    *,
    clock: Callable[[], datetime],
    waits: Waits,
    way_back: str,
    instead: str,
    expect: float,
    name: str,
) -> Step:
    """Return the step that takes the whole database back to the point, in place.

    It holds when the server started after the request and its timeline or its transactions tell of a recovery, and
    the platform and its services are healthy again. A lost answer is settled by looking, never by asking twice.
    `instead` is what to type where it fails for good.
    """
    recovery = Recovery(supabase, database, clock, waits, instead)

    def act(_sight: Sight) -> Json:
        recovery.supabase.restore_pitr(point)
        return {"asked_for": int(point.timestamp())}

    return Step(
        name=name,
        title=f"recover the database to {point:%Y-%m-%d %H:%M:%S} UTC",
        effect=Effect.DESTROY,
        holds=recovery.look,
        act=act,
        undo=NoUndo(way_back),
        expect=expect,
        deadline=waits.restored + SOON,
        attempts=2,
        settle=BEGUN_WITHIN,
    )


@dataclass
class Recovery:
    """One recovery while it goes on: what was seen of the platform, and what the server inside says."""

    supabase: Supabase
    database: Postgres
    clock: Callable[[], datetime]
    waits: Waits
    instead: str = ""
    pace: Pace = field(default_factory=Pace)
    looked_after: bool = False
    passed: list[str] = field(default_factory=list)
    """The states that the platform went through while we looked, in order."""

    def look(self, sight: Sight) -> Held:
        """Tell whether the recovery that this step asked for is over."""
        status = self.supabase.project().status
        if self.passed[-1:] != [status]:
            self.passed.append(status)
        server = self._server()
        seen: dict[str, Json] = {
            "status": status,
            "looked_at": self.clock().isoformat(),
            "server": msgspec.to_builtins(server) if server else None,
            "states_seen": list(self.passed),
        }
        if not sight.request:
            return self._before(status, seen)
        if not self.looked_after:
            self.looked_after, self.pace = True, Pace()
        if status in FAILED and status != sight.before.get("status"):
            what = f"expected it to come back, its status is {status}"
            raise self._over(what)
        at_work = status is not ProjectStatus.ACTIVE_HEALTHY and status not in FAILED
        if not at_work and server is not None and not server.in_recovery:
            return self._settled(sight, server, seen)
        if self.pace.waited > self.waits.restored:
            answers = "nobody answers" if server is None else "a server answers"
            what = (
                f"expected it to come back within {self.waits.restored:g} s, its status is {status} (seen: "
                f"{', '.join(self.passed)}) and {answers} at {self.database.where}"
            )
            raise self._over(what)
        return Settling(seen, self.pace.next())

    def _over(self, what: str) -> NeverSo:
        """Return the error that ends the run: nothing but the provider, or another way back, helps now."""
        message = (
            f"Supabase project {self.supabase.ref}: {what}. The application stays stopped. Ask the provider, naming "
            f"the project: {SUPPORT}"
        )
        return NeverSo(message, next_command=self.instead or None)

    def _before(self, status: ProjectStatus, seen: Evidence) -> Held:
        if status is not ProjectStatus.ACTIVE_HEALTHY and status not in FAILED:
            return Settling(seen, self.pace.next())  # somebody else's recovery, restart or upgrade goes on
        return No(seen, "this run has not asked for it yet")

    def _settled(self, sight: Sight, server: Server, seen: dict[str, Json]) -> Held:
        missing = _not_recovered(sight.before, server)
        if missing and self.pace.waited > self.waits.begun:
            what = f"asked for the recovery, and {self.waits.begun:g} s later {missing}"
            raise self._over(what)
        if missing:
            return No(seen, missing)
        services = {service.name: service.status for service in self.supabase.health(*SERVICES)}
        seen["services"] = dict(services)
        sick = [f"{name} {status}" for name, status in services.items() if status != "ACTIVE_HEALTHY"]
        if sick and self.pace.waited > self.waits.restored:
            what = f"recovered, and {self.waits.restored:g} s later not healthy: {', '.join(sick)}"
            raise self._over(what)
        return Settling(seen, self.pace.next()) if sick else Yes(seen)

    def _server(self) -> Server | None:
        try:
            with self.database.reading() as session:
                return look_at(session)
        except Unreachable:
            return None
        except Refused:
            raise
        except OpsError:
            return None  # a server that is starting answers with errors of many kinds


def _not_recovered(before: Evidence, now: Server) -> str:
    """Return what of a recovery is not to be seen in the server, nothing when all is."""
    was = before.get("server")
    if was is None:  # nobody answered before: any server that started since counts, its content is proven later
        since = datetime.fromisoformat(str(before["looked_at"])).astimezone(UTC)
        return "" if now.started_at >= since else f"the server runs since {now.started_at}, before it was asked for"
    then = msgspec.convert(was, Server)
    if now.started_at <= then.started_at:
        return (
            f"the server that answers still runs since {now.started_at}: the recovery has not begun, or the address "
            "leads to the old one"
        )
    if now.timeline == then.timeline and now.next_transaction >= then.next_transaction:
        return (
            f"the server restarted at {now.started_at}, but on timeline {now.timeline} as before and with no "
            "transaction undone: it was not recovered"
        )
    return ""


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _behind(project: str, point: datetime, latest: datetime | None) -> str:
    reaches = _at(latest) if latest else "nothing yet"
    return f"Supabase project {project}: expected its archive to reach {_at(point)}, it reaches {reaches}"


def _empty_transaction(database: Postgres) -> Json:
    with database.writing(EMPTY_TRANSACTION) as session:
        return {"transaction": str(session.value("select pg_current_xact_id()::text"))}
