"""A backup on its way into its store, and out of it: whatever a kill has left of it is finished or gone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec

from runbooks.clients.stores.files import FolderFiles
from runbooks.engine.step import No, Sight, Yes
from runbooks.steps.backups.catalog import MANIFEST, Catalog
from runbooks.steps.backups.pruning import take_away
from runbooks.steps.backups.storing import publish

if TYPE_CHECKING:
    from pathlib import Path


def test_a_draft_that_a_kill_left_beside_its_backup_goes(tmp_path: Path) -> None:
    """Stored, but killed while its draft was removed: it is not over, and done again the draft is gone."""
    store, draft = tmp_path / "dumps", tmp_path / "dumps" / "draft-b"
    draft.mkdir(parents=True)
    (draft / MANIFEST).write_bytes(msgspec.json.encode({"id": "b"}))
    step = publish(Catalog(FolderFiles(store)), draft, "b", name="publish")
    step.act(Sight())
    assert isinstance(step.holds(Sight()), Yes)
    (draft / "dump").mkdir(parents=True)
    held = step.holds(Sight())
    assert isinstance(held, No)
    assert held.why == f"its draft {draft} is still there"
    step.act(Sight())
    assert isinstance(step.holds(Sight()), Yes)
    assert [path.name for path in store.iterdir()] == ["b"]
    shutil.rmtree(store / "b")
    assert isinstance(step.holds(Sight()), No)


def test_the_empty_folder_of_a_killed_deletion_goes(tmp_path: Path) -> None:
    """Its files are gone, its folders are not: it is not over, and done again nothing is left."""
    (tmp_path / "dumps" / "b" / "dump").mkdir(parents=True)
    step = take_away(Catalog(FolderFiles(tmp_path / "dumps")), "b", what="old", name="delete")
    assert isinstance(step.holds(Sight()), No)
    step.act(Sight())
    assert isinstance(step.holds(Sight()), Yes)
    assert list((tmp_path / "dumps").iterdir()) == []
