"""The whole of `invoke drill`, as a process, with warm caches: seconds in all and by phase. There is no peer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 30.0  # seconds on two cores


def measure(runs: int) -> dict[str, Any]:
    """Return the medians over `runs` whole drills."""
    seconds: list[float] = []
    results: list[dict[str, Any]] = []
    for _ in range(runs):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "invoke", "drill", "--json"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        seconds.append(time.perf_counter() - began)
        results.append(json.loads(done.stdout))
        last = Path(results[-1]["drills"][-1]["journal"]).with_name("drill.json")
        results[-1]["phases"] = json.loads(last.read_text("utf-8"))["phases"]  # up to the last drill's documents
    names = list(results[-1]["phases"])
    drills = [drill["name"] for drill in results[-1]["drills"]]
    return {
        "name": "drill",
        "ours": round(median(seconds), 3),
        "peer": None,
        "ratio": None,
        "runs": runs,
        "unit": "s",
        "all_ours": [round(one, 3) for one in seconds],
        "limit": LIMIT,
        "passed": all(result["passed"] for result in results),
        "phases": {name: round(median(result["phases"][name] for result in results), 3) for name in names},
        "drills": {name: _of_drill(results, number) for number, name in enumerate(drills)},
    }


def _of_drill(results: list[dict[str, Any]], number: int) -> dict[str, Any]:
    keys = ("detected_seconds", "recovery_seconds", "lost_accepted_writes", "lost_window_seconds")
    found = {key: [result["drills"][number][key] for result in results] for key in keys}
    return {key: median(values) if None not in values else None for key, values in found.items()}
