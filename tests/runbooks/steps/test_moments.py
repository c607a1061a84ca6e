"""The moment before a run, a deployment or a version: found by the id or its beginning, never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from runbooks.model.errors import Refused
from runbooks.model.timepoint import parse
from runbooks.model.timepoint_refusals import Asker
from runbooks.steps.moments import moments_of
from tests.runbooks.desk import now

if TYPE_CHECKING:
    from runbooks.steps.moments import Moments
    from tests.runbooks.plane import Plane

MODULE = {"name": "i.js", "content_type": "application/javascript+module", "content_base64": "ZXhwb3J0IGRlZmF1bHQge30="}


def moments(plane: Plane) -> Moments:
    """Return where happenings are looked up."""
    return moments_of(plane.home, plane.cloudflare, plane.settings.stack)


def upload(plane: Plane, *, tag: str = "") -> str:
    """Upload a version of the Worker, which is made first where there is none; return the version's id."""
    workers, name = f"/accounts/{plane.cloudflare.account}/workers/workers", plane.settings.stack.api.name
    if not plane.store.data["workers"]:
        plane.send("POST", workers, {"name": name})
    body: dict[str, object] = {"main_module": "i.js", "compatibility_date": "2026-04-01", "modules": [MODULE]}
    body |= {"annotations": {"workers/message": "app 1", **({"workers/tag": tag} if tag else {})}}
    return str(plane.send("POST", f"{workers}/{name}/versions", body)["id"])


def deploy(plane: Plane, version: str) -> tuple[str, datetime]:
    """Send the traffic to a version; return the deployment's id and its moment."""
    path = f"/accounts/{plane.cloudflare.account}/workers/scripts/{plane.settings.stack.api.name}/deployments"
    shares = [{"version_id": version, "percentage": 100}]
    made = plane.send("POST", path, {"strategy": "percentage", "versions": shares})
    return str(made["id"]), datetime.fromisoformat(str(made["created_on"]))


def test_before_a_deployment_and_before_the_first_traffic_of_a_version(plane: Plane) -> None:
    """A deployment has its own moment; a version the first that gave it traffic, also when it was live twice."""
    old, new = upload(plane), upload(plane)
    deploy(plane, old)
    first, began = deploy(plane, new)
    deploy(plane, old)
    again, later = deploy(plane, new)
    find = moments(plane).before
    assert (find(first), find(again), find(new)) == (began, later, began)
    assert (find(first[:8]), find(new[:13])) == (began, began)
    point = parse(f"before:{first}", Asker(now()), before=find)
    assert point.at < began


def test_a_version_may_have_served_before_what_is_remembered(plane: Plane) -> None:
    """Where the first deployment that is listed gave a version traffic, its upload is the moment that is sure."""
    only = upload(plane)
    deploy(plane, only)
    (version,) = plane.cloudflare.versions(plane.settings.stack.api.name)
    assert moments(plane).before(only) == datetime.fromisoformat(version.metadata.created_on)


def test_a_version_without_traffic_has_no_moment(plane: Plane) -> None:
    """What was only uploaded changed nothing: it is refused, with when it was uploaded."""
    deploy(plane, upload(plane))
    unused = upload(plane)
    with pytest.raises(Refused, match=f"before:{unused}: that version of ems-api never had traffic"):
        moments(plane).before(unused)


def test_before_a_deployment_of_the_site(plane: Plane) -> None:
    """A deployment of the site is found by its id and by its beginning."""
    made = plane.upload()
    shown = plane.pages.deployment(plane.web.name, made)
    assert shown is not None
    assert moments(plane).before(made[:10]) == datetime.fromisoformat(shown.created_on)


def test_a_beginning_of_several_is_refused_with_all_of_them(plane: Plane) -> None:
    """Where several ids begin so, each is named with what it is; where none does, the newest that there are."""
    version = upload(plane)
    made = [deploy(plane, version)[0] for _ in range(60)]
    beginnings = [one[:4] for one in made]
    deployments = plane.store.worker(plane.settings.stack.api.name)["deployments"]
    deployments[0]["id"] = f"{beginnings[1]}{made[0][4:]}"
    with pytest.raises(Refused) as refused:
        moments(plane).before(beginnings[1])
    assert f"before:{beginnings[1]}: expected one id that begins so, of a run, a deployment" in str(refused.value)
    assert deployments[0]["id"] in str(refused.value)
    assert made[1] in str(refused.value)
    with pytest.raises(Refused) as refused:
        moments(plane).before("00000000-0000")
    assert f"Newest: {made[-1]} (deployment of ems-api at " in str(refused.value)
    assert refused.value.next_command == "invoke runs"


def test_a_run_is_found_without_cloudflare(plane: Plane) -> None:
    """A run by its id, or the end of it, needs nobody else; one that changed nothing has no moment before it."""
    plane.upload({"index.html": "first"})
    plane.upload()
    plane.upload({"a.js": ""}, good=False)
    before, run = now(), str(plane.roll_back("web").run)
    nothing = str(plane.roll_back("web").run)
    away = replace(plane.cloudflare, account="0" * 32)
    find = moments_of(plane.home, away, plane.settings.stack).before
    assert before < find(run) == find("-".join(run.split("-")[-2:])) < now()
    with pytest.raises(Refused, match="that run changed nothing"):
        find(nothing)
