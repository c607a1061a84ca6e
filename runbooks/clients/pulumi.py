"""Make the Pulumi program real: by the Pulumi CLI, or on the local twin by `python -m twin apply`.

The twin's own way needs no CLI, no provider plugin and no login; a stack on loopback always takes it, so that its
state has one owner.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from infra.outputs import LIVE_VERSION, Outputs
from runbooks.clients import child
from runbooks.model.errors import ActError, CheckError, OpsError, Refused

PROGRAM: Final = "infra/__main__.py"
LONGEST: Final = 1800.0  # seconds; an `up` that takes longer than half an hour hangs
INSTALL: Final = "https://www.pulumi.com/docs/iac/download-install/"
EVENTS: Final = {"PULUMI_DEBUG_COMMANDS": "true", "PULUMI_SKIP_UPDATE_CHECK": "true"}
"""What makes the CLI accept `--event-log`, as its own automation API does, and keep to itself."""
UNCHANGED: Final = ("same", "read", "refresh")
HALVES: Final = ("create-replacement", "delete-replaced")
"""What the CLI tells beside the `replace` of the same resource."""
PROVIDERS: Final = "pulumi:providers:"
NO_STACK: Final = "no stack named"
PROGRAM_ENDED: Final = "program exited with non-zero exit code"


class Change(msgspec.Struct, frozen=True):
    """What happens to one resource: `action` is same, create, update, replace or delete."""

    urn: str
    type: str
    name: str
    action: str
    id: str | None = None


class Applied(msgspec.Struct, frozen=True):
    """What one pass over the program did (or would do): outputs are None in a preview that can't know them.

    `ids` are those of every resource of the program, changed or not.
    """

    changes: tuple[Change, ...]
    outputs: Outputs | None
    seconds: float
    ids: tuple[str, ...] = ()


class _Summary(msgspec.Struct, frozen=True):
    outputs: Outputs


class _State(msgspec.Struct, frozen=True):
    id: str | None = None
    custom: bool = False


class _Metadata(msgspec.Struct, frozen=True):
    op: str
    urn: str
    type: str
    old: _State | None = None
    new: _State | None = None

    def change(self) -> Change | None:
        """Return what happened to a resource; None for the stack, a component, a provider, half of a replacement."""
        state = self.new or self.old or _State()
        if not state.custom or self.type.startswith(PROVIDERS) or self.op in HALVES:
            return None
        return Change(self.urn, self.type, self.urn.rpartition("::")[2], self.op, state.id or None)


class _Done(msgspec.Struct, frozen=True):
    metadata: _Metadata


class _Diagnostic(msgspec.Struct, frozen=True):
    severity: str
    message: str


class _Event(msgspec.Struct, frozen=True):
    """A line of the CLI's event log (sdk/go/common/apitype/events.go)."""

    done: _Done | None = msgspec.field(default=None, name="resOutputsEvent")
    diagnostic: _Diagnostic | None = msgspec.field(default=None, name="diagnosticEvent")


Report = Callable[[Change], None]


