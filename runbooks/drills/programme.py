"""Run drills one after the other, and leave the evidence of each: beside the journal of its repair, if there is one."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.drills.bad_dns import BadDns
from runbooks.drills.bad_migration import BadMigration
from runbooks.drills.bad_release import BadRelease
from runbooks.drills.bad_release_twice import BadReleaseTwice
from runbooks.drills.bad_site import BadSite
from runbooks.drills.control_plane_down import ControlPlaneDown
from runbooks.drills.corrupt_backup import CorruptBackup
from runbooks.drills.lost_database import LostDatabase
from runbooks.drills.lost_table import LostTable
from runbooks.drills.mass_delete import MassDelete
from runbooks.drills.rehearsal import Keeper, Rehearsal
from runbooks.drills.rig.bench import Bench
from runbooks.drills.rig.own_backups import back_up
from runbooks.drills.rig.papers import Drilled, Papers
from runbooks.drills.rig.scenario import Needing
from runbooks.drills.rig.site import utc_now
from runbooks.drills.rig.stage import own_name
from runbooks.engine.signals import StopNow
from runbooks.model.errors import Exit, HeldByOther, OpsError, Refused
from runbooks.model.evidence import DRILLS, Counts, DrillEvidence, Objective
from runbooks.model.settings import is_local

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from infra.stack import Stack
    from runbooks.drills.rig.bench import Measured
    from runbooks.drills.rig.scenario import Scenario
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Phases
    from runbooks.drills.rig.stages import Stages

SCENARIOS: Final[tuple[Scenario | Rehearsal, ...]] = (
    BadRelease(),
    BadReleaseTwice(),
    ControlPlaneDown(),
    BadSite(),
    BadDns(),
    LostTable(),
    MassDelete(),
    BadMigration(),
    CorruptBackup(),
    Rehearsal(),
    LostDatabase(),
)
"""In the order in which they run: what takes data back comes late, what moves the product away comes last."""
USUAL: Final = ("bad-release", "lost-table")
"""What is run when nothing is named: code and data, in half a minute."""


WORST: Final = (Exit.DONE, Exit.PAUSED, Exit.HELD, Exit.FAILED)
"""Ways to end, from good to bad: a drill that failed weighs more than those that were not begun."""


@dataclass
class Report:
    """All drills of one rehearsal, and the seconds by phase. `exit` is the worst of how they ended."""

    phases: Phases
    stack_files: Sequence[Path]
    """The drills' own; they lead to the journals when the twins are long gone."""
    drills: list[Drilled] = field(default_factory=list)
    seconds: float = 0.0
    exit: Exit = Exit.DONE

    @property
    def passed(self) -> bool:
        """Tell whether every drill was proven, and there was one."""
        return bool(self.drills) and not self.unproven

    @property
    def unproven(self) -> list[str]:
        """Return the names of the drills that have proven nothing."""
        return [drilled.evidence.drill for drilled in self.drills if not drilled.evidence.passed]

    def add(self, drilled: Drilled, ended: Exit) -> None:
        """Take in how one more drill ended."""
        self.drills.append(drilled)
        self.exit = max(self.exit, ended, key=WORST.index)


def chosen(names: Sequence[str], *, every: bool = False) -> tuple[Scenario | Rehearsal, ...]:
    """Return the scenarios of these names in their own order; for none the usual ones, or `every`. Raises Refused."""
    known = [scenario.name for scenario in SCENARIOS]
    for name in names:
        if name not in known:
            message = f"drill {name}: expected one of {', '.join(known)}."
            raise Refused(message, next_command="invoke drill --list")
    wanted = known if every else names or USUAL
    return tuple(scenario for scenario in SCENARIOS if scenario.name in wanted)


def missing(scenario: Scenario | Rehearsal, stack: Stack) -> str:
    """Return why a product has nothing for a drill, "" where it has."""
    return scenario.missing(stack) if isinstance(scenario, Needing) else ""


