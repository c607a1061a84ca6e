"""Random points of a live workload, restored one after the other, hold what a ledger outside says they held."""

from __future__ import annotations

import pytest

from benchmarks.databases.selfhosted import selfhosted
from benchmarks.pitr_fuzz import compare, random_points
from benchmarks.recovering.ledger import work

pytestmark = pytest.mark.twin


def test_each_restored_state_is_that_of_the_ledger() -> None:
    """Rows, tables and columns are those at the point, whatever was under way, emptied, altered or given up then."""
    with selfhosted() as server:
        server.base("base")
        ledger = work(server.url, sessions=3, seconds=2.5, seed=7)
        server.archive()
        assert ledger.given_up > 0
        points = random_points(ledger, 5, seed=7)
        assert compare(server, ledger, points)[0] == []
        held = ledger.sessions[0].states[-1]
        ledger.sessions[0].states = [{**held, "own_0": [("never",)]} for _ in ledger.sessions[0].states]
        assert compare(server, ledger, points[-1:])[0] == [f"{points[-1]}: own_0"]
