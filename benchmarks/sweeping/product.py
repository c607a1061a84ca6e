"""What the product's database holds in a sweep beside its seed: at the point that is gone back to, and since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

ERASED: Final = "1"
"""Who was erased on request since the point."""
OF_OURS: Final = "postgres\\_%"
"""The databases that restores make and keep beside `postgres`."""

THEN: Final = """
create schema if not exists waits; create schema if not exists cron;
create table if not exists waits.mails (id bigint primary key, state text);
create table if not exists cron.job (jobid bigint, active boolean, username text default current_user, jobname text,
  schedule text default '* * * * *', database text default 'postgres');
create or replace function cron.alter_job(job_id bigint, database text default null, active boolean default null)
  returns void language sql begin atomic
  update cron.job j set active = coalesce(alter_job.active, j.active),
    database = coalesce(alter_job.database, j.database) where jobid = job_id; end;
insert into waits.mails values (1, 'waiting'), (2, 'waiting'), (3, 'sent');
insert into cron.job values (1, true), (2, false);
insert into ops.accounts (id, email, password_hash)
 values ('00000000-0000-4000-8000-000000000001', 's@example.com', 'pbkdf2-sha256$x')
 on conflict do nothing;
insert into ops.sessions (token_hash, account_id, expires_at)
 values (sha256('then'), '00000000-0000-4000-8000-000000000001', '2099-01-01Z');
"""
"""At the point two mails waited, a job was active, and somebody was signed in."""
AGAIN: Final = """
delete from public.horses where name = 'Late';
update ops.sessions set token_hash = sha256('then') where token_hash = sha256('since');
update waits.mails set state = 'waiting' where id < 3; update cron.job set active = jobid = 1;
update public.riders set first_name = 'Known', active = true where id = 1;
"""
"""Now, as it was at the point."""
SINCE: Final = """
insert into public.horses (id, name, sex, birth_date, created_at, updated_at)
 values (900001, 'Late', 'mare', '2015-01-01', '2026-01-01Z', '2026-01-01Z') on conflict do nothing;
delete from ops.sessions;
insert into ops.sessions (token_hash, account_id, expires_at)
 values (sha256('since'), '00000000-0000-4000-8000-000000000001', '2099-01-01Z');
update waits.mails set state = 'sent'; update cron.job set active = jobid = 1;
update public.bookings set note = null where rider_id = 1 and note is not null;
update public.riders set user_id = null, first_name = 'erased', last_name = 'erased', phone = null, birth_date = null,
 email = 'erased-' || id || '@invalid', active = false where id = 1;
"""
"""Since then a row was written, somebody signed in anew, the mails have left, and a rider was erased."""
JOBS_REST: Final = "update cron.job set active = false"
"""The table belongs to no extension, as pg_cron's does: a job that a restore holds would count as written since."""
HELD: Final = "update waits.mails set state = 'held' where id < 3"
MAILS: Final = {
    "name": "mails",
    "waiting": "select count(*) from waits.mails where state = 'waiting'",
    "hold": "update waits.mails set state = 'held' where state = 'waiting'",
    "held": "select count(*) from waits.mails where state = 'held'",
    "release": "update waits.mails set state = 'waiting' where state = 'held'",
}
"""What leaves by rows that wait, as a stack file declares it."""
CHECK: Final = "select not exists (select from public.horses where name = 'Late')"
"""What held until somebody wrote a row."""
NOTED: Final = "ems-ops: former database, kept by run {run} when backup {backup} took its place at {at}"
KEPT: Final = {"run": "alpha-1", "backup": "2026-01-01T00-00-00Z", "at": "2026-01-01T00:00:00Z"}

STANDS: Final = """
select 'mails ' || state, count(*) from waits.mails group by state
union all select 'jobs at work', count(*) from cron.job where active and database = 'postgres'
union all select 'logins', count(*) from ops.sessions
union all select 'riders erased', count(*) from public.riders where first_name = 'erased'
union all select 'rows since the point', count(*) from public.horses where name = 'Late'
"""
TABLES: Final = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and n.nspname = 'public' and c.relname not in ('riders', 'bookings') order by 1
"""
"""What a digest is of: riders and their bookings also change where somebody is erased, and are counted."""


def put(url: str, statements: str) -> None:
    """Run statements, each for itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


def keep_former(url: str) -> None:
    """Leave two former databases as restores do, and one beside them that is nobody's business."""
    with psycopg.connect(url, autocommit=True) as connection:
        for number in (1, 2):
            name = sql.Identifier(f"postgres_former_2026010{number}_000000")
            connection.execute(sql.SQL("create database {} template template0").format(name))
            note = sql.Literal(NOTED.format(**KEPT))
            connection.execute(sql.SQL("comment on database {} is {}").format(name, note))
        connection.execute("create database postgres_of_somebody template template0")


def drop_former(url: str) -> None:
    """Take away what restores and sweeps have left beside the present database, and what is noted on it."""
    with psycopg.connect(url, autocommit=True) as connection:
        for (name,) in connection.execute("select datname from pg_database where datname like %s", (OF_OURS,)):
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
        connection.execute("comment on database postgres is null")


def databases(url: str) -> Iterator[tuple[str, str, str]]:
    """Yield the present database and those beside it: name, the note on it, a digest of what is in it."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "select datname, coalesce(shobj_description(oid, 'pg_database'), '') from pg_database"
            " where datname = 'postgres' or datname like %s order by 1",
            (OF_OURS,),
        ).fetchall()
    for name, note in found:
        yield name, note, digest(url, name)


def digest(url: str, database: str = "postgres") -> str:
    """Return a digest of every row of the product's tables."""
    with psycopg.connect(url, dbname=database, autocommit=True) as connection:
        said = []
        for (table,) in connection.execute(TABLES).fetchall():
            query = sql.SQL(
                "select md5(coalesce(string_agg(t::text, '' order by t::text collate \"C\"), '')) from {} t"
            )
            row = connection.execute(query.format(sql.Identifier("public", table))).fetchone()
            said.append(f"{table} {row[0] if row else ''}")
    return "; ".join(said)


def stands(url: str) -> list[tuple[Any, ...]]:
    """Return what waits, works, is signed in, was erased, and was written since, with how many."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(STANDS).fetchall()
