"""The folder of one recovery, beside the data folder: the recovered copy, later the former folder, and a note."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.selfhosted.files import make_folder, sync
from runbooks.clients.selfhosted.paused import Paused

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.clients.selfhosted.bases import Base
    from runbooks.steps.archive.own import Own

MARK: Final = ".ems-ops-"
NOTE: Final = "note.json"


class Note(msgspec.Struct, frozen=True):
    """What became of a recovery: it stood at the point; with a timeline, it is a server of its own since."""

    run: str
    base: str
    point: str
    timeline: int | None = None


@dataclass(frozen=True)
class Work:
    """One recovery's folder on disk."""

    folder: Path
    data: Path

    @property
    def ending(self) -> str:
        """Return what tells it from others of the same data folder."""
        return self.folder.name.rpartition(MARK)[2]

    @property
    def fresh(self) -> Path:
        """Return the recovered copy, as long as it is not the present one."""
        return self.folder / "fresh"

    @property
    def former(self) -> Path:
        """Return what was the present one, after the exchange."""
        return self.folder / "former"

    @property
    def note(self) -> Note | None:
        """Return the note, None before the copy stood at the point."""
        try:
            return msgspec.json.decode((self.folder / NOTE).read_bytes(), type=Note)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    @property
    def is_exchanged(self) -> bool:
        """Tell whether the recovered copy is the present one now; half an exchange is none."""
        return self.note is not None and self.data.is_dir() and not self.fresh.exists()

    def write(self, note: Note) -> None:
        """Write the note, whole."""
        draft = self.folder / f"{NOTE}.part"
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(note))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.folder / NOTE)
        sync(self.folder)

    def bytes(self) -> int:
        """Return what it holds."""
        return sum(path.lstat().st_size for path in self.folder.rglob("*") if path.is_file())

    def remove(self) -> None:
        """Remove it with all that is in it."""
        (self.folder / NOTE).unlink(missing_ok=True)
        if self.folder.exists():
            shutil.rmtree(self.folder)


def work_named(own: Own, ending: str) -> Work:
    """Return the folder of a recovery by its ending."""
    return Work(own.data.with_name(f"{own.data.name}{MARK}{ending}"), own.data)


def works(own: Own) -> list[Work]:
    """Return every folder of a recovery that is there."""
    found = sorted(own.data.parent.glob(f"{own.data.name}{MARK}*"))
    return [work for folder in found if (work := Work(folder, own.data)).note is not None]


def copy_for(own: Own, base: Base, folder: Path, *, wal: Path | None = None) -> Paused:
    """Return a base's copy in a folder as a server that can be led to a point, by what is archived or another `wal`."""
    held = [own.installed.control(path) for path in (base.parts[-1], own.data) if (path / "global").is_dir()]
    limits = {name: max(control.limits[name] for control in held) for name in held[0].limits}
    settings = {**own.paths, **{name: str(value) for name, value in limits.items()}}
    settings["track_commit_timestamp"] = "on" if held[-1].commit_times else "off"
    return Paused(folder, wal or own.wal_folder, own.installed, own.database, settings)


def make_room(work: Work, own: Own) -> None:
    """Make the folder of a recovery anew."""
    work.remove()
    make_folder(work.folder, own.installed.owner)
