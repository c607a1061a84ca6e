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
