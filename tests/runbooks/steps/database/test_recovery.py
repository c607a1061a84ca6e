"""A recovery is over when the server says so, never because the platform does: each story of the wild is noticed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from infra.shapes import Waits
from runbooks.clients.postgres import Postgres, Session
from runbooks.clients.supabase import Cidrs, Restrictions, Supabase, cidrs_of, explain
from runbooks.clients.transport import Patience, Transport
from runbooks.engine.step import No, Settling, Sight, Step, Yes
from runbooks.model.errors import CheckError, NeverSo, Unreachable
from runbooks.steps.database.restrictions import Seen, allow, allowed_before
from runbooks.steps.database.server import Server
from runbooks.steps.database.supabase import Recovery, let_the_archive_reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runbooks.stand_in import StandIn

REF = "abcdefghijklmnopqrst"
ASKED = datetime(2026, 11, 20, 10, 57, tzinfo=UTC)
BEFORE = Server(18, ASKED - timedelta(days=3), "7711", 1, 900, ASKED, False, True, 1_000_000, None)  # noqa: FBT003 - a row as the server gives it
WAITS = Waits()
RECOVERED = msgspec.structs.replace(BEFORE, started_at=ASKED + timedelta(minutes=4), timeline=2, next_transaction=700)


@dataclass(frozen=True)
class FakeDatabase(Postgres):
    """A database that says what a test wants; None where nobody answers."""

    says: list[Server | None] = field(default_factory=list)

    @contextmanager
    def reading(self, *, snapshot: str | None = None) -> Iterator[Session]:
        """Answer as the test wants."""
        assert snapshot is None
        server = self.says[0]
        if server is None:
            message = "nobody answers"
            raise Unreachable(message)
        yield FakeSession(server)


class FakeSession(Session):
    """One answer to the one question that is asked."""

    def __init__(self, server: Server) -> None:
        object.__setattr__(self, "server", server)

    def rows(self, *_: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - as the real one
        """Return the server as its row."""
        server: Server = self.server  # type: ignore[attr-defined] # set above
        row = msgspec.structs.astuple(server)
        return [(row[0] * 10_000, *row[1:])]


@pytest.fixture
def supabase(stand_in: StandIn) -> Iterator[Supabase]:
    """Open the way to a project."""
    patience = Patience(connect=1, answer=1, read=1, attempts=1)
    transport = Transport("Supabase", stand_in.address, "sbp_x", explain=explain, patience=patience)
    yield Supabase(transport, REF)
    transport.close()


def project(status: str) -> tuple[int, dict[str, str], Any]:
    """Return the project's answer with this state."""
    database = {"host": "db", "version": "18"}
    return 200, {}, {"name": "ems", "region": "eu", "status": status, "database": database}


def services(status: str) -> tuple[int, dict[str, str], Any]:
    """Return the health of the services, all alike."""
    return 200, {}, [{"name": name, "status": status} for name in ("db", "auth", "rest")]


def after(before: Server | None = BEFORE, status: str = "ACTIVE_HEALTHY") -> Sight:
    """Return what the step sees after its request, and what was so before."""
    seen = {"status": status, "looked_at": ASKED.isoformat(), "server": msgspec.to_builtins(before) if before else None}
    return Sight(request="4f1c", before=seen)


def recovery(supabase: Supabase, says: Server | None, waits: Waits = WAITS) -> Recovery:
    """Return a recovery whose server says this."""
    return Recovery(
        supabase, FakeDatabase("postgresql://x@127.0.0.1/x", says=[says]), lambda: ASKED, waits, "invoke it"
    )


def test_healthy_before_it_began_is_no_recovery(stand_in: StandIn, supabase: Supabase) -> None:
    """The published drill's mistake: ACTIVE_HEALTHY six seconds after the request means nothing."""
    stand_in.next.append(project("ACTIVE_HEALTHY"))
    held = recovery(supabase, BEFORE).look(after())
    assert isinstance(held, No)
    assert held.why.startswith("the server that answers still runs since 2026-11-17 10:57:00+00:00: the recovery has")


def test_a_restart_is_no_recovery(stand_in: StandIn, supabase: Supabase) -> None:
    """A server that only restarted has no new timeline and no transaction undone."""
    stand_in.next.append(project("ACTIVE_HEALTHY"))
    restarted = msgspec.structs.replace(BEFORE, started_at=RECOVERED.started_at, next_transaction=905)
    held = recovery(supabase, restarted).look(after())
    assert isinstance(held, No)
    assert held.why.endswith("on timeline 1 as before and with no transaction undone: it was not recovered")


