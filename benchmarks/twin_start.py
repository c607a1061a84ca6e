"""From nothing running to a deployed app that answers its health path, by phase.

The peer is what nobody can leave out: plain `initdb`, `postgres` and `workerd`, started side by side, until both
answer. It has no control planes, no edge, no DNS, no WAL archive, no base backup, no data and no release; so it is
compared with the phase `twin` alone, which has all of these but data and release.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.databases.server import as_user, free_port, give, reachable_programs
from benchmarks.pairs import alternate
from runbooks.drills.rig.stage import Phases, staged
from runbooks.model.settings import load
from twin import packages

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 5.0  # seconds from nothing to an answer
PEER_LIMIT = 60.0
HELLO = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = (
    serviceWorkerScript = "addEventListener('fetch', e => e.respondWith(new Response('hello')))",
    compatibilityDate = "2026-04-01")) ],
  sockets = [ (name = "http", address = "127.0.0.1:PORT", http = (), service = "main") ] );
"""


class Silent:
    """Show nothing of the deploy's run."""

    def plan(self, *_what: object) -> None:
        """Show nothing."""

    step_started = progress = step_finished = note = closed = plan


def measure(runs: int) -> dict[str, Any]:
    """Return seconds until ready, of our twin and of the bare engines, and our phases."""
    everything: list[dict[str, float]] = []
    packages.install()

    def ours() -> float:
        everything.append(_phases())
        return everything[-1]["twin"]

    with tempfile.TemporaryDirectory() as name:
        programs = reachable_programs(Path(name))
        result = alternate(ours, lambda: _bare(programs), runs)
    phases = {phase: round(median(one[phase] for one in everything), 3) for phase in everything[-1]}
    return {
        "name": "twin_start",
        **result,
        "phases": phases,
        "nothing_to_answer": phases["cold start"],
        "limit": LIMIT,
        "peer_is": "initdb, postgres and workerd side by side: no control planes, archive, backup, data or release",
    }


def _phases() -> dict[str, float]:
    """Start a twin with a release in an ops home of its own; return the seconds by phase."""
    phases = Phases()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "Pulumi.twin.yaml"
        text = (ROOT / "Pulumi.twin.yaml").read_text("utf-8")
        file.write_text(text.replace("ops_home: .ops/twin", f"ops_home: {name}"), "utf-8")
        base = load(str(file), root=ROOT, environ={})
        with staged(base, environ=dict(os.environ), show=Silent(), actor="benchmark", phases=phases):
            pass
    return phases.seconds


def _bare(programs: Path) -> float:
    """Start both engines as they are; return the seconds until both answer."""
    ports = (free_port(), free_port())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        give(folder)
        (folder / "hello.capnp").write_text(HELLO.replace("PORT", str(ports[1])))
        began = time.perf_counter()
        workerd = subprocess.Popen([packages.workerd(), "serve", folder / "hello.capnp"], cwd=folder)
        words = ["-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync", "--no-instructions"]
        subprocess.run([programs / "bin" / "initdb", *words], cwd=folder, capture_output=True, check=True, **as_user())
        words = ["-D", str(folder / "data"), "-p", str(ports[0]), "-h", "127.0.0.1", "-k", ""]
        with (folder / "log").open("wb") as log:
            postgres = subprocess.Popen(
                [programs / "bin" / "postgres", *words], cwd=folder, stdout=log, stderr=log, **as_user()
            )
        try:
            for port in ports:
                _wait(port)
            return time.perf_counter() - began
        finally:
            for process in (workerd, postgres):
                process.terminate()
                process.wait()


def _wait(port: int) -> None:
    """Wait until somebody accepts connections. PostgreSQL does so before it lets anyone in: that favours the peer."""
    until = time.monotonic() + PEER_LIMIT
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    message = f"port {port}: nobody answers"
    raise TimeoutError(message)
