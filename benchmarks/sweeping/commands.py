"""Every command that runs a book, and the way back from it: what signals stop and broken calls disturb.

`restore.find` is not among them: it has no run that could be gone on with, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from benchmarks.sweeping.beginning import PLAIN, Beginning
from runbooks.model.errors import Exit


@dataclass(frozen=True)
class Subject:
    """What is swept: a command, what it starts from, and what is typed before it.

    Failing code is taken back by itself, which `ends` otherwise. `own`: the database is on a server of our own.
    """

    name: str
    words: tuple[str, ...]
    beginning: Beginning = PLAIN
    before: tuple[tuple[str, ...], ...] = ()
    own: bool = False

    @property
    def ends(self) -> Exit:
        """Return the exit code of its end."""
        return Exit.UNPROVEN if self.beginning.failing else Exit.DONE


RESTORE: Final = ("restore", "--point={ago}")
DUMP: Final = ("restore", "--point=backup:{backup}")
WEB: Final = ("rollback", "--service=web")
DNS: Final = ("rollback", "--service=dns")
UNDO: Final = ("runs.undo",)
CHANGED: Final = Beginning(changed=True)
CODE: Final = Beginning(release=True)
OWED: Final = Beginning(hazards=True)
BACKED_UP: Final = Beginning(backups=1, hazards=True)
SECRET: Final = Beginning(secret=True)
SUBJECTS: Final = {
    subject.name: subject
    for subject in (
        Subject("rollback", ("rollback",)),
        Subject("rollback --unpin", ("rollback", "--unpin"), before=(("rollback",),)),
        Subject("rollback --service=web", WEB),
        Subject("rollback --service=dns", DNS, CHANGED),
        Subject("deploy", ("deploy",), CODE),
        Subject("deploy, taken back", ("deploy",), Beginning(failing=True)),
        Subject("restore", RESTORE, OWED),
        Subject("undo of rollback", UNDO, before=(("rollback",),)),
        Subject("undo of rollback --service=web", UNDO, before=(WEB,)),
        Subject("undo of rollback --service=dns", UNDO, CHANGED, before=(DNS,)),
        Subject("undo of deploy", UNDO, CODE, before=(("deploy",),)),
        Subject("undo of restore", UNDO, OWED, before=(RESTORE,)),
        Subject("backup", ("backup",)),
        Subject("backup.verify", ("backup.verify",), Beginning(backups=1)),
        Subject("backup.prune", ("backup.prune",), Beginning(backups=3, left_over=True)),
        Subject("restore by dump", DUMP, BACKED_UP),
        Subject("undo of restore by dump", UNDO, BACKED_UP, before=(DUMP,)),
        Subject("restore.finish", ("restore.finish",), Beginning(former=True)),
        Subject("restore.release", ("restore.release",), Beginning(held=True)),
        Subject("deploy.secrets", ("deploy.secrets",), SECRET),
        Subject("undo of deploy.secrets", UNDO, SECRET, before=(("deploy.secrets",),)),
        Subject("restore by archive", RESTORE, OWED, own=True),
        Subject("undo of restore by archive", UNDO, OWED, before=(RESTORE,), own=True),
    )
}
