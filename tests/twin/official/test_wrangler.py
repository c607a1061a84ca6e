"""Cloudflare's own command line works on the twin as on Cloudflare: it exits well, and the twin has what it did.

The stories run side by side on one twin, since a wrangler command is mostly the start of Node.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.twin.official import wrangler
from tests.twin.official.stories import databases, keys, objects, releases, sites, tails
from tests.twin.running import running
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.twin.official.wrangler import Wrangler

pytestmark = pytest.mark.twin
STORIES = (releases.story, sites.story, keys.story, objects.story, databases.story, tails.story)
TOLD: dict[str, Future[None]] = {}
AT_ONCE = 3


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wrangler]:
    """Start a twin, and every story on it."""
    try:
        node, program, modules = wrangler.install()
    except UnableError as error:
        pytest.skip(f"wrangler is not here: {error}")
    folder: Path = tmp_path_factory.mktemp("wrangler")
    with running(folder / "state", "--zone", "ems.example") as twin, ThreadPoolExecutor(AT_ONCE) as pool:
        made = wrangler.Wrangler(twin, folder, (node, program), modules)
        for story in STORIES:
            (folder / story.__module__.rpartition(".")[2]).mkdir()
            TOLD[story.__module__] = pool.submit(story, made, folder / story.__module__.rpartition(".")[2])
        yield made


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__module__.rpartition(".")[2])
def test_a_story(operator: Wrangler, story: Callable[[Wrangler, Path], None]) -> None:
    """Every command of the story exits with 0 and has its effect."""
    assert operator
    TOLD[story.__module__].result()


def test_who_am_i(operator: Wrangler) -> None:
    """The token's owner and the account are those of the twin."""
    said = operator.types("whoami")
    assert "operator@example.com" in said
    assert operator.twin.line["account"] in said


def test_a_wrong_token_is_told(operator: Wrangler) -> None:
    """Wrangler ends with 1 and the provider's code."""
    twin = replace(operator.twin, line=operator.twin.line | {"tokens": {"CLOUDFLARE_API_TOKEN": "x" * 40}})
    stranger = replace(operator, twin=twin)
    done = stranger.run("kv", "namespace", "list")
    assert done.returncode == 1
    assert "Authentication error [code: 10000]" in done.stderr


def test_the_twin_knew_every_call(operator: Wrangler) -> None:
    """When all stories are told, no call was answered 501."""
    for told in TOLD.values():
        told.exception()
    assert operator.lacking() == []
