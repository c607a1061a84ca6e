"""Run one DBOS workflow of so many steps that do nothing, on SQLite in a folder: `python dbos_steps.py FOLDER COUNT`.

SQLite's default is synchronous FULL in a rollback journal, and DBOS leaves it so; both are printed with the seconds.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from importlib.metadata import version
from pathlib import Path

from dbos import DBOS  # type: ignore[import-not-found] # a peer, installed by who measures

FOLDER, COUNT = Path(sys.argv[1]), int(sys.argv[2])
DATABASE = FOLDER / "dbos.sqlite"


@DBOS.step()  # type: ignore[untyped-decorator] # the peer is not installed here
def step(number: int) -> dict[str, int]:
    """Do nothing."""
    return {"made": number}


@DBOS.workflow()  # type: ignore[untyped-decorator] # the peer is not installed here
def workflow(count: int) -> None:
    """Do nothing so many times."""
    for number in range(count):
        step(number)


if __name__ == "__main__":
    DBOS(config={"name": "steps", "system_database_url": f"sqlite:///{DATABASE}", "log_level": "ERROR"})
    DBOS.launch()
    workflow(10)
    began = time.perf_counter()
    workflow(COUNT)
    seconds = time.perf_counter() - began
    DBOS.destroy()
    with sqlite3.connect(DATABASE) as database:
        modes = {name: database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")}
        written = database.execute("SELECT count(*) FROM operation_outputs").fetchone()[0]
    print(json.dumps({"seconds": seconds, "version": version("dbos"), "recorded": written, **modes}))
