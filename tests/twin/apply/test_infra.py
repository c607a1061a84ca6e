"""The whole program on a whole twin: deployed, changed, stopped by maintenance, all through the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.twin.apply.shop import Shop
from tests.twin.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.twin


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run a twin with the zone shop.test."""
    folder = tmp_path_factory.mktemp("shop")
    with running(folder / "twin", "--zone", "shop.test") as twin:
        yield Shop(twin, folder)


def test_a_product_of_its_own_is_deployed_changed_and_stopped(stack: Shop) -> None:
    """Another stack file deploys another product; a new release, the maintenance version and a pin do as they say."""
    first = stack.apply()
    assert set(first["actions"].values()) == {"create"}
    answer = stack.get("api.shop.test").json()
    assert answer == {"text": "one", "version": first["outputs"]["api_version"], "database": True}
    assert "The Shop" in stack.get("www.shop.test").text

    assert stack.apply()["changes"] == 0

    stack.release("two")
    second = stack.apply()
    replaced = ("shop-api-app", "shop-api-maintenance", "shop-api-live")
    assert second["actions"] == dict.fromkeys(replaced, "replace")
    assert stack.get("api.shop.test").json()["text"] == "two"

    stack.route(second["outputs"]["maintenance_version"])
    stopped = stack.get("api.shop.test")
    assert (stopped.status_code, stopped.headers["retry-after"]) == (503, "30")
    assert stopped.json()["status"] == "maintenance"
    assert stopped.json()["version"] == second["outputs"]["maintenance_version"]
    assert "The Shop is under maintenance" in stopped.json()["message"]

    version = first["outputs"]["api_version"]
    stack.route(version)
    stack.config["ems-ops:pins"] = {"api": {"version": version, "since": "now", "reason": "two is bad", "run": "r1"}}
    stack.release("three")
    pinned = stack.apply()
    assert pinned["actions"]["shop-api-app"] == "replace"
    assert pinned["outputs"]["api_live_version"] == version
    assert pinned["outputs"]["api_version"] != version
    assert stack.get("api.shop.test").json()["text"] == "one"

    (stack.folder / "web" / "index.html").write_text("<h1>The new Shop</h1>")
    assert stack.apply()["actions"] == {"shop-web-content": "update"}
    assert "The new Shop" in stack.get("www.shop.test").text
