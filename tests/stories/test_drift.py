"""Drift as an operator sees it: none after a deploy; what somebody changes by hand is named with who did it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx
import pytest

from runbooks.clients import twin
from tests.stories.conftest import Operator

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.sweeping.place import Place

pytestmark = pytest.mark.twin


def test_what_a_preview_does_not_see_is_told(place: Place, root: Path) -> None:
    """The schedule and the traffic were changed by hand; typed from another folder, as JSON, with exit code 1."""
    place.rest()
    addresses = place.stage.addresses
    control = twin.control(addresses.cloudflare)
    file = place.direct(RELEASE="2").stack_file
    operator = Operator(root, file, addresses, dict(os.environ), control)
    first = operator.consents("deploy")
    assert first.code == 0, first.text
    good = first.document["results"]["health"]["version"]
    clean = operator.types("deploy.drift", folder=root / "runbooks")
    assert (clean.code, clean.document["drift"], clean.document["differences"]) == (0, False, []), clean
    script = f"{addresses.cloudflare}/accounts/{addresses.account}/workers/scripts/ems-api"
    token = {"authorization": f"Bearer {addresses.tokens['CLOUDFLARE_API_TOKEN']}"}
    httpx.put(f"{script}/schedules", headers=token, json=[{"cron": "0 3 * * *"}]).raise_for_status()
    parts = {"strategy": "percentage", "versions": [{"version_id": place.old, "percentage": 100}]}
    httpx.post(f"{script}/deployments", headers=token, json=parts).raise_for_status()
    try:
        seen = operator.types("deploy.drift")
        preview = operator.types("deploy", "--dry-run")
        mended = operator.consents("deploy")
    finally:
        httpx.put(f"{script}/schedules", headers=token, json=[{"cron": "* * * * *"}]).raise_for_status()
        control.transport.close()
        place.rest()
    assert (seen.code, seen.document["drift"], seen.document["unread"]) == (1, True, [])
    assert [(one["system"], one["kind"]) for one in seen.document["differences"]] == [
        ("traffic", "changed"),
        ("schedule", "changed"),
    ]
    assert all("/workers/scripts/ems-api/" in one["by"] for one in seen.document["differences"])
    assert preview.document["plan"]["facts"]["changes"] == []
    assert (mended.code, mended.document["results"]["traffic"]["version"]) == (0, good), mended.text
