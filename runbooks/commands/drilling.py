"""What `invoke drill` does: run the drills, print each result against its objectives, write JUnit XML."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runbooks.commands.frame.console import account
from runbooks.commands.frame.homes import open_catalog
from runbooks.drills.programme import SCENARIOS, chosen, rehearse
from runbooks.drills.rehearsal import Keeper
from runbooks.model.errors import Exit
from runbooks.render.documents import junit as junit_xml
from runbooks.render.wording import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from runbooks.commands.frame.console import Console
    from runbooks.drills.programme import Report
    from runbooks.drills.rig.papers import Drilled


def listed(console: Console) -> Exit:
    """Print the drills there are."""
    if console.flags.json:
        console.print_json([{"name": scenario.name, "what": scenario.what} for scenario in SCENARIOS])
    else:
        for scenario in SCENARIOS:
            print(f"{scenario.name:<16}{scenario.what}")  # noqa: T201 - the command's own output
    return Exit.DONE


def drill(console: Console, names: Sequence[str], *, every: bool, junit: str) -> Exit:
    """Run the drills and tell how they went."""
    scenarios = chosen(names, every=every)
    signal.signal(signal.SIGTERM, _leave)  # so that what was started is stopped on the way out
    settings = console.settings
    keeper = Keeper(settings, console.runner, lambda: open_catalog(settings), console.redact, console.environ)
    report = rehearse(keeper, scenarios, environ=console.environ, show=console.show, actor=account())
    if junit:
        xml = junit_xml([(d.evidence, d.run or "") for d in report.drills], seconds=report.seconds)
        Path(junit).write_text(console.redact(xml), "utf-8")
    for line in lines(report):
        print(console.redact(line), file=sys.stderr if console.flags.json else sys.stdout)
    if console.flags.json:
        console.print_json(document(report))
    return Exit.DONE if report.passed else Exit.FAILED


def document(report: Report) -> dict[str, Any]:
    """Return the result as `--json` prints it."""
    return {"passed": report.passed, "drills": [_document(drilled) for drilled in report.drills]}


def lines(report: Report) -> Iterator[str]:
    """Yield the result for people."""
    for drilled in report.drills:
        evidence, limits = drilled.evidence, drilled.evidence.objective
        detected, recovered = evidence.detected_seconds, evidence.recovery_seconds
        yield ""
        yield f"{evidence.drill}: {'proven' if evidence.passed else 'NOT PROVEN'}"
        yield f"  detected after       {'never' if detected is None else span(detected)}"
        took = "never" if recovered is None else span(recovered)
        yield f"  recovered after      {took}   (objective {span(limits.rto_seconds)})"
        counts = evidence.counts
        lost = f"{counts.lost} of {counts.accepted} within {span(evidence.lost_window_seconds)}"
        said = f"{lost}   (objective {span(limits.rpo_seconds)})" if counts.requests else "no traffic in this drill"
        yield f"  accepted writes lost {said}"
        yield from (f"  problem              {problem}" for problem in evidence.problems)
        for name, path in (
            ("journal", drilled.journal),
            ("post-mortem", drilled.postmortem),
            ("attestation", drilled.attestation),
        ):
            if path is not None:
                yield f"  {name:<20} {path}"
    proven = sum(drilled.evidence.passed for drilled in report.drills)
    yield ""
    yield f"{proven} of {len(report.drills)} drills proven in {span(report.seconds)}"
    if report.stack_file is not None:
        yield f"Look closer: invoke runs.show --stack {shlex.quote(str(report.stack_file))}"


def _document(drilled: Drilled) -> dict[str, Any]:
    evidence = drilled.evidence
    return {
        "name": evidence.drill,
        "passed": evidence.passed,
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


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
