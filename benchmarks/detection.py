"""Plant every fault that we know of in a restored database, and count which of them the checks catch.

Each on a fresh copy of a healthy one. `ours` is the share that is caught by the manifest or without one, `peer` what a
comparison of row counts alone catches. Healthy restores (recoveries to a point, dumps loaded elsewhere, copies) must
raise no alarm. What catches what is written into `runbooks/steps/VERIFICATION.md`.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.databases.faults import FAULTS, Fault
from benchmarks.databases.subjects import DEPOT, EXAMPLE, copy, dump_and_load
from benchmarks.databases.trials import NOTE, Bench, Seen, bench, recovered
from runbooks.steps.database.proof.manifest import EVERYTHING

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "runbooks" / "steps" / "VERIFICATION.md"
HEALTHY: Final = {"recovered to a point": 3, "dumped and loaded": 3, "copied": 4}
"""How often each kind of healthy restore is made, of both databases."""
INTRODUCTION: Final = """\
# What the verification of a restored database catches

Written by `python -m benchmarks detection`, which plants each fault in a fresh copy of a healthy database and lets the
real checks look: compared with the manifest of a backup, and as after a recovery to a point, where there is only what
the present knew. Faults are planted before the point: commit times do not give them away.
"""
LIMITS: Final = """
Without a manifest, a table's rows are proven by the digest of those that were there at the point and still are, in 64
parts: rows that were altered or deleted after the point (here: one of `depot.customers`) hide one part each, new
columns (here: of `ledger.settings`) the whole table. Nothing is known of unlogged tables, large objects, sequences
that no column owns, and of rows that should not be there but were written before the point. Definitions are held to
those of the present as far as nobody wrote them since the point.
"""
USUAL: Final = ("column ledger.settings.later", "table depot.sessions: unlogged")
"""Notes about healthy restores as well."""
NOTHING: Final = "nothing"
SHOWN: Final = 110  # characters of a finding in the document


def measure(_runs: int) -> dict[str, Any]:
    """Plant everything once; write the document."""
    began = time.monotonic()
    seen: dict[Fault, Seen] = {}
    with bench(FAULTS, subjects=(DEPOT, EXAMPLE)) as made:
        for fault in FAULTS:
            seen[fault] = made.seen(fault)
            _report(f"{len(seen)}/{len(FAULTS)} faults; {time.monotonic() - began:.0f} s")
    alarms, restores = healthy()
    DOCUMENT.write_text(document(seen, alarms, restores), "utf-8")
    missed = [fault.name for fault in FAULTS if not caught(seen[fault])]
    counted = sum(bool(row_counts(one)) for one in seen.values())
    return {
        "name": "detection",
        "ours": round(1 - len(missed) / len(FAULTS), 4),
        "peer": round(counted / len(FAULTS), 4),
        "ratio": round((len(FAULTS) - len(missed)) / max(counted, 1), 2),
        "runs": 1,
        "unit": "share of faults caught",
        "faults": len(FAULTS),
        "missed": missed,
        "caught_by_manifest": sum(bool(one.by_manifest) for one in seen.values()),
        "caught_without_manifest": sum(bool(alone(one)) for one in seen.values()),
        "healthy_restores": restores,
        "false_alarms": alarms,
        "seconds": round(time.monotonic() - began, 1),
        "peer_is": "the number of rows of every table, before and after",
    }


def healthy(times: dict[str, int] = HEALTHY) -> tuple[list[str], int]:
    """Restore healthy databases in every way; return the false alarms, and how many restores there were."""
    alarms: list[str] = []
    restores = 0
    with bench((), subjects=(DEPOT, EXAMPLE)) as made:
        for way, often in times.items():
            for number in range(often):
                for label, seen in _restored(made, way, number):
                    restores += 1
                    alarms += [f"{label}: {text}" for text in [*seen.by_manifest, *alone(seen)]]
                _report(f"{restores} healthy restores, {len(alarms)} alarms")
    return alarms, restores


def _restored(made: Bench, way: str, number: int) -> list[tuple[str, Seen]]:
    """Restore both databases in one way; return what the checks say of them."""
    if way == "recovered to a point":
        with recovered(made) as other:
            return [(f"{way}, {name}", made.look(name, other, name, aspects=EVERYTHING)) for name in made.subjects]
    found = []
    for name in made.subjects:
        target = f"{name}_{way.partition(' ')[0]}_{number}"
        if way == "copied":
            copy(made.server, name, target)
            found.append((f"{way}, {name}", made.look(name, made.server, target)))
        else:
            dump_and_load(made.server, name, target, dump=made.folder / target)
            found.append((f"{way}, {name}", made.look_at_dump(name, target)))
    return found


def caught(seen: Seen) -> bool:
    """Tell whether a fault was called one."""
    return bool(seen.by_manifest or alone(seen))


def alone(seen: Seen) -> list[str]:
    """Return what was called a fault without a manifest."""
    return [text for text in seen.alone if not text.startswith(NOTE)]


def row_counts(seen: Seen) -> list[str]:
    """Return the findings that a comparison of row counts would have had as well."""
    return [text for text in seen.by_manifest if text.startswith("rows of table") and "digest" not in text]


def document(seen: dict[Fault, Seen], alarms: list[str], restores: int) -> str:
    """Return the document: which fault is caught by what."""
    both = sum(caught(one) for one in seen.values())
    by_manifest = sum(bool(one.by_manifest) for one in seen.values())
    without = sum(bool(alone(one)) for one in seen.values())
    only = [fault.name for fault, one in seen.items() if one.by_manifest and not alone(one)]
    counted = (
        f"{len(seen)} faults: {both} caught; {by_manifest} by the manifest, {without} without one. {restores} healthy "
        f"restores (recovered to a point, dumped and loaded, copied): {len(alarms)} false alarms."
    )
    lines = [
        INTRODUCTION,
        counted,
        LIMITS,
        f"Only a manifest catches: {', '.join(only)}.",
        "",
    ]
    groups = dict.fromkeys(fault.group for fault in seen)
    for group in groups:
        lines += [f"## {group.capitalize()}", "", "| fault | with a manifest | without |", "|---|---|---|"]
        for fault, one in seen.items():
            if fault.group == group:
                lines.append(f"| {fault.name} | {_cell(one.by_manifest)} | {_cell(one.alone)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: list[str]) -> str:
    """Return the first finding and how many more there are, without what differs from run to run."""
    loud = [text for text in found if not text.startswith(NOTE)]
    loud = loud or [text for text in found if not any(usual in text for usual in USUAL)]
    if not loud:
        return NOTHING
    text = re.sub(r"…[0-9a-f]{12}|\b\d{15,}\b|\b[0-9a-f]{16}\b", "…", loud[0])
    text = re.sub(r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*(\+00:00)?", "…", text)
    text = re.sub(r"Database \S+: |127\.0\.0\.1:\d+|page \d+ of|block \d+|base/\d+/\d+", "…", text)
    text = re.sub(r"\d+ or more of", "some of", text)  # identifiers are drawn anew in each run
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return f"{text[:SHOWN]}{'…' if len(text) > SHOWN else ''}{f' (+{len(loud) - 1})' if len(loud) > 1 else ''}"


def _report(text: str) -> None:
    sys.stderr.write(f"\r{text}   ")
    sys.stderr.flush()
