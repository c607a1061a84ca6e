"""Bring a draft to its place: every file, and its manifest last. A backup that was stopped is gone on with."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Settling, Sight, Step, Yes
from runbooks.model.errors import ActError, AnswerLost
from runbooks.steps.backups.catalog import MANIFEST
from runbooks.steps.backups.dumping import drafted

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.steps.backups.catalog import Catalog, Manifest

STAYS = "a backup stays until `invoke backup.prune` takes it away"


@dataclass(frozen=True)
class Storing:
    """The files of a draft on their way into the store."""

    catalog: Catalog
    draft: Path
    backup: str

    def missing(self) -> tuple[Manifest | None, list[str], dict[str, Json]]:
        """Return the draft's manifest, the files that are not stored yet, and what was seen. Raises OSError."""
        files = self.catalog.files
        sizes = files.sizes(self.backup)
        if MANIFEST in sizes:
            return None, [], {"stored": True}
        manifest = drafted(self.draft)
        if manifest is None:
            return None, [str(self.draft)], {}
        absent = [file.name for file in manifest.files if sizes.get(file.name) != file.bytes]
        seen: dict[str, Json] = {"files": len(manifest.files), "bytes": manifest.bytes}
        return manifest, absent, {**seen, "where": files.where(self.backup)}

    def holds(self, _sight: Sight) -> Held:
        """Ask the store."""
        try:
            _, absent, seen = self.missing()
        except OSError:
            return Settling({}, 1.0)
        if not absent:
            return Yes(seen)
        return No(seen, f"{self.catalog.files.where(self.backup)}: {len(absent)} files are missing")

    def act(self, sight: Sight) -> Json:
        """Send what is missing. Raises ActError without a draft, AnswerLost where the store fails."""
        try:
            manifest, absent, _ = self.missing()
            if manifest is None:
                message = (
                    f"{self.draft}: expected the draft of backup {self.backup}, there is none; begin a new backup."
                )
                raise ActError(message, next_command="invoke backup")
            self._send(manifest, absent, sight)
        except OSError as error:
            message = f"{self.catalog.files.where(self.backup)}: a file could not be stored: {error}"
            raise AnswerLost(message) from None
        return {"files": len(absent)}

    def _send(self, manifest: Manifest, absent: list[str], sight: Sight) -> None:
        done = manifest.bytes - sum(file.bytes for file in manifest.files if file.name in absent)

        def count(size: int) -> None:
            nonlocal done
            done += size
            sight.report(done, manifest.bytes)

        for file in absent:
            self.catalog.files.put_file(f"{self.backup}/{file}", self.draft / file, report=count)


def store(catalog: Catalog, draft: Path, backup: str, *, name: str) -> Step:
    """Return the step that stores the files of a draft. Those that are there already are not sent again."""
    storing = Storing(catalog, draft, backup)
    return Step(
        name=name,
        title=f"store its files in {catalog.files.where(backup)}",
        effect=Effect.WRITE,
        holds=storing.holds,
        act=storing.act,
        undo=NoUndo(STAYS),
        expect=1.0,
        deadline=4 * 3600.0,
        attempts=3,
    )


def publish(catalog: Catalog, draft: Path, backup: str, *, name: str) -> Step:
    """Return the step that writes the manifest, if absent: from then on the backup is there, and its draft is not."""
    files, manifest = catalog.files, f"{backup}/{MANIFEST}"

    def holds(_sight: Sight) -> Held:
        try:
            there = files.get(manifest)
        except OSError:
            return Settling({}, 1.0)
        if not there:
            return No({}, f"there is no {manifest}")
        if draft.exists():
            return No({"backup": backup}, f"its draft {draft} is still there")
        return Yes({"backup": backup, "where": files.where(backup)})

    def act(_sight: Sight) -> Json:
        told = draft / MANIFEST
        try:
            first = files.put_new(manifest, told.read_bytes()) if told.exists() else files.get(manifest) is not None
        except OSError as error:
            message = f"{files.where(manifest)}: could not be written: {error}"
            raise AnswerLost(message) from None
        if not first:
            message = f"{files.where(manifest)}: another backup of this id is there."
            raise ActError(message, next_command="invoke backup")
        shutil.rmtree(draft, ignore_errors=True)
        return None

    return Step(
        name=name,
        title="write its manifest: from then on it is there",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo(STAYS),
        expect=0.1,
        attempts=3,
    )
