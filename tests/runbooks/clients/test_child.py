"""Programs that end with us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from runbooks.clients import child

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, waiting a little."""
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_program_sees_only_the_environment_it_is_given(tmp_path: Path) -> None:
    """Nothing of our own environment reaches a program."""
    words = [sys.executable, "-c", "import os; print(sorted(os.environ)); print('no newline', end='')"]
    program = child.start(words, folder=tmp_path, environment={"A": "1"}, stderr=None)
    said = list(child.lines(program, seconds=10))
    assert said[-1] == b"no newline"
    assert b"'A'" in said[0]
    assert b"HOME" not in said[0]
    assert child.stop(program) == 0


def test_waiting_has_an_end(tmp_path: Path) -> None:
    """A program that says nothing more in time is a TimeoutError, and stops when it is told to."""
    program = child.start(SLEEP, folder=tmp_path, environment={}, stderr=None)
    with pytest.raises(TimeoutError):
        list(child.lines(program, seconds=0.5))
    assert child.stop(program) == -signal.SIGTERM


def test_a_stubborn_program_is_ended(tmp_path: Path) -> None:
    """A program that ignores the request is killed after the grace."""
    program = child.start(STUBBORN, folder=tmp_path, environment={}, stderr=None)
    assert next(child.lines(program, seconds=10)) == b"up"
    assert child.stop(program, grace=0.2) == -signal.SIGKILL


def test_the_end_of_error_output_is_kept() -> None:
    """An error shows the last words only."""
    with tempfile.TemporaryFile() as stderr:
        stderr.write(b"x" * 9000 + "last words é".encode())
        assert child.tail(stderr).endswith("xx last words é".replace("xx ", ""))
        assert len(child.tail(stderr)) <= child.TAIL


@pytest.mark.skipif(sys.platform != "linux", reason="the tie to the parent is Linux's")
def test_a_program_dies_with_us_even_when_we_are_killed(tmp_path: Path, root: Path) -> None:
    """Kill -9 of the process that started it ends the program too."""
    code = (
        "import pathlib, sys, time\n"
        "from runbooks.clients import child\n"
        f"p = child.start({SLEEP!r}, folder=pathlib.Path({str(tmp_path)!r}), environment={{}}, stderr=None)\n"
        "next(child.lines(p, seconds=10))\n"
        "print(p.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert is_gone(pid)
