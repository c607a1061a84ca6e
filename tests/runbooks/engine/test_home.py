"""The ops home in a folder."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from runbooks.engine.home import Folder, run_ids

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
    """A run's folder is made by exactly one; an abandoned one leaves nothing."""
    home = Folder(tmp_path / "new")
    assert home.runs() == []
    assert home.claim("b")
    assert home.claim("a")
    assert not home.claim("a")
    assert home.runs() == ["a", "b"]
    home.abandon("a")
    assert home.runs() == ["b"]
    assert home.read("b") == b""


def test_a_lease_is_put_once(tmp_path: Path) -> None:
    """Of two who put the same fence one wins, nothing is left lying about, and a higher fence is seen."""
    home = Folder(tmp_path)
    assert home.newest_lease("toy") == (0, b"")
    assert home.put_lease("toy", 1, b"one")
    assert not home.put_lease("toy", 1, b"two")
    assert home.newest_lease("toy") == (1, b"one")
    assert not home.superseded("toy", 1)
    home.renew_lease("toy", 1, b"later")
    assert home.newest_lease("toy") == (1, b"later")
    assert home.put_lease("toy", 2, b"two")
    assert home.superseded("toy", 1)
    assert sorted(path.name for path in (tmp_path / "leases" / "toy").iterdir()) == ["00000001.json", "00000002.json"]
