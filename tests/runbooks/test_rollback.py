"""The rollback, run whole against a stand-in of Cloudflare and its edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runbooks import rollback
from runbooks.engine.runner import Consent
from runbooks.engine.step import Sight
from runbooks.model.errors import ActRefused, Exit, Refused
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.pins import read_pins
from runbooks.steps.releases import read_releases, record_verified
from tests.runbooks.desk import now

if TYPE_CHECKING:
    from runbooks.engine.runner import Outcome
    from runbooks.engine.step import Book
    from tests.runbooks.desk import Desk


def book_of(desk: Desk, **arguments: Any) -> Book[Any]:  # noqa: ANN401 - the book's own arguments
    """Make the book as the command does."""
    given = msgspec.convert({"reason": "it throws", **arguments}, rollback.Arguments)
    return rollback.book(desk.settings, desk.cloudflare, desk.edge, home=desk.home, arguments=given, clock=now)


def roll_back(desk: Desk, **arguments: Any) -> Outcome:  # noqa: ANN401 - the book's own arguments
    """Run the rollback."""
    return desk.run(book_of(desk, **arguments), **{"reason": "it throws", **arguments})


def test_traffic_goes_back_to_the_last_verified_release(desk: Desk) -> None:
    """The traffic, the pin and the ledger tell the same: back to what was proven, away from what was live."""
    good, bad = desk.release(), desk.release(good=False)
    outcome = roll_back(desk)
    assert (outcome.status, outcome.exit) == ("done", Exit.DONE)
    assert desk.stand_in.live == good
    pin = read_pins(desk.settings.file)["api"]
    assert (pin.version, pin.reason, pin.run) == (good, "it throws", outcome.run)
    releases = read_releases(desk.home, "api")
    assert (releases.quarantined, releases.rolled_back_to, releases.good) == ((bad,), good, (good,))
    assert desk.stand_in.deployments[0]["annotations"]["workers/message"].startswith("rollback · request ")


def test_twice_is_once(desk: Desk) -> None:
    """A second rollback changes nothing: it does not go one further back, and never to the bad one."""
    desk.release()
    good = desk.release()
    desk.release(good=False)
    roll_back(desk)
    again = roll_back(desk)
    assert (again.status, again.exit) == ("already so", Exit.DONE)
    assert desk.stand_in.live == good
    assert len(desk.stand_in.writes) == 1


def test_a_release_that_was_verified_and_turned_out_bad_is_left(desk: Desk) -> None:
    """The live release is left even when its checks had passed."""
    good = desk.release()
    desk.release()
    roll_back(desk)
    assert desk.stand_in.live == good


def test_an_interrupted_rollback_is_not_taken_for_a_new_one(desk: Desk) -> None:
    """A rollback that stopped between traffic and pin goes on when it is typed again."""
    desk.release()
    good = desk.release()
    bad = desk.release(good=False)
    for step in book_of(desk).steps(rollback.Facts(live=(bad,), target=good, bad=(bad,)))[:2]:
        step.act(Sight(run="died"))
    assert read_pins(desk.settings.file) == {}
    roll_back(desk)
    assert desk.stand_in.live == good
    assert read_pins(desk.settings.file)["api"].version == good


def test_a_chosen_version_is_taken(desk: Desk) -> None:
    """--to goes to any deployable release, by the beginning of its id too."""
    oldest = desk.release()
    desk.release()
    desk.release()
    roll_back(desk, to=oldest[:13])
    assert desk.stand_in.live == oldest


def test_what_can_not_be_a_target_is_refused(desk: Desk) -> None:
    """A version that isn't deployable is refused with those that are."""
    known = desk.release()
    desk.stand_in.upload(message="maintenance")
    with pytest.raises(Refused, match=rf"--to=ffff: expected one deployable .* got none\. Deployable: {known}\."):
        roll_back(desk, to="ffff")
    assert desk.stand_in.writes == []


def test_a_version_that_was_rolled_back_from_is_no_target(desk: Desk) -> None:
    """Naming it is refused with when and by which run it was left, and with the way to the last good one."""
    desk.release()
    bad = desk.release(good=False)
    run = roll_back(desk).run
    with pytest.raises(Refused, match=rf"version {bad} was rolled back from by run {run}") as raised:
        roll_back(desk, to=bad)
    assert raised.value.next_command == "invoke rollback --stack twin"
    assert len(desk.stand_in.writes) == 1


