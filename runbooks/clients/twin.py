"""The local twin: start and stop its process, and ask it over the wire to break things and to tell what it saw."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from runbooks.clients import child
from runbooks.clients.transport import Transport
from runbooks.model.errors import ActError, NotSo, Refused
from runbooks.model.reconciliation import BREAK, MEND
from runbooks.model.settings import is_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.drills import TwinPorts

READY: Final = 120.0  # seconds from start to the line that says so; a cold PostgreSQL takes about three
INSTALL: Final = 900.0  # seconds to fetch the engines over a slow line
NOTE: Final = "twin.json"
UNABLE: Final = 2  # the exit code by which it says in one line what cannot be done


class Addresses(msgspec.Struct, frozen=True):
    """Where a running twin answers and what it accepts: the line it prints, and its `twin.json`."""

    pid: int
    cloudflare: str
    supabase: str
    edge: str
    dns: str
    database_url: str
    tokens: dict[str, str]
    account: str


class Do(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a fault does to a call: `delay`, `silence`, `stale`, `skew` and `retry_after` in seconds.

    An error `status`, a `silence` or a `kill` of the caller means that the effect did not happen, unless `applied`;
    `reset` is "before" or "after" it. `truncate` ends the body after this share. `stale` answers reads as before the
    last write, for so long after it.
    """

    status: int | None = None
    code: int | str | None = None
    message: str | None = None
    delay: float | None = None
    reset: str | None = None
    applied: bool | None = None
    truncate: float | None = None
    retry_after: int | None = None
    silence: float | None = None
    stale: float | None = None
    kill: bool | None = None
    skew: float | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault for calls of `provider` by `method` and `path` (a pattern): `times` (None: all), after `after` more."""

    provider: str
    method: str
    path: str
    do: Do
    after: int = 0
    times: int | None = 1


class Struck(msgspec.Struct, frozen=True):
    """What became of a fault: how many calls matched, and to how many something happened."""

    seen: int
    struck: int


class Call(msgspec.Struct, frozen=True):
    """A call that the twin saw; `effect` says what it changed, None when nothing; `status` 0: it was cut."""

    seq: int
    at: str
    provider: str
    method: str
    path: str
    status: int
    effect: str | None = None


@dataclass
class TwinProcess:
    """A twin that this process started. It ends with us unless it was told to outlive us."""

    addresses: Addresses
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop it and everything it started."""
        child.stop(self.process)


def install(*, root: Path, environment: Mapping[str, str], python: str = sys.executable) -> None:
    """Fetch the engines into the user's cache where they are not there yet; progress goes to our standard error.

    Raises Refused when something is missing and can't be fetched; the program has said what.
    """
    program = child.start(
        [python, "-m", "twin", "install"], folder=root, environment=_without_secrets(environment), stderr=None
    )
    try:
        for _ in child.lines(program, seconds=INSTALL):
            pass
        code = program.wait(child.GRACE)
    except (TimeoutError, subprocess.TimeoutExpired):
        code = -1
    finally:
        child.stop(program)
    if code:
        message = "python -m twin install: expected the twin's engines in the cache, they can't be fetched (see above)."
        raise Refused(message, next_command="python -m twin install")


def start(
    *,
    state: Path,
    account: str,
    zone: str,
    project: str,
    root: Path,
    environment: Mapping[str, str],
    ports: TwinPorts | None = None,
    outlives_us: bool = False,
    seconds: float = READY,
    python: str = sys.executable,
) -> TwinProcess:
    """Start a twin on `state` and wait until it is ready; free ports unless given. Call from the main thread.

    Raises Refused when it says what cannot be done (a port is taken), ActError when it isn't ready after `seconds`.
    """
    arguments = [python, "-m", "twin", "serve", "--state", str(state)]
    arguments += ["--account", account, "--zone", zone, "--project", project]
    arguments += [*_fixed(ports), *(["--outlive-parent"] if outlives_us else [])]
    try:
        state.mkdir(parents=True, exist_ok=True)
        said = (state / "serve.stderr").open("w+b")
    except OSError as error:
        message = f"Twin on {state}: its folder cannot be written: {error.strerror}."
        raise Refused(message) from error
    with said as stderr:
        program = child.start(
            arguments,
            folder=root,
            environment=_without_secrets(environment),
            stderr=stderr,
            outlives_us=outlives_us,
        )
        return TwinProcess(_ready(program, state, stderr, seconds), program)


