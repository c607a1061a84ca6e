"""An operator in a process of its own: runs a real book with real clients, until it ends or is ended."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.sweeping.door import Moment, Moments
from benchmarks.sweeping.mortal import MortalConsole, watch
from runbooks.commands import restore
from runbooks.engine.runner import Consent, Outcome, Runner

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from runbooks.engine.runner import RunSummary

AGREED = Consent(yes=True, reason="a sweep")
OVER = ("done", "already so", "undone", "taken back")
FIND: Final = "restore.find"
"""What is no book: it changes nothing and has no run, so it is typed again from its beginning."""


class Errand(msgspec.Struct, frozen=True):
    """What an operator is to do: run the book (or go on with its run), or take its newest run back.

    In the folders that are `watched` each change of a file is a moment too; see `mortal.watch`.
    """

    stack_file: str
    book: str
    arguments: dict[str, Any]
    undo: bool = False
    end: Moment | None = None
    environ: dict[str, str] = {}
    watched: dict[str, tuple[str, int]] = {}

    @property
    def tell(self) -> Path:
        """Return the file that is told how it ended, and which moments of the ops home there were."""
        return Path(self.stack_file).with_name("told.json")


class Silent:
    """Show nothing."""

    def __getattr__(self, _name: str) -> Any:  # noqa: ANN401 - any method of Show
        return lambda *_args: None


def begin(errand: Errand, known: Event) -> None:
    """Do the errand in this process, once it is known who may be killed; tell how it ended."""
    known.wait()
    os.environ.update(errand.environ)
    tempfile.tempdir = os.environ.get("TMPDIR")  # which the process that this one was forked from may know otherwise
    moments = Moments(errand.end)
    console = MortalConsole(errand.stack_file, moments)
    watch(moments, errand.watched)
    try:
        said = _found(console, errand) if errand.book == FIND else _do(errand, console)
    except Exception as error:  # noqa: BLE001 - the edge of this process: told to the sweep, which counts it
        said = {"status": "refused", "text": f"{type(error).__name__}: {error}"}
    finally:
        console.close()
    seen = msgspec.to_builtins(moments.seen)
    errand.tell.write_text(json.dumps({**said, "moments": seen}), "utf-8")


def _found(console: MortalConsole, errand: Errand) -> dict[str, Any]:
    with redirect_stdout(out := StringIO()):
        restore._find(console, errand.arguments["check"])  # noqa: SLF001 - the command's work without its exit
    return {"status": "done", "text": "", "found": json.loads(out.getvalue())}


def _do(errand: Errand, console: MortalConsole) -> dict[str, Any]:
    runner = console.runner
    book = console.book(errand.book, errand.arguments)
    last = begun(runner)
    outcome: Outcome
    if errand.undo:
        if last is None:
            return {"status": "undone", "text": "no run had begun"}
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
