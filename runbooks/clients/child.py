"""Start programs so that none outlives the run that started it, unless it must."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from runbooks.model.errors import ActError, CheckError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
GRACE: Final = 10.0  # seconds between asking a program to stop and ending it
LONGEST_PRINT: Final = 120.0  # seconds for a program that only prints
TAIL: Final = 2000  # characters of a program's error output that an error shows


@dataclass(frozen=True)
class Owner:
    """Another user of this machine."""

    uid: int
    gid: int


def _tie_to_parent() -> Callable[[], None] | None:
    """Return what a child calls between fork and exec: get SIGTERM when the thread that started it ends."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def tie() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # ours would only remember it, and the program never learn of it
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before the tie was made
            os.kill(os.getpid(), signal.SIGTERM)

    return tie


def start(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    stderr: IO[bytes] | None,
    outlives_us: bool = False,
    owner: Owner | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program with its standard output as a pipe and nothing to read; as another user where `owner` is given.

    It gets its own session, so that Ctrl-C in the terminal reaches the run alone, which then waits for an effect in
    flight. `environment` is all it gets. Call from the main thread: the tie to us is a tie to the calling thread.
    """
    return subprocess.Popen(
        arguments,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
        preexec_fn=None if outlives_us else _tie_to_parent(),  # noqa: PLW1509 - a few system calls, no lock
    )


def stop(child: subprocess.Popen[bytes], *, grace: float = GRACE) -> int:
    """Ask a program to stop, end it after `grace` seconds, and return its exit code."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            child.kill()
    if child.stdout is not None:
        child.stdout.close()
    return child.wait()


def lines(child: subprocess.Popen[bytes], *, seconds: float) -> Iterator[bytes]:
    """Yield the lines of a program's standard output; raise TimeoutError when `seconds` are over before its end."""
    if child.stdout is None:
        message = "the program was started without a pipe on its standard output"
        raise ValueError(message)
    until = time.monotonic() + seconds
    rest = b""
    while True:
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise TimeoutError
        chunk = child.stdout.read1(65536)  # type: ignore[attr-defined] # a buffered reader has it
        if not chunk:
            if rest:
                yield rest
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def printed(
    words: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float = LONGEST_PRINT
) -> bytes:
    """Return all that a program prints; `python` as its first word means the interpreter that runs us.

    Raises CheckError with the end of its error output unless it ends with 0 within `seconds`.
    """
    arguments = [sys.executable if words[0] == "python" else words[0], *words[1:]]
    with tempfile.TemporaryFile() as stderr:
        program = start(arguments, folder=folder, environment=environment, stderr=stderr)
        try:
            text = b"\n".join(lines(program, seconds=seconds))
            code = program.wait(GRACE)
        except (TimeoutError, subprocess.TimeoutExpired):
            message = f"{' '.join(words)}: expected its end within {seconds:.0f} s, got none; it was stopped."
            raise CheckError(message) from None
        finally:
            stop(program)
        if code:
            message = f"{' '.join(words)}: expected exit 0, got {code}: {tail(stderr)}"
            raise CheckError(message)
    return text


def command(words: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float) -> None:
    """Run a command that may leave a server behind, which stays; `python` as its first word means our interpreter.

    Raises ActError with the end of what it printed unless it ends with 0 within `seconds`.
    """
    arguments = [sys.executable if words[0] == "python" else words[0], *words[1:]]
    with tempfile.TemporaryFile() as said:  # a server holds on to it: of a pipe, nobody would ever see the end
        try:
            code = subprocess.run(
                arguments, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, start_new_session=True, timeout=seconds, check=False,
            ).returncode  # fmt: skip
        except OSError as error:
            message = f"{' '.join(words)}: expected a command of this machine: {error}"
            raise ActError(message) from None
        except subprocess.TimeoutExpired:
            message = f"{' '.join(words)}: expected its end within {seconds:.0f} s, got none; it was stopped."
            raise ActError(message) from None
        if code:
            message = f"{' '.join(words)}: expected exit 0, got {code}: {tail(said)}"
            raise ActError(message)


def tail(stderr: IO[bytes]) -> str:
    """Return the end of what a program wrote to this file."""
    stderr.seek(0)
    return stderr.read().decode("utf-8", "replace")[-TAIL:].strip() or "nothing on its error output"
