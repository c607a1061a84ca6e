"""Several operators who type the same command at the same moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.signal_sweep import begun, entries_of, runs_of, typed
from benchmarks.sweeping.commands import SUBJECTS
from benchmarks.sweeping.typed import Typed

if TYPE_CHECKING:
    from benchmarks.sweeping.place import Place

ROLLBACK = SUBJECTS["rollback"]
DEPLOYED = "POST /client/v4/accounts/…/workers/scripts/ems-api/deployments"


@pytest.mark.twin
@pytest.mark.parametrize("operators", [2, 10])
def test_exactly_one_of_many_runs(place: Place, operators: int) -> None:
    """One run takes effect; who comes meanwhile gets the holder's name and code 4, who comes later finds it done."""
    point, since = begun(place, ROLLBACK)
    processes = [Typed(typed(place, point, ROLLBACK.words)) for _ in range(operators)]
    ended = [process.end() for process in processes]
    codes = [code for code, _ in ended]
    assert codes.count(0) >= 1
    assert set(codes) <= {0, 2, 4}, ended
    for code, shown in ended:
        assert "Traceback" not in shown
        if code == 4:
            assert " on " in shown
            assert ", run " in shown or "taken in this very moment" in shown
    assert place.happened(point, since)[DEPLOYED] == 1
    acted = [
        run
        for run in runs_of(point)
        if any(e["kind"] == "step started" and e["payload"]["request"] for e in entries_of(point, run))
    ]
    assert len(acted) == 1
    assert all(entries_of(point, run)[-1]["kind"] == "closed" for run in runs_of(point))
