"""A product without a site and without records of its own, by the command line: what it has works, the rest is told."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import psycopg
import pytest

from runbooks.clients import twin
from tests.stories.conftest import Operator
from tests.stories.lending.product import ACCOUNT, PROJECT, ZONE, config_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.twin


@pytest.fixture(scope="module")
def lending(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Give an operator of the other product, whose twin is up with data and a release."""
    folder = tmp_path_factory.mktemp("lending")
    environment = {**os.environ, "EMS_SECRET_DESK_KEY": "key-of-the-desk"}
    started = twin.start(
        state=folder / "twin", account=ACCOUNT, zone=ZONE, project=PROJECT, root=root, environment=environment
    )
    control = twin.control(started.addresses.cloudflare)
    try:
        file = folder / "Pulumi.lending.yaml"
        config = config_of(msgspec.to_builtins(started.addresses), folder)
        file.write_text(json.dumps({"config": config}), "utf-8")
        operator = Operator(root, file, started.addresses, environment, control)
        up = operator.types("twin.up")
        assert up.code == 0, up.text
        yield operator
    finally:
        control.transport.close()
        started.stop()


def loans(operator: Operator) -> dict[str, Any]:
    """Return what the API answers to its users."""
    answer = httpx.get(f"{operator.addresses.edge}/loans", headers={"Host": f"loans.{ZONE}"})
    return dict(answer.json())


def test_what_is_declared_stands_and_nothing_of_a_site(lending: Operator) -> None:
    """No Pages call was made, nothing differs, and everything but the dynamic resources could be imported."""
    assert loans(lending)["edition"] == "first"
    assert [call.path for call in lending.control.calls() if "/pages/" in call.path and call.effect] == []
    drift = lending.types("deploy.drift")
    assert (drift.code, drift.document["differences"], drift.document["unread"]) == (0, [], []), drift.text
    found = lending.types("deploy.import")
    assert found.code == 0, found.text
    assert not [one for one in found.document["missing"] if "Pages" in one["type"]]


def test_releases_go_forth_and_back(lending: Operator) -> None:
    """A second release is proven and taken back; the site has no way back, and the key is named."""
    lending.edit("ems-ops:api", variables={"EDITION": "second"})
    assert lending.consents("deploy").code == 0
    assert loans(lending)["edition"] == "second"
    back = lending.consents("rollback")
    assert back.code == 0, back.text
    assert loans(lending)["edition"] == "first"
    for more in ((), ("--unpin",)):
        refused = lending.consents("rollback", "--service=web", *more)
        assert refused.code == 2
        assert "--service=web: Pulumi.lending.yaml declares no site (ems-ops:web is null)" in refused.text
    same = lending.consents("rollback", "--service=dns")
    assert "expected a verified state beside the present one, got none" in same.text


def test_data_comes_back(lending: Operator) -> None:
    """What was lost since a backup is there again; the plan knows of no site, nor of deployments of one."""
    url = lending.addresses.database_url
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("select count(*) from lending.loans").fetchone()
        backup = lending.consents("backup")
        assert backup.code == 0, backup.text
        connection.execute("truncate lending.loans")
    refused = lending.types("restore", "--point=before:00000000-0000", "--dry-run")
    assert "of a run, a deployment or a version of Worker lending-worker. Newest: " in refused.text
    restored = lending.consents("restore", "--point=1s ago", "--strategy=dump")
    assert restored.code == 0, restored.text
    assert restored.document["plan"]["facts"]["whole"]["site"] is None
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from lending.loans").fetchone() == rows


def test_drills_that_need_a_site_are_told(lending: Operator) -> None:
    """The list says which drills the product has nothing for; one that is asked for by name is refused."""
    listed: Any = lending.types("drill", "--list").document
    assert {one["name"] for one in listed if one["not_applicable"]} == {"bad-site", "bad-dns"}
    refused = lending.types("drill", "bad-site", "bad-release")
    assert refused.code == 2
    told = "drill bad-site: not applicable to Pulumi.lending.yaml: ems-ops:web is null: there is no site to break"
    assert told in refused.text
