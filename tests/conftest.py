"""What every test starts from: no provider's token, database or configuration of the machine it runs on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.object_store import ObjectStore

FOREIGN = ("AWS_", "CLOUDFLARE_", "SUPABASE_", "PG", "PULUMI_", "EMS_")
"""Variables that would let a test reach something real. The twin's cache (EMS_OPS_CACHE) stays: it is ours."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the stories: they take longest, and whoever is done with them has enough left to do."""
    items.sort(key=lambda item: "stories" not in item.path.parts)


@pytest.fixture(autouse=True, scope="session")
def _signals_are_heard() -> None:
    """Listen to Ctrl-C and hangups again where the tests run in the background or under nohup, which ignore them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear every variable that names or opens a real system."""
    for name in tuple(os.environ):
        if name.startswith(FOREIGN) and name != "EMS_OPS_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the repository's root."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """Start a real S3 server, shared by all tests."""
    from tests.object_store import serving  # noqa: PLC0415 - only the tests that need it pay its imports

    with serving() as store:
        yield store
