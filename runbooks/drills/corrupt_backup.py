"""Drill: data is lost and the newest backup has rotted; the restore book must refuse it and take the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from runbooks.drills.rig.own_backups import back_up, restore_from
from runbooks.drills.rig.scenario import Broken, Repaired
from runbooks.drills.rig.site import utc_now
from runbooks.model.reconciliation import SPOIL

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.drills.rig.scenario import Scene

NOTICE: Final = 5.0


@dataclass
class CorruptBackup:
    """The scenario. `good` and `rotten` are the backups that it made."""

    name: str = "corrupt-backup"
    what: str = "a table is emptied and the newest backup has rotted; the restore book must take the one before"
    warm_seconds: float = 1.0
    good: str = ""
    rotten: str = ""

    def break_it(self, scene: Scene) -> Broken:
        """Back up twice, flip a bit in the second backup, then lose a table."""
        site = scene.stage.site
        with scene.stage.phases.measured(f"{self.name}: backups"):
            self.good = back_up(site)
            self.rotten = back_up(site)
        flip_a_bit(site.settings.backup_folder / self.rotten)
        statement, at = site.settings.stack.drill.lost_table.sql, utc_now()
        with site.postgres.writing(SPOIL) as session:
            session.connection.execute(statement)
        look = scene.watch.until_faulty(NOTICE)
        return Broken(
            trigger=f"a bit of backup {self.rotten} flipped, and somebody ran `{statement}`",
            at=at,
            noticed_at=look.ended if look else None,
            noticed_by=look.faults if look else (),
        )

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Restore from own backups alone, and see which one was taken."""
        why = broken.noticed_by[0]
        repaired = restore_from(scene.stage, scene.stage.site, strategy="dump", why=why, drill=self.name)
        taken, said = repaired.outcome.plan.facts["reached"]["backup"], repaired.outcome.plan.facts["why"]
        problems = [] if taken == self.good else [f"expected backup {self.good} to be taken, got {taken}"]
        if f"backup {self.rotten} is not good" not in said:
            problems.append(f"the plan does not say why backup {self.rotten} was not taken: {said}")
        return replace(repaired, problems=tuple(problems))


def flip_a_bit(place: Path) -> None:
    """Change one bit in the middle of the largest file of a backup."""
    file = max((one for one in place.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
