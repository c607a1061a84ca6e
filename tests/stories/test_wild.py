"""Recoveries that go wrong as users of the provider have seen it: each is noticed, and nobody is served by mistake."""

from __future__ import annotations

import os
import shlex
import shutil
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psycopg
import pytest

from runbooks.clients import twin
from runbooks.clients.outside.outsider import Outsider
from runbooks.clients.postgres import Postgres
from runbooks.clients.twin import Do, Fault
from runbooks.model.settings import read_stack
from runbooks.steps.database.copies import CopiedFile, Manifest, folder_of
from runbooks.steps.database.server import look_at
from tests.stories.conftest import Operator, Said
from tests.stories.test_restore import ROWS, a_second_passes, allowed, health, sql
from tests.twin.running import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.sweeping.place import Place

pytestmark = pytest.mark.twin

PROJECT = "emstwinprojectlocala"
OUTSIDE = "127.0.0.2"
REFUSED = "Address not in tenant allow_list: {127, 0, 0, 2} (SQLSTATE XX000)"
HORSES = "select count(*) from public.horses where name = 'Later'"
JOBS = "update cron.job set active = active"
"""This machine has no pg_cron: its table is the product's own here, and what a recovery holds in it is no fault."""
WRITTEN = "select (select count(*) from public.bookings) || ' ' || (select count(*) from ops.heartbeat)"
LATER = "insert into public.horses (name, sex, birth_date) values ('Later', 'mare', '2015-01-01')"
STOPPED = "The application stays stopped."
SUPPORT = "Ask the provider, naming the project: https://supabase.com/dashboard/support/new"


@dataclass
class Scene:
    """An operator of the shared twin, and the point that everything is taken back to."""

    operator: Operator
    point: str = ""
    rows: int = 0
    booking: dict[str, int] = field(default_factory=dict)

    def restores(self, point: str = "") -> Said:
        """Restore with consent; the last line says what the document says."""
        said = self.operator.consents("restore", f"--point={point or self.point}")
        if said.document.get("next_command"):
            assert said.text.splitlines()[-1] == said.document["next_command"]
        return said

    def undoes(self, said: Said) -> None:
        """Type what the last line of a command says: it takes everything back."""
        words = shlex.split(said.document["next_command"])
        assert words[:3] == ["invoke", "runs.undo", "--run"]
        done = self.operator.consents("runs.undo", f"--run={words[3]}")
        assert done.code == 0, done.text
        assert (health(self.operator), self.outside()[0]) == (200, True)

    def patient(self, **seconds: float) -> None:
        """Let the stack file wait so long, and as long as usual for the rest."""
        usual = {"restricted": 300.0, "archived": 300.0, "begun": 900.0, "restored": 14_400.0}
        self.operator.edit("ems-ops:database", waits=usual | seconds)

    def api(self, method: str, path: str) -> Any:  # noqa: ANN401 - the provider's JSON
        """Ask the Management API as the provider's own staff would."""
        token = self.operator.addresses.tokens["SUPABASE_ACCESS_TOKEN"]
        url = f"{self.operator.addresses.supabase}/v1/projects/{PROJECT}{path}"
        answer = httpx.request(method, url, headers={"authorization": f"Bearer {token}"}).raise_for_status()
        return answer.json() if answer.content else None

    def mends(self) -> None:
        """Let the provider be well again, whatever state it was left in."""
        self.operator.control.clear_faults()
        self.operator.control.break_down("postgres-start")
        assert eventually(lambda: self.api("GET", "")["status"] in {"ACTIVE_HEALTHY", "INACTIVE"}, within=20)
        if self.api("GET", "")["status"] == "INACTIVE":
            self.api("POST", "/restore")
            assert eventually(lambda: self.api("GET", "")["status"] == "ACTIVE_HEALTHY", within=20)

    def outside(self) -> tuple[bool, str]:
        """Tell whether somebody else gets into the database, and what they are told."""
        tried = Outsider(Postgres(self.operator.addresses.database_url), OUTSIDE).tries()
        return tried.let_in, tried.said


