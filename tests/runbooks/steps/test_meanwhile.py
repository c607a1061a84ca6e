"""What somebody else changed while a run was at it: said, and left as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runbooks.clients.supabase import Supabase, cidrs_of, explain
from runbooks.clients.transport import Transport
from runbooks.engine.step import Book, No, Sight, Step, Yes
from runbooks.model.errors import ActRefused, AnswerLost, Exit
from runbooks.steps.cloudflare.workers import route_traffic
from runbooks.steps.database.restrictions import allow
from runbooks.steps.pins import pin_release, read_pins, unpin_release
from tests.runbooks.desk import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runbooks.engine.step import Json
    from tests.runbooks.desk import Desk
    from tests.runbooks.stand_in import StandIn


class Nothing(msgspec.Struct, frozen=True):
    """No facts."""


def book(*steps: Step) -> Book[Nothing]:
    """Make a book of these steps."""
    return Book(name="toy", facts_type=Nothing, gather=Nothing, steps=lambda _: steps, summary=lambda _: "toy")


def losing(step: Step, then: Callable[[], Any], *, done: bool = True) -> Step:
    """Let the first answer of the step be lost, after it was `done` or not, and something happen right then."""

    def act(sight: Sight) -> Json:
        if sight.before.get("overtaken"):
            return step.act(sight)
        if done:
            step.act(sight)
        then()
        message = "cut"
        raise AnswerLost(message)

    return replace(step, act=act, settle=0.1)


@pytest.mark.parametrize("done", [True, False])
def test_another_deployment_is_not_deployed_over(desk: Desk, *, done: bool) -> None:
    """Whether ours took effect or not: what somebody else deployed since then keeps its traffic."""
    before, ours, theirs = desk.release(), desk.stand_in.upload(), desk.stand_in.upload()
    step = route_traffic(desk.cloudflare, "ems-api", to=ours, back_to=before)

    def deploy() -> None:
        desk.stand_in.deploy(theirs, message="hotfix of another operator")

    outcome = desk.run(book(losing(step, deploy, done=done)))
    assert outcome.exit is Exit.FAILED
    assert "somebody else has changed its traffic meanwhile" in outcome.text
    assert "'hotfix of another operator'" in outcome.text
    assert desk.stand_in.live == theirs
    assert len(desk.stand_in.writes) == done


def test_the_same_deployment_by_somebody_else_is_as_good(desk: Desk) -> None:
    """Where ours never came and somebody else sent the traffic there, there is nothing left to do."""
    before, ours = desk.release(), desk.stand_in.upload()
    step = route_traffic(desk.cloudflare, "ems-api", to=ours, back_to=before)
    outcome = desk.run(book(losing(step, lambda: desk.stand_in.deploy(ours), done=False)))
    assert (outcome.exit, desk.stand_in.writes) == (Exit.DONE, [])


def test_one_stale_read_does_not_skip_the_act(desk: Desk) -> None:
    """What is already so against the plan is read once more: from before the last deployment, it is routed again."""
    ours, before = desk.stand_in.upload(), desk.stand_in.upload()
    old, _ = desk.stand_in.deploy(ours), desk.stand_in.deploy(before)
    step = route_traffic(desk.cloudflare, "ems-api", to=ours, back_to=before)
    desk.stand_in.next.append((200, {}, {"success": True, "result": {"deployments": [old]}}))
    outcome = desk.run(book(step))
    assert (outcome.exit, desk.stand_in.live, len(desk.stand_in.writes)) == (Exit.DONE, ours, 1)


def test_traffic_that_somebody_moved_is_not_taken_back(desk: Desk) -> None:
    """An undo leaves a later deployment of somebody else alone, names it, and stops."""
    before, ours, theirs = desk.release(), desk.stand_in.upload(), desk.stand_in.upload()
    made = book(route_traffic(desk.cloudflare, "ems-api", to=ours, back_to=before))
    outcome = desk.run(made)
    desk.stand_in.deploy(theirs, message="hotfix")
    undone = desk.runner().undo(outcome.run, book=made, consent=desk.consent)
    assert undone.exit is Exit.FAILED
    assert f"now {theirs[:8]} 100 %, deployment {desk.stand_in.deployments[0]['id']}" in undone.text
    assert desk.stand_in.live == theirs


def test_traffic_that_is_back_already_is_left(desk: Desk) -> None:
    """An undo that somebody else was quicker with deploys nothing."""
    before, ours = desk.release(), desk.stand_in.upload()
    made = book(route_traffic(desk.cloudflare, "ems-api", to=ours, back_to=before))
    outcome = desk.run(made)
    desk.stand_in.deploy(before)
    assert desk.runner().undo(outcome.run, book=made, consent=desk.consent).exit is Exit.DONE
    assert len(desk.stand_in.writes) == 1


@pytest.fixture
def supabase(stand_in: StandIn) -> Iterator[Supabase]:
    """Open the way to a project."""
    transport = Transport("Supabase", stand_in.address, "sbp_x", explain=explain)
    yield Supabase(transport, "r" * 20)
    transport.close()


def allowed(*addresses: str) -> tuple[int, dict[str, str], Any]:
    """Return the platform's answer when these may connect."""
    config = {"dbAllowedCidrs": list(addresses), "dbAllowedCidrsV6": []}
    return 200, {}, {"entitlement": "allowed", "config": config, "status": "applied"}


