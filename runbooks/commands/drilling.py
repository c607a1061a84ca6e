"""What `invoke drill` does: run the drills, print each result against its objectives, write JUnit XML."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runbooks.commands.frame.console import account
from runbooks.commands.frame.homes import open_catalog
from runbooks.commands.frame.naming import of_stack
from runbooks.commands.frame.speaking import unexpected
from runbooks.drills.programme import SCENARIOS, chosen, missing, rehearse
from runbooks.drills.rehearsal import Keeper
from runbooks.drills.rig.stages import Stages
from runbooks.model.errors import Exit, OpsError, Refused
from runbooks.model.evidence import Verdict
from runbooks.render.documents import junit as junit_xml
from runbooks.render.wording import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from infra.stack import Stack
    from runbooks.commands.frame.console import Console
    from runbooks.drills.programme import Report
    from runbooks.drills.rehearsal import Rehearsal
    from runbooks.drills.rig.papers import Drilled
    from runbooks.drills.rig.scenario import Scenario
    from runbooks.model.evidence import DrillEvidence


def listed(console: Console) -> Exit:
    """Print the drills there are, and which of them the product has nothing for."""
    absent = _absent(SCENARIOS, console.settings.stack)
    if console.flags.json:
        console.print_json(
            [{"name": one.name, "what": one.what, "not_applicable": absent.get(one.name)} for one in SCENARIOS]
        )
    else:
        for scenario in SCENARIOS:
            why = f" (not applicable: {absent[scenario.name]})" if scenario.name in absent else ""
            print(f"{scenario.name:<20}{scenario.what}{why}")  # noqa: T201 - the command's own output
    return Exit.DONE


def _absent(scenarios: Sequence[Scenario | Rehearsal], stack: Stack) -> dict[str, str]:
    """Return by name the drills that this product has nothing for, and why."""
    return {scenario.name: why for scenario in scenarios if (why := missing(scenario, stack))}


def drill(console: Console, names: Sequence[str], *, every: bool, junit: str) -> Exit:
    """Run the drills and tell how they went."""
    scenarios = chosen(names, every=every)
    settings, redact, stop = console.settings, console.redact, console.stop
    absent = _absent(scenarios, settings.stack)
    if absent and not every:
        name, why = next(iter(absent.items()))
        message = f"drill {name}: not applicable to {settings.file.name}: {why}."
        raise Refused(message, next_command=f"invoke drill --list --stack {shlex.quote(settings.argument)}")
    scenarios = tuple(scenario for scenario in scenarios if scenario.name not in absent)
    keeper = Keeper(settings, console.runner, lambda: open_catalog(settings), redact, console.environ, stop)
    stages = Stages(settings, console.environ, console.show, account(), stop, redact)
    report = rehearse(keeper, scenarios, stages, explain=lambda error: _text(error, console))
    console.show.end()
    if junit:
        drills = [(drilled.evidence, drilled.run or "") for drilled in report.drills]
        xml = junit_xml(drills, absent=[*absent.items()], seconds=report.seconds)
        Path(junit).write_text(console.redact(xml), "utf-8")
    for line in lines(report, absent):
        print(console.redact(line), file=sys.stderr if console.flags.json else sys.stdout)
    next_command = (
        of_stack(f"invoke drill {' '.join(report.unproven)}", console.flags.stack) if report.unproven else None
    )
    if console.flags.json:
        console.print_json(document(report, absent, next_command))
    if next_command:
        console.show.next(next_command)
    return report.exit


def document(report: Report, absent: Mapping[str, str], next_command: str | None) -> dict[str, Any]:
    """Return the result as `--json` prints it; `absent` are the drills that the product has nothing for."""
    return {
        "passed": report.passed,
        "exit": int(report.exit),
        "drills": [_document(drilled) for drilled in report.drills],
        "not_applicable": absent,
        "next_command": next_command,
    }


def lines(report: Report, absent: Mapping[str, str]) -> Iterator[str]:
    """Yield the result for people."""
    for drilled in report.drills:
        evidence = drilled.evidence
        yield ""
        yield f"{evidence.drill}: {evidence.verdict if evidence.passed else evidence.verdict.upper()}"
        if evidence.measured:
            yield from _figures(evidence)
        yield from (f"  problem              {problem}" for problem in evidence.problems)
        for name, path in (
            ("journal", drilled.journal),
            ("post-mortem", drilled.postmortem),
            ("attestation", drilled.attestation),
        ):
            if path is not None:
                yield f"  {name:<20} {path}"
    yield ""
    yield from (f"{name}: not applicable: {why}" for name, why in absent.items())
    yield from _in_all(report)
    for file in report.stack_files:
        yield f"Look closer: invoke runs.show --stack {shlex.quote(str(file))}"


def _figures(evidence: DrillEvidence) -> Iterator[str]:
    limits, counts = evidence.objective, evidence.counts
    detected, recovered = evidence.detected_seconds, evidence.recovery_seconds
    yield f"  detected after       {'never' if detected is None else span(detected)}"
    took = "never" if recovered is None else span(recovered)
    yield f"  recovered after      {took}   (objective {span(limits.rto_seconds)})"
    lost = f"{counts.lost} of {counts.accepted} within {span(evidence.lost_window_seconds)}"
    said = f"{lost}   (objective {span(limits.rpo_seconds)})" if counts.requests else "no traffic in this drill"
    yield f"  accepted writes lost {said}"


def _in_all(report: Report) -> Iterator[str]:
    """Yield how many drills were proven, and the names of those that were not."""
    ended = {
        verdict: [one.evidence.drill for one in report.drills if one.evidence.verdict is verdict] for verdict in Verdict
    }
    proven = ended.pop(Verdict.PROVEN)
    yield f"{len(proven)} of {len(report.drills)} drills proven in {span(report.seconds)}"
    yield from (f"{verdict}: {', '.join(names)}" for verdict, names in ended.items() if names)


def _text(error: Exception, console: Console) -> str:
    """Return what went wrong, and what to type next where that is known."""
    if not isinstance(error, OpsError):
        return unexpected(error, console, console.redact)
    return f"{error} Next: {error.next_command}" if error.next_command else str(error)


def _document(drilled: Drilled) -> dict[str, Any]:
    evidence = drilled.evidence
    return {
        "name": evidence.drill,
        "passed": evidence.passed,
        "verdict": evidence.verdict,
        "problems": evidence.problems,
        "detected_seconds": evidence.detected_seconds,
        "recovery_seconds": evidence.recovery_seconds,
        "lost_accepted_writes": evidence.counts.lost,
        "lost_window_seconds": evidence.lost_window_seconds,
        "objective": msgspec.to_builtins(evidence.objective),
        "run": drilled.run,
        "journal": drilled.journal,
        "postmortem": drilled.postmortem,
        "attestation": drilled.attestation,
    }
