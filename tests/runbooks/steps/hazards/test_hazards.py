"""What a restore would bring back to life is held back: the erased stay erased, logins end, nothing leaves twice."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from infra.shapes import Erasure, Hazards
from runbooks.clients.logs.telemetry import PAGE, Request, Telemetry
from runbooks.engine.record.folder import Folder
from runbooks.engine.step import No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import CheckError, Refused
from runbooks.steps.database.server import may
from runbooks.steps.hazards.accepted import list_accepted
from runbooks.steps.hazards.erasures import LEDGER, Erased, erase, erased_since, note_erasures, read_erasures
from runbooks.steps.hazards.jobs import held_by, hold_jobs, release_jobs
from runbooks.steps.hazards.logins import end_logins
from runbooks.steps.hazards.outgoing import hold_outgoing, release_outgoing
from runbooks.steps.lines import add_line
from tests.runbooks.desk import now
from tests.runbooks.steps.hazards.product import GONE, KINDS, MAILS, Log, Product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.clients.postgres import Postgres
    from tests.runbooks.desk import Desk

POINT = datetime(2026, 11, 20, 10, tzinfo=UTC)
ACTIVE = "select array_agg(jobid order by jobid) from cron.job where active and username = current_user"


def done(step: Step, run: str = "r1") -> Sight:
    """Do a step as the engine does; return what it saw before, and was given."""
    before = step.holds(Sight(run=run))
    assert isinstance(before, No), before
    sight = Sight(run=run, before=before.evidence, request="q")
    step.act(sight)
    assert isinstance(step.holds(sight), Yes)
    return sight


@pytest.fixture
def product(database: Postgres, tmp_path: Path) -> Iterator[Product]:
    """Give the tables of a product."""
    made = Product(database, Folder(tmp_path))
    yield made
    made.sql(GONE)


def erased(subject: str, at: datetime, kind: str = "person") -> Erased:
    """Return a line of the ledger."""
    return Erased(f"e{subject}", at, kind, subject, "r0")


def test_only_what_was_erased_since_is_done_again(tmp_path: Path) -> None:
    """Each person once, with a margin for clocks; older erasures are in the database already."""
    home = Folder(tmp_path)
    minutes = {"1": -11, "2": -9, "3": 5, "4": 6}
    for subject, minute in minutes.items():
        add_line(home, LEDGER, erased(subject, POINT + timedelta(minutes=minute)))
    add_line(home, LEDGER, erased("3", POINT + timedelta(minutes=7)))
    owed = erased_since(home, POINT, KINDS, file="Pulumi.x.yaml")
    assert [one.subject for one in owed] == ["2", "3", "4"]
    note_erasures(home, owed, clock=lambda: POINT + timedelta(hours=2), name="n").act(Sight(run="r1"))
    later = erased_since(home, POINT + timedelta(hours=1), KINDS, file="Pulumi.x.yaml")
    assert [(one.id, one.run) for one in later] == [("e2", "r1"), ("e3", "r1"), ("e4", "r1")]


def test_a_kind_that_nobody_knows_stops_before_anything(tmp_path: Path) -> None:
    """An erasure that could not be done again is refused in the plan, naming the ledger and the key."""
    home = Folder(tmp_path)
    add_line(home, LEDGER, erased("1", POINT, "horse"))
    with pytest.raises(Refused) as refused:
        erased_since(home, POINT, KINDS, file="Pulumi.x.yaml")
    assert str(refused.value) == (
        f"{tmp_path}/{LEDGER}: erasure e1 of 2026-11-20 10:00 UTC must be done again after this restore; expected its "
        "kind in ems-ops:hazards.erasures (person), got horse."
    )
    assert refused.value.next_command == "edit Pulumi.x.yaml"


@pytest.mark.parametrize("subject", ["", "x' or true --", "a b", "x" * 129])
def test_a_subject_that_is_no_key_is_no_line(tmp_path: Path, subject: str) -> None:
    """What could be SQL, or nobody, is refused as damage of the ledger."""
    home = Folder(tmp_path)
    add_line(home, LEDGER, erased(subject, POINT))
    with pytest.raises(Refused, match=r"erasures\.jsonl, line 1: expected an erasure, got"):
        read_erasures(home)


def test_a_statement_that_names_nobody_is_refused() -> None:
    """Without :'subject' a statement would erase everybody."""
    with pytest.raises(ValueError, match=r"^expected each statement to name :'subject', got delete from shop\.people$"):
        Erasure(statements=("delete from shop.people",), gone="select :'subject' is null")
    told: Any = {"sessions": ["logins"]}
    with pytest.raises(msgspec.ValidationError, match=r"\$\.sessions\[0\]"):
        msgspec.convert(told, Hazards)


@pytest.mark.twin
def test_the_erased_are_erased_again_and_nobody_else(product: Product) -> None:
    """Their names are gone, others' stay; a second time changes nothing."""
    owed = product.owed("1", "3")
    done(note_erasures(product.home, owed, clock=now, name="note"))
    step = erase(product.database, owed, KINDS, name="erase")
    done(step)
    assert product.sql("select array_agg(name order by id) from shop.people") == [None, "Bob", None]
    step.act(Sight())
    assert isinstance(step.undo, NoUndo)
    assert [(one.id, one.run) for one in read_erasures(product.home)] == [("e1", "r1"), ("e3", "r1")]


