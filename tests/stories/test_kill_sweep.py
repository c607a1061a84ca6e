"""A sample of the kill sweep: a real process dies at chosen moments of real books, and goes on."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from benchmarks.kill_sweep import moments_of, sweep
from benchmarks.sweeping import standing
from benchmarks.sweeping.door import Moment
from benchmarks.sweeping.place import opened
from benchmarks.sweeping.points import Sweep
from benchmarks.sweeping.subjects import BACKUP, DNS, DUMP_GIVEN_UP, PRUNE, RESTORE, ROLLBACK, WEB

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.sweeping.place import Place

pytestmark = pytest.mark.twin

LIVE = ["live: old"]
POLL = "edge GET /api/health"  # a busy machine asks less often
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
        rollback = [job for job in moments_of(place, ROLLBACK) if POLL not in job.moment.label]
        restore = moments_of(place, RESTORE)
        beside = [*moments_of(place, WEB), *moments_of(place, DNS)]
        chosen = [*rollback[::12], *(job for job in (*beside, *restore) if job.moment.label in HERE)]
        found = sweep([place], chosen, report=lambda _: None)
        wrong = Sweep(place, ROLLBACK).at(rollback[-1].moment, rollback[-1].wanted + Counter(["more"]) - Counter(LIVE))
    assert [problem for tally in found.values() for problem in tally.problems] == []
    assert (found["rollback"].points, found["restore"].points) == (len(rollback[::12]), len(OF_RESTORE))
    assert (found[WEB.name].points, found[DNS.name].points) == (2, 2)
    assert len(rollback) >= 60
    assert len(restore) >= 150
    assert (wrong.points, wrong.lost, wrong.repeated, wrong.unfinished) == (1, 1, 1, 0)
    assert wrong.problems[0].startswith(
        "rollback, before edge GET /api/nothing-here (1): lost {'more': 1}, repeated {'live: old': 1}; exit -9"
    )


def test_backups_are_whole_or_gone_wherever_a_run_dies(place: Place) -> None:
    """Killed while a draft, a manifest's own draft and an old backup are removed: nothing is left of any."""
    there = {
        BACKUP: ("before remove point/ops/dumps/…/draft-…", "before remove of a folder that goes"),
        PRUNE: ("before remove folder point/ops/dumps/…",),
    }
    jobs = [job for subject in there for job in moments_of(place, subject)]
    chosen = [job for job in jobs if job.moment.time == 1 and job.moment.label.endswith(there[job.subject])]
    found = sweep([place], chosen, report=lambda _: None)
    assert [problem for tally in found.values() for problem in tally.problems] == []
    assert sum(tally.points for tally in found.values()) == 3
    wanted = {subject: next(job.wanted for job in jobs if job.subject is subject) for subject in there}
    assert [stands["in the store: a whole backup"] for stands in wanted.values()] == [1, 1]


def test_a_restore_that_is_killed_and_given_up_leaves_nothing(place: Place) -> None:
    """Killed while the new database is loaded, then taken back: the databases are those of before, with their rows."""
    point = DUMP_GIVEN_UP.beginning.at(place, direct=True)
    wanted = standing.stands(place, point)
    loading = Moment("on this machine: during restore", 1)
    tally = Sweep(place, DUMP_GIVEN_UP).at(loading, wanted)
    assert (tally.problems, tally.points) == ([], 1)