def test_a_version_older_than_the_provider_keeps_is_no_target(desk: Desk) -> None:
    """What was uploaded too long ago gets no traffic any more: that is said, named or not."""
    old = desk.release()
    desk.stand_in.older.append(desk.stand_in.versions.pop())
    desk.release(good=False)
    with pytest.raises(Refused, match=r"version “app 0123456789ab” of .* is older than the last 100 uploads") as raised:
        roll_back(desk, to=old)
    assert raised.value.next_command == "invoke deploy --stack twin"
    with pytest.raises(Refused, match=r"got none in .* but 1 that are older than the last 100 uploads"):
        roll_back(desk)
    assert desk.stand_in.writes == []


def test_a_version_that_is_bound_to_what_is_gone_is_no_target(desk: Desk) -> None:
    """Each binding is looked for before anything is done; what the token may not see does not stop the way back."""
    desk.stand_in.bound = {"here": 200, "hidden": 403}
    bindings = (
        {"name": "CACHE", "type": "kv_namespace", "namespace_id": "here"},
        {"name": "FILES", "type": "r2_bucket", "bucket_name": "hidden"},
        {"name": "DB", "type": "hyperdrive", "id": "gone"},
        {"name": "VERSION", "type": "version_metadata"},
    )
    other = desk.release()
    good = desk.stand_in.upload(bindings=bindings)
    desk.stand_in.deploy(good)
    record_verified(desk.home, "api", version=given(good), proofs=(), clock=now).act(Sight())
    desk.release(good=False)
    with pytest.raises(Refused, match=rf"{good} of ems-api is bound to .* no longer there: DB .hyperdrive.") as raised:
        roll_back(desk)
    assert raised.value.next_command == f"invoke rollback --to={other} --stack twin"
    assert desk.stand_in.writes == []
    desk.stand_in.bound["gone"] = 200
    assert roll_back(desk).exit is Exit.DONE


def test_without_evidence_nothing_is_guessed(desk: Desk) -> None:
    """Where no other release was proven, the ones that could be live are named and nothing happens."""
    other = desk.release(good=False)
    desk.release(good=False)
    desk.stand_in.upload(message="maintenance")
    with pytest.raises(Refused, match="Deployable, but not proven good") as raised:
        roll_back(desk)
    assert raised.value.next_command == f"invoke rollback --to={other} --stack twin"


def test_nothing_deployed_is_refused(desk: Desk) -> None:
    """There is no way back from nothing."""
    with pytest.raises(Refused, match="nothing was ever deployed") as raised:
        roll_back(desk)
    assert raised.value.next_command == "invoke deploy --stack twin"


def test_the_maintenance_version_is_never_quarantined(desk: Desk) -> None:
    """Going back from maintenance leaves no mark on it: it is needed again."""
    good = desk.release()
    desk.stand_in.deploy(desk.stand_in.upload(message="maintenance"))
    roll_back(desk)
    assert desk.stand_in.live == good
    assert read_releases(desk.home, "api").quarantined == ()


def test_a_changed_secret_stops_it_with_the_way_on(desk: Desk) -> None:
    """Cloudflare's 10220 is a refusal; the flag that accepts it is in the next command, and works."""
    good = desk.release()
    bad = desk.release(good=False)
    refusal = {"success": False, "errors": [{"code": 10220, "message": "A secret has changed since"}]}
    facts = book_of(desk).gather()
    steps = book_of(desk).steps(facts)
    route = next(step for step in steps if step.name == "route traffic")
    desk.stand_in.next.append((400, {}, refusal))
    with pytest.raises(ActRefused, match="secrets that it was not tested with") as raised:
        route.act(Sight())
    assert raised.value.next_command == f"invoke rollback --to={good} --accept-secret-change --stack twin"
    assert desk.stand_in.live == bad
    roll_back(desk, to=good, accept_secret_change=True)
    assert desk.stand_in.live == good
    assert any("force=true" in path for _, path, *_ in desk.stand_in.seen)


