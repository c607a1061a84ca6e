"""The answer of every kind of act is lost once: it is looked for and found, and nothing is done again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, cast

import msgspec
import psycopg
import pytest

from infra.shapes import Waits
from runbooks.clients.cloudflare import Origin
from runbooks.clients.cloudflare_secrets import WorkerSecrets
from runbooks.clients.pages import Deployment, Stage
from runbooks.clients.pages import Project as PagesProject
from runbooks.clients.postgres_programs import Programs
from runbooks.clients.supabase import (
    Backups,
    Cidrs,
    PhysicalBackups,
    Project,
    ProjectDatabase,
    ProjectStatus,
    Restrictions,
    ServiceHealth,
    Supabase,
)
from runbooks.engine.step import Book, Sight, Step
from runbooks.model.errors import AnswerLost, Exit
from runbooks.model.reconciliation import WRITES
from runbooks.model.records import Record
from runbooks.steps.cloudflare.pages import make_live, purge_cache
from runbooks.steps.cloudflare.records import bring_back
from runbooks.steps.cloudflare.secrets import set_secrets
from runbooks.steps.cloudflare.stages import follow_program, shift_traffic
from runbooks.steps.cloudflare.workers import given, route_traffic
from runbooks.steps.database.copies import copy_present, keep_later_writes
from runbooks.steps.database.proof.definitions import note_definitions
from runbooks.steps.database.restrictions import allow
from runbooks.steps.database.server import end_other_sessions
from runbooks.steps.database.supabase import let_the_archive_reach, recover
from runbooks.steps.pins import pin_database, pin_release, unpin_release
from runbooks.steps.releases import note_unpinned, quarantine, record_verified
from runbooks.steps.snapshots import keep_records
from tests.runbooks.desk import now
from tests.runbooks.steps.archive.acts import MAKERS as ARCHIVE
from tests.runbooks.steps.backups.acts import MAKERS as BACKUPS
from tests.runbooks.steps.backups.acts import Acts
from tests.runbooks.steps.database.test_recovery import BEFORE, FakeDatabase
from tests.runbooks.steps.hazards.product import MAKERS as HAZARDS
from tests.runbooks.steps.hazards.product import Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runbooks.clients.pages import Pages
    from runbooks.clients.postgres import Postgres
    from runbooks.clients.zone.records import Zone
    from runbooks.engine.step import Json
    from runbooks.model.records import Change
    from tests.runbooks.desk import Desk


@dataclass(frozen=True)
class Platform(Supabase):
    """A project that does what it is asked, with a database that tells of it."""

    database: FakeDatabase = field(default_factory=lambda: FakeDatabase("postgresql://x@127.0.0.1/x", says=[BEFORE]))
    allowed: list[Cidrs] = field(default_factory=lambda: [Cidrs(("0.0.0.0/0",))])
    looks: list[datetime] = field(default_factory=list)

    def project(self) -> Project:
        """Say that all is well."""
        return Project("ems", "eu", ProjectStatus.ACTIVE_HEALTHY, ProjectDatabase("db", "18"))

    def health(self, *services: str) -> tuple[ServiceHealth, ...]:
        """Say that all is well."""
        return tuple(ServiceHealth(service, "ACTIVE_HEALTHY") for service in services)

    def restrictions(self) -> Restrictions:
        """Tell who was allowed last."""
        return Restrictions("allowed", "applied", self.allowed[-1])

    def restrict(self, cidrs: Cidrs) -> Restrictions:
        """Allow them."""
        self.allowed.append(cidrs)
        return self.restrictions()

    def restore_pitr(self, at: datetime) -> None:
        """Recover at once."""
        started = at + timedelta(minutes=4)
        self.database.says[0] = msgspec.structs.replace(BEFORE, started_at=started, timeline=2, next_transaction=700)

    def backups(self) -> Backups:
        """Reach further from the second look on."""
        self.looks.append(now())
        reach = 0 if len(self.looks) == 1 else int(now().timestamp())
        return Backups(pitr_enabled=True, physical_backup_data=PhysicalBackups(0, reach))


@dataclass(frozen=True)
class Bench:
    """What the steps work on."""

    desk: Desk
    database: Postgres

    @property
    def platform(self) -> Platform:
        """Return a project of its own."""
        return Platform(self.desk.cloudflare.transport, "r" * 20)

    @property
    def programs(self) -> Programs:
        """Return the programs of the database."""
        return Programs(self.database, self.desk.settings.root)

    def copied(self) -> Step:
        """Return the step after a copy."""
        home = self.desk.settings.home
        copy_present(self.programs, home, "b", name="copy").act(Sight())
        return keep_later_writes(self.programs, home, "b", name="later")

    def route(self) -> Step:
        """Return the step that routes to a fresh version."""
        before, to = self.desk.release(), self.desk.stand_in.upload()
        return route_traffic(self.desk.cloudflare, "ems-api", to=to, back_to=before)

    def shift(self) -> Step:
        """Return the step that gives a part of the traffic to a fresh version."""
        before, to = self.desk.release(), self.desk.stand_in.upload()
        return shift_traffic(
            self.desk.cloudflare, "ems-api", version=given(to), percentage=10, beside=before, name="traffic"
        )

    def follow(self) -> Step:
        """Return the step that sends the traffic where the program says."""
        self.desk.release()
        to = self.desk.stand_in.upload()
        return follow_program(self.desk.cloudflare, "ems-api", version=given(to), way_back="-", name="traffic")

    def secrets(self) -> Step:
        """Return the step that sets a secret of the live version."""
        secrets = WorkerSecrets(self.desk.cloudflare, "ems-api")
        return set_secrets(self.desk.cloudflare, secrets, base=self.desk.release(), names=("KEY",), values={"KEY": "v"})

    def recovery(self) -> Step:
        """Return the recovery."""
        platform = self.platform
        return recover(
            platform, platform.database, now(), clock=now, waits=Waits(), way_back="-", instead="-", expect=1, name="r"
        )

    def unpin(self) -> Step:
        """Return the removal of a pin."""
        file = self.desk.settings.file
        pin_release(file, "api", version="v", reason="r", clock=now).act(Sight(run="r"))
        return unpin_release(file, "api")

    def note(self) -> Step:
        """Return the note that a rollback is over."""
        quarantine(self.desk.home, "api", version="v", to="u", clock=now).act(Sight())
        return note_unpinned(self.desk.home, "api", version="u", clock=now)


def _of_backups(maker: Callable[[Acts], Step], bench: Bench) -> Step:
    return maker(Acts(bench.desk, bench.database))


def _of_hazards(maker: Callable[[Product], Step], bench: Bench) -> Step:
    return maker(Product(bench.database, bench.desk.home))


@dataclass
class Host:
    """A site that does what it is asked: which of its deployments is live."""

    live: str = "old"

    def project(self, name: str) -> PagesProject:
        """Tell what is live."""
        stage = Stage("deploy", "success")
        live = Deployment(self.live, "https://x", "production", "2026-11-28T00:00:00Z", stage)
        return PagesProject(name, f"{name}.pages.dev", "main", canonical_deployment=live)

    def make_live(self, project: str, deployment: str) -> Deployment:
        """Make it live."""
        self.live = deployment
        live = self.project(project).canonical_deployment
        assert live is not None
        return live


@dataclass
class Names:
    """A zone that does what it is asked."""

    name: str = "ems.example"
    held: tuple[Record, ...] = (Record(name="a.ems.example", type="A", content="192.0.2.1", id="1"),)

    def change(self, made: Sequence[Change]) -> None:
        """Do it."""
        self.held = tuple(change.after for change in made if change.after)

    def purge(self, host: str) -> None:
        """Forget it."""

    def back(self) -> Step:
        """Return the step that brings another record back."""
        wanted = (Record(name="a.ems.example", type="A", content="192.0.2.2"),)
        return bring_back(cast("Zone", self), lambda: self.held, planned=self.held, wanted=wanted)


MAKERS: dict[str, Callable[[Bench], Step]] = {
    "workers.route_traffic": Bench.route,
    "stages.shift_traffic": Bench.shift,
    "stages.follow_program": Bench.follow,
    "secrets.set_secrets": Bench.secrets,
    "pages.make_live": lambda _: make_live(cast("Pages", Host()), "ems-web", to="new", back_to="old"),
    "pages.purge_cache": lambda _: purge_cache(cast("Zone", Names()), "www.ems.example"),
    "records.bring_back": lambda _: Names().back(),
    "snapshots.keep_records": lambda b: keep_records(b.desk.home, lambda: Names().held, clock=now),
    "restrictions.allow": lambda b: allow(b.platform, Cidrs(("198.51.100.7/32",)), name="a", title="a"),
    "supabase.recover": Bench.recovery,
    "supabase.let_the_archive_reach": lambda b: let_the_archive_reach(
        b.platform, b.database, now() - timedelta(seconds=5), within=60, instead=str, name="i"
    ),
    "server.end_other_sessions": lambda b: end_other_sessions(b.database, name="e"),
    "copies.copy_present": lambda b: copy_present(b.programs, b.desk.settings.home, "b", name="c"),
    "definitions.note_definitions": lambda b: note_definitions(b.database, b.desk.settings.home, now(), name="n"),
    "copies.keep_later_writes": Bench.copied,
    "releases.record_verified": lambda b: record_verified(b.desk.home, "api", version=given("v"), proofs=(), clock=now),
    "releases.quarantine": lambda b: quarantine(b.desk.home, "api", version="v", to="u", clock=now),
    "releases.note_unpinned": Bench.note,
    "pins.pin_release": lambda b: pin_release(b.desk.settings.file, "api", version="v", reason="r", clock=now),
    "pins.pin_database": lambda b: pin_database(
        b.desk.settings.file, Origin("h", 1, "d", "u"), reason="r", stays="", clock=now, name="p"
    ),
    "pins.unpin_release": Bench.unpin,
    **{name: partial(_of_hazards, maker) for name, maker in HAZARDS.items()},
    **{name: partial(_of_backups, maker) for name, maker in BACKUPS.items()},
}
CONVERGES = {"program.apply_program"}
"""Done again after a lost answer, which changes nothing: the kill sweep counts it at the twin."""


class Nothing(msgspec.Struct, frozen=True):
    """No facts."""


@pytest.fixture
def another_session(database: Postgres) -> Iterator[None]:
    """Have an application connected."""
    connection = psycopg.connect(database.url, application_name="app")
    yield
    connection.close()


def test_every_entry_is_exercised() -> None:
    """No step that changes something is missing below."""
    assert set(MAKERS) | set(ARCHIVE) | CONVERGES == {step for entry in WRITES for step in entry.steps}


@pytest.mark.twin
@pytest.mark.usefixtures("another_session", "nothing_left")
@pytest.mark.parametrize("name", MAKERS)
def test_a_lost_answer_is_found(desk: Desk, database: Postgres, name: str) -> None:
    """The act is done, its answer never comes: the run ends well and the act was not done twice."""
    step = MAKERS[name](Bench(desk, database))
    acts = []

    def act(sight: Sight) -> Json:
        acts.append(sight.request)
        step.act(sight)
        message = "the answer was lost"
        raise AnswerLost(message)

    lossy = replace(step, act=act)
    book = Book(name="one", facts_type=Nothing, gather=Nothing, steps=lambda _: (lossy,), summary=lambda _: "one step")
    outcome = desk.run(book)
    assert (outcome.exit, outcome.text, len(acts)) == (Exit.DONE, "", 1)
