"""An operator in a process of its own: runs a real book with real clients, until it ends or is ended."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.sweeping.door import AFTER, BEFORE, Moment, Moments
from runbooks.commands.frame import ROOT, Flags
from runbooks.commands.frame.console import Console
from runbooks.engine.record.folder import Folder, FolderLog
from runbooks.engine.runner import Consent, Outcome, Runner

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from runbooks.engine.runner import RunSummary

AGREED = Consent(yes=True, reason="a sweep")
OVER = ("done", "already so", "undone", "taken back")


class Errand(msgspec.Struct, frozen=True):
    """What an operator is to do: run the book (or go on with its run), or take its newest run back."""

    stack_file: str
    book: str
    arguments: dict[str, Any]
    undo: bool = False
    end: Moment | None = None

    @property
    def tell(self) -> Path:
        """Return the file that is told how it ended, and which moments of the ops home there were."""
        return Path(self.stack_file).with_name("told.json")


class Silent:
    """Show nothing."""

    def __getattr__(self, _name: str) -> Any:  # noqa: ANN401 - any method of Show
        return lambda *_args: None


class MortalLog(FolderLog):
    """A journal at whose lines the process may end."""

    moments: Moments

    def append(self, line: bytes, *, durable: bool) -> None:
        """Write one line."""
        entry = json.loads(line)
        what = f"append {entry['kind']} {entry['step'] or ''}".rstrip()
        _pass(self.moments, f"{BEFORE} {what}")
        super().append(line, durable=durable)
        _pass(self.moments, f"{AFTER} {what}")


class MortalFolder(Folder):
    """An ops home at whose writes the process may end."""

    def __init__(self, root: Path, moments: Moments) -> None:
        super().__init__(root)
        self.moments = moments

    def open_log(self, name: str, *, size: int) -> FolderLog:
        """Open a journal."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        log = MortalLog(path, size=size)
        log.moments = self.moments
        return log

    def put_new(self, name: str, content: bytes) -> bool:
        """Write a new name."""
        what = f"put {name.partition('/')[0]}"
        _pass(self.moments, f"{BEFORE} {what}")
        won = super().put_new(name, content)
        _pass(self.moments, f"{AFTER} {what}")
        return won

    def replace(self, name: str, content: bytes) -> None:
        """Write over a name."""
        what = f"replace {name.partition('/')[0]}"
        _pass(self.moments, f"{BEFORE} {what}")
        super().replace(name, content)
        _pass(self.moments, f"{AFTER} {what}")


def begin(errand: Errand, known: Event) -> None:
    """Do the errand in this process, once it is known who may be killed; tell how it ended."""
    known.wait()
    moments = Moments(errand.end)
    console = Console(Flags(stack=errand.stack_file, json=True), root=ROOT, environ=os.environ)
    try:
        said = _do(errand, console, MortalFolder(console.settings.home, moments))
    except Exception as error:  # noqa: BLE001 - the edge of this process: told to the sweep, which counts it
        said = {"status": "refused", "text": f"{type(error).__name__}: {error}"}
    finally:
        console.close()
    seen = msgspec.to_builtins(moments.seen)
    errand.tell.write_text(json.dumps({**said, "moments": seen}), "utf-8")


def _do(errand: Errand, console: Console, home: Folder) -> dict[str, Any]:
    runner = Runner(
        home=home,
        stack=console.settings.name,
        stack_argument=console.settings.argument,
        actor="sweeper",
        show=Silent(),
        redact=console.redact,
        clock=console.clock,
    )
    book = console.book(errand.book, errand.arguments)
    last = begun(runner)
    outcome: Outcome
    if errand.undo and last is not None:
        outcome = runner.undo(last.run, book=book, consent=AGREED)
    elif last is None:
        outcome = runner.run(book, arguments=errand.arguments, consent=AGREED)
    elif last.status in OVER:
        return {"status": last.status, "text": ""}
    else:
        outcome = runner.resume(last.run, book=book, consent=AGREED)
    return {"status": str(outcome.status), "text": outcome.text}


def begun(runner: Runner) -> RunSummary | None:
    """Return the newest run that has a line in its journal."""
    runs = [run for run in runner.runs() if run.status != "not begun"]
    return runs[-1] if runs else None


def _pass(moments: Moments, label: str) -> None:
    if moments.comes(label):
        os.kill(os.getpid(), signal.SIGKILL)
