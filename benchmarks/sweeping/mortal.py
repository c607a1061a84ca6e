"""What an operator works with in a sweep: an ops home, a database door, this machine; at each of them it may end."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.sweeping.door import AFTER, BEFORE, Moments
from runbooks.clients.postgres import Postgres, Session
from runbooks.commands.frame import ROOT, Flags
from runbooks.commands.frame.console import Console
from runbooks.engine.record.folder import Folder, FolderLog
from runbooks.engine.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import LiteralString

    from psycopg import sql

    from runbooks.engine.outcome import Show
    from runbooks.engine.plan import PlannedStep
    from runbooks.model.reconciliation import Write

OFTEN: Final = "on this machine: "
"""How a moment is named that may come for each of hundreds of files; see `Sweep.whole`."""
DURING: Final = "during"
COUNTED: Final = re.compile(r"\d[\w.-]*")
"""What is another one each time: of an id, a moment, a process."""
REMEMBERED: Final = ("ops/runs", "ops/leases", "ops/proofs", "told.json")
"""Where the ops home's own doors write: there each write is a moment already."""
WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES: Final = {
    "os.rename": "rename",
    "os.remove": "remove",
    "os.mkdir": "make folder",
    "os.rmdir": "remove folder",
    "os.link": "link",
    "open": "write",
}
"""What Python tells an audit hook before it does it, and how it is named here."""


def may_end(moments: Moments, label: str) -> None:
    """End the process where this is the moment to."""
    if moments.comes(label):
        os.kill(os.getpid(), signal.SIGKILL)


class MortalLog(FolderLog):
    """A journal at whose lines the process may end."""

    moments: Moments

    def append(self, line: bytes, *, durable: bool) -> None:
        """Write one line."""
        entry = json.loads(line)
        what = f"append {entry.get('kind', 'a line')} {entry.get('step') or ''}".rstrip()
        may_end(self.moments, f"{BEFORE} {what}")
        super().append(line, durable=durable)
        may_end(self.moments, f"{AFTER} {what}")


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
        may_end(self.moments, f"{BEFORE} {what}")
        won = super().put_new(name, content)
        may_end(self.moments, f"{AFTER} {what}")
        return won

    def replace(self, name: str, content: bytes) -> None:
        """Write over a name."""
        what = f"replace {name.partition('/')[0]}"
        may_end(self.moments, f"{BEFORE} {what}")
        super().replace(name, content)
        may_end(self.moments, f"{AFTER} {what}")


@dataclass(frozen=True)
class MortalSession(Session):
    """A session at whose statements the process may end."""

    moments: Moments

    def rows(self, query: LiteralString | sql.Composed, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that may change something."""
        may_end(self.moments, f"{BEFORE} {_said(query)}")
        return super().rows(query, parameters)

    def run(self, command: LiteralString | sql.Composed) -> None:
        """Run a statement that changes something."""
        may_end(self.moments, f"{BEFORE} {_said(command)}")
        super().run(command)


@dataclass(frozen=True)
class MortalPostgres(Postgres):
    """A database door at whose changes the process may end: before each statement, and around each commit."""

    moments: Moments = field(default_factory=Moments, compare=False)

    @contextmanager
    def writing(self, write: Write) -> Iterator[Session]:
        """Open a session that commits when it ends well."""
        with super().writing(write) as session:
            yield MortalSession(session.connection, session.where, self.moments)
            may_end(self.moments, f"{BEFORE} commit: {write.call}")
        may_end(self.moments, f"{AFTER} commit: {write.call}")


class MortalShow:
    """Show nothing; the process may end while a step tells how far it is."""

    def __init__(self, moments: Moments) -> None:
        self.moments = moments

    def progress(self, step: PlannedStep, _done: int, _total: int) -> None:
        """Pass a moment of a step at work."""
        may_end(self.moments, f"{OFTEN}{DURING} {COUNTED.sub('…', step.name)}")

    def __getattr__(self, _name: str) -> Any:  # noqa: ANN401 - any method of Show
        return lambda *_args: None


class MortalConsole(Console):
    """A command at work whose doors are these."""

    def __init__(self, stack_file: str, moments: Moments) -> None:
        super().__init__(Flags(stack=stack_file, json=True), root=ROOT, environ=os.environ)
        self.moments = moments
        self.show: Show = MortalShow(moments)  # type: ignore[assignment] # as much of a terminal as a book sees

    @cached_property
    def postgres(self) -> Postgres:
        """Return the way to the database."""
        return MortalPostgres(self.settings.require("EMS_DATABASE_URL"), moments=self.moments)

    @cached_property
    def runner(self) -> Runner:
        """Return what runs books for this stack."""
        return Runner(
            home=MortalFolder(self.settings.home, self.moments),
            stack=self.settings.name,
            stack_argument=self.settings.argument,
            actor="sweeper",
            show=self.show,
            redact=self.redact,
            clock=self.clock,
        )


def watch(moments: Moments, roots: Mapping[str, tuple[str, int]]) -> None:
    """From now on let the process end also before it changes a file below one of these folders, or starts a program.

    A folder is given by a name, and with how many parts of a path tell its files apart: those of a database are many.
    """

    def passes(event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            may_end(moments, f"{OFTEN}{BEFORE} start {Path(os.fsdecode(args[0])).name}")
        elif event in CHANGES and (event != "open" or (isinstance(args[2], int) and args[2] & WRITES)):
            place = _place(args[0], args[-1] if event in {"os.remove", "os.rmdir"} else -1, roots)
            if place:
                may_end(moments, f"{OFTEN}{BEFORE} {CHANGES[event]} {place}")

    sys.addaudithook(passes)


def _place(path: object, folder: object, roots: Mapping[str, tuple[str, int]]) -> str:
    """Return where a file is, the same each time; nothing where it is of no interest."""
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    if isinstance(folder, int) and folder >= 0:
        return "of a folder that goes"  # by its name in an open folder
    whole = os.fsdecode(path)
    for name, (root, deep) in roots.items():
        if whole.startswith(f"{root}/"):
            below = whole.removeprefix(f"{root}/")
            told = "/".join(below.split("/")[:deep])
            return "" if below.startswith(REMEMBERED) else f"{name}/{COUNTED.sub('…', told)}"
    return ""


def _said(query: LiteralString | sql.Composed) -> str:
    """Return the beginning of a statement, the same each time."""
    text = query if isinstance(query, str) else query.as_string(None)
    return f"statement {' '.join(COUNTED.sub('…', text).split()[:3])}"
