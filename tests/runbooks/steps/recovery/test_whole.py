"""The whole product at a point: what was live, which version fits the schema of then, and what is refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import psycopg
import pytest

from infra.stack import Migrations
from runbooks.engine.step import No, Sight, Yes
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.recovery.strategy import ByPitr
from runbooks.steps.recovery.whole import Whole, applied_by, fits_whole, whole_at
from runbooks.steps.releases import record_verified
from tests.runbooks.desk import now
from tests.runbooks.steps.test_moments import deploy, upload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stack import Stack
    from runbooks.clients.postgres import Postgres
    from tests.runbooks.plane import Plane

pytestmark = pytest.mark.twin

TABLE = Migrations("public.steps_done", "id", at="done_at", needs="3")


@pytest.fixture
def migrated(database: Postgres) -> Iterator[Postgres]:
    """Give a database with three migrations: two of them an hour old, the third of now."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("create table public.steps_done (id text, done_at timestamptz default clock_timestamp())")
        connection.execute(
            "insert into public.steps_done values ('1', now() - interval '1 h'), ('2', now() - interval '1 h')"
        )
        connection.execute("insert into public.steps_done (id) values ('3')")
        yield database
        connection.execute("drop table public.steps_done")


def release(plane: Plane, needs: str, *, good: bool = True) -> str:
    """Upload a version that says what it needs, make it live, and record it as good where it is."""
    version = upload(plane, tag=f"schema={needs}" if needs else "")
    deploy(plane, version)
    if good:
        record_verified(plane.home, "api", version=given(version), proofs=(), clock=now).act(Sight())
    return version


def look(plane: Plane, database: Postgres | None, point: datetime, live: str, asked: str = "") -> Whole:
    """Look at the whole as a restore does."""
    return whole_at(
        plane.home, plane.cloudflare, stack_of(plane), database, point=point, live=live, asked=asked,
        command='invoke restore --point="then"',
    )  # fmt: skip


def stack_of(plane: Plane) -> Stack:
    """Return the stack with a table of migrations."""
    stack = plane.settings.stack
    return msgspec.structs.replace(stack, database=msgspec.structs.replace(stack.database, migrations=TABLE))


def test_the_live_version_comes_back_where_it_fits(plane: Plane, migrated: Postgres) -> None:
    """It needs a migration that was there, or says nothing, or the database does not answer: the reason tells which."""
    early = datetime.now(UTC) - timedelta(minutes=30)
    fitting, silent, late = release(plane, "2"), release(plane, ""), release(plane, "3")
    found = look(plane, migrated, early, fitting)
    assert (found.restart, found.needs) == (fitting, "2")
    assert found.why == "it serves now, and fits: migration 2 was there at the point"
    assert look(plane, migrated, early, silent).why == "it serves now, and says of no migration that it needs it"
    unseen = look(plane, None, early, late)
    assert (unseen.restart, unseen.needs) == (late, "3")
    assert unseen.why == "it serves now; whether migration 3 was there at the point is only seen afterwards"


def test_the_newest_verified_version_that_fits_is_taken_instead(plane: Plane, migrated: Postgres) -> None:
    """The live one needs what was not there: neither one that was never proven nor a late one, the newest that fits."""
    early = datetime.now(UTC) - timedelta(minutes=30)
    release(plane, "1")
    wanted = release(plane, "2")
    release(plane, "2", good=False)
    release(plane, "3")
    live = release(plane, "3")
    found = look(plane, migrated, early, live)
    assert (found.restart, found.needs) == (wanted, "2")
    assert found.why.startswith(f"the newest verified that fits; {live[:8]}, which serves now, needs migration 3")
    assert look(plane, migrated, datetime.now(UTC), live).restart == live


def test_where_none_fits_it_is_refused_with_the_list(plane: Plane, migrated: Postgres) -> None:
    """Nothing is guessed: what each verified version needs is named, and --version comes back on one nevertheless."""
    early = datetime.now(UTC) - timedelta(minutes=30)
    live = release(plane, "3")
    with pytest.raises(Refused) as refused:
        look(plane, migrated, early, live)
    assert f"Verified versions: {live[:8]} needs 3. --version={live[:8]} comes back on it" in str(refused.value)
    assert refused.value.next_command == f'invoke restore --point="then" --version={live[:8]} --dry-run'
    asked = look(plane, migrated, early, live, asked=live[:8])
    assert (asked.restart, asked.why, asked.needs) == (live, "as asked", "")
    with pytest.raises(Refused, match="--version=ffff-: expected one version of ems-api, got 0 of: "):
        look(plane, migrated, early, live, asked="ffff-")


def test_what_was_live_then_is_told(plane: Plane, migrated: Postgres) -> None:
    """The version, the site, the records and the last change of secrets are those of the point, not of now."""
    old, site, state = release(plane, "2"), plane.upload(), plane.keep()
    workers = f"/accounts/{plane.cloudflare.account}/workers/scripts/{plane.settings.stack.api.name}"
    plane.send("PUT", f"{workers}/secrets", {"name": "KEY", "text": "x", "type": "secret_text"})
    time.sleep(0.01)
    point = datetime.now(UTC)
    time.sleep(0.01)
    live = release(plane, "2")
    plane.upload({"index.html": "new"})
    found = look(plane, migrated, point, live)
    assert (found.site, found.records[:12], found.secrets_since) == (site, state, "")
    assert found.secrets != ""
    assert found.version not in ("", live)
    shown = "\n".join(found.lines(live))
    assert f"Restart  api on {live[:8]}: it serves now, and fits" in shown
    before = look(plane, migrated, point - timedelta(hours=1), old)
    assert (before.version, before.site, before.records, before.secrets) == ("", "", "", "")
    assert before.secrets_since == found.secrets
    assert "a version from before has those of then" in "\n".join(before.lines(live))


def test_the_recovered_database_must_hold_what_the_version_needs(plane: Plane, migrated: Postgres) -> None:
    """The table of migrations decides before anybody is served; without a need there is nothing to look for."""
    reached, stack = ByPitr(datetime(2026, 11, 20, 10, 15, tzinfo=UTC)), stack_of(plane)
    (step,) = fits_whole(migrated, stack, Whole(restart="4f1c", needs="3"), reached, "invoke restore --point=")
    assert isinstance(step.holds(Sight()), Yes)
    (step,) = fits_whole(migrated, stack, Whole(restart="4f1c", needs="9"), reached, "invoke restore --point=")
    held = step.holds(Sight())
    assert isinstance(held, No)
    assert "public.steps_done: expected migration 9, which 4f1c needs, got none" in held.why
    assert '--point="2026-11-20T10:15:00Z" --version=ID' in held.why
    assert fits_whole(migrated, stack, Whole(restart="4f1c"), reached, "") == ()


def test_without_a_column_the_commit_tells_when(migrated: Postgres) -> None:
    """Commit times tell which rows were there; where all are later they may be those of a load, and tell nothing."""
    by_commit = msgspec.structs.replace(TABLE, at=None)
    with migrated.reading() as session:
        early = datetime.now(UTC) - timedelta(minutes=30)
        assert applied_by(session, by_commit, early) is None
        assert applied_by(session, by_commit, datetime.now(UTC)) == frozenset({"1", "2", "3"})
        assert applied_by(session, TABLE, early) == frozenset({"1", "2"})
        assert applied_by(session, TABLE, None) == frozenset({"1", "2", "3"})