@pytest.mark.parametrize("status", ["RESTORING", "COMING_UP", "PAUSING", "GOING_DOWN", "UNKNOWN"])
def test_on_its_way(stand_in: StandIn, supabase: Supabase, status: str) -> None:
    """While the platform is at work, nothing is said."""
    stand_in.next.append(project(status))
    assert isinstance(recovery(supabase, RECOVERED).look(after()), Settling)


@pytest.mark.parametrize("status", ["RESTORE_FAILED", "INIT_FAILED", "PAUSE_FAILED", "INACTIVE", "REMOVED"])
def test_a_failed_state_ends_the_run(stand_in: StandIn, supabase: Supabase, status: str) -> None:
    """States that nothing comes back from are said with what to do."""
    stand_in.next.append(project(status))
    with pytest.raises(CheckError, match=f"its status is {status}. The application stays stopped. Ask the provider"):
        recovery(supabase, None).look(after())


def test_services_must_be_back(stand_in: StandIn, supabase: Supabase) -> None:
    """A recovered server counts only when the services around it are healthy too."""
    stand_in.next.extend([project("ACTIVE_HEALTHY"), services("COMING_UP")])
    looking = recovery(supabase, RECOVERED)
    assert isinstance(looking.look(after()), Settling)
    stand_in.next.extend([project("ACTIVE_HEALTHY"), services("ACTIVE_HEALTHY")])
    assert isinstance(looking.look(after()), Yes)


def test_a_server_that_replays_is_not_there_yet(stand_in: StandIn, supabase: Supabase) -> None:
    """A server in recovery answers to readers; that is not the end."""
    stand_in.next.append(project("ACTIVE_HEALTHY"))
    replaying = msgspec.structs.replace(RECOVERED, in_recovery=True)
    assert isinstance(recovery(supabase, replaying).look(after()), Settling)


def test_nothing_is_already_so(stand_in: StandIn, supabase: Supabase) -> None:
    """Before its request no database counts as recovered, whatever it looks like; others' work is waited for."""
    stand_in.next.extend([project("ACTIVE_HEALTHY"), project("UPGRADING")])
    looking = recovery(supabase, RECOVERED)
    held = looking.look(Sight())
    assert isinstance(held, No)
    assert held.evidence["server"]
    assert isinstance(looking.look(Sight()), Settling)


def test_a_database_that_was_gone(stand_in: StandIn, supabase: Supabase) -> None:
    """Where nobody answered before, a server that started after the request counts, an older one does not."""
    stand_in.next.extend([project("ACTIVE_HEALTHY"), services("ACTIVE_HEALTHY")])
    assert isinstance(recovery(supabase, RECOVERED).look(after(None)), Yes)
    stand_in.next.clear()
    stand_in.next.append(project("ACTIVE_HEALTHY"))
    assert isinstance(recovery(supabase, BEFORE).look(after(None)), No)


def test_a_recovery_that_never_begins(stand_in: StandIn, supabase: Supabase) -> None:
    """A request that was accepted and forgotten ends the run, after a quarter of an hour unless told otherwise."""
    stand_in.next.append(project("ACTIVE_HEALTHY"))
    said = r"asked for the recovery, and 1e-09 s later .* the recovery has not begun, or the address leads to the old"
    with pytest.raises(NeverSo, match=said) as raised:
        recovery(supabase, BEFORE, Waits(begun=1e-9)).look(after())
    assert raised.value.next_command == "invoke it"


def test_a_recovery_that_never_ends(stand_in: StandIn, supabase: Supabase) -> None:
    """A project that stays at work, or whose services stay sick, ends the run with what was seen of it."""
    stand_in.next.append(project("RESTORING"))
    said = r"within 1e-09 s, its status is RESTORING \(seen: RESTORING\) and nobody answers at 127.0.0.1"
    with pytest.raises(NeverSo, match=said):
        recovery(supabase, None, Waits(restored=1e-9)).look(after())
    stand_in.next.extend([project("ACTIVE_HEALTHY"), services("UNHEALTHY")])
    with pytest.raises(NeverSo, match="recovered, and 1e-09 s later not healthy: db UNHEALTHY, auth UNHEALTHY"):
        recovery(supabase, RECOVERED, Waits(restored=1e-9)).look(after())


