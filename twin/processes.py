"""Start programs that die with the twin, however the twin dies."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ORPHANS_LIMIT = 5.0
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, prctl(2)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None
Process = asyncio.subprocess.Process


class Owner(NamedTuple):
    """An unprivileged user that a program runs as when the twin is root."""

    name: str
    uid: int
    gid: int


def birth(pid: int) -> str | None:
    """Return when a process was started, in the system's own words, or None when there is none: a pid is reused."""
    if _libc is not None:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        state, *_, started = text.rpartition(")")[2].split()[:20]
        return None if state == "Z" else started
    listed = subprocess.run(  # other systems keep no /proc
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip() or None


def _die_with(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    if _libc is None:
        return None
    prctl, sent = _libc.prctl, int(number)

    def arrange() -> None:
        prctl(_SET_PARENT_DEATH_SIGNAL, sent)
        if os.getppid() != parent:  # the twin died between fork and prctl
            os._exit(1)

    return arrange


class Processes:
    """Start, record and end the twin's programs.

    On Linux the kernel signals each one when the twin dies. Elsewhere, and for what the kernel missed, the record in
    `processes.json` lets the next start on the same state end them.
    """

    def __init__(self, state: Path, sockets: Path) -> None:
        self._file = state / "processes.json"
        self._sockets = sockets
        self._recorded: dict[int, tuple[str, int]] = {}  # when it was started, and what ends it

    async def start(
        self,
        arguments: Sequence[str | Path],
        *,
        log: IO[bytes],
        environment: Mapping[str, str],
        owner: Owner | None = None,
        orphaned: signal.Signals = signal.SIGKILL,
        folder: Path | str = "/",
    ) -> Process:
        """Start a program whose output goes to `log`; it gets `orphaned` when the twin dies."""
        process = await asyncio.create_subprocess_exec(
            *map(str, arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,  # a terminal's ^C reaches the twin alone, which stops them in order
            preexec_fn=_die_with(os.getpid(), orphaned),
            **as_owner(owner),
        )
        self._recorded[process.pid] = (birth(process.pid) or "", int(orphaned))
        self._save()
        return process

    async def end(self, process: Process, number: signal.Signals, *, within: float) -> None:
        """Signal a program and wait; kill it when it has not ended `within` seconds."""
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                await asyncio.wait_for(process.wait(), within)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self.forget(process)

    def forget(self, process: Process) -> None:
        """Strike an ended program from the record."""
        if self._recorded.pop(process.pid, None) is not None:
            self._save()

    def _save(self) -> None:
        record = {"sockets": str(self._sockets), "processes": self._recorded}
        draft = self._file.with_suffix(".tmp")
        draft.write_text(json.dumps(record), encoding="utf-8")
        draft.replace(self._file)


def end_leftovers(state: Path) -> None:
    """End what a killed twin on this state left behind: recorded programs and its folder of sockets.

    On Linux they are ending already; a server must be gone before another one starts on its data.
    """
    file = state / "processes.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return
    left = {int(pid): started for pid, (started, _) in record["processes"].items() if birth(int(pid)) == started}
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, record["processes"][str(pid)][1])
    end = time.monotonic() + _ORPHANS_LIMIT
    while left and time.monotonic() < end:
        time.sleep(0.01)
        left = {pid: started for pid, started in left.items() if birth(pid) == started}
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(record["sockets"], ignore_errors=True)
    file.unlink(missing_ok=True)


def as_owner(owner: Owner | None) -> dict[str, Any]:
    """Return the arguments that make `subprocess` run a program as `owner`; none of them when we are no root."""
    return {} if owner is None else {"user": owner.uid, "group": owner.gid, "extra_groups": []}


async def run(
    arguments: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    owner: Owner | None = None,
    text: str = "",
) -> str:
    """Run a short program to its end, give it `text`, return what it printed. UnableError carries its complaint."""
    process = await asyncio.create_subprocess_exec(
        *map(str, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        cwd="/",
        preexec_fn=_die_with(os.getpid(), signal.SIGKILL),
        **as_owner(owner),
    )
    try:
        out, err = await process.communicate(text.encode())
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    if process.returncode:
        said = err.decode(errors="replace").strip() or out.decode(errors="replace").strip()
        message = f"{Path(arguments[0]).name} ended with {process.returncode}: {said[-2000:]}"
        raise UnableError(message)
    return out.decode(errors="replace").strip()
