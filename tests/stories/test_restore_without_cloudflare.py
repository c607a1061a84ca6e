"""Lost data comes back while Cloudflare's API is down: the application is shut out of the database, and that is proven.

The edge serves and users write all the time: whatever they were told is accepted is in the database in the end, or in
the list of what a restore has given up.
"""

from __future__ import annotations

import csv
import os
import signal
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from runbooks.clients import twin
from runbooks.drills.control_plane_down import DOWN
from tests.stories.conftest import Operator, Said
from tests.stories.test_backups import AGREED, begin
from tests.stories.test_restore import a_second_passes, health, sql
from tests.stories.test_restore_dump import backed_up, databases, plan_of
from tests.twin.running import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.sweeping.place import Place

pytestmark = pytest.mark.twin

FLAG = "--without-cloudflare"
EVERYONE = ("0.0.0.0/0", "::/0")
JOBS = "update cron.job set active = active"
"""This machine has no pg_cron: its table is the product's own here, and what a recovery holds in it is no fault."""


@dataclass
class Users:
    """Who books all the time: `told` is each answer in its order, with the id of what was accepted, and its note."""

    operator: Operator
    body: dict[str, int]
    told: list[tuple[int, int, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(default_factory=threading.Thread)

    def begin(self) -> None:
        """Book from now on."""
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def stop(self) -> None:
        """Book no more."""
        self.over.set()
        self.thread.join()

    def go_on(self) -> None:
        """Wait until one more booking is accepted."""
        count = self.accepted()
        assert eventually(lambda: self.accepted() > count, within=10), self.told[-1:]

    def run(self) -> None:
        """Book until it is over."""
        while not self.over.wait(0.05):
            note = uuid.uuid4().hex
            visitor = f"203.0.113.{1 + len(self.told) % 250}"  # many people: one would be held to the rate limit
            headers = {"host": "api.ems.example", "idempotency-key": note, "twin-visitor": visitor}
            answer = httpx.post(
                f"{self.operator.addresses.edge}/api/bookings", json={**self.body, "note": note}, headers=headers
            )
            made = answer.json()["id"] if answer.status_code == 201 else 0
            self.told.append((answer.status_code, made, note))

    def accepted(self) -> int:
        """Count what was accepted."""
        return sum(status == 201 for status, *_ in self.told)

    def phases(self) -> tuple[list[tuple[int, int, str]], list[tuple[int, int, str]]]:
        """Return what was accepted before the first refusal and after the last; in between nothing may be."""
        refused = [at for at, (status, *_) in enumerate(self.told) if status != 201]
        assert refused, "nobody was ever refused"
        first, last = refused[0], refused[-1]
        between = [told for told in self.told[first:last] if told[0] == 201]
        assert between == [], f"accepted while everybody was shut out: {between}"
        assert {self.told[at][0] for at in refused} <= {500, 503}
        return self.told[:first], self.told[last + 1 :]


@pytest.fixture
def operator(place: Place, root: Path) -> Iterator[Operator]:
    """Give an operator of the shared twin, whose stack file and ops home are their own."""
    place.rest()
    control = twin.control(place.stage.addresses.cloudflare)
    made = Operator(root, place.direct().stack_file, place.stage.addresses, dict(os.environ), control)
    yield made
    control.clear_faults()
    control.transport.close()
    place.rest()


@pytest.fixture
def users(operator: Operator) -> Iterator[Users]:
    """Let users book while the test goes on."""
    ids = ("lesson_id", "select min(id) from public.lessons"), ("rider_id", "select min(id) from public.riders")
    made = Users(operator, {name: sql(operator, query) for name, query in ids})
    made.begin()
    yield made
    made.stop()


def kept(operator: Operator) -> set[str]:
    """Return the notes of the bookings that are in the database."""
    with psycopg.connect(operator.addresses.database_url) as connection:
        return {note for (note,) in connection.execute("select note from public.bookings where note is not null")}


def listed(said: Said) -> set[str]:
    """Return the bookings that a restore lists as accepted and given up."""
    with Path(said.document["results"]["list accepted"]["to_reconcile"]).open(encoding="utf-8") as file:
        return {line["row"] for line in csv.DictReader(file) if line["table"] == "public.bookings"}


def nothing_is_lost(operator: Operator, users: Users, said: Said) -> None:
    """Assert that all that was accepted is listed, or is there; and that nothing was accepted in between."""
    users.go_on()
    users.stop()
    before, after = users.phases()
    there, given_up = kept(operator), listed(said)
    assert [note for _, row, note in before if note not in there and f'{{"id": {row}}}' not in given_up] == []
    assert any(note not in there for *_, note in before)
    assert {note for *_, note in after} <= there
    assert after != []


def begun(operator: Operator, step: str) -> bool:
    """Tell whether a run has begun this step."""
    journals = (operator.stack_file.parent / "ops" / "runs").glob("*/journal.jsonl")
    return any(f'"step":"{step}"' in journal.read_text("utf-8") for journal in journals)


def mistaken(operator: Operator) -> str:
    """Spoil some rows; return the query that counts them."""
    mark = uuid.uuid4().hex
    sql(operator, f"update public.bookings set note = '{mark}' where id <= 9")  # noqa: S608 - a mark of our own
    return f"select count(*) from public.bookings where note = '{mark}'"  # noqa: S608 - as above


def allowed(place: Place) -> tuple[str, ...]:
    """Return who may connect to the database."""
    return place.stage.site.supabase.restrictions().config.all


def routed(operator: Operator) -> int:
    """Count the calls to Cloudflare that changed something."""
    return len([call for call in operator.control.calls() if call.provider == "cloudflare" and call.effect])


def says_what_it_means(done: Said, live: str) -> None:
    """Assert that the plan says what is not stopped, not held, and by whom it knows what is live."""
    losses, shown = ("\n".join(done.document["plan"][part]) for part in ("losses", "shows"))
    assert "not stopped: ems-api: users get its own errors, not 503" in losses
    assert "not held: scheduled work of ems-api at Cloudflare (* * * * *)" in losses
    assert f"Serves   api {live[:8]}: its health answer says that it serves now, and it fits: migration" in shown
    assert "(by the ops home, not Cloudflare)" in shown
    assert "Proof    that nothing is written meanwhile: a connection from 127.0.0.2 is refused; no session" in shown


def test_the_provider_takes_it_back_and_a_killed_run_goes_on(place: Place, operator: Operator, users: Users) -> None:
    """Refused with the command that does without; that one shuts the API out, is killed, and goes on with it up."""
    point = a_second_passes()
    sql(operator, JOBS)
    users.go_on()
    spoilt = mistaken(operator)
    operator.control.fault(DOWN)
    refused = operator.consents("restore", f"--point={point}", "--strategy=pitr")
    typed = f'invoke restore --stack {operator.stack_file} --point="{point}" --strategy=pitr {FLAG}'
    assert (refused.code, refused.document["next_command"]) == (2, typed), refused.text
    for part in (
        "(10503: no healthy upstream)", "Nothing was changed. Users are served as before: api.ems.example/api/health",
        "ems-api is not sent to its maintenance version, so users get its own errors instead of 503",
        "network restrictions: only 127.0.0.1/32; its sessions are ended",
    ):  # fmt: skip
        assert part in refused.document["text"], refused.document["text"]

    assert allowed(place) == EVERYONE

    sent = routed(operator)
    killed = begin(operator, "restore", f"--point={point}", FLAG, *AGREED)
    assert eventually(lambda: begun(operator, "restore"), within=60)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    operator.control.clear_faults()
    done = operator.consents("runs.resume")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert done.document["next_command"] == f"invoke deploy.drift --stack {operator.stack_file}"
    says_what_it_means(done, place.new)
    results = done.document["results"]
    assert results["see it shut out"]["sessions"] == results["see it still shut out"]["sessions"] == []
    assert "/api/health 503" in results["see it shut out"]["answers"]
    assert results["health"]["version"] == place.new
    assert routed(operator) == sent
    nothing_is_lost(operator, users, done)
    assert (sql(operator, spoilt), health(operator), allowed(place)) == (0, 200, EVERYONE)


def test_a_backup_takes_the_place_by_its_name_and_gives_it_back(operator: Operator, users: Users) -> None:
    """No outsider is named: the API's own answers prove that it is shut out. Undone, all is as it was."""
    operator.edit("ems-ops:database", outsider=None)
    backup = backed_up(operator)
    users.go_on()
    spoilt = mistaken(operator)
    operator.control.fault(DOWN)
    done = operator.consents("restore", f"--point=backup:{backup}", FLAG)
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert "not proven: that nobody else gets into the database" in plan_of(done)
    proof = next(line for line in done.document["plan"]["shows"] if line.startswith("Proof"))
    assert "one of /api/health, /api/horses, /api/lessons, /api/bookings answers an error then" in proof
    names = [step["name"] for step in done.document["plan"]["steps"]]
    assert names.index("see it still shut out") < names.index("switch over")
    nothing_is_lost(operator, users, done)
    assert sql(operator, spoilt) == 0
    undone = operator.consents("runs.undo")
    assert (undone.code, undone.document["status"], databases(operator)) == (0, "undone", []), undone.text
    assert sql(operator, spoilt) == 9
    assert (health(operator), undone.document["results"]["former health"]["version"] != "") == (200, True)
