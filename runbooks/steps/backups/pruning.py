"""Take a backup away: its manifest first, so that half a backup never looks like one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Settling, Sight, Step, Yes
from runbooks.model.errors import AnswerLost
from runbooks.steps.backups.catalog import MANIFEST

if TYPE_CHECKING:
    from runbooks.steps.backups.catalog import Catalog


def take_away(catalog: Catalog, backup: str, *, what: str, name: str) -> Step:
    """Return the step that deletes a backup, or what is left of one."""
    files = catalog.files

    def holds(_sight: Sight) -> Held:
        try:
            left, there = files.sizes(backup), backup in files.names("")
        except OSError:
            return Settling({}, 1.0)
        seen: dict[str, Json] = {"backup": backup, "files": len(left), "bytes": sum(left.values())}
        return No(seen, f"{files.where(backup)} is there") if left or there else Yes(seen)

    def act(sight: Sight) -> Json:
        try:
            found = sorted(files.sizes(backup), key=lambda file: (file != MANIFEST, file))
            for number, file in enumerate(found, 1):
                files.delete(f"{backup}/{file}")
                sight.report(number, len(found))
            files.delete(backup)  # the folder of one whose files were gone when a kill came
        except OSError as error:
            message = f"{files.where(backup)}: could not be deleted: {error}"
            raise AnswerLost(message) from None
        return {"deleted": len(found)}

    return Step(
        name=name,
        title=f"delete backup {backup} ({what})",
        effect=Effect.DESTROY,
        holds=holds,
        act=act,
        undo=NoUndo("what was deleted is gone"),
        expect=0.2,
        deadline=1800.0,
        attempts=3,
    )