@pytest.mark.twin
def test_statements_that_leave_something_are_no_erasure(product: Product) -> None:
    """The proof is the stack file's own SQL, not that the statements ran."""
    kinds = {"person": msgspec.structs.replace(KINDS["person"], statements=("select :'subject'",))}
    step = erase(product.database, product.owed("1"), kinds, name="erase")
    with pytest.raises(AssertionError, match="1 erased people are there, the first is erasure e1"):
        done(step)


@pytest.mark.twin
def test_every_login_ends(product: Product) -> None:
    """The product's own and the platform's; where there are none, nothing is done."""
    step = end_logins(product.database, ("shop.logins", "shop.not_there"), name="end")
    sight = done(step)
    held = step.holds(sight)
    assert held.evidence["logins"] == {"shop.logins": 0, "auth.refresh_tokens": 0, "auth.sessions": 0}


@pytest.mark.twin
def test_jobs_that_were_active_wake_again(product: Product) -> None:
    """Only those that were active before come back, by the step or by its undo; without pg_cron nothing is held."""
    hold = hold_jobs(product.database, name="hold jobs")
    sight = done(hold)
    held = hold.holds(sight)
    assert (held.evidence["held"], product.sql(ACTIVE)) == ([1, 3], None)
    release = release_jobs(product.database, held_by("hold jobs"), name="release")
    told = Sight(results={"hold jobs": dict(held.evidence)})
    asleep = release.holds(told)
    assert isinstance(asleep, No)
    assert asleep.why == "jobs are held: 1, 3"
    release.act(told)
    assert (product.sql(ACTIVE), isinstance(release.holds(told), Yes)) == ([1, 3], True)
    assert not isinstance(release.undo, NoUndo)
    release.undo(Sight(before=asleep.evidence))
    assert product.sql(ACTIVE) is None
    assert not isinstance(hold.undo, NoUndo)
    hold.undo(sight)
    assert product.sql(ACTIVE) == [1, 3]
    product.sql("drop schema cron cascade")
    assert isinstance(hold.holds(Sight()), Yes)
    assert isinstance(release.holds(Sight()), Yes)


@pytest.mark.twin
def test_what_waited_stays_until_a_person_lets_it_go(product: Product) -> None:
    """Mails that waited are held and calls in the queue dropped; what is let go waits again."""
    hold = hold_outgoing(product.database, (MAILS,), name="hold")
    done(hold)
    states = "select string_agg(state, ' ' order by id) from shop.mails"
    assert product.sql(states) == "sent held held"
    assert product.sql("select count(*) from net.http_request_queue") == 0
    done(release_outgoing(product.database, MAILS, rows=2, name="release"))
    assert product.sql(states) == "sent waiting waiting"


