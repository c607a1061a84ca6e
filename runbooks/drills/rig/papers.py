"""What a drill leaves behind: its evidence, a sealed attestation and a post-mortem, beside the journal of its run."""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks import postmortem
from runbooks.drills.rig.site import utc_now
from runbooks.engine.record.entry import entries_of
from runbooks.engine.record.home import JOURNAL, RUNS
from runbooks.model.evidence import EVIDENCE
from runbooks.model.version import code_version
from runbooks.render.documents import SCHEMA, Attestation, attestation_text, sealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbooks.drills.rig.bench import Measured
    from runbooks.engine.record.entry import Entry
    from runbooks.engine.record.home import Home
    from runbooks.engine.redaction import Redactor
    from runbooks.model.evidence import DrillEvidence
    from runbooks.model.settings import Settings

ATTESTATION: Final = "attestation"
"""The files' name without its ending, beside the evidence."""


@dataclass(frozen=True)
class Drilled:
    """One drill's end and where its evidence lies; those of a run are None when no repair ran."""

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
    actor: str

    def write(self, measured: Measured) -> Drilled:
        """Write evidence, attestation and post-mortem into the folder of the run that repaired."""
        outcome = measured.repaired.outcome if measured.repaired else None
        if outcome is None or outcome.journal is None:
            return self.without_run(measured.evidence, f"attested/{measured.evidence.drill}")
        where = self._attest(measured.evidence, f"{RUNS}/{outcome.run}", entries_of(self.home, outcome.run))
        told = postmortem.write(self.settings, self.home, outcome.run, redact=self.redact)
        return Drilled(measured.evidence, outcome.run, outcome.journal, told.markdown, where)

    def without_run(self, evidence: DrillEvidence, folder: str) -> Drilled:
        """Write evidence and attestation of a drill in which nothing was repaired into a folder of their own."""
        return Drilled(evidence, None, attestation=self._attest(evidence, folder, ()))

    def _attest(self, evidence: DrillEvidence, folder: str, entries: Sequence[Entry]) -> str:
        """Write evidence and attestation, and return where that lies."""
        content = _pretty(self.redact.json(evidence))
        self.home.replace(f"{folder}/{EVIDENCE}", content)
        attestation = sealed(self._attestation(evidence, folder, entries, content))
        self.home.replace(f"{folder}/{ATTESTATION}.json", _pretty(attestation))
        self.home.replace(f"{folder}/{ATTESTATION}.txt", attestation_text(attestation).encode())
        return self.home.where(f"{folder}/{ATTESTATION}.json")

    def _attestation(
        self, evidence: DrillEvidence, folder: str, entries: Sequence[Entry], content: bytes
    ) -> Attestation:
        ours = {"host": socket.gethostname(), "actor": self.actor, "code": code_version()}
        opened = entries[0].payload if entries else ours
        return Attestation(
            schema=SCHEMA,
            drill=evidence.drill,
            passed=evidence.passed,
            verdict=evidence.verdict,
            problems=tuple(self.redact(problem) for problem in evidence.problems),
            started_at=evidence.fault_at,
            ended_at=evidence.recovered_at or (entries[-1].at if entries else utc_now().isoformat()),
            host=str(opened.get("host", "")),
            actor=str(opened.get("actor", "")),
            code=str(opened.get("code", "")),
            stack=self.settings.name,
            stack_sha256=hashlib.sha256(self.settings.file.read_bytes()).hexdigest(),
            objective=msgspec.to_builtins(evidence.objective),
            measured=_measured(evidence) if evidence.measured else {},
            ledger=msgspec.to_builtins(evidence.counts) if evidence.measured else {},
            run=folder.removeprefix(f"{RUNS}/") if entries else None,
            journal=JOURNAL if entries else None,
            journal_entries=len(entries),
            journal_head=entries[-1].hash if entries else None,
            evidence_sha256=hashlib.sha256(content).hexdigest(),
        )


def _measured(evidence: DrillEvidence) -> dict[str, float | int | None]:
    return {
        "detected_seconds": evidence.detected_seconds,
        "recovery_seconds": evidence.recovery_seconds,
        "lost_accepted_writes": evidence.counts.lost,
        "lost_window_seconds": evidence.lost_window_seconds,
    }


def _pretty(document: Any) -> bytes:  # noqa: ANN401 - any JSON
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