def test_a_lost_answer_is_looked_for_not_repeated(desk: Desk) -> None:
    """The deployment whose answer was lost is found; there is one of it."""
    good = desk.release()
    desk.release(good=False)
    deployments = len(desk.stand_in.deployments)
    desk.stand_in.lose_next_write = True
    outcome = roll_back(desk)
    assert outcome.exit is Exit.DONE
    assert desk.stand_in.live == good
    assert len(desk.stand_in.deployments) == deployments + 1


def test_a_target_that_fails_its_proof_is_not_called_good(desk: Desk) -> None:
    """When the release of before fails too, the run is unproven, says so, and names another one to go to."""
    older, good = desk.release(), desk.release()
    desk.release(good=False)
    desk.stand_in.failing_paths["/api/horses"] = 500
    outcome = roll_back(desk)
    assert (outcome.status, outcome.exit) == ("unproven", Exit.UNPROVEN)
    assert "expected 200, got 500" in outcome.text
    assert outcome.next_command == f"invoke rollback --to={older} --stack twin"
    assert read_pins(desk.settings.file)["api"].version == good


def test_unpin_lets_the_next_deploy_go(desk: Desk) -> None:
    """--unpin takes the pin away and leaves the traffic; a later rollback is a new one."""
    oldest, good = desk.release(), desk.release()
    desk.release(good=False)
    roll_back(desk)
    writes = len(desk.stand_in.writes)
    unpinned = roll_back(desk, unpin=True)
    assert unpinned.exit is Exit.DONE
    assert unpinned.plan.shows[0].startswith("To move it now: invoke deploy --stack ")
    assert read_pins(desk.settings.file) == {}
    assert (desk.stand_in.live, len(desk.stand_in.writes)) == (good, writes)
    assert roll_back(desk, unpin=True).status == "already so"
    roll_back(desk)
    assert desk.stand_in.live == oldest


def test_a_dry_run_changes_nothing(desk: Desk) -> None:
    """The plan is made by reading alone."""
    desk.release()
    bad = desk.release(good=False)
    desk.consent = Consent(dry_run=True)
    outcome = roll_back(desk)
    assert outcome.status == "planned"
    assert [step.name for step in outcome.plan.steps][1:] == ["route traffic", "pin", "health", "smoke", "record"]
    assert (desk.stand_in.live, desk.stand_in.writes) == (bad, [])


def test_undo_gives_the_traffic_back(desk: Desk) -> None:
    """Taking a rollback back restores traffic and pin as they were."""
    desk.release()
    bad = desk.release(good=False)
    outcome = roll_back(desk)
    undone = desk.runner().undo(outcome.run, book=book_of(desk), consent=desk.consent)
    assert undone.exit is Exit.DONE
    assert desk.stand_in.live == bad
    assert read_pins(desk.settings.file) == {}


def test_undo_proves_what_was_live_before(desk: Desk) -> None:
    """The undo ends with the health contract of the release that is live again; where that fails, it says so."""
    desk.release()
    bad = desk.release(good=False)
    done = roll_back(desk)
    undone = desk.runner().undo(done.run, book=book_of(desk), consent=desk.consent)
    assert [step.name for step in undone.plan.steps][-2:] == ["former health", "former smoke"]
    assert (undone.exit, desk.stand_in.live) == (Exit.DONE, bad)
    done = roll_back(desk)
    desk.stand_in.failing_paths["/api/horses"] = 500
    undone = desk.runner().undo(done.run, book=book_of(desk), consent=desk.consent)
    assert (undone.exit, undone.next_command) == (Exit.UNPROVEN, "invoke rollback --stack twin")


def test_a_split_is_given_back_and_any_part_may_answer(desk: Desk) -> None:
    """Traffic that was split before is split again, and proven with whichever version answers."""
    good, bad = desk.release(), desk.release(good=False)
    desk.stand_in.deploy(bad, good)
    outcome = roll_back(desk)
    assert desk.stand_in.live == good
    undone = desk.runner().undo(outcome.run, book=book_of(desk), consent=desk.consent)
    assert undone.exit is Exit.DONE
    assert [share["version_id"] for share in desk.stand_in.deployments[0]["versions"]] == [bad, good]