@pytest.mark.twin
def test_a_count_that_is_none_is_named(product: Product) -> None:
    """A statement that gives no number is refused with its text."""
    wrong = msgspec.structs.replace(MAILS, waiting="select 'many'")
    with pytest.raises(CheckError, match="expected `select 'many'` to return a number, got 'many'"):
        hold_outgoing(product.database, (wrong,), name="hold").holds(Sight())


def lines(step: Step, home: Folder) -> list[dict[str, str]]:
    """Write the list and read it."""
    sight = done(step)
    content = home.get(f"runs/{sight.run}/accepted.csv")
    assert content is not None
    return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.mark.twin
def test_what_was_accepted_is_listed_for_people(product: Product) -> None:
    """Rows by the commit time of their transaction with their keys, requests by the API's log, all by time."""
    database, home = product.database, Folder(Path(product.home.where("")))
    point = product.sql("select now()")
    product.sql("update shop.mails set state = 'sent' where id = 2")
    api = Log((Request(point + timedelta(days=1), "POST", "/api/orders", 201, "q1"),))
    step = list_accepted(
        database, cast("Telemetry", api), home, point, clock=lambda: point + timedelta(days=2), name="l"
    )
    row, request = lines(step, home)
    assert (row["from"], row["table"], row["row"]) == ("database", "shop.mails", '{"id": 2}')
    assert point < datetime.fromisoformat(row["time"])
    assert request == {
        "time": f"{point + timedelta(days=1):%Y-%m-%dT%H:%M:%S.%f}Z",
        "from": "api log",
        "table": "",
        "row": "",
        "method": "POST",
        "path": "/api/orders",
        "status": "201",
        "request_id": "q1",
    }


@pytest.mark.twin
def test_a_log_that_tells_nothing_stops_no_recovery(product: Product, desk: Desk) -> None:
    """Where the provider does not say which requests there were, the list holds the rows and the reason is noted."""
    home, noted = Folder(Path(product.home.where(""))), list[str]()
    api = Telemetry(desk.cloudflare, "ems-api")
    desk.stand_in.next.append((403, {}, {"success": False, "errors": [{"code": 10000, "message": "no"}]}))
    step = list_accepted(product.database, api, home, now(), clock=now, name="l")
    told = step.act(Sight(run="r1", note=noted.append))
    assert isinstance(told, dict)
    assert str(told["not_listed"]).count("refused; expected 2xx, got 403") == 1
    assert noted[0].startswith("not listed in accepted.csv: requests of the API: POST")


def test_the_log_of_a_worker_is_read_page_by_page(desk: Desk) -> None:
    """Only writes that were answered with 2xx count, each request once."""
    at = POINT.timestamp() * 1000

    def event(number: int, method: str, status: int, request: str) -> dict[str, Any]:
        happened = {"request": {"method": method, "url": "https://x/api/a?b"}, "response": {"status": status}}
        metadata = {"id": f"i{number}", "requestId": request}
        return {"timestamp": int(at) + number, "$metadata": metadata, "$workers": {"event": happened}}

    scheduled = {"timestamp": int(at), "$metadata": {"id": "i0"}, "$workers": {"event": {"cron": "* * * * *"}}}
    full = [event(9, "POST", 201, "r9")] * PAGE
    rest = [event(8, "GET", 200, "r8"), event(7, "POST", 409, "r7"), event(6, "DELETE", 204, "r6"), scheduled]
    for page in (full, rest):
        desk.stand_in.next.append((200, {}, {"success": True, "result": {"events": {"events": page}}}))
    found, whole = Telemetry(desk.cloudflare, "ems-api").writes(POINT, POINT + timedelta(hours=1))
    assert [(one.method, one.path, one.status, one.id) for one in found] == [
        ("DELETE", "/api/a", 204, "r6"),
        ("POST", "/api/a", 201, "r9"),
    ]
    assert whole


@pytest.mark.twin
def test_rights_are_asked_of_the_catalogue(product: Product) -> None:
    """A table that is not ours to change is told from one that is not there, also in a schema that is not there."""
    product.sql("revoke delete on cron.job from public, postgres")
    with product.database.reading() as session:
        told = [may(session, "delete", table) for table in ("cron.job", "shop.people", "shop.no", "no.no")]
    assert told == [False, True, None, None]
