"""What the database runs on schedule (pg_cron): stands still from right after a recovery until its result is proven.

Those are minutes, so nothing of it is lost. pg_cron lets a role change its own jobs only, and by a row policy see no
other's; what cannot be held is said in the plan. Its table lies in one database of the server, `postgres` by default,
and names for each job the database that it runs in.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import CheckError
from runbooks.model.reconciliation import HOLD_JOBS
from runbooks.steps.database.server import may

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.postgres import Postgres, Session

TABLE: Final = "cron.job"
HOME: Final = "postgres"
"""pg_cron's own default for the database that its table lies in (cron.database_name), and Supabase's."""
NAMED: Final = 5  # jobs that a plan names before it counts the rest

HIDDEN: Final = "select row_security_active('cron.job')"
ALL: Final = """
select (row->>'jobid')::bigint, coalesce(row->>'jobname', ''), coalesce(row->>'schedule', 'some time'),
       coalesce(row->>'database', current_database()), row->>'username', coalesce((row->>'active')::bool, true),
       row->>'username' = current_user or (select rolsuper from pg_roles where rolname = current_user)
  from (select to_jsonb(job) as row from cron.job job) jobs order by 1
"""
"""Read by name: older versions of pg_cron have fewer columns."""
ALTER: Final = """
select cron.alter_job(job_id => jobid, active => %s) from cron.job where jobid = any(%s) and active <> %s
"""
MOVE: Final = """
select cron.alter_job(job_id => jobid, database => %s) from cron.job where jobid = any(%s) and database = %s
"""


class Sees(StrEnum):
    """How much of pg_cron's table our role sees."""

    ALL = "all jobs"
    OWN = "its own jobs only"
    NOTHING = "no job"


class Job(msgspec.Struct, frozen=True):
    """One job. `ours` may be changed by our role."""

    id: int
    name: str
    schedule: str
    database: str
    role: str
    active: bool
    ours: bool

    def __str__(self) -> str:
        """Return it as a plan names it."""
        name = f" “{self.name}”" if self.name else ""
        return f"{self.id}{name} of {self.role} ({self.schedule}, in {self.database})"


class Jobs(msgspec.Struct, frozen=True):
    """What our role sees of the jobs; without pg_cron it sees all of none."""

    sees: Sees = Sees.ALL
    jobs: tuple[Job, ...] = ()

    def ours(self, *, active: bool) -> list[int]:
        """Return our role's jobs that are active, or are not."""
        return [job.id for job in self.jobs if job.ours and job.active is active]

    def not_held(self, *, answers: bool = True) -> tuple[str, ...]:
        """Say which jobs go on while the database is taken back, a line each; what cannot be seen is said as well."""
        if not answers:
            return ("jobs (pg_cron) of other roles are not held; which there are cannot be told, nobody answers",)
        others = [str(job) for job in self.jobs if job.active and not job.ours]
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        lines = [f"not held: jobs of other roles, which run all the same: {', '.join(others[:NAMED])}{more}"]
        if self.sees is not Sees.ALL:
            grant = "bypassrls" if self.sees is Sees.OWN else "usage on schema cron and select on cron.job"
            lines.append(f"not held: jobs (pg_cron) that our role cannot see: it sees {self.sees}; it lacks {grant}")
        return tuple(lines[0 if others else 1 :])


def jobs_of(database: Postgres) -> Jobs:
    """Return the jobs of a database's server, as our role sees them."""
    return _look(_home(database))


def hold_jobs(database: Postgres, *, name: str) -> Step:
    """Return the step after which no job of our role is active; the journal knows what was, the undo wakes it."""

    def holds(sight: Sight) -> Held:
        found = jobs_of(database)
        active = found.ours(active=True)
        # once it was done, what was active before is known from the intent alone
        seen: dict[str, Json] = {"active": list(active), "held": sight.before.get("active", []), "sees": found.sees}
        return No(seen, f"jobs are active: {', '.join(map(str, active))}") if active else Yes(seen)

    def act(_sight: Sight) -> Json:
        home = _home(database)
        _set(home, _look(home).ours(active=True), active=False)
        return None

    def undo(sight: Sight) -> Json:
        _set(_home(database), _ids(sight.before.get("active")), active=True)
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


def release_jobs(database: Postgres, held: Callable[[Sight], list[int]], *, name: str, former: str = "") -> Step:
    """Return the step that wakes the jobs that this run has stopped.

    With `former` this database has taken that one's place under another name: jobs that ran there run here from now on.
    """
    here = database.database

    def holds(sight: Sight) -> Held:
        mine = [job for job in jobs_of(database).jobs if job.id in held(sight)]
        asleep = [job.id for job in mine if not job.active]
        astray = [job.id for job in mine if former and job.database == former]
        seen: dict[str, Json] = {"asleep": list(asleep), "astray": list(astray)}
        kind, those = f"held, or run in {former}" if former else "held", sorted({*asleep, *astray})
        return No(seen, f"jobs are {kind}: {', '.join(map(str, those))}") if those else Yes(seen)

    def act(sight: Sight) -> Json:
        home = _home(database)
        if former:
            _move(home, held(sight), into=here, out_of=former)
        _set(home, held(sight), active=True)
        return None

    def undo(sight: Sight) -> Json:
        home = _home(database)
        _set(home, _ids(sight.before.get("asleep")), active=False)
        if former:
            _move(home, _ids(sight.before.get("astray")), into=former, out_of=here)
        return None

    return Step(
        name=name,
        title=f"let the database run its jobs again{f', in {here}' if former else ''}",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=undo,
        expect=0.1,
        attempts=3,
    )


def _home(database: Postgres) -> Postgres:
    """Return the database that pg_cron's table lies in: this one, or the server's usual one where that has it."""
    if database.database == HOME:
        return database
    for place in (database, database.named(HOME)):
        try:
            with place.reading() as session:
                if may(session, "select", TABLE) is not None:
                    return place
        except CheckError:
            continue  # a server without a database `postgres`, or one that we may not enter
    return database


def _look(home: Postgres) -> Jobs:
    with home.reading() as session:
        allowed = may(session, "select", TABLE)
        if not allowed:
            return Jobs() if allowed is None else Jobs(Sees.NOTHING)
        sees = Sees.OWN if _hidden(session) else Sees.ALL
        return Jobs(sees, tuple(Job(*row) for row in session.rows(ALL)))


def _hidden(session: Session) -> bool:
    """Tell whether a row policy hides jobs from us; then let it: otherwise the server refuses to answer at all."""
    if not session.value(HIDDEN):
        return False
    session.rows("select set_config('row_security', 'on', true)")
    return True


def _set(home: Postgres, jobs: list[int], *, active: bool) -> None:
    """Change these jobs by pg_cron's own function, in one transaction; one that is gone is left out."""
    if jobs:
        with home.writing(HOLD_JOBS) as session:
            _hidden(session)
            session.rows(ALTER, (active, jobs, active))


def _move(home: Postgres, jobs: list[int], *, into: str, out_of: str) -> None:
    """Let these jobs run in another database, those that ran in `out_of`."""
    if jobs:
        with home.writing(HOLD_JOBS) as session:
            _hidden(session)
            session.rows(MOVE, (into, jobs, out_of))


def _ids(told: Json) -> list[int]:
    return msgspec.convert(told or [], list[int])
