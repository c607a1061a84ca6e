"""A product's tables with people, logins, jobs and mails, as a recovery brings them back; each act ready to be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

import psycopg

from infra.shapes import Erasure, Outgoing
from runbooks.clients.logs.telemetry import Request
from runbooks.steps.hazards.accepted import list_accepted
from runbooks.steps.hazards.erasures import Erased, erase, note_erasures
from runbooks.steps.hazards.jobs import hold_jobs, release_jobs
from runbooks.steps.hazards.logins import end_logins
from runbooks.steps.hazards.outgoing import hold_outgoing, release_outgoing
from tests.runbooks.desk import now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Any

    from runbooks.clients.logs.telemetry import Telemetry
    from runbooks.clients.postgres import Postgres
    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Step

GONE: Final = "drop schema if exists shop, cron, net cascade;"
TABLES: Final = """
create schema shop; create schema cron; create schema net;
create table shop.people (id bigint, name text);
create table shop.logins (token text);
create table shop.mails (id bigint primary key, state text);
create table cron.job (jobid bigint, active boolean, username text default current_user, jobname text,
  schedule text default '0 3 * * *', database text default current_database());
create table net.http_request_queue (id bigint);
create function cron.alter_job(job_id bigint, database text default null, active boolean default null)
  returns void language sql begin atomic
  update cron.job j set active = coalesce(alter_job.active, j.active),
         database = coalesce(alter_job.database, j.database) where jobid = job_id; end;
insert into shop.people values (1, 'Ada'), (2, 'Bob'), (3, 'Cy');
insert into shop.logins values ('a'), ('b');
insert into shop.mails values (1, 'sent'), (2, 'waiting'), (3, 'waiting');
insert into cron.job values (1, true), (2, false), (3, true);
insert into cron.job values (4, true, 'somebody', 'nightly');
insert into net.http_request_queue values (1);
truncate auth.users cascade;
insert into auth.users (id) values ('00000000-0000-4000-8000-000000000001');
insert into auth.sessions (id, user_id) select id, id from auth.users;
insert into auth.refresh_tokens (session_id) select id from auth.sessions;
"""
KINDS: Final = {
    "person": Erasure(
        statements=("update shop.people set name = null where id = :'subject'",),
        gone="select not exists (select from shop.people where id = :'subject' and name is not null)",
    )
}
MAILS: Final = Outgoing(
    name="mails",
    waiting="select count(*) from shop.mails where state = 'waiting'",
    hold="update shop.mails set state = 'held' where state = 'waiting'",
    held="select count(*) from shop.mails where state = 'held'",
    release="update shop.mails set state = 'waiting' where state = 'held'",
)


@dataclass
class Log:
    """The log of an API."""

    requests: tuple[Request, ...]
    whole: bool = True

    def writes(self, since: datetime, until: datetime) -> tuple[tuple[Request, ...], bool]:
        """Tell what was accepted."""
        return tuple(one for one in self.requests if since < one.at <= until), self.whole


@dataclass
class Product:
    """A product whose tables are made anew."""

    database: Postgres
    home: Home

    def __post_init__(self) -> None:
        """Make the tables."""
        self.sql(GONE + TABLES)

    def sql(self, statement: str) -> Any:  # noqa: ANN401 - one value of any type
        """Run a statement and return its first value."""
        with psycopg.connect(self.database.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def owed(self, *subjects: str) -> tuple[Erased, ...]:
        """Return erasures of these people."""
        return tuple(Erased(f"e{subject}", now(), "person", subject, "r0") for subject in subjects)

    def awake(self) -> Step:
        """Return what wakes the jobs that were held."""
        self.sql("update cron.job set active = false")
        return release_jobs(self.database, lambda _: [1, 3], name="release")

    @property
    def api(self) -> Log:
        """Return an API whose log tells of one order."""
        return Log((Request(now(), "POST", "/api/orders", 201, "q1"),))

    def released(self) -> Step:
        """Return what lets held mails go."""
        self.sql(MAILS.hold)
        return release_outgoing(self.database, MAILS, rows=2, name="release")


MAKERS: Final[dict[str, Callable[[Product], Step]]] = {
    "jobs.hold_jobs": lambda p: hold_jobs(p.database, name="hold"),
    "jobs.release_jobs": Product.awake,
    "outgoing.hold_outgoing": lambda p: hold_outgoing(p.database, (MAILS,), name="hold"),
    "outgoing.release_outgoing": Product.released,
    "accepted.list_accepted": lambda p: list_accepted(
        p.database, cast("Telemetry", p.api), p.home, now() - timedelta(minutes=1), clock=now, name="list"
    ),
    "logins.end_logins": lambda p: end_logins(p.database, ("shop.logins",), name="end"),
    "erasures.erase": lambda p: erase(p.database, p.owed("1", "2"), KINDS, name="erase"),
    "erasures.note_erasures": lambda p: note_erasures(p.home, p.owed("1", "2"), clock=now, name="note"),
}
