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
from runbooks.model.errors import CheckError, OpsError, Refused, Unreachable
from runbooks.model.reconciliation import EMPTY_TRANSACTION
from runbooks.steps.database.server import Server, look_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.postgres import Postgres

SHIPPED_WITHIN: Final = 300.0
"""Seconds within which the archive must have reached the point: WAL is shipped every 2 minutes (Supabase, 2026-11)."""
RESTORED_WITHIN: Final = 4 * 3600.0
"""Seconds that a recovery may take: a week of WAL has been seen to need hours."""
BEGUN_WITHIN: Final = 20.0
"""Seconds after which a recovery whose request was lost has left ACTIVE_HEALTHY, if it was ever asked for."""
NEVER_BEGUN: Final = 900.0
"""Seconds after which a recovery that was accepted, and of which nothing is to be seen, counts as lost."""
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


def let_the_archive_reach(supabase: Supabase, database: Postgres, point: datetime, *, name: str) -> Step:
    """Return the step after which the provider's archive covers the point.

    Where nothing is written nothing is shipped, so its act commits one transaction that changes no row: without a
    commit after the point PostgreSQL cannot tell that it has reached it.
    """

    def holds(_sight: Sight) -> Held:
        latest = supabase.backups().window.latest
        seen: dict[str, Json] = {"point": point.isoformat(), "latest": latest.isoformat() if latest else None}
        if latest is not None and latest >= point:
            return Yes(seen)
        return No(seen, f"the provider's archive reaches {latest}, not yet {point}")

    def act(_sight: Sight) -> Json:
        with database.writing(EMPTY_TRANSACTION) as session:
            return {"transaction": str(session.value("select pg_current_xact_id()::text"))}

    return Step(
        name=name,
        title=f"let the provider's archive reach {point:%Y-%m-%d %H:%M:%S} UTC",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo("an empty transaction leaves nothing behind"),
        expect=0.1,
        deadline=SHIPPED_WITHIN,
        attempts=3,
    )


def recover(
    supabase: Supabase,
    database: Postgres,
    point: datetime,
    *,
    clock: Callable[[], datetime],
    way_back: str,
    expect: float,
    name: str,
) -> Step:
    """Return the step that takes the whole database back to the point, in place.

    It holds when the server started after the request and its timeline or its transactions tell of a recovery, and
    the platform and its services are healthy again. A lost answer is settled by looking, never by asking twice.
    """
    recovery = Recovery(supabase, database, clock)

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
        deadline=RESTORED_WITHIN,
        attempts=2,
        settle=BEGUN_WITHIN,
    )


@dataclass
class Recovery:
    """One recovery while it goes on: what was seen of the platform, and what the server inside says."""

    supabase: Supabase
    database: Postgres
    clock: Callable[[], datetime]
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
            message = (
                f"Supabase project {self.supabase.ref}: expected it to come back, its status is {status}. The "
                f"application stays stopped. Ask the provider, naming the project: {SUPPORT}"
            )
            raise CheckError(message)
        if status is not ProjectStatus.ACTIVE_HEALTHY and status not in FAILED:
            return Settling(seen, self.pace.next())
        if server is None or server.in_recovery:
            return Settling(seen, self.pace.next())
        return self._settled(sight, server, seen)

    def _before(self, status: ProjectStatus, seen: Evidence) -> Held:
        if status is not ProjectStatus.ACTIVE_HEALTHY and status not in FAILED:
            return Settling(seen, self.pace.next())  # somebody else's recovery, restart or upgrade goes on
        return No(seen, "this run has not asked for it yet")

    def _settled(self, sight: Sight, server: Server, seen: dict[str, Json]) -> Held:
        missing = _not_recovered(sight.before, server)
        if missing and self.pace.waited > NEVER_BEGUN:
            message = (
                f"Supabase project {self.supabase.ref}: asked for the recovery, and {NEVER_BEGUN / 60:.0f} min later "
                f"{missing}. The application stays stopped. Ask the provider, naming the project: {SUPPORT}"
            )
            raise CheckError(message)
        if missing:
            return No(seen, missing)
        services = {service.name: service.status for service in self.supabase.health(*SERVICES)}
        seen["services"] = dict(services)
        if any(status != "ACTIVE_HEALTHY" for status in services.values()):
            return Settling(seen, self.pace.next())
        return Yes(seen)

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
        return f"the server still runs since {now.started_at}: the recovery has not begun"
    if now.timeline == then.timeline and now.next_transaction >= then.next_transaction:
        return (
            f"the server restarted at {now.started_at}, but on timeline {now.timeline} as before and with no "
            "transaction undone: it was not recovered"
        )
    return ""