def test_a_state_that_nobody_knows_is_waited_for(stand_in: StandIn, supabase: Supabase) -> None:
    """A state that a newer API says, and this description of it does not, is no error: it may be on its way."""
    stand_in.next.append(project("RESTORING_FROM_BACKUP"))
    held = recovery(supabase, RECOVERED).look(after())
    assert isinstance(held, Settling)
    assert held.evidence["status"] == "UNKNOWN"


def test_a_second_try_after_a_failed_one(stand_in: StandIn, supabase: Supabase) -> None:
    """A project that was RESTORE_FAILED before the request is not failed again because it still says so."""
    stand_in.next.append(project("RESTORE_FAILED"))
    assert not isinstance(recovery(supabase, None).look(after(None, "RESTORE_FAILED")), Yes)


def test_the_archive_is_waited_for(stand_in: StandIn, supabase: Supabase) -> None:
    """A point that the archive has not reached yet is a No, one that it has is a Yes."""
    ends = {"earliest_physical_backup_date_unix": 1, "latest_physical_backup_date_unix": int(ASKED.timestamp())}
    body = {"pitr_enabled": True, "physical_backup_data": ends}
    stand_in.next.extend([(200, {}, body)] * 3)
    database = Postgres("postgresql://x@127.0.0.1/x")

    def reach(point: datetime, within: float = 9) -> Step:
        return let_the_archive_reach(
            supabase, database, point, within=within, instead=lambda latest: f"invoke it {latest:%M}", name="identify"
        )

    assert isinstance(reach(ASKED + timedelta(seconds=1)).holds(Sight()), No)
    assert isinstance(reach(ASKED).holds(Sight()), Yes)
    said = (
        f"Supabase project {REF}: expected its archive to reach 2026-11-20 10:58:00 UTC, it reaches 2026-11-20 "
        "10:57:00 UTC, 1e-09 s later. Nothing was stopped."
    )
    with pytest.raises(NeverSo) as raised:
        reach(ASKED + timedelta(minutes=1), within=1e-9).holds(Sight(request="4f1c"))
    assert (str(raised.value), raised.value.next_command) == (said, "invoke it 57")


def restricted(status: str, *cidrs: str) -> tuple[int, dict[str, str], Any]:
    """Return the platform's answer with this state of who may connect."""
    config = {"dbAllowedCidrs": list(cidrs), "dbAllowedCidrsV6": []}
    return 200, {}, {"entitlement": "allowed", "config": config, "status": status}


def test_stored_is_not_applied(stand_in: StandIn, supabase: Supabase) -> None:
    """Restrictions that are stuck in `stored` were told, which an undo takes back, but never count as in force."""
    stand_in.next.extend([restricted("stored", "198.51.100.7/32")] * 3)
    operators = cidrs_of(("198.51.100.7/32",))
    assert isinstance(allow(supabase, operators, name="stop", title="stop").holds(Sight(request="4f1c")), Yes)
    held = Seen(supabase, operators).holds(Sight())
    assert isinstance(held, No)
    said = "it keeps them “stored”, expected “applied”: until then everyone of before still gets in"
    assert held.why == f"Supabase project {REF}: {said}"
    other = allow(supabase, Cidrs(("0.0.0.0/0",)), name="allow", title="allow").holds(Sight())
    assert isinstance(other, No)
    assert other.why == "expected 0.0.0.0/0 to be allowed, got 198.51.100.7/32"


def test_restrictions_that_shut_us_out_do_not_count(stand_in: StandIn, supabase: Supabase) -> None:
    """What shuts ourselves out is no proof, whatever the platform says."""

    def shut_out() -> None:
        message = "connection refused"
        raise Unreachable(message)

    stand_in.next.append(restricted("applied", "198.51.100.7/32"))
    with pytest.raises(Unreachable):
        Seen(supabase, cidrs_of(("198.51.100.7/32",)), still=shut_out).holds(Sight())


def test_what_an_earlier_run_left_is_not_taken_for_normal() -> None:
    """Restrictions that a broken-off run has set are lifted to what they were before it."""
    everyone, operators = Cidrs(("0.0.0.0/0",), ("::/0",)), Cidrs(("198.51.100.7/32",))
    left = Restrictions("allowed", "applied", operators)
    assert allowed_before(left, operators, everyone) == everyone
    assert allowed_before(left, operators, None) == operators
    assert allowed_before(Restrictions("allowed", "applied", everyone), operators, operators) == everyone
    assert allowed_before(Restrictions("disallowed", "applied", everyone), operators, None) is None
