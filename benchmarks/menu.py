"""`invoke --list` of this repository against `invoke --list` of a tasks file with one empty task."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.pairs import alternate

ROOT = Path(__file__).resolve().parents[1]
EMPTY = '"""Nothing."""\n\nfrom invoke import task\n\n\n@task\ndef nothing(c):\n    """Do nothing."""\n'


def measure(runs: int) -> dict[str, Any]:
    """Return seconds of a whole process, from start to end."""

    def listing(folder: Path) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "invoke", "--list"], cwd=folder, capture_output=True, check=True)
        return time.perf_counter() - began

    with tempfile.TemporaryDirectory() as name:
        empty = Path(name)
        (empty / "tasks.py").write_text(EMPTY)
        for folder in (ROOT, empty):
            listing(folder)  # byte code is written once
        result = alternate(lambda: listing(ROOT), lambda: listing(empty), runs)
    return {"name": "list", **result, "peer_is": "invoke --list of a tasks file with one empty task"}
