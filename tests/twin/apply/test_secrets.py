"""Secrets by name only: the first deploy of a Worker, later releases, and what is refused, with a real Worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.apply.shop import Shop
from tests.twin.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.twin

VALUE = "kept-by-the-provider-alone"
CODE = """export default {
  async fetch(request, env) {
    return Response.json({text: "TEXT", key: env.API_KEY ?? null, mail: env.MAIL_KEY ?? null});
  },
  async scheduled() {},
}"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run a twin with the zone shop.test, whose Worker shows what it was given."""
    folder = tmp_path_factory.mktemp("shop")
    with running(folder / "twin", "--zone", "shop.test") as twin:
        yield Shop(twin, folder, code=CODE)


def versions(shop: Shop) -> list[dict[str, Any]]:
    """Return every version of the Worker, newest first."""
    rows: list[dict[str, Any]] = shop.ask("GET", shop.account("workers/workers/shop-api/versions"))
    return rows


def test_a_missing_secret_is_refused_and_a_given_one_is_inherited(shop: Shop) -> None:
    """Nothing is uploaded without the value; with it, app and maintenance version inherit it, and so do later ones."""
    shop.config["ems-ops:api"]["secrets"] = ["API_KEY"]
    refused = shop.refused()
    assert "EMS_SECRET_API_KEY: expected its value in the environment" in refused
    assert versions(shop) == []

    first = shop.apply(EMS_SECRET_API_KEY=VALUE)
    assert first["actions"]["shop-api-secrets"] == "create"
    assert shop.get("api.shop.test").json() == {"text": "one", "key": VALUE, "mail": None}
    assert [row["annotations"]["workers/message"].split()[0] for row in versions(shop)] == [
        "maintenance",
        "app",
        "maintenance",
    ]
    assert all({"name": "API_KEY", "type": "secret_text"} in row["bindings"] for row in versions(shop))
    assert shop.apply()["changes"] == 0

    shop.release("two")
    assert set(shop.apply()["actions"]) == {"shop-api-secrets", "shop-api-app", "shop-api-maintenance", "shop-api-live"}
    assert shop.get("api.shop.test").json() == {"text": "two", "key": VALUE, "mail": None}
    assert len(versions(shop)) == 5  # what carries first values is uploaded once

    shop.config["ems-ops:api"]["secrets"] = ["API_KEY", "MAIL_KEY"]
    assert "EMS_SECRET_MAIL_KEY" in shop.refused()
    shop.apply(EMS_SECRET_MAIL_KEY="another")
    assert shop.get("api.shop.test").json() == {"text": "two", "key": VALUE, "mail": "another"}

    shop.config["ems-ops:api"]["secrets"] = ["MAIL_KEY"]
    shop.apply()
    assert shop.get("api.shop.test").json() == {"text": "two", "key": None, "mail": "another"}


def test_no_value_is_in_the_state(shop: Shop) -> None:
    """Neither the state of the apply nor any output holds a value."""
    state = (shop.folder / "twin" / "apply.json").read_text()
    assert "MAIL_KEY" in state
    assert VALUE not in state
    assert "another" not in json.dumps(json.loads(state))
