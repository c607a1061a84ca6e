"""On a platform whose own services stay in the database it cannot be renamed: the API moves to a new one instead."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from runbooks.clients.edge import Edge
from runbooks.clients.twin import Do, Fault
from runbooks.model.settings import read_stack
from tests.stories.conftest import Operator, at_work
from tests.stories.test_backups import begin
from tests.stories.test_restore import ROWS, health, sql
from tests.stories.test_restore_dump import backed_up, databases, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.twin

MOVE = "/hyperdrive/configs"
CONTROL = "default_version = '1.6'\nrelocatable = false\nschema = pg_catalog\ntrusted = true\n"
EXTENSION = """
do $$ begin if current_database() <> 'postgres' then
  raise exception 'can only create extension in database postgres'; end if; end $$;
create schema cron;
create sequence cron.jobid_seq;
create table cron.job (jobid bigint primary key default nextval('cron.jobid_seq'), schedule text not null,
  command text not null, database text not null default current_database(), username text not null default current_user,
  active boolean not null default true, jobname text);
alter table cron.job enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);
select pg_extension_config_dump('cron.job', '');
select pg_extension_config_dump('cron.jobid_seq', '');
create function cron.alter_job(job_id bigint, schedule text default null, command text default null,
  database text default null, username text default null, active boolean default null) returns void
  language plpgsql security definer as $$begin
    update cron.job j set active = coalesce(alter_job.active, j.active),
      database = coalesce(alter_job.database, j.database) where jobid = job_id and j.username = session_user; end$$;
grant usage on schema cron to public;
grant select on cron.job to public;
"""
"""What pg_cron keeps of its jobs, and where it can be made (its own SQL, version 1.6); nothing runs them here."""
JOBS = """
insert into cron.job (schedule, command, jobname, username) values ('* * * * *', 'select 1', 'tidy', 'postgres'),
  ('0 3 * * *', 'select 1', 'nightly', 'supabase_admin');
"""
NOTED = "select shobj_description(oid, 'pg_database') from pg_database where datname like 'postgres_2%'"
RUNS_IN = "select database || ' ' || active from cron.job where jobid = 1"
CHECK = "--check=select exists (select from public.bookings)"


@pytest.fixture(scope="module")
def house(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Give an operator of a twin in whose database the platform's services are, as at Supabase."""
    with at_work(root, tmp_path_factory.mktemp("house")) as operator:
        assert operator.types("twin.up").code == 0
        operator.control.break_down("platform-sessions")
        shelf = Path(sql(operator, "show data_directory")).parent / "share" / "extension"
        (shelf / "pg_cron.control").write_text(CONTROL)
        (shelf / "pg_cron--1.6.sql").write_text(EXTENSION + JOBS)
        sql(operator, "create extension pg_cron")
        backed_up(operator)
        yield operator


def moved(operator: Operator, database: str) -> Operator:
    """Return the operator after they have set EMS_DATABASE_URL, as they were told to."""
    url = operator.addresses.database_url.rpartition("/")[0] + f"/{database}"
    return replace(operator, environment={**operator.environment, "EMS_DATABASE_URL": url})


