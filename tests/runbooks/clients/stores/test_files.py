"""Large files: the same in a folder and in an object store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.stores.bucket import BucketFiles
from runbooks.clients.stores.files import PIECE, Files, FolderFiles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.object_store import ObjectStore


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Give a place of each kind."""
    if request.param == "folder":
        return FolderFiles(tmp_path / "there")
    store: ObjectStore = request.getfixturevalue("object_store")
    return BucketFiles(
        store.made(), "team", endpoint=store.address, region="us-east-1", key_id="id", secret_key="secret"
    )


def test_files_come_back_as_they_went(files: Files, tmp_path: Path) -> None:
    """Small, empty and of several parts; listed with their bytes; gone when taken away."""
    contents = {"a/dump/toc.dat": b"toc", "a/dump/empty": b"", "a/dump/large.dat": os.urandom(2 * PIECE + 9)}
    assert (files.names(""), files.sizes("a"), files.get("a/dump/toc.dat")) == ([], {}, None)
    for name, content in contents.items():
        source, told = tmp_path / "source", list[int]()
        source.write_bytes(content)
        files.put_file(name, source, report=told.append)
        source.unlink()
        assert sum(told) == len(content)
    assert {name: b"".join(files.pieces(name)) for name in contents} == contents
    assert files.sizes("a") == {name[2:]: len(content) for name, content in contents.items()}
    assert (files.names(""), files.names("a")) == (["a"], ["dump"])
    for name in contents:
        files.delete(name)
    files.delete("a/dump/toc.dat")
    assert (files.names(""), files.sizes("a")) == ([], {})
    with pytest.raises(FileNotFoundError):
        list(files.pieces("a/dump/toc.dat"))


def test_what_must_be_there_once_is_written_once(files: Files) -> None:
    """A second writer of the same content is told that it is so; one of another content that it is not."""
    assert files.put_new("a/manifest.json", b"{}")
    assert files.put_new("a/manifest.json", b"{}")
    assert not files.put_new("a/manifest.json", b"{1}")
    assert files.get("a/manifest.json") == b"{}"
    assert files.names("a") == ["manifest.json"]


def test_what_a_killed_writer_has_left_is_not_there_for_ever(tmp_path: Path) -> None:
    """Half a file is among what can be taken away, and the next file that is written there removes it."""
    files, source = FolderFiles(tmp_path / "there"), tmp_path / "source"
    source.write_bytes(b"whole")
    files.put_file("a/dump/1.dat", source)
    for number in range(2):
        half = tmp_path / "there" / "a" / "dump" / f"draft-{number}-00000000"
        half.write_bytes(b"half")
        assert files.sizes("a") == {"dump/1.dat": 5, f"dump/{half.name}": 4}
        if number:
            files.delete(f"a/dump/{half.name}")
        else:
            files.put_file("a/dump/1.dat", source)
        assert files.sizes("a") == {"dump/1.dat": 5}
