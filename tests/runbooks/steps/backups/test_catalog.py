"""What a store says of backups is not believed: whoever can write there can write any manifest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.backup import Prune
from runbooks.clients.stores.files import FolderFiles
from runbooks.engine.record.folder import Folder
from runbooks.engine.step import Sight
from runbooks.model.errors import Refused
from runbooks.model.settings import load
from runbooks.steps.backups.catalog import MANIFEST, Catalog, Manifest, Role, StoredFile
from runbooks.steps.backups.proofs import Proof, proofs, proven_last, record
from runbooks.steps.database.server import Server

if TYPE_CHECKING:
    from pathlib import Path

ID = "2026-11-20T03-00-00Z"
OTHER = "2026-11-21T03-00-00Z"
AT = datetime(2026, 11, 20, 3, tzinfo=UTC)
GOOD = Manifest(
    id=ID, at=AT, run="r", code="c", database="club", server=Server(18, AT, "1", 1, 9, AT, False, True, 9, None),  # noqa: FBT003 - as the server tells it
    pg_dump="18.6", rows={}, left_out=(), roles=(Role("arbiter", "nologin noinherit", ()),), extensions=(),
    envelope=None, files=(StoredFile("dump/3412.dat.gz", 1, "0" * 64), StoredFile("contents.json", 1, "0" * 64)),
)  # fmt: skip


def written(store: Path, manifest: Manifest, *, into: str = ID) -> Catalog:
    """Return the catalog of a store that holds this manifest alone."""
    (store / into).mkdir(parents=True)
    (store / into / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return Catalog(FolderFiles(store))


def test_what_backups_write_is_read(tmp_path: Path) -> None:
    """A manifest as they are."""
    assert written(tmp_path, GOOD).all() == [GOOD]


@pytest.mark.parametrize(
    "name", ["../../outside", "/outside", "dump/../../outside", "dump/a/b", "dump/.dat", "contents.json\n", ""]
)
def test_a_file_outside_its_folder_makes_a_manifest_unreadable(tmp_path: Path, name: str) -> None:
    """It would be written to wherever it says: nothing of such a backup is used."""
    catalog = written(tmp_path, msgspec.structs.replace(GOOD, files=(StoredFile(name, 1, "0" * 64),)))
    assert (catalog.all(), catalog.unreadable()) == ([], [ID])
    with pytest.raises(Refused, match=r"expected one backup in .*, got 0 of: none"):
        catalog.get(ID)


@pytest.mark.parametrize("options", ["login superuser", "login inherit; drop schema public", "", "login inherit\n"])
def test_a_role_that_may_more_makes_a_manifest_unreadable(tmp_path: Path, options: str) -> None:
    """Its options are words of SQL: only those that backups write are taken."""
    catalog = written(tmp_path, msgspec.structs.replace(GOOD, roles=(Role("arbiter", options, ()),)))
    assert (catalog.all(), catalog.unreadable()) == ([], [ID])


def test_the_manifest_of_another_backup_makes_one_unreadable(tmp_path: Path) -> None:
    """An older one was put in its place: the place is named, and neither is taken for the other."""
    written(tmp_path, GOOD)
    catalog = written(tmp_path, GOOD, into=OTHER)
    assert ([one.id for one in catalog.all()], catalog.unreadable()) == ([ID], [OTHER])
    assert catalog.get(ID) == GOOD


@pytest.mark.parametrize("name", ["0000-notes", ".DS_Store", "1999", f"{ID}-copy", "2020-01-01"])
def test_what_others_keep_beside_backups_is_never_ours(tmp_path: Path, name: str) -> None:
    """It is no backup, and none that was killed either: nothing takes it away."""
    catalog = written(tmp_path, GOOD)
    (tmp_path / name).mkdir()
    assert (catalog.ids(), catalog.leftovers()) == ([ID], [])


def test_a_proof_is_of_the_backup_that_was_there_then(tmp_path: Path) -> None:
    """Of backups that are gone it protects none; of one whose manifest is another now, it says that it is not good."""
    home, store = Folder(tmp_path / "ops"), tmp_path / "dumps"
    catalog = written(store, GOOD)
    catalog = written(store, msgspec.structs.replace(GOOD, id=OTHER), into=OTHER)
    assert len(catalog.all()) == len(catalog.digests)
    for backup, at in ((ID, AT), (OTHER, AT + timedelta(days=1))):
        proof = Proof(backup=backup, at=at, run="r", good=True, major=18, seconds=1.0, tables=1, rows=1,
                      manifest=catalog.digests[backup])  # fmt: skip
        record(home, backup, lambda _sight, proof=proof: proof, name="record").act(Sight(run="r"))  # type: ignore[misc] # of this round
    assert (last := proven_last(home, catalog)) is not None
    assert last.backup == OTHER

    (store / OTHER / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(GOOD, id=OTHER, database="x")))
    assert proofs(home, catalog)[OTHER].faults == ("its manifest was altered since its proof of 2026-11-21 03:00 UTC",)
    assert (last := proven_last(home, catalog)) is not None
    assert last.backup == ID
    (store / ID / MANIFEST).unlink()
    assert proven_last(home, catalog) is None


def test_a_proven_backup_whose_manifest_is_lost_is_not_pruned(root: Path, tmp_path: Path) -> None:
    """It is no remnant of a backup that was killed: only what never was whole goes."""
    home, store = Folder(tmp_path / "ops"), tmp_path / "dumps"
    catalog = written(store, GOOD)
    for lost in (OTHER, "2026-11-22T03-00-00Z"):
        (store / lost / "dump").mkdir(parents=True)
    proof = Proof(backup=OTHER, at=AT, run="r", good=True, major=18, seconds=1.0, tables=1, rows=1)
    record(home, OTHER, lambda _sight: proof, name="record").act(Sight(run="r"))
    settings = load("twin", root=root, environ={})
    pruning = Prune(settings, home, catalog, lambda: AT + timedelta(days=9)).gather()
    assert [one.backup for one in pruning.goes] == ["2026-11-22T03-00-00Z"]
    assert list(pruning.stays) == [ID]