def rehearse(
    keeper: Keeper, scenarios: Sequence[Scenario | Rehearsal], stages: Stages, *, explain: Callable[[Exception], str]
) -> Report:
    """Run the scenarios; after one that did not go well the next gets a fresh stage.

    A signal, and another operator's run that holds the stack, end it: the rest is not run. Raises Refused where the
    very first stage is refused: so would be all of them. `explain` words what went wrong.
    """
    began = time.monotonic()
    programme = _Programme(keeper, stages, explain, Report(stages.phases, stages.stack_files), _on_stage(scenarios))
    left = deque(scenarios)
    try:
        while left and programme.goes_on(left.popleft()):
            pass
    finally:
        stages.leave()
    for scenario in left:
        programme.miss(scenario, "not run: the drill before it was stopped", utc_now(), Exit.DONE)
    programme.report.seconds = round(time.monotonic() - began, 3)
    return programme.report


def _on_stage(scenarios: Sequence[Scenario | Rehearsal]) -> bool:
    return any(not isinstance(scenario, Rehearsal) for scenario in scenarios)


@dataclass
class _Programme:
    """Drills in a row. `on_stage` tells whether any of them needs a stage."""

    keeper: Keeper
    stages: Stages
    explain: Callable[[Exception], str]
    report: Report
    on_stage: bool

    def goes_on(self, scenario: Scenario | Rehearsal) -> bool:
        """Run one scenario; tell whether the next one may be run."""
        report, began = self.report, utc_now()
        self.stages.show.note(f"Drill {scenario.name}: {scenario.what}")
        try:
            if report.drills and not report.drills[-1].evidence.passed:
                self.stages.leave()
            papers, measured = self._measured(scenario)
            with report.phases.measured(f"{scenario.name}: documents"):
                drilled = papers.write(measured)
        except StopNow as asked:
            self.stages.leave()
            self.miss(scenario, f"stopped by {asked.name}", began, Exit.PAUSED)
            return False
        except HeldByOther as error:
            self.miss(scenario, self.explain(error), began, error.exit)
            return False
        except Exception as error:  # a drill's edge: one that trips must not take the others with it
            of_all = isinstance(error, Refused) and not (isinstance(scenario, Rehearsal) or self.stages.stack_files)
            if of_all and not report.drills:
                raise
            self.miss(scenario, self.explain(error), began, Exit.FAILED)
        else:
            report.add(drilled, Exit.DONE if drilled.evidence.passed else Exit.FAILED)
        return True

    def _measured(self, scenario: Scenario | Rehearsal) -> tuple[Papers, Measured]:
        """Run one scenario, and return where its papers belong and what was measured."""
        keeper, stages = self.keeper, self.stages
        if not isinstance(scenario, Rehearsal):
            stage = stages.standing()
            return self._papers(stage.site), Bench(stage, scenario).measure()
        if self.on_stage and is_local(keeper.settings.stack) and not keeper.catalog().all():
            site = stages.standing().site  # a twin that nobody has backed up: the drill's own is, and that is rehearsed
            back_up(site)
            keeper = Keeper(site.settings, site.runner, site.catalog, site.redact, site.environ, site.stop)
        return self._papers(keeper), scenario.measure(keeper)

    def _papers(self, owner: Site | Keeper) -> Papers:
        return Papers(owner.settings, owner.runner.home, owner.redact, self.stages.actor)

    def miss(self, scenario: Scenario | Rehearsal, why: str, began: datetime, ended: Exit) -> None:
        """Record a scenario that was not measured: in the ops home of the stack, since its stage may be none."""
        self.stages.show.note(why := self.stages.redact(self.keeper.redact(why)))
        objectives = self.keeper.settings.stack.objectives
        evidence = DrillEvidence(
            drill=scenario.name,
            passed=False,
            measured=False,
            problems=(why,),
            trigger=scenario.what,
            fault_at=began.isoformat(),
            detected_at=None,
            detected_by=(),
            recovered_at=None,
            point=None,
            point_from="",
            objective=Objective(objectives.rto_seconds, objectives.rpo_seconds),
            lost_window_seconds=0.0,
            counts=Counts(),
            lost=(),
            damage=(),
            related=(),
            phases=dict(self.report.phases.seconds),
        )
        try:
            drilled = self._papers(self.keeper).without_run(evidence, f"{DRILLS}/{own_name()}")
        except (OSError, OpsError) as error:
            unwritten = f"this could not be recorded: {error}"
            drilled = Drilled(msgspec.structs.replace(evidence, problems=(why, unwritten)), None)
        self.report.add(drilled, ended)
