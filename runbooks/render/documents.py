"""Write what happened for people and machines: post-mortem, attestation, JUnit XML. Same journal, same bytes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from runbooks.model.canonical import digest
from runbooks.model.evidence import Verdict
from runbooks.render.drawing import draw
from runbooks.render.wording import span, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbooks.model.evidence import DrillEvidence
    from runbooks.render.story import Story

SCHEMA: Final = "ems-ops attestation 1"


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """What a drill attests. `sha256` is over the canonical JSON of everything else in the file.

    Where nothing was measured, `measured` and `ledger` are empty, and there is no run: its fields are None.
    """

    schema: str
    drill: str
    passed: bool
    verdict: Verdict
    problems: tuple[str, ...]
    started_at: str
    ended_at: str
    host: str
    actor: str
    code: str
    stack: str
    stack_sha256: str
    objective: dict[str, float]
    measured: dict[str, float | int | None]
    ledger: dict[str, int]
    run: str | None
    journal: str | None
    journal_entries: int
    journal_head: str | None
    evidence_sha256: str


def postmortem(story: Story) -> tuple[str, str]:
    """Return a post-mortem as (Markdown, HTML). The HTML is one file that needs no other."""
    drawing = draw(story)
    values = {"story": story, "evidence": story.evidence, "drawing": drawing}
    markdown = _markdown().get_template("postmortem.md.j2").render(values)
    html = _html().get_template("postmortem.html.j2").render(values)
    return markdown, html


def sealed(attestation: Attestation) -> dict[str, Any]:
    """Return the attestation's content with its own hash."""
    content: dict[str, Any] = msgspec.to_builtins(attestation)
    return {**content, "sha256": digest(content)}


def attestation_text(content: dict[str, Any]) -> str:
    """Return a sealed attestation for people."""
    return _markdown().get_template("attestation.txt.j2").render(content)


def junit(
    drills: Sequence[tuple[DrillEvidence, str]], *, seconds: float, absent: Sequence[tuple[str, str]] = ()
) -> str:
    """Return drills as JUnit XML: one test case a drill; (evidence, run) each.

    One that is not proven is a failure, one that could not be measured an error, with its problems. `absent` are those
    that the product has nothing for, with the reason: they count as skipped.
    """
    kinds = {Verdict.NOT_PROVEN: "failure", Verdict.NOT_MEASURED: "error"}
    counts = {"tests": str(len(drills) + len(absent)), "skipped": str(len(absent))}
    suite = ET.Element("testsuite", {"name": "drill", **counts, "time": f"{seconds:.3f}"})
    for kind in kinds.values():
        suite.set(f"{kind}s", str(sum(kinds.get(evidence.verdict) == kind for evidence, _ in drills)))
    for evidence, run in drills:
        spent = evidence.recovery_seconds or 0.0
        case = ET.SubElement(suite, "testcase", classname="drill", name=evidence.drill, time=f"{spent:.3f}")
        properties = ET.SubElement(case, "properties")
        for name, value in _properties(evidence, run).items():
            ET.SubElement(properties, "property", name=name, value=str(value))
        if not evidence.passed:
            message = evidence.problems[0] if evidence.problems else evidence.verdict
            failure = ET.SubElement(case, kinds[evidence.verdict], message=message)
            failure.text = "\n".join(evidence.problems)
    for name, why in absent:
        case = ET.SubElement(suite, "testcase", classname="drill", name=name, time="0.000")
        ET.SubElement(case, "skipped", message=why)
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _properties(evidence: DrillEvidence, run: str) -> dict[str, object]:
    return {
        "run": run,
        "detected_seconds": evidence.detected_seconds,
        "recovery_seconds": evidence.recovery_seconds,
        "lost_accepted_writes": evidence.counts.lost,
        "lost_window_seconds": evidence.lost_window_seconds,
        "rto_seconds": evidence.objective.rto_seconds,
        "rpo_seconds": evidence.objective.rpo_seconds,
    }


def _cell(value: object) -> object:
    """Keep a value inside its Markdown table cell and out of HTML."""
    if not isinstance(value, str):
        return value
    return " ".join(value.split()).replace("|", "\\|").replace("<", "&lt;")


def _with_words(environment: Environment) -> Environment:
    environment.filters.update(span=span, utc=utc)
    return environment


@cache
def _markdown() -> Environment:
    return _with_words(
        Environment(
            loader=PackageLoader("runbooks.render"),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701 - plain text; `_cell` keeps values out of markup
            finalize=_cell,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
    )


@cache
def _html() -> Environment:
    return _with_words(
        Environment(
            loader=PackageLoader("runbooks.render"),
            undefined=StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
    )
