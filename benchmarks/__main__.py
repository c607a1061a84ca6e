"""Run one benchmark and print its result as one JSON object: `python -m benchmarks NAME`.

Keys: name, ours, peer, ratio (ours divided by peer, medians of alternating runs), runs, unit, and what is particular.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys

NAMES = (
    *("twin_start", "drill", "list", "step_overhead", "kill_sweep", "signal_sweep", "fault_matrix", "digest"),
    *("backup", "restore_dump", "detection", "rollback", "edge", "pitr_fuzz", "restore_archive"),
)
ELSEWHERE = {"list": "menu", "rollback": "traffic.rollback", "edge": "traffic.edge"}


def main(arguments: list[str]) -> int:
    """Run the named benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and print one JSON object.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--runs", type=int, default=5, help="how often each side is measured")
    parser.add_argument("--peers", metavar="PYTHON", help="of step_overhead: the Python that has the peers installed")
    parser.add_argument("--gigabytes", type=float, help="of digest, backup, restore_…: how much data (0.3)")
    parser.add_argument("--points", type=int, help="of pitr_fuzz: to how many points of a live workload (120)")
    parser.add_argument("--subjects", nargs="+", metavar="NAME", help="of …_sweep, fault_matrix: only these, by name")
    given = parser.parse_args(arguments)
    more = {
        name: value
        for name in ("peers", "gigabytes", "points", "subjects")
        if (value := getattr(given, name)) is not None
    }
    module = importlib.import_module(f"benchmarks.{ELSEWHERE.get(given.name, given.name)}")
    print(json.dumps(module.measure(given.runs, **more), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
