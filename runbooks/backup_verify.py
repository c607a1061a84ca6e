"""Prove a backup by restoring it: into a PostgreSQL of our own, compared table by table with what it was made from.

How it went is written down before anything is made of it: `backup.list --check` goes by it, and so does a restore.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Book, Step
from runbooks.model.errors import Refused
from runbooks.steps.backups.proofs import Proof, record
from runbooks.steps.backups.proving import Proving, find_it_good, restore_and_compare
from runbooks.steps.backups.room import MORE_ROOM, refuse_without_room, restored_here
from runbooks.steps.backups.sealing import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings
    from runbooks.steps.backups.catalog import Catalog

NAME: Final = "backup-verify"
LEASE: Final = "proof"
TRIED: Final = "restore and compare"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which backup: its id, or the end of it; the newest where there is none."""

    backup: str = ""


class Facts(msgspec.Struct, frozen=True):
    """The backup that is proven."""

    backup: str
    bytes: int
    tables: int
    rows: int
    encrypted_for: str | None


@dataclass
class Verification:
    """One proof."""

    settings: Settings
    home: Home
    catalog: Catalog
    arguments: Arguments
    environment: Mapping[str, str]
    clock: Callable[[], datetime]

    def gather(self) -> Facts:
        """Find the backup. Raises Refused where there is none, no key for it, or no room here to restore it."""
        there = self.catalog.all()
        if not there and not self.arguments.backup:
            message = f"{self.catalog.files.where('')}: expected a backup, there is none."
            raise Refused(message, next_command="invoke backup")
        one = self.catalog.get(self.arguments.backup or there[-1].id)
        if one.envelope is not None:
            opened(one.envelope, self.settings.environment.get("EMS_BACKUP_KEY"))
        refuse_without_room(restored_here(self.catalog, one), next_command=MORE_ROOM)
        for_whom = one.envelope.recipient if one.envelope else None
        return Facts(one.id, one.bytes, len(one.rows), sum(one.rows.values()), for_whom)

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure: try, write down, judge."""
        proving = Proving(
            catalog=self.catalog,
            manifest=self.catalog.get(facts.backup),
            private_key=self.settings.environment.get("EMS_BACKUP_KEY"),
            checks=self.settings.stack.database.checks,
            environment=self.environment,
            root=self.settings.root,
            clock=self.clock,
        )
        return (
            restore_and_compare(proving, name=TRIED),
            record(
                self.home,
                facts.backup,
                lambda sight: msgspec.convert(sight.results[TRIED], Proof, strict=False),
                name="record",
            ),
            find_it_good(facts.backup, of=TRIED, name="judge"),
        )

    def summary(self, facts: Facts) -> str:
        """Return what is proven."""
        sealed = f", encrypted for {facts.encrypted_for}" if facts.encrypted_for else ""
        return (
            f"of {facts.backup}: {facts.bytes / 1e6:.1f} MB{sealed}, {facts.tables} tables, {facts.rows} rows\n"
            "Touches  nothing but this machine: a PostgreSQL of our own, which is gone afterwards"
        )


def book(
    settings: Settings,
    catalog: Catalog,
    *,
    home: Home,
    arguments: Arguments,
    environment: Mapping[str, str],
    clock: Callable[[], datetime],
) -> Book[Facts]:
    """Return the book that proves a backup."""
    it = Verification(settings, home, catalog, arguments, environment, clock)
    return Book(name=NAME, facts_type=Facts, gather=it.gather, steps=it.steps, summary=it.summary, lease=LEASE)
