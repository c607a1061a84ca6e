"""What tests of the runbooks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from runbooks.clients.postgres import Postgres
from tests.runbooks.desk import Desk, opened
from tests.runbooks.plane import Plane, at_the_plane
from tests.runbooks.stand_in import StandIn, serving
from tests.runbooks.steps.hazards.product import GONE
from tests.twin.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """Give a provider and its edge on this machine."""
    with serving() as state:
        yield state


@pytest.fixture
def desk(stand_in: StandIn, root: Path, tmp_path: Path) -> Iterator[Desk]:
    """Give an operator's desk of its own."""
    with opened(stand_in, root=root, folder=tmp_path) as desk:
        yield desk


@pytest.fixture
def plane(root: Path, tmp_path: Path) -> Iterator[Plane]:
    """Give an operator's desk at a twin's control plane, with a site and a zone."""
    with at_the_plane(root, tmp_path) as plane:
        yield plane


@pytest.fixture
def nothing_left(database: Postgres) -> Iterator[None]:
    """Take a product's tables away after the test: the database is everybody's."""
    yield
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(GONE)


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Give a real PostgreSQL with the platform's roles, for tests that carry the marker `twin`."""
    with running(tmp_path_factory.mktemp("twin")) as twin:
        yield Postgres(twin.line["database_url"])