@dataclass(frozen=True)
class Pulumi:
    """The program of one stack. `environment` is all that the child process sees, tokens included.

    `twin_state` is the local twin's folder, or None for a stack that the CLI owns. `redact` cleans error output.
    `read_only` is the lock of a plan.
    """

    stack: str
    stack_file: Path
    root: Path
    environment: Mapping[str, str]
    twin_state: Path | None
    redact: Callable[[str], str]
    read_only: bool = False
    python: str = sys.executable

    def holding(self, live: str | None) -> Self:
        """Return the program with this version keeping the traffic; None: the new one gets it, or the pinned one."""
        return replace(self, environment={**self.environment, LIVE_VERSION: live}) if live else self

    def preview(self, report: Report = lambda _change: None) -> Applied:
        """Tell what `up` would do; changes nothing. Raises CheckError with the program's own words."""
        return self._run(CheckError, report, preview=True)

    def module(self, build: Sequence[str]) -> bytes:
        """Return the API's module as the program would build it. Raises CheckError with what the build said."""
        return child.printed(build, folder=self.root, environment=self.environment)

    def up(self, report: Report = lambda _change: None) -> Applied:
        """Make the program real and return its outputs. Repeating it is safe: it converges.

        Raises ActError with the program's own words: a part may have been done, the next `up` goes on from there.
        """
        if self.read_only:
            message = f"Stack {self.stack}: a plan only reads; expected a preview. Nothing was done."
            raise Refused(message)
        return self._run(ActError, report, preview=False)

    def _run(self, failure: type[OpsError], report: Report, *, preview: bool) -> Applied:
        started = time.monotonic()
        with tempfile.TemporaryFile() as stderr:
            if self.twin_state is not None:
                changes, outputs = self._by_twin(failure, report, stderr, preview=preview)
            else:
                changes, outputs = self._by_cli(failure, report, stderr, preview=preview)
        done = tuple(change for change in changes if change.action not in UNCHANGED)
        ids = tuple(change.id for change in changes if change.id and change.action != "delete")
        return Applied(done, outputs, time.monotonic() - started, ids)

    def _by_twin(
        self, failure: type[OpsError], report: Report, stderr: IO[bytes], *, preview: bool
    ) -> tuple[list[Change], Outputs | None]:
        arguments = [self.python, "-m", "twin", "apply", "--program", PROGRAM]
        arguments += ["--stack-file", str(self.stack_file), "--state", str(self.twin_state)]
        changes: list[Change] = []
        outputs: Outputs | None = None
        for line in self._lines(failure, [*arguments, *(["--preview"] if preview else [])], stderr):
            if b'"urn"' in line:
                changes.append(msgspec.json.decode(line, type=Change))
                report(changes[-1])
            elif not preview:
                outputs = msgspec.json.decode(line, type=_Summary).outputs
        return changes, outputs

    def _by_cli(
        self, failure: type[OpsError], report: Report, stderr: IO[bytes], *, preview: bool
    ) -> tuple[list[Change], Outputs | None]:
        pulumi = shutil.which("pulumi", path=self.environment.get("PATH"))
        if pulumi is None:
            message = f"Stack {self.stack}: expected the Pulumi CLI on PATH, got none. How to install it: {INSTALL}"
            raise Refused(message, next_command="pulumi version")
        where = ["--stack", self.stack, "--non-interactive"]
        verb = ["preview"] if preview else ["up", "--yes", "--skip-preview"]
        with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
            log = _Log(file, report)
            arguments = [pulumi, *verb, *where, "--config-file", str(self.stack_file), "--event-log", file.name]
            for _ in self._lines(failure, arguments, stderr, told=log.errors):
                log.drain()  # its prose on stdout tells when there is more
            log.drain()
        changes = log.changes
        if preview:
            return changes, None
        printed = list(self._lines(CheckError, [pulumi, "stack", "output", "--json", *where], stderr))
        return changes, msgspec.json.decode(b"\n".join(printed), type=Outputs)

    def _lines(
        self,
        failure: type[OpsError],
        arguments: list[str],
        stderr: IO[bytes],
        told: Callable[[], str] = lambda: "",
    ) -> Iterator[bytes]:
        """Yield what a program prints; raise `failure` with what it `told`, or its last words, unless it ends with 0.

        Where the backend knows no such stack, the next command makes it.
        """
        said = f"Stack {self.stack}: {' '.join(Path(word).name for word in arguments[:4])}"
        again = None if failure is ActError else "invoke deploy"  # a run that has acted goes on by itself
        environment = {**self.environment, **EVENTS, "PULUMI_PYTHON_CMD": self.python}  # also in a venv not activated
        program = child.start(arguments, folder=self.root, environment=environment, stderr=stderr)
        last: deque[bytes] = deque(maxlen=20)
        try:
            for line in child.lines(program, seconds=LONGEST):
                last.append(line)
                yield line
            code = program.wait(child.GRACE)
        except (TimeoutError, subprocess.TimeoutExpired):
            message = f"{said}: expected its end within {LONGEST:.0f} s, got none; it was stopped."
            raise failure(message, next_command=again) from None
        finally:
            child.stop(program)
        if code:
            words = b"\n".join(line for line in last if not line.startswith(b"{")).decode("utf-8", "replace")
            text = self.redact(told() or f"{words}\n{child.tail(stderr)}".strip())
            message = f"{said}: expected exit 0, got {code}: {text}"
            if NO_STACK in text:
                again = shlex.join(["pulumi", "stack", "init", self.stack])
            raise failure(message, next_command=again)


@dataclass
class _Log:
    """The CLI's event log as it grows: changes as they are reported, and the errors."""

    file: IO[bytes]
    report: Report
    changes: list[Change] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def drain(self) -> None:
        """Read what the CLI has written since the last look; a line still being written stays for later."""
        while line := self.file.readline():
            if not line.endswith(b"\n"):
                self.file.seek(-len(line), 1)
                return
            event = msgspec.json.decode(line, type=_Event)
            if event.done is not None and (change := event.done.metadata.change()):
                self.changes.append(change)
                self.report(change)
            if event.diagnostic is not None and event.diagnostic.severity == "error":
                self.failures.append(event.diagnostic.message.strip())

    def errors(self) -> str:
        """Return every error once; that the program ended because of it says nothing more."""
        self.drain()
        return "\n".join(dict.fromkeys(each for each in self.failures if PROGRAM_ENDED not in each))