def _ready(program: subprocess.Popen[bytes], state: Path, stderr: IO[bytes], seconds: float) -> Addresses:
    """Wait for the line that tells the addresses; a twin that doesn't come to that is stopped."""
    ready: Addresses | None = None
    try:
        line = next(child.lines(program, seconds=seconds), b"")
        ready = msgspec.json.decode(line, type=Addresses)
    except (TimeoutError, msgspec.DecodeError):
        code = child.stop(program)
        if (said := child.tail(stderr)).startswith("twin: ") and code == UNABLE:
            message = f"Twin on {state}: it was not started: {said.removeprefix('twin: ')}."
            raise Refused(message, next_command="invoke twin.up") from None
        message = f"Twin on {state}: expected it to be ready within {seconds:.0f} s, got exit {code}: {said}"
        raise ActError(message, next_command="invoke twin.up") from None
    finally:
        if ready is None:
            child.stop(program)
    return ready


def running(state: Path) -> Addresses | None:
    """Return the addresses of the twin that runs on this state folder, or None when none does."""
    note = state / NOTE
    if not note.is_file():
        return None
    addresses = msgspec.json.decode(note.read_bytes(), type=Addresses)
    return addresses if _is_twin(addresses.pid, state) else None


def stop(state: Path, *, seconds: float = child.GRACE) -> bool:
    """Stop the twin that runs on this state folder, whoever started it; False when none does.

    The recorded process is only asked to stop when its command line says that it is a twin on this very folder.
    Raises NotSo when it is still there after `seconds`.
    """
    found = running(state)
    if found is None:
        return False
    os.kill(found.pid, signal.SIGTERM)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not _is_twin(found.pid, state):
            return True
        time.sleep(0.05)
    message = f"Twin on {state}: expected process {found.pid} to end within {seconds:.0f} s, it is still there."
    raise NotSo(message, next_command=f"kill -9 {found.pid}")


def discard(state: Path) -> None:
    """Remove a twin that doesn't run any more: its folder, and the database that it may have put elsewhere.

    Raises Refused while it runs.
    """
    if running(state) is not None:
        message = f"Twin on {state}: expected it to be stopped, it runs; nothing was removed."
        raise Refused(message)
    elsewhere = state / "postgres.json"
    if elsewhere.is_file():
        shutil.rmtree(msgspec.json.decode(elsewhere.read_bytes(), type=dict[str, str])["folder"], ignore_errors=True)
    shutil.rmtree(state, ignore_errors=True)


@dataclass(frozen=True)
class TwinControl:
    """The twin's own API: break it, fire a schedule, and read what it saw."""

    transport: Transport

    def fault(self, fault: Fault) -> None:
        """Let calls go wrong from now on, as described."""
        self.transport.send(BREAK, "/__twin/faults", json=fault)

    def struck(self) -> tuple[Struck, ...]:
        """Return what became of each fault since the last time they were cleared, oldest first."""
        return self.transport.get("/__twin/faults").decode(tuple[Struck, ...])

    def clear_faults(self) -> None:
        """Let all calls go well again."""
        self.transport.send(MEND, "/__twin/faults")

    def calls(self) -> tuple[Call, ...]:
        """Return every call since the start or the last reset, oldest first."""
        return self.transport.get("/__twin/calls").decode(tuple[Call, ...])

    def fire_cron(self, script: str, cron: str) -> None:
        """Run a Worker's scheduled handler now."""
        self.transport.send(BREAK, "/__twin/cron", json={"script": script, "cron": cron})

    def break_down(self, what: str, **given: int) -> None:
        """Break or mend a whole engine, for example "postgres-stop" and "postgres-start"; some take a value."""
        self.transport.send(BREAK, "/__twin/break", json={"what": what, **given})

    def state(self) -> dict[str, Any]:
        """Return what the twin says of itself, to be shown as it is."""
        return self.transport.get("/__twin/state").decode(dict[str, Any])


def control(cloudflare: str) -> TwinControl:
    """Speak to the twin whose Cloudflare address (with `/client/v4`) is given."""
    return TwinControl(Transport("the twin", cloudflare.removesuffix("/client/v4")))


def _fixed(ports: TwinPorts | None) -> list[str]:
    """Return the flags that fix the ports; 0 and None mean free ones."""
    wanted: dict[str, int] = msgspec.structs.asdict(ports) if ports else {}
    return [word for name, port in wanted.items() if port for word in (f"--{name}-port", str(port))]


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the providers' secrets: the twin must never see a real one."""
    return {key: value for key, value in environment.items() if not is_secret(key)}


def _is_twin(pid: int, state: Path) -> bool:
    words = _command_line(pid)
    return "serve" in words and any(Path(word).resolve() == state.resolve() for word in words[1:])


def _command_line(pid: int) -> list[str]:
    """Return the words by which a process was started; none when there is no such process."""
    proc = Path("/proc") / str(pid) / "cmdline"
    if Path("/proc/self").exists():
        try:
            return [word.decode("utf-8", "replace") for word in proc.read_bytes().split(b"\0")]
        except OSError:
            return []
    listed = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)],  # noqa: S607 - every POSIX system has ps on PATH
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout.split()