def ups(operator: Operator, *flags: str) -> tuple[int, str]:
    """Type what `pulumi up` is on the twin; return the exit code and what was said."""
    state, tokens = operator.stack_file.parent / "twin", operator.addresses.tokens
    words = ["-m", "twin", "apply", "--program=infra/__main__.py", f"--stack-file={operator.stack_file}"]
    done = subprocess.run(
        [sys.executable, *words, f"--state={state}", *flags],
        cwd=operator.root,
        env={"EMS_DATABASE_URL": operator.addresses.database_url, **operator.environment, **tokens},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr or done.stdout


def served(operator: Operator) -> int:
    """Return how many bookings the API shows on its first page."""
    edge = Edge(operator.addresses.edge)
    try:
        return len(json.loads(edge.get(read_stack(operator.stack_file).api.host, "/api/bookings").body)["items"])
    finally:
        edge.close()


def oldest(operator: Operator) -> str:
    """Return the backup of before any accident."""
    return str(operator.types("backup.list").document["backups"][0]["id"])


def moves(operator: Operator) -> int:
    """Count how often Hyperdrive was really moved."""
    calls = operator.control.calls()
    return len([one for one in calls if one.method == "PATCH" and MOVE in one.path and one.effect])


def test_the_role_cannot_rename_what_the_platform_is_in(house: Operator) -> None:
    """The twin refuses as the server does: nobody may end a superuser's session, so the database keeps its name."""
    url = house.addresses.database_url.rpartition("/")[0] + "/template1"
    with psycopg.connect(url, autocommit=True) as connection:
        query = "select pid from pg_stat_activity where usename = 'supabase_admin' and datname = 'postgres'"
        pids = [pid for (pid,) in connection.execute(query).fetchall()]
        assert len(pids) == 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select pg_terminate_backend(%s)", (pids[0],))
        with pytest.raises(psycopg.errors.ObjectInUse):
            connection.execute("alter database postgres rename to other")


def test_the_api_moves_to_a_new_database_and_everything_after_looks_there(house: Operator) -> None:
    """Killed right after the move it goes on without a second one; what names the former database is refused."""
    operator, rows, backup = house, sql(house, ROWS), oldest(house)
    sql(operator, "truncate public.bookings cascade")
    planned = operator.types("restore", f"--point=backup:{backup}", "--dry-run")
    assert "Keeps    the present database postgres as it is, for it cannot be renamed" in plan_of(planned)
    assert "2 “nightly” of supabase_admin (0 3 * * *, in postgres)" in plan_of(planned)
    alone = operator.consents("restore", f"--point=backup:{backup}", "--without-cloudflare")
    assert (alone.code, "So Hyperdrive's connections must move to the new one" in alone.text) == (2, True), alone.text

    operator.control.fault(Fault(provider="cloudflare", method="PATCH", path=MOVE, do=Do(kill=True, applied=True)))
    killed = begin(operator, "restore", f"--point=backup:{backup}", "--yes", "--reason=a story")
    killed.communicate()
    assert killed.returncode == -9
    done = operator.consents("runs.resume")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    (fresh,) = databases(operator)
    export = f"export EMS_DATABASE_URL='postgresql://postgres:…@{operator.addresses.database_url.partition('@')[2]}"
    export = f"{export.rpartition('/')[0]}/{fresh}'"
    assert f"from now on, wherever EMS_DATABASE_URL is set: {export}" in done.text
    assert (served(operator) > 0, sql(operator, ROWS), moves(operator)) == (True, 0, 1)
    assert sql(operator, RUNS_IN) == f"{fresh} true"

    for command in (("backup",), ("restore", "--point=1s ago"), ("deploy",), ("restore.release",)):
        refused = operator.consents(*command)
        assert (refused.code, refused.document["next_command"]) == (2, export), refused.text
    looked = operator.types("restore.find", CHECK)
    assert (looked.code, looked.document["next_command"]) == (2, export), looked.text
    drift = operator.types("deploy.drift").document["differences"]
    assert [one["mend"] for one in drift if one["system"] == "Hyperdrive"] == [f"a restore has moved it: {export}"]
    code, refused_up = ups(operator)
    assert (code, f"ems-ops:pins.database: pinned to {fresh} on 127.0.0.1:" in refused_up) == (1, True), refused_up
    assert (f"next: {export} " in refused_up, "Traceback" in refused_up, moves(operator)) == (True, False, 1)
    finished = operator.consents("restore.finish")
    assert (finished.code, finished.document["plan"]["steps"]) == (0, []), finished.text
    assert ("Stays    postgres, " in plan_of(finished), f"{fresh} took its place at" in plan_of(finished)) == (
        True,
        True,
    )
    assert f"Pinned   {fresh}: `pulumi up` refuses another database; that stays" in plan_of(finished)

    there = moved(operator, fresh)
    code, applied = ups(there)
    assert (code, served(operator) > 0, read_stack(operator.stack_file).pins["database"].version) == (0, True, fresh), (
        applied
    )
    assert there.consents("backup").code == 0
    proven = operator.consents("backup.verify", backup)
    assert (proven.code, proven.document["results"]["restore and compare"]["faults"]) == (0, []), proven.text
    early = done.document["plan"]["facts"]["looked_at"][:19] + "Z"
    refused = there.types("restore", f"--point={early}", "--strategy=pitr", "--dry-run")
    assert (refused.code, f"/{fresh} took the place of postgres at " in refused.text) == (2, True), refused.text

    undone = operator.consents("runs.undo", done.document["run"])
    assert (undone.code, undone.document["status"], databases(operator)) == (0, "undone", []), undone.text
    assert (served(operator), health(operator), sql(operator, RUNS_IN)) == (0, 200, "postgres true")
    assert read_stack(operator.stack_file).pins == {}
    assert ups(operator)[0] == 0
    back = there.types("backup", "--dry-run")
    assert (back.code, back.document["next_command"]) == (2, export.replace(fresh, "postgres")), back.text
    assert rows > 0


def test_a_backup_without_cloudflare_goes_by_the_note(house: Operator) -> None:
    """Where Hyperdrive cannot be asked, what the databases say of each other keeps the former from being taken."""
    operator, backup = house, oldest(house)
    assert operator.consents("restore", f"--point=backup:{backup}").code == 0
    (fresh,) = databases(operator)
    operator.control.fault(Fault(provider="cloudflare", method="GET", path=MOVE, do=Do(status=403), times=None))
    refused = operator.consents("backup")
    assert (refused.code, f"by the note on it, {fresh} took its place" in refused.document["text"]) == (2, True)
    made = moved(operator, fresh).consents("backup")
    operator.control.clear_faults()
    assert made.code == 0, made.text
    assert "Unsure   not compared with what Hyperdrive ems-db uses: " in plan_of(made)
    time.sleep(1.01)
    pinned = read_stack(operator.stack_file).pins
    again = moved(operator, fresh).consents("restore", "--point=1s ago", "--strategy=dump")
    assert (again.code, again.document["plan"]["facts"]["reached"]["moves_from"]) == (0, None), again.text
    assert moved(operator, fresh).consents("restore.finish").code == 0
    assert (databases(operator), health(operator)) == ([fresh], 200)
    assert (pinned["database"].version, read_stack(operator.stack_file).pins) == (fresh, pinned)
    assert " in the place of postgres since " in sql(operator, NOTED)  # the next restore did not forget it