@dataclass
class Writer:
    """The application's users, who book all the time; `last` is the status of the newest answer."""

    operator: Operator
    body: dict[str, int]
    last: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Book until it is over."""
        while not self.over.wait(0.1):
            headers = {"host": "api.ems.example", "idempotency-key": str(uuid.uuid4()), "twin-visitor": "203.0.113.77"}
            answer = httpx.post(f"{self.operator.addresses.edge}/api/bookings", json=self.body, headers=headers)
            self.last = answer.status_code

    def accepts(self) -> None:
        """Wait until what is written is accepted."""
        assert eventually(lambda: self.last in {200, 201}, within=10), self.last

    def is_refused(self) -> None:
        """Assert that writes are answered, but by the maintenance version."""
        self.last = 0
        assert eventually(lambda: self.last != 0, within=10)
        assert self.last == 503


@pytest.fixture
def writer(scene: Scene) -> Iterator[Writer]:
    """Let users book while the test goes on."""
    made = Writer(scene.operator, scene.booking)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.over.set()
    thread.join()


@pytest.fixture(scope="module")
def scene(place: Place, root: Path) -> Iterator[Scene]:
    """Give an operator of the shared twin, whose stack file and ops home are their own, with a point to go back to."""
    place.rest()
    control = twin.control(place.stage.addresses.cloudflare)
    operator = Operator(root, place.direct().stack_file, place.stage.addresses, dict(os.environ), control)
    made = Scene(operator)
    made.rows = sql(operator, ROWS)
    lesson, rider = "select min(id) from public.lessons", "select min(id) from public.riders"
    made.booking = {"lesson_id": sql(operator, lesson), "rider_id": sql(operator, rider)}
    made.point = a_second_passes()
    sql(operator, LATER)
    sql(operator, JOBS)
    yield made
    control.transport.close()
    place.rest()


@dataclass(frozen=True)
class Seen:
    """What goes wrong at the provider, how long the operator waits for it, and what is said of it."""

    breaks: str
    said: tuple[str, ...]
    next_command: str = " --strategy=dump"
    waits: dict[str, float] = field(default_factory=dict)


UNSEEN = (
    Seen(
        "restrictions-stored",
        (
            f"see that who may connect is applied, and that 127.0.0.2 is refused: Supabase project {PROJECT}: ",
            "it keeps them “stored”, expected “applied”: until then everyone of before still gets in after 1.5 s; ",
            "to look again: invoke runs.resume --run ",
        ),
        waits={"restricted": 1.5},
    ),
    Seen(
        "restrictions-unheld",
        (
            f"{PROJECT}: it says “applied”, but a connection from 127.0.0.2 is not refused at 127.0.0.1:",
            "/postgres: it was asked for a password after 1.5 s; to look again: invoke runs.resume --run ",
        ),
        waits={"restricted": 1.5},
    ),
)
NOT_BEGUN = (
    f"Supabase project {PROJECT}: asked for the recovery, and 1 s later the server that answers still ",
    ": the recovery has not begun, or the address leads to the old one. " + STOPPED + " " + SUPPORT,
)
FAULTS = (
    Seen("restore-pretended", NOT_BEGUN, waits={"begun": 1}),
    Seen("restore-ignored", NOT_BEGUN, waits={"begun": 1}),
    Seen(
        "restore-restarted",
        (
            f"Supabase project {PROJECT}: asked for the recovery, and 1 s later the server restarted at ",
            " as before and with no transaction undone: it was not recovered. " + STOPPED + " " + SUPPORT,
        ),
        waits={"begun": 1},
    ),
    Seen(
        "restore-stuck",
        (
            "expected it to come back within 2 s, its status is RESTORING (seen: ACTIVE_HEALTHY, RESTORING) and ",
            "nobody answers at 127.0.0.1:",
            STOPPED + " " + SUPPORT,
        ),
        waits={"restored": 2},
    ),
    Seen("restore-inactive", ("expected it to come back, its status is INACTIVE. " + STOPPED + " " + SUPPORT,)),
    Seen(
        "restore-shifted",
        ("is not proven: ", "public.horses holds 1 rows from after the point", STOPPED),
        next_command='--point="',
    ),
    Seen(
        "restore-empty",
        ("is not proven: ", "table public.bookings: expected at least ", " rows, got no table", STOPPED),
        next_command='--point="',
    ),
)


def breaks(scene: Scene, seen: Seen) -> Said:
    """Break the provider, restore, and mend the provider; the stack file waits as long as usual afterwards."""
    scene.patient(**seen.waits)
    scene.operator.control.break_down(seen.breaks, seconds=2)
    try:
        said = scene.restores()
    finally:
        scene.mends()
        scene.patient()
    assert (said.code, said.document["status"]) == (5, "unproven"), said.text
    for part in seen.said:
        assert part in said.document["text"], said.document["text"]
    assert "Traceback" not in said.text
    return said


def test_an_archive_that_does_not_reach_is_told_before_anything_is_stopped(scene: Scene) -> None:
    """No backup yet, an archive that does not grow, an API that says “later” for an hour: nothing is stopped."""
    operator, control = scene.operator, scene.operator.control
    writes = len(operator.calls("POST", ""))
    control.break_down("archive-none")
    none = scene.restores()
    assert (none.code, "the provider names no earliest point, so nothing can be reached" in none.text) == (2, True)
    scene.mends()
    control.fault(Fault(provider="supabase", method="GET", path="", do=Do(status=429, retry_after=3600), times=None))
    later = scene.restores()
    assert later.code == 1, later.text
    assert "/database/backups: expected 2xx, got 429 (injected fault)" in later.text, later.text
    scene.mends()
    assert len(operator.calls("POST", "")) == writes
    control.break_down("archive-stopped")
    scene.patient(archived=1.5)
    stopped = scene.restores(a_second_passes())
    assert stopped.code == 5, stopped.text
    for part in ("expected its archive to reach ", ", it reaches ", ", 1.5 s later. Nothing was stopped."):
        assert part in stopped.document["text"]
    assert stopped.document["next_command"].startswith("invoke restore --stack ")
    scene.mends()
    assert (health(operator), scene.outside()[0]) == (200, True)


def test_a_copy_of_the_present_that_would_fill_the_disk_is_not_begun(scene: Scene) -> None:
    """What it needs and what is free is told before anything is stopped; the last copy tells how large one is."""
    operator = scene.operator
    writes = len(operator.calls("POST", ""))
    home = operator.root / read_stack(operator.stack_file).ops_home
    last = folder_of(home, "2026-01-01T00-00-00Z")
    last.mkdir(parents=True)
    with Postgres(operator.addresses.database_url).reading() as session:
        server = look_at(session)
    told = Manifest(last.name, server.now, server, 1, (), (CopiedFile("dump/toc.dat", 10**16, ""),))
    (last / "manifest.json").write_bytes(msgspec.json.encode(told))
    refused = scene.restores()
    shutil.rmtree(last)
    said = f"Not enough free disk on this machine: needed 12500000.0 GB in {home}/backups for the copy of the present, "
    assert (refused.code, refused.document["text"].startswith(said)) == (2, True), refused.text
    assert refused.document["text"].endswith(" Nothing was begun.")
    assert refused.document["next_command"] == f"df -h {home}"
    assert len(operator.calls("POST", "")) == writes


@pytest.mark.parametrize("seen", UNSEEN, ids=lambda seen: seen.breaks)
def test_who_is_not_shut_out_is_noticed(scene: Scene, seen: Seen) -> None:
    """Restrictions that do not hold end the run before anything is given up, and the undo serves everybody again."""
    recoveries = len(scene.operator.calls("POST", "/restore-pitr"))
    said = breaks(scene, seen)
    assert health(scene.operator) == 503
    assert len(scene.operator.calls("POST", "/restore-pitr")) == recoveries
    scene.undoes(said)


def test_stopped_is_stopped(scene: Scene, writer: Writer) -> None:
    """While a proof fails, an application that writes all the time reaches nothing, and no session goes on."""
    operator = scene.operator
    writer.accepts()
    checks = read_stack(operator.stack_file).database.checks
    never = {"name": "never", "sql": "select false"}
    operator.edit("ems-ops:database", checks=[never])
    with psycopg.connect(operator.addresses.database_url, autocommit=True) as session:
        failed = scene.restores()
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")
    assert (failed.code, "check “never” is not true. " + STOPPED in failed.document["text"]) == (5, True), failed.text
    assert failed.document["results"]["see others refused"]["outsider"] == f"{OUTSIDE}: {REFUSED}"
    rows = sql(operator, WRITTEN)
    writer.is_refused()
    operator.control.fire_cron("ems-api", "* * * * *")
    assert (sql(operator, WRITTEN), scene.outside()) == (rows, (False, REFUSED))
    assert allowed(operator) == ["127.0.0.1/32"]
    operator.edit("ems-ops:database", checks=[msgspec.to_builtins(check) for check in checks])


@pytest.mark.parametrize("seen", FAULTS, ids=lambda seen: seen.breaks)
def test_what_users_have_seen_is_noticed(scene: Scene, seen: Seen) -> None:
    """Exit 5, one text with what, where, expected and got, what to type next; and the application stays stopped."""
    said = breaks(scene, seen)
    assert said.document["next_command"].startswith("invoke restore --stack ")
    assert seen.next_command in said.document["next_command"]
    assert (health(scene.operator), scene.outside()) == (503, (False, REFUSED))


def test_a_good_one_serves_everybody_again(scene: Scene, writer: Writer) -> None:
    """A status that nobody knows and an API that says “later” are waited for; each stop is lifted, the last first."""
    operator = scene.operator
    before = max(call.seq for call in operator.control.calls())
    operator.control.break_down("restore-odd")
    later = Do(status=429, retry_after=1)
    operator.control.fault(Fault(provider="supabase", method="GET", path="/health$", do=later))
    done = scene.restores()
    scene.mends()
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert "UNKNOWN" in done.document["results"]["restore"]["states_seen"]
    proof = done.document["results"]["verify"]
    assert (proof["rows"]["public.bookings"], sql(operator, HORSES)) == (scene.rows, 0)
    assert proof["proven_by_digest"] > 10  # though what stood there was the empty one: the first run knew more
    made = [call.path for call in operator.control.calls() if call.seq > before and call.effect]
    names = [path.partition("?")[0].rpartition("/")[2] for path in made]
    assert names[names.index("restore-pitr") :] == ["restore-pitr", "apply", "deployments"]
    assert (health(operator), scene.outside()) == (200, (True, "it was asked for a password"))
    writer.accepts()
