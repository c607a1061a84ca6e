"""The ledger of releases: what is good, what is quarantined."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.step import No, Sight, Yes
from runbooks.model.errors import Refused
from runbooks.steps.releases import LEDGER, note_unpinned, quarantine, read_releases, record_verified
from runbooks.steps.workers import given

if TYPE_CHECKING:
    from pathlib import Path


def _clock() -> datetime:
    return datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def verified(home: Path, version: str) -> None:
    """Record a version as good."""
    step = record_verified(home, "api", version=given(version), proofs=("health",), clock=_clock)
    step.act(Sight(run="r", results={"health": {"answers": 3}}))


def test_no_ledger_is_no_release(tmp_path: Path) -> None:
    """An ops home without a ledger knows nothing, which is no error."""
    assert read_releases(tmp_path, "api").good == ()


def test_the_latest_proof_stands_last(tmp_path: Path) -> None:
    """Releases are ordered by their latest proof; recording one again that is last changes nothing."""
    for version in ("v1", "v2", "v1"):
        verified(tmp_path, version)
    assert read_releases(tmp_path, "api").good == ("v2", "v1")
    step = record_verified(tmp_path, "api", version=given("v1"), proofs=(), clock=_clock)
    assert isinstance(step.holds(Sight()), Yes)


def test_a_quarantined_release_is_no_target_again(tmp_path: Path) -> None:
    """What was rolled back from stays out, even when it is verified once more."""
    verified(tmp_path, "v1")
    verified(tmp_path, "v2")
    step = quarantine(tmp_path, "api", version="v2", to="v1", clock=_clock)
    assert isinstance(step.holds(Sight()), No)
    step.act(Sight(run="r"))
    assert isinstance(step.holds(Sight()), Yes)
    verified(tmp_path, "v2")
    assert read_releases(tmp_path, "api").good == ("v1",)


def test_a_rollback_lasts_until_another_release_or_the_unpin(tmp_path: Path) -> None:
    """The version that a rollback chose is remembered until something else is proven or the pin is taken away."""
    quarantine(tmp_path, "api", version="v2", to="v1", clock=_clock).act(Sight())
    verified(tmp_path, "v1")
    assert read_releases(tmp_path, "api").rolled_back_to == "v1"
    note_unpinned(tmp_path, "api", version="v1", clock=_clock).act(Sight())
    assert read_releases(tmp_path, "api").rolled_back_to is None
    quarantine(tmp_path, "api", version="v3", to="v1", clock=_clock).act(Sight())
    verified(tmp_path, "v4")
    assert read_releases(tmp_path, "api").rolled_back_to is None


def test_services_do_not_mix(tmp_path: Path) -> None:
    """What is known of one service says nothing of another."""
    verified(tmp_path, "v1")
    assert read_releases(tmp_path, "web").verified == ()


def test_a_torn_line_is_no_fact(tmp_path: Path) -> None:
    """A line cut off by a crash is skipped, and the next one stands on a line of its own."""
    verified(tmp_path, "v1")
    with (tmp_path / LEDGER).open("ab") as ledger:
        ledger.write(b'{"service":"api","version":"v2","sta')
    assert read_releases(tmp_path, "api").good == ("v1",)
    verified(tmp_path, "v3")
    assert read_releases(tmp_path, "api").good == ("v1", "v3")


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    """A line that is whole and makes no sense is refused with its number."""
    (tmp_path / LEDGER).write_bytes(b'{"service":"api","version":"v1","standing":"nice","at":"","run":""}\n')
    with pytest.raises(Refused, match=r"releases\.jsonl, line 1: expected a release's standing, got"):
        read_releases(tmp_path, "api")
