"""Starting and stopping the local twin, and never anything else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.clients import twin
from runbooks.model.errors import ActError, NotSo

if TYPE_CHECKING:
    from pathlib import Path


def begin(
    state: Path, root: Path, environment: dict[str, str] | None = None, *, outlives_us: bool = False
) -> twin.TwinProcess:
    """Start a twin with some identity."""
    return twin.start(
        state=state,
        account="5f1d0c2b7a9e4f8386d1b0c4e2a97f35",
        zone="ems.example",
        project="emstwinprojectlocala",
        root=root,
        environment=environment or dict(os.environ),
        outlives_us=outlives_us,
    )


def note(state: Path, pid: int) -> None:
    """Leave a twin's note that names a process."""
    addresses = twin.Addresses(pid, "http://127.0.0.1:1/client/v4", "", "", "", "", {}, "")
    state.mkdir()
    (state / twin.NOTE).write_bytes(msgspec.json.encode(addresses))


def test_a_process_that_is_no_twin_is_left_alone(tmp_path: Path) -> None:
    """A recorded number that belongs to something else by now is never ended."""
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "serve"])
    try:
        note(tmp_path / "state", other.pid)
        assert twin.running(tmp_path / "state") is None
        assert twin.stop(tmp_path / "state") is False
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_twin_that_does_not_end_is_named(tmp_path: Path) -> None:
    """A twin that ignores the request is an error with the command that ends it."""
    state = tmp_path / "state"
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    words = [sys.executable, "-c", code, "serve", "--state", str(state)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        note(state, stubborn.pid)
        with pytest.raises(NotSo, match=f"expected process {stubborn.pid} to end within 0 s") as raised:
            twin.stop(state, seconds=0.3)
        assert raised.value.next_command == f"kill -9 {stubborn.pid}"
        stubborn.kill()


def test_a_start_that_fails_shows_the_last_words(tmp_path: Path) -> None:
    """When the twin ends early its error output is in the message."""
    (tmp_path / "twin.py").write_text("import sys; print('port 1 is taken', file=sys.stderr); sys.exit(2)", "utf-8")
    with pytest.raises(ActError, match="got exit 2: port 1 is taken"):
        begin(tmp_path / "state", tmp_path)


def test_a_twin_never_sees_a_providers_secret(tmp_path: Path) -> None:
    """Tokens of real providers in our environment do not reach the twin."""
    (tmp_path / "twin.py").write_text("import os, sys; print(sorted(os.environ), file=sys.stderr)", "utf-8")
    environment = {"PATH": os.environ["PATH"], "CLOUDFLARE_API_TOKEN": "real", "EMS_OPS_CACHE": "x"}
    with pytest.raises(ActError, match="EMS_OPS_CACHE") as raised:
        begin(tmp_path / "state", tmp_path, environment)
    assert "CLOUDFLARE_API_TOKEN" not in str(raised.value)


@pytest.mark.twin
def test_a_twin_is_found_and_stopped_by_its_folder(tmp_path: Path, root: Path) -> None:
    """A twin that outlives its starter is found by its folder, takes faults, and is stopped from anywhere."""
    state = tmp_path / "state"
    started = begin(state, root, outlives_us=True)
    try:
        assert twin.running(state) == started.addresses
        control = twin.control(started.addresses.cloudflare)
        control.fault(twin.Fault(provider="supabase", method="GET", path="/v1", do=twin.Do(status=503)))
        control.clear_faults()
        assert control.calls() == ()
        assert control.state()["addresses"]["edge"] == started.addresses.edge
        control.transport.close()
    finally:
        started.process.poll()
        assert _stop(state, started)
    assert twin.stop(state) is False


def _stop(state: Path, started: twin.TwinProcess) -> bool:
    """Stop by the folder; our own child is waited for, so that no dead entry stays behind."""
    waiting = threading.Thread(target=started.process.wait)
    waiting.start()
    stopped = twin.stop(state)
    waiting.join()
    started.stop()
    return stopped
