"""Lost data comes back: the point is found, the application stopped, the database recovered, proven, and served."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from runbooks.clients.edge import Edge
from runbooks.model.settings import read_stack

if TYPE_CHECKING:
    from tests.stories.conftest import Operator

pytestmark = pytest.mark.twin

ROWS = "select count(*) from public.bookings"
LATE = "insert into public.horses (name, sex, birth_date) values ('Late', 'mare', '2015-01-01')"
LATE_ROWS = "select count(*) from public.horses where name = 'Late'"


def sql(operator: Operator, statement: str) -> Any:  # noqa: ANN401 - one value of any type
    """Run one statement as the database's owner, and return its first value."""
    with psycopg.connect(operator.addresses.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def a_second_passes() -> str:
    """Let everything so far be before a point, everything later after it; return the point."""
    time.sleep(1.01)
    point = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    time.sleep(1.01)
    return point


def health(operator: Operator) -> int:
    """Ask the health path as a user does."""
    stack = read_stack(operator.stack_file)
    edge = Edge(operator.addresses.edge)
    try:
        return edge.get(stack.api.host, stack.api.health.path).status
    finally:
        edge.close()


def recoveries(operator: Operator) -> int:
    """Count the recoveries that really began."""
    return len(operator.calls("POST", "/restore-pitr"))


def allowed(operator: Operator) -> list[str]:
    """Return who may connect to the database after the last call that said so."""
    made = operator.calls("POST", "/network-restrictions/apply")
    return [] if not made or made[-1].effect is None else made[-1].effect.removeprefix("database open to ").split(", ")


def test_a_truncated_table_comes_back(operator: Operator) -> None:
    """Rows are back, later ones are gone, the service answers, nobody is shut out; and all of it again."""
    assert operator.types("twin.up").code == 0
    rows = sql(operator, ROWS)
    point = a_second_passes()
    sql(operator, LATE)
    sql(operator, "truncate public.bookings cascade")

    writes = len([call for call in operator.control.calls() if call.effect])
    planned = operator.types("restore", f"--point={point}", "--dry-run")
    assert (planned.code, planned.document["status"]) == (0, "planned"), planned.text
    assert planned.document["plan"]["losses"][0].startswith(
        "everything written after it. Seen now: public.horses 1 rows"
    )
    assert len([call for call in operator.control.calls() if call.effect]) == writes
    assert (sql(operator, ROWS), recoveries(operator)) == (0, 0)

    done = operator.consents("restore", f"--point={point}")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert (sql(operator, ROWS), sql(operator, LATE_ROWS)) == (rows, 0)
    assert health(operator) == 200
    assert allowed(operator) == ["0.0.0.0/0", "::/0"]
    accepted = done.document["results"]["list accepted"]
    assert (accepted["not_listed"], accepted["rows"] >= 1) == ([], True)
    assert ",database,,,,,public.horses," in Path(accepted["to_reconcile"]).read_text("utf-8")
    proof = done.document["results"]["verify"]
    assert proof["rows"]["public.bookings"] == rows
    assert [line.partition(":")[0] for line in proof["not_checked"]] == [
        "content of public.bookings",  # emptied after the point: nothing of the present tells what it held
        "content of public.invoice_lines",  # emptied with it
        "order within indexes and pages of tables (amcheck)",
    ]
    assert proof["notes"] == []
    assert proof["proven_by_digest"] > 10
    assert "RESTORING" in done.document["results"]["restore"]["states_seen"]

    way_back = next(s["no_undo"] for s in done.document["plan"]["steps"] if s["name"] == "restore")
    restored = subprocess.run(
        ["bash", "-c", way_back.partition("way back: ")[2]],
        env={"PATH": f"{programs()}:/usr/bin:/bin", "EMS_DATABASE_URL": operator.addresses.database_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert restored.returncode == 0, restored.stderr
    assert (sql(operator, ROWS), sql(operator, LATE_ROWS)) == (0, 1)

    again = operator.consents("restore", f"--point={point}")
    assert (again.code, again.document["status"]) == (0, "done"), again.text
    assert (sql(operator, ROWS), sql(operator, LATE_ROWS)) == (rows, 0)
    assert recoveries(operator) == 2


def programs() -> Path:
    """Return the folder of PostgreSQL's own programs."""
    from runbooks.clients.postgres_programs import own_program  # noqa: PLC0415 - this test alone needs it

    return own_program("pg_restore").parent


def test_what_is_wrong_is_refused_or_stays_stopped(operator: Operator) -> None:
    """What cannot be is refused; a failed proof leaves nobody served, and an earlier point brings all back."""
    assert operator.types("twin.up").code == 0
    refuse_all(operator)
    rows = sql(operator, ROWS)
    bring_hazards(operator)
    good = a_second_passes()
    erase_on_request(operator)
    sql(operator, "truncate public.bookings cascade")
    bad = a_second_passes()
    failed = operator.consents("restore", f"--point={bad}")
    assert (failed.code, failed.document["status"]) == (5, "unproven"), failed.text
    assert "check “bookings are there” is not true. The application stays stopped." in failed.document["text"]
    assert (health(operator), allowed(operator)) == (503, ["127.0.0.1/32"])
    assert sql(operator, ACTIVE) is None
    done = operator.consents("restore", f"--point={good}")
    assert done.code == 0, done.text
    assert (sql(operator, ROWS), health(operator), allowed(operator)) == (rows, 200, ["0.0.0.0/0", "::/0"])
    assert done.document["results"]["erase again"]["erasures"] == ["e1"]
    assert (sql(operator, ERASED), sql(operator, LOGINS), sql(operator, ACTIVE)) == ("erased", 0, [7, 9])
    let_go(operator)
    assert [json.loads(line)["id"] for line in ledger(operator).read_text("utf-8").splitlines()] == ["e1", "e1"]


SCHEDULE = """
create extension citext;
create schema cron;
create table cron.job (jobid bigint primary key, active boolean, username text default current_user, jobname text,
  schedule text default '0 3 * * *', database text default current_database());
alter extension citext add table cron.job; -- as pg_cron's own: what an extension keeps is not the product's data
create function cron.alter_job(job_id bigint, schedule text default null, command text default null,
  database text default null, username text default null, active boolean default null) returns void
  language sql begin atomic update cron.job set active = alter_job.active where jobid = job_id; end;
insert into cron.job values (7, true), (8, false), (9, true);
create table ops.mails (id bigint primary key, state text);
insert into ops.mails values (1, 'waiting'), (2, 'sent');
"""
MAILS = {
    "name": "mails",
    "waiting": "select count(*) from ops.mails where state = 'waiting'",
    "hold": "update ops.mails set state = 'held' where state = 'waiting'",
    "held": "select count(*) from ops.mails where state = 'held'",
    "release": "update ops.mails set state = 'waiting' where state = 'held'",
}
ACTIVE = "select array_agg(jobid order by jobid) from cron.job where active"
LOGINS = "select count(*) from ops.sessions"
RIDER = "select min(id) from public.riders"
ERASED = "select first_name from public.riders order by id limit 1"


def bring_hazards(operator: Operator) -> None:
    """Have jobs on schedule (this machine has no pg_cron: its table and function stand in), and somebody logged in."""
    sql(operator, SCHEDULE)
    operator.edit("ems-ops:hazards", outgoing=[MAILS])
    sql(
        operator,
        "with a as (insert into ops.accounts (email, password_hash) values ('a@b.example', 'pbkdf2-sha256$x') returning"
        " id) insert into ops.sessions select sha256('t'), id, now(), now() + interval '1 day' from a",
    )


def erase_on_request(operator: Operator) -> None:
    """Erase a rider: noted first, as every erasure is, then done."""
    rider = sql(operator, RIDER)
    line = {"id": "e1", "at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "kind": "rider", "subject": str(rider)}
    ledger(operator).write_text(json.dumps({**line, "run": "by hand"}) + "\n", "utf-8")
    sql(operator, "update public.riders set first_name = 'erased' where id = (select min(id) from public.riders)")


def let_go(operator: Operator) -> None:
    """What waited at the point is held until somebody who has looked at it says so, once."""
    assert sql(operator, MAILS["held"]) == 1
    planned = operator.types("restore.release", "--dry-run")
    assert planned.document["plan"]["losses"][0].startswith("1 of mails leave, some perhaps a second time"), (
        planned.text
    )
    assert sql(operator, MAILS["held"]) == 1
    for status in ("done", "already so"):
        assert operator.consents("restore.release").document["status"] == status
    assert (sql(operator, MAILS["held"]), sql(operator, MAILS["waiting"])) == (0, 1)


def ledger(operator: Operator) -> Path:
    """Return where erasures are noted."""
    return operator.stack_file.parent / "ops" / "erasures.jsonl"


def refuse_all(operator: Operator) -> None:
    """A bad point, a strategy that is not there, a database that is gone: refused before anything is touched."""
    refusals = {
        ("--point=2026-11-20 11:15",): "it has no zone, and none is guessed",
        ("--point=2001-01-01T00:00:00Z",): "the backups begin later, at",
        ("--point=10s ago", "--strategy=dump"): "There is no own backup from before",
        (
            "--point=10s ago",
            "--strategy=archive",
        ): "not available for this project yet (database.archive is not declared). What exists: pitr",
        ("--point=10s ago", "--strategy=tape"): "expected one of",
    }
    writes = len([call for call in operator.control.calls() if call.effect])
    for flags, reason in refusals.items():
        said = operator.consents("restore", *flags)
        assert said.code == 2, (flags, said.text)
        assert reason in said.text, (flags, said.text)
    operator.control.break_down("postgres-stop")
    gone = operator.consents("restore", "--point=1s ago")
    assert gone.code == 2, gone.text
    assert "it does not answer, so the present cannot be copied" in gone.text
    operator.control.break_down("postgres-start")
    assert len([call for call in operator.control.calls() if call.effect]) == writes
