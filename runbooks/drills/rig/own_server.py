"""The twin's server as one of our own: the folders of its base backups, its WAL and its data, as a stack file tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infra.shapes import Archive
from runbooks.model.errors import NotSo

if TYPE_CHECKING:
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage

LABEL = "backup_label"


def on_own_server(stage: Stage) -> Site:
    """Return the stage's site with its server declared as one of our own. Raises NotSo without a base backup."""
    site = stage.site
    with site.postgres.reading() as session:
        data = Path(session.value("show data_directory"))
    bases = stage.folder / "bases"
    bases.mkdir(exist_ok=True)
    for label in data.parent.glob(f"*/{LABEL}"):
        link = bases / label.parent.name
        if label.parent != data and not link.exists():
            link.symlink_to(label.parent)
    if not any(bases.iterdir()):
        message = f"expected a base backup of the twin's server beside {data}, there is none yet"
        raise NotSo(message)
    words = ("python", "-m", "invoke", "twin.break", f"--stack={site.settings.file}")
    archive = Archive(
        bases=str(bases), wal=str(data.parent / "archive"), data=str(data),
        stop=(*words, "--what=postgres-stop"), start=(*words, "--what=postgres-start"),
    )  # fmt: skip
    stack = site.settings.stack
    database = msgspec.structs.replace(stack.database, archive=archive)
    return replace(site, settings=replace(site.settings, stack=msgspec.structs.replace(stack, database=database)))
