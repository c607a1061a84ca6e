"""The ops home in a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of, run_ids

if TYPE_CHECKING:
    from pathlib import Path

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


def test_run_ids_can_be_spoken() -> None:
    """Date, time, a word of the spelling alphabet, a digit."""
    moment = datetime(2026, 11, 23, 21, 14, 45, tzinfo=UTC)
    assert list(islice(run_ids(moment), 3)) == [
        "2026-11-23-2114-tango-1",
        "2026-11-23-2114-tango-2",
        "2026-11-23-2114-tango-3",
    ]


def test_run_ids_do_not_run_out() -> None:
    """Even at the end of a minute there is always another one."""
    ids = list(islice(run_ids(datetime(2026, 11, 23, 21, 14, 59, tzinfo=UTC)), 12))
    assert (ids[8], ids[9], len(set(ids))) == ("2026-11-23-2114-zulu-9", "2026-11-23-2114-zulu-10", 12)


@given(MOMENTS, MOMENTS)
def test_run_ids_sort_by_time(one: datetime, other: datetime) -> None:
    """The id of a later run never sorts before that of an earlier one."""
    first, second = sorted([one, other])
    assert next(run_ids(first)) <= next(run_ids(second))


def test_a_run_has_one_place(tmp_path: Path) -> None:
    """A run's journal is made by exactly one; an abandoned one leaves nothing."""
    home = Folder(tmp_path / "new")
    assert home.names(RUNS) == []
    assert home.claim_log(journal_of("b"))
    assert home.claim_log(journal_of("a"))
    assert not home.claim_log(journal_of("a"))
    assert home.names(RUNS) == ["a", "b"]
    home.abandon_log(journal_of("a"))
    assert home.names(RUNS) == ["b"]
    assert home.read_log(journal_of("b")) == b""


def test_a_name_is_put_once(tmp_path: Path) -> None:
    """Of two who put the same name one wins, it can be replaced, and nothing is left lying about."""
    home = Folder(tmp_path)
    assert home.get("leases/toy/1.json") is None
    assert not home.exists("leases/toy/1.json")
    assert home.put_new("leases/toy/1.json", b"one")
    assert not home.put_new("leases/toy/1.json", b"two")
    assert home.get("leases/toy/1.json") == b"one"
    home.replace("leases/toy/1.json", b"later")
    assert home.get("leases/toy/1.json") == b"later"
    assert home.exists("leases/toy/1.json")
    assert [path.name for path in (tmp_path / "leases" / "toy").iterdir()] == ["1.json"]


def test_a_draft_that_a_crash_left_is_no_name(tmp_path: Path) -> None:
    """What never became whole is not listed."""
    home = Folder(tmp_path)
    home.put_new("leases/toy/1.json", b"one")
    (tmp_path / "leases" / "toy" / "draft-1-00").write_bytes(b"ha")
    assert home.names("leases/toy") == ["1.json"]


def test_what_cannot_be_looked_for_is_not_taken_for_absent(tmp_path: Path) -> None:
    """A name that is not there is absent; a place that cannot be asked is an error, not an answer."""
    home = Folder(tmp_path)
    assert not home.exists("leases/prod/00000001.json")
    (tmp_path / "leases").write_text("no folder")
    with pytest.raises(NotADirectoryError):
        home.exists("leases/prod/00000001.json")
