"""What a drill leaves behind: its evidence, a sealed attestation and a post-mortem, beside the journal of its run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from runbooks import postmortem
from runbooks.engine.record.entry import entries_of
from runbooks.engine.record.home import JOURNAL, RUNS
from runbooks.model.evidence import EVIDENCE
from runbooks.render.documents import SCHEMA, Attestation, attestation_text, sealed

if TYPE_CHECKING:
    from runbooks.drills.rig.bench import Measured
    from runbooks.engine.record.home import Home
    from runbooks.engine.redaction import Redactor
    from runbooks.model.evidence import DrillEvidence
    from runbooks.model.settings import Settings


@dataclass(frozen=True)
class Drilled:
    """One drill's end and where its evidence lies; places are None when no repair ran."""

    evidence: DrillEvidence
    run: str | None
    journal: str | None = None
    postmortem: str | None = None
    attestation: str | None = None


@dataclass(frozen=True)
class Papers:
    """Where a stack's drills leave them."""

    settings: Settings
    home: Home
    redact: Redactor

    def write(self, measured: Measured) -> Drilled:
        """Write evidence, post-mortem and attestation into the folder of the run that repaired."""
        evidence = measured.evidence
        outcome = measured.repaired.outcome if measured.repaired else None
        if outcome is None or outcome.journal is None:
            self.home.replace(f"{evidence.drill}.json", _pretty(self.redact.json(evidence)))
            return Drilled(evidence, None)
        folder = f"{RUNS}/{outcome.run}"
        content = _pretty(self.redact.json(evidence))
        self.home.replace(f"{folder}/{EVIDENCE}", content)
        attestation = sealed(self._attestation(evidence, outcome.run, content))
        self.home.replace(f"{folder}/attestation.json", _pretty(attestation))
        self.home.replace(f"{folder}/attestation.txt", attestation_text(attestation).encode())
        told = postmortem.write(self.settings, self.home, outcome.run, redact=self.redact)
        where = self.home.where(f"{folder}/attestation.json")
        return Drilled(evidence, outcome.run, outcome.journal, told.markdown, where)

    def _attestation(self, evidence: DrillEvidence, run: str, content: bytes) -> Attestation:
        entries = entries_of(self.home, run)
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
            stack=self.settings.name,
            stack_sha256=hashlib.sha256(self.settings.file.read_bytes()).hexdigest(),
            objective=msgspec.to_builtins(evidence.objective),
            measured={
                "detected_seconds": evidence.detected_seconds,
                "recovery_seconds": evidence.recovery_seconds,
                "lost_accepted_writes": counts["lost"],
                "lost_window_seconds": evidence.lost_window_seconds,
            },
            ledger=counts,
            run=run,
            journal=JOURNAL,
            journal_entries=len(entries),
            journal_head=entries[-1].hash,
            evidence_sha256=hashlib.sha256(content).hexdigest(),
        )


def _pretty(document: Any) -> bytes:  # noqa: ANN401 - any JSON
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
