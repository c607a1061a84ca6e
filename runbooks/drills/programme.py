"""Run drills one after the other on one stage, and leave the evidence of each beside the journal of its repair."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks import postmortem
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
from runbooks.drills.rig.bench import Bench
from runbooks.drills.rig.stage import Phases, Stage, staged
from runbooks.engine.record.entry import read
from runbooks.model.errors import OpsError, Refused
from runbooks.model.evidence import EVIDENCE, Counts, DrillEvidence, Objective
from runbooks.render.documents import SCHEMA, Attestation, attestation_text, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runbooks.drills.rig.bench import Measured
    from runbooks.drills.rig.scenario import Scenario
    from runbooks.engine.runner import Show
    from runbooks.model.settings import Settings

SCENARIOS: Final[tuple[Scenario, ...]] = (
    BadRelease(),
    BadReleaseTwice(),
    ControlPlaneDown(),
    BadSite(),
    BadDns(),
    LostTable(),
    MassDelete(),
    BadMigration(),
    CorruptBackup(),
    LostDatabase(),
)
"""In the order in which they run: what takes data back comes late, what moves the product away comes last."""
USUAL: Final = ("bad-release", "lost-table")
"""What is run when nothing is named: code and data, in half a minute."""


@dataclass(frozen=True)
class Drilled:
    """One drill's end and where its evidence lies; paths are None when no repair ran."""

    evidence: DrillEvidence
    run: str | None
    journal: str | None = None
    postmortem: Path | None = None
    attestation: Path | None = None


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


def chosen(names: Sequence[str], *, every: bool = False) -> tuple[Scenario, ...]:
    """Return the scenarios of these names in their own order; for none the usual ones, or `every`. Raises Refused."""
    known = [scenario.name for scenario in SCENARIOS]
    for name in names:
        if name not in known:
            message = f"drill {name}: expected one of {', '.join(known)}."
            raise Refused(message, next_command="invoke drill --list")
    wanted = known if every else names or USUAL
    return tuple(scenario for scenario in SCENARIOS if scenario.name in wanted)


def rehearse(
    base: Settings, scenarios: Sequence[Scenario], *, environ: Mapping[str, str], show: Show, actor: str
) -> Report:
    """Set the stage once and run the scenarios on it. After one that cannot be measured the others are not run."""
    began = time.monotonic()
    report = Report()
    with staged(base, environ=environ, show=show, actor=actor, phases=report.phases) as stage:
        report.stack_file = stage.site.settings.file
        for scenario in scenarios:
            show.note(f"Drill {scenario.name}: {scenario.what}")
            try:
                measured = Bench(stage, scenario).measure()
            except OpsError as error:
                report.drills += _not_measured(stage, scenarios, scenario, stage.site.redact(str(error)))
                break
            with stage.phases.measured(f"{scenario.name}: documents"):
                report.drills.append(_written(stage, measured))
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _not_measured(stage: Stage, scenarios: Sequence[Scenario], broken: Scenario, text: str) -> Iterator[Drilled]:
    """Yield the scenario that could not be measured, and those that did not run for it."""
    at = scenarios.index(broken)
    reasons = [text, *(f"not run: {broken.name} could not be measured" for _ in scenarios[at + 1 :])]
    objectives = stage.site.settings.stack.objectives
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
            phases=dict(stage.phases.seconds),
        )
        yield Drilled(evidence, None)


def _written(stage: Stage, measured: Measured) -> Drilled:
    """Write evidence, post-mortem and attestation into the folder of the run that repaired."""
    site, evidence = stage.site, measured.evidence
    outcome = measured.repaired.outcome if measured.repaired else None
    if outcome is None or outcome.journal is None:
        _put(stage.folder / f"{evidence.drill}.json", site.redact.json(evidence))
        return Drilled(evidence, None)
    folder = Path(outcome.journal).parent
    _put(folder / EVIDENCE, site.redact.json(evidence))
    attestation = sealed(_attestation(stage, evidence, outcome.run, outcome.journal))
    _put(folder / "attestation.json", attestation)
    (folder / "attestation.txt").write_text(attestation_text(attestation), "utf-8")
    written = postmortem.write(site.settings, site.runner.home, outcome.run, redact=site.redact)
    return Drilled(evidence, outcome.run, outcome.journal, Path(written.markdown), folder / "attestation.json")


def _attestation(stage: Stage, evidence: DrillEvidence, run: str, journal: str) -> Attestation:
    entries = read(journal)
    opened = entries[0].payload
    counts: dict[str, int] = msgspec.to_builtins(evidence.counts)
    return Attestation(
        schema=SCHEMA,
        drill=evidence.drill,
        passed=evidence.passed,
        problems=evidence.problems,
        started_at=evidence.fault_at,
        ended_at=evidence.recovered_at or entries[-1].at,
        host=str(opened.get("host", "")),
        actor=str(opened.get("actor", "")),
        code=str(opened.get("code", "")),
        stack=stage.site.settings.name,
        stack_sha256=hashlib.sha256(stage.site.settings.file.read_bytes()).hexdigest(),
        objective=msgspec.to_builtins(evidence.objective),
        measured={
            "detected_seconds": evidence.detected_seconds,
            "recovery_seconds": evidence.recovery_seconds,
            "lost_accepted_writes": counts["lost"],
            "lost_window_seconds": evidence.lost_window_seconds,
        },
        ledger=counts,
        run=run,
        journal=Path(journal).name,
        journal_entries=len(entries),
        journal_head=entries[-1].hash,
        evidence_sha256=hashlib.sha256((Path(journal).parent / EVIDENCE).read_bytes()).hexdigest(),
    )


def _put(file: Path, document: Any) -> None:  # noqa: ANN401 - any JSON
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
