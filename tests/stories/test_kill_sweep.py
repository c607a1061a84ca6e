"""A sample of the kill sweep: a real process dies at chosen moments of real books, and goes on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.kill_sweep import moments_of, sweep
from benchmarks.sweeping.place import opened
from benchmarks.sweeping.points import Sweep
from benchmarks.sweeping.subjects import DNS, RESTORE, ROLLBACK, WEB

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.twin

LIVE = ["live: old"]
OF_RESTORE = (
    "before append observed copy the present",
    "after supabase POST /v1/projects/emstwinprojectlocala/database/backups/restore-pitr",
)
HERE = (
    *OF_RESTORE,
    "after cloudflare POST /client/v4/accounts/…/pages/projects/ems-web/deployments/…/rollback",
    "after cloudflare POST /client/v4/zones/…/dns_records/batch",
    "before append observed pin",
)


def test_nothing_is_lost_or_repeated_wherever_a_run_dies(tmp_path: Path) -> None:
    """Killed at some moments of rollbacks, in the copy and in the recovery of a restore: each ends, once."""
    with opened(tmp_path / "place") as place:
        rollback = moments_of(place, ROLLBACK)
        restore = moments_of(place, RESTORE)
        beside = [*moments_of(place, WEB), *moments_of(place, DNS)]
        chosen = [*rollback[::12], *(job for job in (*beside, *restore) if job.moment.label in HERE)]
        found = sweep([place], chosen, report=lambda _: None)
        wrong = Sweep(place, ROLLBACK).at(rollback[-1].moment, rollback[-1].wanted + Counter(["more"]) - Counter(LIVE))
    assert [problem for tally in found.values() for problem in tally.problems] == []
    assert (found["rollback"].points, found["restore"].points) == (len(rollback[::12]), len(OF_RESTORE))
    assert (found[WEB.name].points, found[DNS.name].points) == (2, 2)
    assert len(rollback) >= 70
    assert len(restore) >= 150
    assert (wrong.points, wrong.lost, wrong.repeated, wrong.unfinished) == (1, 1, 1, 0)
    assert wrong.problems[0].startswith(
        "rollback, after edge GET /api/nothing-here (1): lost {'more': 1}, repeated {'live: old': 1}; exit -9"
    )
