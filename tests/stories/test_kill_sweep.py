"""A sample of the kill sweep: a real process dies at chosen moments of real books, and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.kill_sweep import Job, moments_of, sweep
from benchmarks.sweeping.place import opened
from benchmarks.sweeping.points import RESTORE, ROLLBACK

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.twin

OF_RESTORE = (
    "before append observed copy the present",
    "after supabase POST /v1/projects/emstwinprojectlocala/database/backups/restore-pitr",
)


def test_nothing_is_lost_or_repeated_wherever_a_run_dies(tmp_path: Path) -> None:
    """Killed at every tenth moment of a rollback, in the copy and in the recovery of a restore: each ends, once."""
    with opened(tmp_path / "place") as place:
        rollback = moments_of(place, ROLLBACK)
        restore = moments_of(place, RESTORE)
        chosen: list[Job] = [*rollback[::10], *(job for job in restore if job[1].label in OF_RESTORE)]
        found = sweep([place], chosen, report=lambda *_: None)
    assert [problem for tally in found.values() for problem in tally.problems] == []
    assert (found["rollback"].points, found["restore"].points) == (len(rollback[::10]), len(OF_RESTORE))
    assert len(rollback) >= 70
    assert len(restore) >= 150
    assert {job[1].label for job in chosen if job[1].label in OF_RESTORE} == set(OF_RESTORE)
