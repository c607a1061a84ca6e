"""The site goes back: run whole against the twin's Pages and its edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runbooks.engine.step import Sight
from runbooks.model.errors import ActRefused, Exit, Refused
from runbooks.steps.cloudflare.site import digests_in, site_faults
from runbooks.steps.pins import read_pins
from runbooks.steps.releases import read_releases

if TYPE_CHECKING:
    from tests.runbooks.plane import Plane

BROKEN = {"a.js": ""}


def deployments(plane: Plane) -> list[dict[str, Any]]:
    """Return the site's deployments as the twin keeps them, oldest first."""
    kept: list[dict[str, Any]] = plane.store.data["pages"][plane.web.name]["deployments"]
    return kept


def test_the_last_verified_deployment_is_live_again(plane: Plane) -> None:
    """What is live, the pin and the ledger tell the same; every page and file is met again by its digest."""
    plane.upload({"index.html": "first"})
    good, bad = plane.upload(), plane.upload(BROKEN, good=False)
    outcome = plane.roll_back("web")
    assert (outcome.status, outcome.exit, outcome.text) == ("done", Exit.DONE, "")
    assert plane.live == good
    pin = read_pins(plane.settings.file)["web"]
    assert (pin.version, pin.reason, pin.run) == (good, "it is broken", outcome.run)
    releases = read_releases(plane.home, "web")
    assert (releases.quarantined, releases.rolled_back_to, releases.good[-1]) == ((bad,), good, good)
    site = outcome.results["content"]
    assert isinstance(site, dict)
    assert (site["pages"], site["files"], site["compared"]) == (2, 2, 4)
    assert plane.calls["POST rollback"] == 1
    assert len(deployments(plane)) == 3


def test_twice_is_once(plane: Plane) -> None:
    """A second rollback changes nothing and asks Pages for nothing."""
    plane.upload({"index.html": "first"})
    good = plane.upload()
    plane.upload(BROKEN, good=False)
    plane.roll_back("web")
    again = plane.roll_back("web")
    assert (again.status, again.exit, plane.live) == ("already so", Exit.DONE, good)
    assert plane.calls["POST rollback"] == 1


def test_a_dry_run_only_shows(plane: Plane) -> None:
    """The plan names both deployments, and nothing moves."""
    good, bad = plane.upload(), plane.upload(BROKEN, good=False)
    made = plane.book("web")
    facts = made.gather()
    assert made.summary(facts) == f"ems-web at www.ems.example: from {bad[:8]} back to {good}, pinned there"
    assert [step.name for step in made.steps(facts)] == [
        "quarantine",
        "make live",
        "pin",
        "purge",
        "content",
        "smoke",
        "record",
    ]
    assert (plane.live, plane.calls["POST rollback"]) == (bad, 0)


def test_what_cannot_be_live_is_refused(plane: Plane) -> None:
    """A preview, one that failed, one that was left, and one that is not there: each with its reason."""
    good, failed, bad = plane.upload(), plane.upload({"x": "1"}, good=False), plane.upload(BROKEN, good=False)
    rows = deployments(plane)
    rows[1]["latest_stage"] = {"name": "build", "status": "failure"}
    preview = {**rows[0], "id": "5" * 8 + rows[0]["id"][8:], "environment": "preview"}
    rows.append(preview)
    plane.roll_back("web")
    told = {
        preview["id"]: "is a preview .branch main.: only production deployments can be live",
        failed: "did not succeed: build is failure",
        bad: "was rolled back from by run .*-1",
        "0000": "expected one deployment of ems-web among the last 200, got none",
    }
    for to, why in told.items():
        with pytest.raises(Refused, match=why) as raised:
            plane.roll_back("web", to=to)
        assert raised.value.next_command == "invoke rollback --service=web --stack twin"
    assert plane.live == good


def test_without_evidence_nothing_is_guessed(plane: Plane) -> None:
    """Where nothing else was proven, what could be live is named, never taken."""
    other, bad = plane.upload(good=False), plane.upload(BROKEN, good=False)
    with pytest.raises(Refused, match=f"Could be live, but not proven good: {other}") as raised:
        plane.roll_back("web")
    assert raised.value.next_command == f"invoke rollback --service=web --to={other} --stack twin"
    assert plane.live == bad


