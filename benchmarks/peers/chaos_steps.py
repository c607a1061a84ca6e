"""Run one Chaos Toolkit experiment of so many actions that do nothing: `python chaos_steps.py FOLDER COUNT`.

Its journal is written once, after the run: nothing is on disk before. That one write is part of what is measured.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path

from chaoslib.run import Runner, Strategy  # type: ignore[import-not-found] # a peer, installed by who measures


def nothing(number: int) -> dict[str, int]:
    """Do nothing: the action's function, imported by the peer under this module's name."""
    return {"made": number}


def experiment(count: int) -> dict[str, object]:
    """Return an experiment of so many actions."""
    actions = [
        {
            "type": "action",
            "name": f"step {number}",
            "provider": {
                "type": "python",
                "module": "chaos_steps",
                "func": "nothing",
                "arguments": {"number": number},
            },
        }
        for number in range(count)
    ]
    return {"version": "1.0.0", "title": "steps", "description": "steps", "method": actions, "rollbacks": []}


if __name__ == "__main__":
    logging.getLogger("logzero_default").setLevel(logging.CRITICAL)
    folder, asked = Path(sys.argv[1]), int(sys.argv[2])
    began = time.perf_counter()
    with Runner(Strategy.DEFAULT) as runner:
        journal = runner.run(experiment(asked), {})
        (folder / "journal.json").write_text(json.dumps(journal, default=str))
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "version": version("chaostoolkit-lib"), "recorded": len(journal["run"])}))
