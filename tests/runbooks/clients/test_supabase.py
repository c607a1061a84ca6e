"""Supabase's API: recorded answers are understood, writes say exactly what they should."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.supabase import Cidrs, ProjectStatus, Supabase, cidrs_of, explain
from runbooks.clients.transport import Patience, Transport
from runbooks.model.errors import ActRefused, AnswerLost, Refused
from tests.runbooks.stand_in import LOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runbooks.stand_in import StandIn

REF = "abcdefghijklmnopqrst"
PROJECT = {
    "id": REF,
    "ref": REF,
    "organization_id": REF,
    "organization_slug": REF,
    "name": "cli-e2e-test",
    "region": "us-east-1",
    "status": "ACTIVE_HEALTHY",
    "database": {
        "host": f"db.{REF}.supabase.red",
        "version": "17.6.1.111",
        "postgres_engine": "17",
        "release_channel": "ga",
    },
    "created_at": "2000-01-01T00:00:00Z",
}
FRESH = {"region": "us-east-1", "pitr_enabled": False, "walg_enabled": True, "backups": [], "physical_backup_data": {}}
OPEN = {
    "entitlement": "allowed",
    "config": {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": ["::/0"]},
    "status": "applied",
}


@pytest.fixture
def supabase(stand_in: StandIn) -> Iterator[Supabase]:
    """Open the way to a project."""
    patience = Patience(connect=1, answer=1, read=3, attempts=2)
    transport = Transport("Supabase", stand_in.address, "sbp_" + "0" * 40, explain=explain, patience=patience)
    yield Supabase(transport, REF)
    transport.close()


def test_a_recorded_project_is_read(stand_in: StandIn, supabase: Supabase) -> None:
    """The project's state and version are taken from the recorded answer; what is not needed is left alone."""
    stand_in.next.append((200, {}, PROJECT))
    project = supabase.project()
    assert (project.status, project.database.version) == (ProjectStatus.ACTIVE_HEALTHY, "17.6.1.111")
    assert stand_in.seen[0][1] == f"/v1/projects/{REF}"


def test_an_unknown_state_is_not_known(stand_in: StandIn, supabase: Supabase) -> None:
    """A state that the provider never named before is not taken for a good one, nor does it end a recovery."""
    stand_in.next.append((200, {}, {**PROJECT, "status": "DREAMING"}))
    assert supabase.project().status == "UNKNOWN"


def test_a_fresh_project_has_no_window(stand_in: StandIn, supabase: Supabase) -> None:
    """Both ends of the window may be absent, and WAL-G being on does not mean that recovery is."""
    stand_in.next.append((200, {}, FRESH))
    backups = supabase.backups()
    assert (backups.pitr_enabled, backups.window.earliest, backups.window.latest) == (False, None, None)


def test_the_window_is_in_utc(stand_in: StandIn, supabase: Supabase) -> None:
    """Unix seconds become UTC instants."""
    ends = {"earliest_physical_backup_date_unix": 1795169700, "latest_physical_backup_date_unix": 1795170000}
    stand_in.next.append((200, {}, {**FRESH, "pitr_enabled": True, "physical_backup_data": ends}))
    window = supabase.backups().window
    assert window.earliest == datetime(2026, 11, 20, 10, 15, tzinfo=UTC)
    assert window.latest == datetime(2026, 11, 20, 10, 20, tzinfo=UTC)


def test_services_are_named_one_by_one(stand_in: StandIn, supabase: Supabase) -> None:
    """The health of several services is asked for in one call, a parameter each."""
    answer = [{"name": "db", "healthy": True, "status": "ACTIVE_HEALTHY"}, {"name": "auth", "status": "UNHEALTHY"}]
    stand_in.next.append((200, {}, answer))
    assert [service.status for service in supabase.health("db", "auth")] == ["ACTIVE_HEALTHY", "UNHEALTHY"]
    assert stand_in.seen[0][1].endswith("/health?services=db&services=auth")


def test_restrictions_are_replaced_whole(stand_in: StandIn, supabase: Supabase) -> None:
    """Both lists go out, each address in the one of its family; `stored` is not yet `applied`."""
    config = {"dbAllowedCidrs": ["198.51.100.7/32"], "dbAllowedCidrsV6": ["2001:db8::/64"]}
    stand_in.next.extend([(200, {}, OPEN), (201, {}, {**OPEN, "config": config, "status": "stored"})])
    assert supabase.restrictions().config == Cidrs(("0.0.0.0/0",), ("::/0",))
    stored = supabase.restrict(cidrs_of(("2001:db8::/64", "198.51.100.7/32")))
    assert stand_in.seen[1][:2] == ("POST", f"/v1/projects/{REF}/network-restrictions/apply")
    assert stand_in.writes == [config]
    assert not stored.applied


def test_a_recovery_is_asked_for_in_whole_seconds(stand_in: StandIn, supabase: Supabase) -> None:
    """The point goes out as Unix seconds; an empty 201 is all that comes back."""
    stand_in.next.append((201, {}, b""))
    supabase.restore_pitr(datetime(2026, 11, 20, 10, 15, tzinfo=UTC))
    assert stand_in.writes == [{"recovery_time_target_unix": 1795169700}]


def test_a_refusal_is_the_providers_own_words(stand_in: StandIn, supabase: Supabase) -> None:
    """The recorded refusal without the add-on is passed on, and nothing is sent again."""
    stand_in.next.append((400, {}, {"message": "PITR is not enabled for this project."}))
    with pytest.raises(ActRefused, match=r"got 400 \(PITR is not enabled for this project.\)"):
        supabase.restore_pitr(datetime(2026, 11, 20, 10, 15, tzinfo=UTC))
    assert len(stand_in.writes) == 1


def test_a_lost_answer_is_not_asked_again(stand_in: StandIn, supabase: Supabase) -> None:
    """A cut connection after the request is told apart from a refusal."""
    stand_in.next.append((LOST, {}, None))
    with pytest.raises(AnswerLost):
        supabase.restore_pitr(datetime(2026, 11, 20, 10, 15, tzinfo=UTC))
    assert len(stand_in.writes) == 1


def test_a_plan_sends_nothing(stand_in: StandIn, supabase: Supabase) -> None:
    """A read-only door refuses every write before it leaves."""
    supabase.transport.read_only = True
    with pytest.raises(Refused, match="a plan only reads"):
        supabase.restore_pitr(datetime(2026, 11, 20, 10, 15, tzinfo=UTC))
    with pytest.raises(Refused, match="a plan only reads"):
        supabase.restrict(Cidrs())
    assert stand_in.seen == []