def test_nothing_deployed_is_refused(plane: Plane) -> None:
    """There is no way back from nothing."""
    with pytest.raises(Refused, match="there was never any") as raised:
        plane.roll_back("web")
    assert raised.value.next_command == "invoke deploy --stack twin"


def test_a_target_far_back_is_found(plane: Plane) -> None:
    """Pages lists 25 at a time: a verified one is asked for by its id, the beginning of an id is looked for."""
    good = plane.upload()
    first = dict(deployments(plane)[0])
    deployments(plane).extend({**first, "id": f"{number:08x}{first['id'][8:]}"} for number in range(60))
    bad = plane.upload(BROKEN, good=False)
    facts = plane.book("web").gather()
    assert (facts.live, facts.target, facts.bad) == (bad, good, bad)
    plane.roll_back("web", to="00000001-")
    assert plane.live == f"{1:08x}{first['id'][8:]}"


def test_a_lost_answer_is_found(plane: Plane) -> None:
    """The connection is cut after Pages has moved the site: the project tells, and nothing is sent again."""
    good = plane.upload()
    plane.upload(BROKEN, good=False)
    plane.watching.lose = "/rollback"
    outcome = plane.roll_back("web")
    assert (outcome.exit, plane.live, plane.calls["POST rollback"]) == (Exit.DONE, good, 1)


def test_what_somebody_else_made_live_meanwhile_is_left(plane: Plane) -> None:
    """A deployment that came between plan and act is not rolled over, nor by an undo."""
    plane.upload()
    plane.upload(BROKEN, good=False)
    made = plane.book("web")
    step = next(step for step in made.steps(made.gather()) if step.name == "make live")
    mended = plane.upload({"index.html": "mended"})
    with pytest.raises(ActRefused, match=f"changed what is live meanwhile .now {mended}"):
        step.act(Sight())
    assert plane.live == mended


def test_what_the_edge_keeps_is_purged(plane: Plane) -> None:
    """A file of the left deployment that the edge keeps under the same name is not served any longer."""
    plane.upload()
    plane.keep_at_the_edge("/a.css")
    plane.upload({"a.css": "body { display: none }"}, good=False)
    for _ in range(2):
        assert b"none" in plane.edge.get("www.ems.example", "/a.css").body
    outcome = plane.roll_back("web")
    assert (outcome.exit, outcome.text) == (Exit.DONE, "")
    assert b"red" in plane.edge.get("www.ems.example", "/a.css").body


def test_a_purge_that_is_refused_is_judged_by_what_is_served(plane: Plane) -> None:
    """A token without that right stops no rollback: its proof tells whether it was needed."""
    good = plane.upload()
    plane.upload(BROKEN, good=False)
    plane.watching.refuse = "/purge_cache"
    outcome = plane.roll_back("web")
    assert (outcome.exit, plane.live) == (Exit.DONE, good)
    assert "refused; expected 2xx, got 403" in str(outcome.results["purge"])


def test_a_purge_that_never_came_is_done_again(plane: Plane) -> None:
    """What the cache holds cannot be asked for: without a clear answer it is emptied once more."""
    plane.upload()
    plane.upload(BROKEN, good=False)
    plane.watching.drop = "/purge_cache"
    outcome = plane.roll_back("web")
    assert (outcome.exit, outcome.results["purge"]) == (Exit.DONE, {"purged": True, "host": "www.ems.example"})
    assert plane.watching.calls["POST purge_cache"] == 1


def test_undo_makes_the_former_one_live(plane: Plane) -> None:
    """Taking a rollback back restores what was live and the pin, and says that it is broken as before."""
    plane.upload()
    bad = plane.upload({"x": "bad, but whole"}, good=False)
    outcome = plane.roll_back("web")
    undone = plane.runner().undo(outcome.run, book=plane.book("web"), consent=plane.consent)
    assert (undone.exit, plane.live, read_pins(plane.settings.file)) == (Exit.DONE, bad, {})


def test_another_content_than_the_verified_one_is_not_called_good(plane: Plane) -> None:
    """Whatever stands between Pages and the users, what they get must be what was verified."""
    good = plane.upload()
    known = digests_in(read_releases(plane.home, "web").proofs[good])
    assert set(known) == {"/", "/more/", "/a.css", "/a.js"}
    faults, _ = site_faults(plane.edge, plane.web, {**known, "/a.css": "0" * 16})
    assert len(faults) == 1
    assert "expected content 0000000000000000 as when it was verified, got" in faults[0]
