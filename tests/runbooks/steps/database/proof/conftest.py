"""A server of its own for tests that copy whole databases and break them, with one database of every kind of object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.databases.server import serving
from benchmarks.databases.subjects import load_depot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.databases.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Give a server with the database `depot`, which nobody changes: tests take copies."""
    with serving() as server:
        load_depot(server)
        yield server
