"""Start `python -m twin serve` as its users do: a process that prints one line and is stopped by a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
SERVE = (sys.executable, "-m", "twin", "serve")


@dataclass
class Running:
    """A twin that is ready, and the line it printed."""

    process: subprocess.Popen[str]
    line: dict[str, Any]

    def ports(self) -> list[int]:
        """Return every TCP port of the line."""
        addresses = [self.line[part] for part in ("cloudflare", "supabase", "edge", "dns", "database_url")]
        return [int(address.rpartition("127.0.0.1:")[2].partition("/")[0]) for address in addresses]

    def programs(self) -> set[int]:
        """Return the twin's own programs: every process below it (Linux)."""
        return below(self.process.pid)


@contextmanager
def running(state: Path, *arguments: str, **options: Any) -> Iterator[Running]:  # noqa: ANN401 - Popen's own
    """Serve on this state until the block ends."""
    process = subprocess.Popen(
        [*SERVE, "--state", str(state), *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, **options
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the twin ended before it was ready"
        yield Running(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            process.kill()
            assert process.stdout is not None
            process.stdout.close()


def below(pid: int) -> set[int]:
    """Return all processes that descend from this one."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(folder.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = children.get(waiting.pop(), [])
        found.update(new)
        waiting += new
    return found


def alive(pid: int) -> bool:
    """Say whether a process runs and is no zombie."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[0] != "Z"
    return False


def answers(port: int) -> bool:
    """Say whether something listens there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def eventually(holds: Callable[[], bool], *, within: float) -> bool:
    """Look again and again until it holds; False when it does not in time."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def kill(pid: int) -> None:
    """End a process without a warning."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
