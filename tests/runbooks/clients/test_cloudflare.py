"""Cloudflare's answers as typed data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.clients.cloudflare import Cloudflare, Share, explain
from runbooks.clients.transport import Patience, Transport
from runbooks.model.errors import ActRefused, AnswerLost, CheckError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runbooks.stand_in import StandIn

ACCOUNT = "0" * 32


@pytest.fixture
def cloudflare(stand_in: StandIn) -> Iterator[Cloudflare]:
    """Give a client of the stand-in."""
    patience = Patience(connect=1, answer=1, read=2, attempts=2)
    transport = Transport("Cloudflare", stand_in.address, "t" * 40, explain=explain, patience=patience)
    yield Cloudflare(transport, ACCOUNT)
    transport.close()


def test_nothing_deployed_is_no_error(cloudflare: Cloudflare) -> None:
    """A Worker that does not exist yet has no live deployment."""
    assert cloudflare.live("ems-api") is None


def test_the_first_deployment_is_live(cloudflare: Cloudflare, stand_in: StandIn) -> None:
    """The live version is the one of the first deployment listed, and none while traffic is split."""
    old, new = stand_in.upload(), stand_in.upload()
    stand_in.deploy(old)
    stand_in.deploy(new)
    live = cloudflare.live("ems-api")
    assert live is not None
    assert live.version == new
    stand_in.deploy(old, new)
    split = cloudflare.live("ems-api")
    assert split is not None
    assert split.version is None


def test_the_newest_maintenance_version_is_found(cloudflare: Cloudflare, stand_in: StandIn) -> None:
    """The maintenance version is known by its message; without one the error says what is missing."""
    stand_in.upload()
    with pytest.raises(CheckError, match="expected a version with the message 'maintenance', got none"):
        cloudflare.maintenance("ems-api")
    stand_in.upload(message="maintenance")
    newest = stand_in.upload(message="maintenance")
    assert cloudflare.maintenance("ems-api").id == newest


def test_a_deployment_keeps_its_message(cloudflare: Cloudflare, stand_in: StandIn) -> None:
    """What a deployment is for stays with Cloudflare, within its limit of bytes."""
    version = stand_in.upload()
    cloudflare.deploy("ems-api", (Share(version, 100),), message="é" * 700 + " request r1")
    assert stand_in.writes[0]["versions"] == [{"version_id": version, "percentage": 100}]
    assert len(stand_in.deployments[0]["annotations"]["workers/message"].encode()) == 1000


def test_a_changed_secret_is_told_by_its_code(cloudflare: Cloudflare, stand_in: StandIn) -> None:
    """Cloudflare's refusal keeps its code, by which the step knows it."""
    text = "A secret has changed since this version was active."
    stand_in.next.append((400, {}, {"success": False, "errors": [{"code": 10220, "message": text}]}))
    with pytest.raises(ActRefused, match=text) as raised:
        cloudflare.deploy("ems-api", (Share("v", 100),), message="m")
    assert raised.value.code == "10220"


def test_a_yes_that_can_not_be_read_is_a_lost_answer(cloudflare: Cloudflare, stand_in: StandIn) -> None:
    """A deployment that was answered with something else may have happened."""
    stand_in.next.append((200, {}, {"success": True, "result": {"deployment": 1}}))
    with pytest.raises(AnswerLost):
        cloudflare.deploy("ems-api", (Share("v", 100),), message="m")
