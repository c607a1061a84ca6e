"""What leaves a database by itself: scheduled jobs (pg_cron), calls that wait (pg_net), mails in tables of its product.

Jobs stand still from right after the recovery until its result is proven; they are minutes, so nothing of them is lost.
What waited to leave at the point has mostly left since: it stays held until a person lets it go
(`invoke restore.release`), and calls in pg_net's queue, which nobody could look at, are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import CheckError
from runbooks.model.reconciliation import HOLD_JOBS, HOLD_OUTGOING
from runbooks.steps.database.server import may

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.shapes import Outgoing
    from runbooks.clients.postgres import Postgres, Session

JOBS: Final = "cron.job"
QUEUE: Final = "net.http_request_queue"
OF_OURS: Final = """
select jobid from cron.job
 where active = %s and (username = current_user or (select rolsuper from pg_roles where rolname = current_user))
 order by 1
"""
"""pg_cron lets a role change its own jobs only; at Supabase it may read the table, not write it."""


def hold_jobs(database: Postgres, *, name: str) -> Step:
    """Return the step after which no job of pg_cron is active; the journal knows what was, the undo wakes it."""

    def holds(sight: Sight) -> Held:
        active = _jobs(database, active=True)
        # once it was done, what was active before is known from the intent alone
        seen: dict[str, Json] = {"active": list(active), "held": sight.before.get("active", [])}
        return No(seen, f"jobs are active: {', '.join(map(str, active))}") if active else Yes(seen)

    def act(_sight: Sight) -> Json:
        _set(database, _jobs(database, active=True), active=False)
        return None

    def undo(sight: Sight) -> Json:
        _set(database, _ids(sight.before.get("active")), active=True)
        return None

    return Step(
        name=name,
        title="hold the jobs that the database runs on schedule",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        expect=0.1,
        attempts=3,
    )


def held_by(step: str) -> Callable[[Sight], list[int]]:
    """Return how to read which jobs an earlier step (`hold_jobs`) has stopped."""

    def read(sight: Sight) -> list[int]:
        told = sight.results.get(step)
        return _ids(told.get("held") if isinstance(told, dict) else None)

    return read


def release_jobs(database: Postgres, held: Callable[[Sight], list[int]], *, name: str) -> Step:
    """Return the step that wakes the jobs that this run has stopped."""

    def holds(sight: Sight) -> Held:
        asleep = [job for job in held(sight) if job in _jobs(database, active=False)]
        seen: dict[str, Json] = {"asleep": list(asleep)}
        return No(seen, f"jobs are held: {', '.join(map(str, asleep))}") if asleep else Yes(seen)

    def act(sight: Sight) -> Json:
        _set(database, held(sight), active=True)
        return None

    def undo(sight: Sight) -> Json:
        _set(database, _ids(sight.before.get("asleep")), active=False)
        return None

    return Step(
        name=name,
        title="let the database run its jobs again",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        expect=0.1,
        attempts=3,
    )


def hold_outgoing(database: Postgres, told: tuple[Outgoing, ...], *, name: str) -> Step:
    """Return the step after which nothing waits to leave: what the stack file names is held, pg_net's queue empty."""
    waiting = Waiting(database, told)
    return Step(
        name=name,
        title="hold what waits to leave the database (mails, calls)",
        effect=Effect.WRITE,
        holds=waiting.holds,
        act=waiting.act,
        undo=waiting.undo,
        expect=0.1,
        attempts=3,
    )


@dataclass(frozen=True)
class Waiting:
    """What waits to leave one database."""

    database: Postgres
    told: tuple[Outgoing, ...]

    def holds(self, _sight: Sight) -> Held:
        """Count what waits."""
        with self.database.reading() as session:
            found = self._look(session)
        left = [f"{what} {rows}" for what, rows in found.items() if rows]
        seen: dict[str, Json] = {"waiting": dict(found)}
        return No(seen, f"it waits to leave: {', '.join(left)}") if left else Yes(seen)

    def act(self, _sight: Sight) -> Json:
        """Hold it, in one transaction."""
        with self.database.writing(HOLD_OUTGOING) as session:
            found = self._look(session)
            for one in self.told:
                session.run(one.hold)
            if QUEUE in found:
                session.run("delete from net.http_request_queue")
        return {"kept_back": dict(found)}

    def undo(self, _sight: Sight) -> Json:
        """Let it go again, but what was in the queue."""
        with self.database.writing(HOLD_OUTGOING) as session:
            for one in self.told:
                session.run(one.release)
        return None

    def _look(self, session: Session) -> dict[str, int]:
        found = {one.name: counted(session, one.waiting) for one in self.told}
        if may(session, "delete", QUEUE):
            found[QUEUE] = int(session.value("select count(*) from net.http_request_queue"))
        return found


def release_outgoing(database: Postgres, one: Outgoing, *, rows: int, name: str) -> Step:
    """Return the step that lets go what was held of one kind."""

    def holds(_sight: Sight) -> Held:
        with database.reading() as session:
            held = counted(session, one.held)
        return No({"held": held}, f"{one.name}: {held} are held") if held else Yes({"held": 0})

    def act(_sight: Sight) -> Json:
        with database.writing(HOLD_OUTGOING) as session:
            session.run(one.release)
        return None

    return Step(
        name=name,
        title=f"let {rows} of {one.name} leave",
        effect=Effect.DESTROY,
        holds=holds,
        act=act,
        undo=NoUndo("what has left cannot be called back"),
        expect=0.1,
    )


def counted(session: Session, statement: str) -> int:
    """Return the number that a statement of the stack file gives. Raises CheckError for anything else."""
    found = session.value(statement)
    if not isinstance(found, int) or isinstance(found, bool):
        message = f"ems-ops:hazards.outgoing: expected `{statement}` to return a number, got {found!r}"
        raise CheckError(message)
    return found


def _jobs(database: Postgres, *, active: bool) -> list[int]:
    """Return our role's jobs that are active, or are not; none where the database has no pg_cron."""
    with database.reading() as session:
        ours = may(session, "select", JOBS)
        if ours is False:
            message = f"Database {database.where}: expected the right to see the jobs in {JOBS}, our role has it not."
            raise CheckError(message)
        if ours is None:
            return []
        return [job for (job,) in session.rows(OF_OURS, (active,))]


def _set(database: Postgres, jobs: list[int], *, active: bool) -> None:
    """Change these jobs by pg_cron's own function, in one transaction; one that is gone is left out."""
    with database.writing(HOLD_JOBS) as session:
        session.rows(
            "select cron.alter_job(job_id => jobid, active => %s) from cron.job where jobid = any(%s) and active <> %s",
            (active, jobs, active),
        )


def _ids(told: Json) -> list[int]:
    return msgspec.convert(told or [], list[int])
