"""KV namespaces: what is kept, for how long, in which order it is listed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from twin.workerd.kv import Entry, KeyValues

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyValues]:
    """Give an empty store."""
    made = KeyValues(tmp_path / "kv.sqlite")
    yield made
    made.close()


def test_an_entry_is_kept_in_its_own_namespace(store: KeyValues) -> None:
    """Value and metadata come back as they were; another namespace has its own keys; deleting ends it."""
    entry = Entry("a key/ü", b"\x00value", '{"n":1}', None)
    store.put("one", entry)
    assert store.get("one", "a key/ü") == entry
    assert store.get("two", "a key/ü") is None
    store.delete("one", "a key/ü")
    assert store.get("one", "a key/ü") is None


def test_an_expired_entry_is_gone(store: KeyValues) -> None:
    """After its time a key is neither read nor listed."""
    store.put("one", Entry("old", b"", None, time.time() - 1))
    store.put("one", Entry("new", b"", None, time.time() + 60))
    assert store.get("one", "old") is None
    assert [entry.name for entry in store.listed("one")] == ["new"]


def test_keys_are_listed_by_prefix_in_order_and_pages(store: KeyValues) -> None:
    """A prefix is taken literally, the order is that of the names, the next page begins after the last name."""
    for name in ("b", "a_2", "a%1", "a_1"):
        store.put("one", Entry(name, b"v", None, None))
    assert [entry.name for entry in store.listed("one", prefix="a_")] == ["a_1", "a_2"]
    assert [entry.name for entry in store.listed("one", limit=2)] == ["a%1", "a_1"]
    assert [entry.name for entry in store.listed("one", after="a_1")] == ["a_2", "b"]
