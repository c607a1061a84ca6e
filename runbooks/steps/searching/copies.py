"""Copies of the database as it once was, that can be opened beside everything else and asked.

A copy knows its moment, and gives a server of its own for a while. Own backups are such copies, and so is a base of a
server of our own that is led along its WAL (`led.py`). The provider's recovery is none: it takes the project itself
back, in place; its daily backups cannot be read through the API.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from runbooks.clients.scratch.folder import private_folder
from runbooks.steps.backups.fetching import contents_of, fetch
from runbooks.steps.backups.proving import Proving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from runbooks.clients.postgres import Postgres
    from runbooks.model.settings import Settings
    from runbooks.steps.backups.catalog import Catalog, Manifest
    from runbooks.steps.database.server import Server


class Copy(Protocol):
    """The database as it was at one moment: everything committed before it, nothing later."""

    @property
    def at(self) -> datetime:
        """Return the moment, in UTC."""

    @property
    def name(self) -> str:
        """Return what it is called, in words."""

    def opened(self, report: Callable[[int, int], None]) -> AbstractContextManager[Postgres]:
        """Give a server that holds it, gone at the end. Raises CheckError, Unreachable, Refused without its key."""


@dataclass(frozen=True)
class BackupCopy:
    """An own backup, restored into a PostgreSQL of our own while it is asked."""

    proving: Proving

    @property
    def at(self) -> datetime:
        """Return when its snapshot was taken."""
        return self.proving.manifest.at

    @property
    def name(self) -> str:
        """Return what it is called."""
        return f"backup {self.proving.manifest.id}"

    @property
    def point(self) -> str:
        """Return how a restore names it."""
        return f"backup:{self.proving.manifest.id}"

    @property
    def server(self) -> Server:
        """Return the server that it was made from."""
        return self.proving.manifest.server

    @contextmanager
    def opened(self, report: Callable[[int, int], None]) -> Iterator[Postgres]:
        """Fetch it, prove its files, load it."""
        proving = self.proving
        with private_folder() as private:
            folder = fetch(proving.catalog, proving.manifest, private, private_key=proving.private_key, report=report)
            with proving.loaded(folder, contents_of(folder), report=report) as target:
                yield target


def backup_copies(
    catalog: Catalog,
    manifests: Sequence[Manifest],
    settings: Settings,
    environment: Mapping[str, str],
    clock: Callable[[], datetime],
) -> list[BackupCopy]:
    """Return own backups as copies that can be asked."""
    key = settings.environment.get("EMS_BACKUP_KEY")
    return [
        BackupCopy(Proving(catalog, manifest, key, (), environment, settings.root, clock)) for manifest in manifests
    ]