def test_addresses_that_somebody_else_allowed_stay(stand_in: StandIn, supabase: Supabase) -> None:
    """Neither a repeated act nor an undo replaces a list that this run has neither set nor seen before."""
    step = allow(supabase, cidrs_of(("198.51.100.7/32",)), name="stop", title="stop")
    stand_in.next.append(allowed("0.0.0.0/0"))
    seen = step.holds(Sight())
    stand_in.next.append(allowed("203.0.113.5/32"))
    other = step.holds(Sight(request="4f1c", before=seen.evidence))
    assert isinstance(other, No)
    said = r"somebody else has changed who may connect meanwhile \(now 203.0.113.5/32\). It was left as it is"
    stand_in.next.append(allowed("203.0.113.5/32"))
    with pytest.raises(ActRefused, match=said):
        step.act(Sight(before=other.evidence))
    stand_in.next.extend([allowed("203.0.113.5/32")] * 2)
    assert callable(step.undo)
    with pytest.raises(ActRefused, match=said):
        step.undo(Sight(before=seen.evidence))
    assert stand_in.writes == []


def test_addresses_go_back_to_what_was_seen(stand_in: StandIn, supabase: Supabase) -> None:
    """An undo allows exactly who was allowed right before the act, also where a stale read says that it is so."""
    step = allow(supabase, cidrs_of(("198.51.100.7/32",)), name="stop", title="stop")
    assert callable(step.undo)
    before: dict[str, Json] = {"allowed": ["192.0.2.0/24"]}
    stand_in.next.extend([allowed("198.51.100.7/32"), allowed("192.0.2.0/24")])
    step.undo(Sight(before=before))
    assert stand_in.writes == [{"dbAllowedCidrs": ["192.0.2.0/24"], "dbAllowedCidrsV6": []}]
    stand_in.next.extend([allowed("192.0.2.0/24")] * 2)
    step.undo(Sight(before=before))
    assert len(stand_in.writes) == 2


def test_a_pin_of_somebody_else_stays(root: Path, tmp_path: Path) -> None:
    """An undo gives back the pin of before only where ours still stands."""
    file = tmp_path / "Pulumi.twin.yaml"
    file.write_bytes((root / "Pulumi.twin.yaml").read_bytes())
    ours = pin_release(file, "api", version="v1", reason="r", clock=now)
    theirs = pin_release(file, "api", version="v2", reason="r", clock=now)
    seen = ours.holds(Sight())
    ours.act(Sight(run="one"))
    theirs.act(Sight(run="two"))
    assert callable(ours.undo)
    with pytest.raises(ActRefused, match=r"changed the pin of api meanwhile \(now v2, by run two\)") as raised:
        ours.undo(Sight(before=seen.evidence))
    assert raised.value.next_command == f"edit {file}"
    gone = unpin_release(file, "api")
    gone.act(Sight())
    assert isinstance(gone.holds(Sight()), Yes)
    ours.undo(Sight(before=seen.evidence))
    assert read_pins(file) == {}
