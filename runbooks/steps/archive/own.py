"""The server of our own that a stack file tells of: its folders, its programs, and what can be said of it now."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runbooks.clients import child
from runbooks.clients.selfhosted.bases import Base, Found, bases_in
from runbooks.clients.selfhosted.installed import Control, Installed, installed_for
from runbooks.clients.selfhosted.wal import Wal
from runbooks.model.errors import CheckError, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.shapes import Archive
    from runbooks.clients.postgres import Postgres
    from runbooks.clients.postgres_programs import Programs
    from runbooks.model.settings import Settings

KEY: Final = "database.archive"
PATHS: Final = ("extension_control_path", "dynamic_library_path")
COMMAND_WITHIN: Final = 600.0


@dataclass(frozen=True)
class Own:
    """One server. `told` is the stack file's word on it, relative to `root`; `database` is the way into it."""

    told: Archive
    root: Path
    environment: Mapping[str, str]
    database: Postgres

    @cached_property
    def data(self) -> Path:
        """Return its data folder, links resolved: it is the folder that is renamed, not what leads to it."""
        return (self.root / self.told.data).resolve()

    @cached_property
    def wal_folder(self) -> Path:
        """Return where its WAL is archived. Raises Refused."""
        return self._folder("wal", self.told.wal)

    @cached_property
    def installed(self) -> Installed:
        """Return its programs. Raises Refused."""
        programs = self.root / self.told.programs if self.told.programs else None
        return installed_for(self._example, told=programs, environment=self.environment, archived=self.wal_folder)

    @cached_property
    def control(self) -> Control:
        """Return what it says of itself on disk; where its folder is lost, what its newest base does."""
        return self.installed.control(self._example)

    @cached_property
    def paths(self) -> dict[str, str]:
        """Return where its settings say that its extensions lie: a copy must find them as well."""
        found = {}
        for name in PATHS:
            with suppress(CheckError):  # an older version does not know it, or its settings lie elsewhere
                found[name] = self.installed.printed("postgres", "-C", name, "-D", self._example).strip()
        return found

    @cached_property
    def found(self) -> Found:
        """Return its bases. Raises Refused where there is none."""
        folder = self._folder("bases", self.told.bases)
        found = bases_in(folder, self.installed)
        if not found.bases:
            wrong = "".join(f" {one}." for one in found.unusable)
            message = f"{KEY}.bases: expected base backups in {folder}, found none.{wrong}"
            raise Refused(message, next_command=f"pg_basebackup -D {folder}/NAME -c fast -X stream")
        return found

    def wal_of(self, base: Base) -> Wal:
        """Return the archive as the base's timeline."""
        return Wal(self.wal_folder, self.installed, self.control.system, base.timeline, self.control.segment)

    def runs(self) -> bool:
        """Tell whether its process runs here, by the number that its data folder holds."""
        try:
            pid = int((self.data / "postmaster.pid").read_text("ascii").split("\n", maxsplit=1)[0])
            os.kill(pid, 0)
        except (OSError, ValueError):
            return False
        try:
            return "postgres" in Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace")
        except OSError:
            return True  # no such folder on this system: a process by that number is all that is known

    def command(self, words: tuple[str, ...]) -> None:
        """Run the stack file's command. Raises ActError with what it printed."""
        child.command(words, folder=self.root, environment=self.environment, seconds=COMMAND_WITHIN)

    def check_place(self, bytes_: int) -> None:
        """Raise Refused where a recovered folder could not take the present one's place by renaming."""
        where = f"{KEY}.data: {self.data}"
        wal, spaces = self.data / "pg_wal", self.data / "pg_tblspc"
        if self.data.is_mount():
            message = f"{where} is a file system of its own: expected a folder in one, only that can be renamed."
            raise Refused(message)
        if wal.is_symlink():
            message = f"{where}/pg_wal is a link to {wal.resolve()}: expected a folder; WAL would change its disk."
            raise Refused(message)
        if spaces.is_dir() and any(spaces.iterdir()):
            message = f"{where} has tablespaces outside its folder: expected none, they cannot be exchanged with it."
            raise Refused(message)
        if not os.access(self.data.parent, os.W_OK | os.X_OK):
            message = f"{where}: expected to be allowed to make a folder in {self.data.parent}."
            raise Refused(message)
        if (free := shutil.disk_usage(self.data.parent).free) < bytes_:
            need = f"{bytes_ / 1e9:.1f} GB for the copy, {free / 1e9:.1f} GB are free"
            message = f"{self.data.parent}: expected {need}. Nothing was begun."
            raise Refused(message, next_command=f"df -h {self.data.parent}")

    def check_is(self, system: str) -> None:
        """Raise Refused unless the server that answers is the one of the data folder."""
        if system != self.control.system:
            message = (
                f"{KEY}.data: {self.data} is of system {self.control.system}: expected that of the server which "
                f"answers at {self.database.where}, which is {system}."
            )
            raise Refused(message)

    @cached_property
    def _example(self) -> Path:
        """Return a data folder of this server: its own, or a base where its own is lost."""
        if (self.data / "PG_VERSION").is_file():
            return self.data
        folder = self._folder("bases", self.told.bases)
        bases = sorted(path.parent for path in folder.glob("*/PG_VERSION"))
        if not bases:
            message = f"{KEY}.data: expected PostgreSQL's data folder in {self.data}, or a base in {folder}."
            raise Refused(message)
        return max(bases, key=lambda base: (base / "PG_VERSION").stat().st_mtime)

    def _folder(self, key: str, told: str) -> Path:
        folder = (self.root / told).resolve()
        try:
            next(folder.iterdir(), None)
        except OSError as error:
            message = f"{KEY}.{key}: expected a folder that can be read, got {folder}: {error.strerror}."
            raise Refused(message) from None
        return folder


def own_of(settings: Settings, programs: Programs) -> Own | None:
    """Return the server that a stack file tells of, None where it tells of none."""
    told = settings.stack.database.archive
    return Own(told, settings.root, programs.environment, programs.database) if told else None


def reason(error: CheckError) -> str:
    """Return the first line of an error, without its full stop."""
    return str(error).splitlines()[0].rstrip(".")
