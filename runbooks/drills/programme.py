"""Run drills one after the other on one stage, and leave the evidence of each beside the journal of its repair."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

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
from runbooks.drills.rig.stage import Phases, Stage, staged
from runbooks.model.errors import NotSo, OpsError, Refused
from runbooks.model.evidence import Counts, DrillEvidence, Objective
from runbooks.model.settings import is_local

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from runbooks.drills.rig.bench import Measured
    from runbooks.drills.rig.scenario import Scenario
    from runbooks.engine.runner import Show
    from runbooks.model.settings import Settings

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


@dataclass
class Report:
    """All drills of one rehearsal, and the seconds by phase."""

    drills: list[Drilled] = field(default_factory=list)
    phases: Phases = field(default_factory=Phases)
    seconds: float = 0.0
    stack_file: Path | None = None
    """The drill's own; it leads to its journals when the twin is long gone."""

    @property
    def passed(self) -> bool:
        """Tell whether every drill was proven, and there was one."""
        return bool(self.drills) and all(drilled.evidence.passed for drilled in self.drills)


def chosen(names: Sequence[str], *, every: bool = False) -> tuple[Scenario | Rehearsal, ...]:
    """Return the scenarios of these names in their own order; for none the usual ones, or `every`. Raises Refused."""
    known = [scenario.name for scenario in SCENARIOS]
    for name in names:
        if name not in known:
            message = f"drill {name}: expected one of {', '.join(known)}."
            raise Refused(message, next_command="invoke drill --list")
    wanted = known if every else names or USUAL
    return tuple(scenario for scenario in SCENARIOS if scenario.name in wanted)


def rehearse(
    keeper: Keeper, scenarios: Sequence[Scenario | Rehearsal], *, environ: Mapping[str, str], show: Show, actor: str
) -> Report:
    """Set the stage once, if one is needed, and run the scenarios. After one that cannot be measured none is run."""
    began = time.monotonic()
    report, base = Report(), keeper.settings
    with ExitStack() as leaving:
        stage: Stage | None = None
        if any(not isinstance(scenario, Rehearsal) for scenario in scenarios):
            setting = staged(base, environ=environ, show=show, actor=actor, phases=report.phases)
            stage = leaving.enter_context(setting)
            report.stack_file = stage.site.settings.file
        for scenario in scenarios:
            show.note(f"Drill {scenario.name}: {scenario.what}")
            try:
                papers, measured = _measured(keeper, stage, scenario)
            except OpsError as error:
                redact = stage.site.redact if stage else keeper.redact
                report.drills += _not_measured(report, base, scenarios, scenario, redact(_text(error)))
                break
            with report.phases.measured(f"{scenario.name}: documents"):
                report.drills.append(papers.write(measured))
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _measured(keeper: Keeper, stage: Stage | None, scenario: Scenario | Rehearsal) -> tuple[Papers, Measured]:
    """Run one scenario, and return where its papers belong and what was measured."""
    if not isinstance(scenario, Rehearsal):
        if stage is None:
            message = f"drill {scenario.name}: expected a stage"
            raise NotSo(message)
        site = stage.site
        return Papers(site.settings, site.runner.home, site.redact), Bench(stage, scenario).measure()
    if stage is not None and is_local(keeper.settings.stack) and not keeper.catalog().all():
        site = stage.site  # a twin that nobody has backed up: the drill's own is, and that is rehearsed
        back_up(site)
        keeper = Keeper(site.settings, site.runner, site.catalog, site.redact, site.environ)
    papers = Papers(keeper.settings, keeper.runner.home, keeper.redact)
    return papers, scenario.measure(keeper)


def _text(error: OpsError) -> str:
    """Return what went wrong, and what to type next where that is known."""
    return f"{error} Next: {error.next_command}" if error.next_command else str(error)


def _not_measured(
    report: Report, base: Settings, scenarios: Sequence[Scenario | Rehearsal], broken: Scenario | Rehearsal, text: str
) -> Iterator[Drilled]:
    """Yield the scenario that could not be measured, and those that did not run for it."""
    at = scenarios.index(broken)
    reasons = [text, *(f"not run: {broken.name} could not be measured" for _ in scenarios[at + 1 :])]
    objectives = base.stack.objectives
    for scenario, reason in zip(scenarios[at:], reasons, strict=True):
        evidence = DrillEvidence(
            drill=scenario.name,
            passed=False,
            problems=(reason,),
            trigger=scenario.what,
            fault_at="",
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
            phases=dict(report.phases.seconds),
        )
        yield Drilled(evidence, None)
