"""The ledger of releases: what is good, what is quarantined."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.record.folder import Folder
from runbooks.engine.step import No, Sight, Yes
from runbooks.model.errors import AnswerLost, Refused, Unreachable
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.releases import LEDGER, note_unpinned, quarantine, read_releases, record_verified

if TYPE_CHECKING:
    from pathlib import Path


def _clock() -> datetime:
    return datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Folder:
    """Give an empty ops home."""
    return Folder(tmp_path)


def verified(home: Folder, version: str) -> None:
    """Record a version as good."""
    step = record_verified(home, "api", version=given(version), proofs=("health",), clock=_clock)
    step.act(Sight(run="r", results={"health": {"answers": 3}}))


def test_no_ledger_is_no_release(home: Folder) -> None:
    """An ops home without a ledger knows nothing, which is no error."""
    assert read_releases(home, "api").good == ()


def test_the_latest_proof_stands_last(home: Folder) -> None:
    """Releases are ordered by their latest proof; recording one again that is last changes nothing."""
    for version in ("v1", "v2", "v1"):
        verified(home, version)
    assert read_releases(home, "api").good == ("v2", "v1")
    step = record_verified(home, "api", version=given("v1"), proofs=(), clock=_clock)
    assert isinstance(step.holds(Sight()), Yes)


def test_a_quarantined_release_is_no_target_again(home: Folder) -> None:
    """What was rolled back from stays out, even when it is verified once more."""
    verified(home, "v1")
    verified(home, "v2")
    step = quarantine(home, "api", version="v2", to="v1", clock=_clock)
    assert isinstance(step.holds(Sight()), No)
    step.act(Sight(run="r"))
    assert isinstance(step.holds(Sight()), Yes)
    verified(home, "v2")
    assert read_releases(home, "api").good == ("v1",)


def test_a_rollback_lasts_until_another_release_or_the_unpin(home: Folder) -> None:
    """The version that a rollback chose is remembered until something else is proven or the pin is taken away."""
    quarantine(home, "api", version="v2", to="v1", clock=_clock).act(Sight())
    verified(home, "v1")
    assert read_releases(home, "api").rolled_back_to == "v1"
    note_unpinned(home, "api", version="v1", clock=_clock).act(Sight())
    assert read_releases(home, "api").rolled_back_to is None
    quarantine(home, "api", version="v3", to="v1", clock=_clock).act(Sight())
    verified(home, "v4")
    assert read_releases(home, "api").rolled_back_to is None


def test_services_do_not_mix(home: Folder) -> None:
    """What is known of one service says nothing of another."""
    verified(home, "v1")
    assert read_releases(home, "web").verified == ()


def test_a_torn_line_is_no_fact(home: Folder) -> None:
    """A line cut off by a crash is skipped, and the next one stands on a line of its own."""
    verified(home, "v1")
    with (home.root / LEDGER).open("ab") as ledger:
        ledger.write(b'{"service":"api","version":"v2","sta')
    assert read_releases(home, "api").good == ("v1",)
    verified(home, "v3")
    assert read_releases(home, "api").good == ("v1", "v3")


def test_a_damaged_ledger_is_named(home: Folder) -> None:
    """A line that is whole and makes no sense is refused with its number."""
    (home.root / LEDGER).write_bytes(b'{"service":"api","version":"v1","standing":"nice","at":"","run":""}\n')
    with pytest.raises(Refused, match=r"releases\.jsonl, line 1: expected a release's standing, got"):
        read_releases(home, "api")


def test_what_a_crash_left_of_a_line_is_gone_with_the_next(home: Folder) -> None:
    """A torn line never glues to the one after it: the ledger is whole lines again."""
    verified(home, "v1")
    for torn in (b'{"service":"api","version":"v2","sta', b'{"service":"api"}'):
        with (home.root / LEDGER).open("ab") as ledger:
            ledger.write(torn)
        verified(home, "v3")
    lines = (home.root / LEDGER).read_bytes().split(b"\n")
    assert [line[:17] for line in lines] == [b'{"service":"api",'] * 3 + [b""]


def test_a_line_is_found_by_its_request(home: Folder) -> None:
    """After a lost answer the line of this act counts, whatever others have noted since."""
    step = record_verified(home, "api", version=given("v1"), proofs=(), clock=_clock)
    step.act(Sight(run="r", request="4f1c"))
    verified(home, "v2")
    assert isinstance(step.holds(Sight(request="4f1c")), Yes)
    assert isinstance(step.holds(Sight(request="9a02")), No)
    assert isinstance(step.holds(Sight()), No)


def test_a_home_that_is_not_there_is_told(home: Folder) -> None:
    """Reading from a home that doesn't answer may be asked again; of a line nobody knows whether it was added."""
    (home.root / LEDGER).mkdir()
    with pytest.raises(Unreachable, match=r"releases\.jsonl: it cannot be read \(Is a directory\)"):
        read_releases(home, "api")
    elsewhere = Folder(home.root / "file" / "home")
    (home.root / "file").write_bytes(b"")
    with pytest.raises((AnswerLost, Unreachable), match="Not a directory"):
        verified(elsewhere, "v1")
