"""`invoke rollback` as a whole process, beside `wrangler rollback` on the same twin; and a rollback under load.

The peer only routes the traffic. Ours also quarantines, pins, proves the health contract and the smoke checks, records,
and keeps a journal. `processor` compares the seconds of processor time, which other programs disturb less.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.pairs import alternate
from benchmarks.sweeping.place import opened
from benchmarks.traffic.crowd import PER_SECOND, crowd, heard
from runbooks.commands.frame import ROOT
from tests.twin.official import wrangler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.sweeping.place import Place

LIMIT: Final = 0.4  # of the peer's time
AFTERWARDS: Final = 1.0  # seconds in which no bad answer may come any more
OK: Final = 200


def measure(runs: int) -> dict[str, Any]:
    """Return seconds of both commands from nothing rolled back to their end, and what users saw of one of ours."""
    spent: dict[str, list[float]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "place") as place:
        program = _program(place, Path(folder))

        def ours() -> float:
            return _timed(place, lambda: _ours(place), spent["ours"])

        def peer() -> float:
            return _timed(place, lambda: program, spent["peer"])

        result = alternate(ours, peer, runs)
        seen = _under_load(place, Path(folder) / "heard.jsonl")
    processor = {side: round(median(seconds), 4) for side, seconds in spent.items()}
    return {
        "name": "rollback",
        **result,
        "limit": LIMIT,
        "processor": {**processor, "ratio": round(processor["ours"] / processor["peer"], 3)},
        "under_load": seen,
        "peer_is": "wrangler 4.86.0 rollback -y: it routes the traffic, and proves, pins and remembers nothing",
    }


Typed = tuple[list[str], dict[str, str], Path]
"""A command: its words, its environment, its folder."""


def _ours(place: Place) -> Typed:
    words = [sys.executable, "-m", "invoke", "rollback", f"--stack={place.direct().stack_file}"]
    return [*words, "--yes", "--reason=a benchmark"], {**os.environ, **place.stage.site.environ}, ROOT


def _program(place: Place, folder: Path) -> Typed:
    node, program, modules = wrangler.install()
    addresses = place.stage.addresses
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "NODE_PATH": modules,
        "CI": "1",
        "NO_COLOR": "1",
        "WRANGLER_SEND_METRICS": "false",
        "WRANGLER_HIDE_BANNER": "true",
        "CLOUDFLARE_API_BASE_URL": addresses.cloudflare,
        "CLOUDFLARE_API_TOKEN": addresses.tokens["CLOUDFLARE_API_TOKEN"],
        "CLOUDFLARE_ACCOUNT_ID": addresses.account,
    }
    name = place.stage.site.settings.stack.api.name
    return [str(node), "--no-warnings", str(program), "rollback", "-y", "--name", name], environ, folder


def _timed(place: Place, command: Callable[[], Typed], spent: list[float]) -> float:
    """Run a command on the new release, see that the old one is live; return its seconds, note its processor time."""
    place.rest()
    words, environ, folder = command()
    before, began = _processor(), time.perf_counter()
    _done(words, environ, folder)
    seconds = time.perf_counter() - began
    spent.append(_processor() - before)
    live = place.stage.site.cloudflare.live(place.stage.site.settings.stack.api.name)
    if live is None or live.version != place.old:
        message = f"{' '.join(words)}: expected {place.old} to be live, got {live}"
        raise AssertionError(message)
    return seconds


def _done(words: list[str], environ: Mapping[str, str], folder: Path) -> str:
    done = subprocess.run(words, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"{' '.join(words)}: exit {done.returncode}: {done.stdout}{done.stderr}"
        raise AssertionError(message)
    return done.stdout


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _under_load(place: Place, file: Path) -> dict[str, Any]:
    """Roll back while users ask; an answer of the release that is left is a bad one, no answer or no 200 a failure."""
    place.rest()
    api = place.stage.site.settings.stack.api
    words, environ, folder = _ours(place)
    words.append("--json")
    with crowd(edge=place.stage.addresses.edge, host=api.host, path=api.health.path, file=file):
        time.sleep(AFTERWARDS)
        began = time.time()
        told = json.loads(_done(words, environ, folder))
        ended = time.time()
        time.sleep(AFTERWARDS)
    answers = heard(file)
    bad = [one.at for one in answers if one.version == place.new]
    return {
        "per_second": round(len(answers) / (answers[-1].at - answers[0].at), 1),
        "wanted_per_second": PER_SECOND,
        "requests": len(answers),
        "failed": sum(one.status != OK for one in answers),
        "bad": len(bad),
        "good": sum(one.version == place.old for one in answers),
        "seconds_to_last_bad": round(max(bad) - began, 3),
        "seconds": round(ended - began, 3),
        "status": told["status"],
    }
