"""The deployment, run whole: the program is a stand-in, its proof is real."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from infra.pins.pinned import Pin
from infra.stack import Release
from runbooks import deploy
from runbooks.clients.pulumi import Pulumi
from runbooks.engine.runner import Consent
from runbooks.engine.step import Sight
from runbooks.model.errors import Exit, Refused
from runbooks.steps.cloudflare.workers import given
from runbooks.steps.pins import pin_release, read_pins
from runbooks.steps.releases import quarantine, read_releases
from tests.runbooks.clients.test_pulumi import OUTPUTS, TWIN
from tests.runbooks.desk import now

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.engine.step import Book
    from tests.runbooks.desk import Desk

HELD = """
if os.environ.get("EMS_LIVE_VERSION"):
    OUTPUTS["api_live_version"] = os.environ["EMS_LIVE_VERSION"]
open("seen", "a").write(os.environ.get("EMS_LIVE_VERSION", "-") + "\\n")
"""


def book_of(
    desk: Desk,
    *,
    live: str,
    preview: bool = False,
    accept: bool = False,
    **release: Any,  # noqa: ANN401 - the fields of Release
) -> Book[deploy.Facts]:
    """Make the book, with a program that uploads `live` and says that it has the traffic, unless told otherwise."""
    build = ("python", "-c", "print('code')")
    api = msgspec.structs.replace(desk.settings.stack.api, build=build)
    stack = msgspec.structs.replace(desk.settings.stack, api=api, release=Release(**release))
    settings = replace(desk.settings, stack=stack)
    outputs = {**OUTPUTS, "api_live_version": live, "api_version": live}
    program = TWIN.replace("assert", f"OUTPUTS = {json.dumps(outputs)}\n{HELD}assert", 1)
    (settings.root / "twin.py").write_text(program, "utf-8")
    pulumi = Pulumi("twin", settings.file, settings.root, {}, settings.twin_state, str)
    arguments = deploy.Arguments(preview=preview, accept_quarantined=accept)
    return deploy.book(settings, desk.cloudflare, desk.edge, pulumi, home=desk.home, arguments=arguments, clock=now)


def same(facts: deploy.Facts) -> deploy.Facts:
    """Return facts that were gathered before the program did its part."""
    return facts


def test_another_database_than_the_pinned_one_is_refused(desk: Desk) -> None:
    """Also where Hyperdrive itself does not show the move: it may have been moved back by hand, or by another clone."""
    live = desk.release()
    pin = Pin(version="ems_2", since="then", reason="restored", run="r-1", server="owner@db.example:5432")
    stack = msgspec.structs.replace(desk.settings.stack, pins={"database": pin})
    here = {**desk.settings.environment, "EMS_DATABASE_URL": "postgresql://owner:hush@db.example:5432/ems"}
    settings = replace(desk.settings, stack=stack, environment=here)
    with pytest.raises(Refused) as refused:
        book_of(replace(desk, settings=settings), live=live).gather()
    assert str(refused.value) == (
        f"{settings.file.name}: ems-ops:pins.database: pinned to ems_2 on db.example:5432 since then (restored; run "
        "r-1): expected EMS_DATABASE_URL to name it, got ems on db.example:5432. Nothing was done. For another one on "
        "purpose, take database out of ems-ops:pins."
    )
    assert refused.value.next_command == "export EMS_DATABASE_URL='postgresql://owner:…@db.example:5432/ems_2'"


def splits(desk: Desk) -> list[list[float]]:
    """Return the percentages of every deployment that was made by REST, oldest first."""
    return [[share["percentage"] for share in body["versions"]] for body in desk.stand_in.writes]


def held(root: Path) -> list[str]:
    """Return which version kept the traffic in each pass over the program."""
    return (root / "seen").read_text("utf-8").split()


def test_a_proven_release_is_recorded_as_good(desk: Desk) -> None:
    """After health and smoke checks the version is verified, with its proof."""
    version = desk.release(good=False)
    outcome = desk.run(book_of(desk, live=version))
    assert (outcome.status, outcome.exit) == ("done", Exit.DONE)
    assert read_releases(desk.home, "api").good == (version,)
    assert outcome.results["health"] == {
        "version": version,
        "answers": 3,
        "milliseconds": outcome.results["health"]["milliseconds"],  # type: ignore[index,call-overload] # evidence
    }


def test_a_release_that_fails_is_taken_back(desk: Desk) -> None:
    """A failed smoke check sends the traffic back, quarantines what failed, pins what is good, and proves it."""
    good = desk.release()
    book = book_of(desk, live=(bad := desk.stand_in.upload()))
    facts = book.gather()
    desk.stand_in.deploy(bad)  # what the program does
    desk.stand_in.bad_paths[bad] = {"/api/lessons": 500}
    outcome = desk.run(replace(book, gather=partial(same, facts)))
    assert (outcome.status, outcome.exit) == ("taken back", Exit.UNPROVEN)
    assert outcome.text.endswith(": expected 200, got 500; it was taken back")
    assert outcome.next_command == "invoke rollback --unpin --stack twin"
    assert desk.stand_in.live == good
    releases = read_releases(desk.home, "api")
    assert (releases.quarantined_by, releases.good) == ({bad: outcome.run}, (good,))
    pin = read_pins(desk.settings.file)["api"]
    assert (pin.version, pin.run) == (good, outcome.run)
    assert outcome.results["old health"]["version"] == good  # type: ignore[index,call-overload] # evidence


def test_where_people_decide_it_stops(desk: Desk) -> None:
    """With `on_failure: stop` the release stays, unproven and unrecorded, and the way back is named."""
    desk.release()
    bad = desk.release(good=False)
    desk.stand_in.failing_paths["/api/lessons"] = 500
    outcome = desk.run(book_of(desk, live=bad, on_failure="stop"))
    assert (outcome.status, outcome.exit) == ("unproven", Exit.UNPROVEN)
    assert outcome.next_command == "invoke rollback --stack twin"
    assert bad not in read_releases(desk.home, "api").verified
    assert desk.stand_in.live == bad


def test_the_first_release_has_nothing_to_go_back_to(desk: Desk) -> None:
    """It says so, and leaves the traffic."""
    book = book_of(desk, live=(first := desk.stand_in.upload()))
    facts = book.gather()
    assert [step.title for step in book.on_failure(facts)] == [
        "see what the release is taken back to: nothing, since nothing was live before"
    ]
    desk.stand_in.deploy(first)
    desk.stand_in.failing_paths["/api/lessons"] = 500
    outcome = desk.run(replace(book, gather=partial(same, facts)))
    assert (outcome.status, outcome.exit) == ("unproven", Exit.UNPROVEN)
    assert "then there is nothing to go back to: nothing was live before. It stays where it is" in outcome.text
    assert (desk.stand_in.live, outcome.next_command) == (first, "invoke deploy --stack twin")


def test_what_is_not_the_releases_fault_is_not_taken_back(desk: Desk) -> None:
    """Where the same version was live before, or only the site fails, nobody is quarantined."""
    good = desk.release()
    desk.stand_in.failing_paths["/api/lessons"] = 500
    outcome = desk.run(book_of(desk, live=good))
    assert f"then there is nothing to take back: {good} was live before" in outcome.text
    desk.stand_in.failing_paths = {"/": 500}
    newer = desk.release(good=False)
    for traffic in ((100,), (10, 100)):
        desk.stand_in.deploy(good)
        book = book_of(desk, live=newer, traffic=traffic)
        facts = book.gather()
        desk.stand_in.deploy(newer if traffic == (100,) else good)
        outcome = desk.run(replace(book, gather=partial(same, facts)))
        assert (outcome.status, outcome.exit) == ("unproven", Exit.UNPROVEN)
        assert "then the site www.ems.example failed; the API was left as it is" in outcome.text
        assert outcome.next_command == "invoke rollback --service=web --stack twin"
    assert read_releases(desk.home, "api").quarantined == ()


def test_traffic_grows_by_stages(desk: Desk) -> None:
    """The program holds the traffic, REST moves it, each part is checked; at last the program declares what is live."""
    old = desk.release()
    new = desk.stand_in.upload()
    outcome = desk.run(book_of(desk, live=new, traffic=(0, 10, 100), bake_seconds=0.3))
    assert (outcome.status, desk.stand_in.live) == ("done", new), outcome.text
    assert splits(desk) == [[0, 100], [10, 90], [100]]
    assert held(desk.settings.root) == [old, new]
    checks = ["health", "smoke", "watch"]
    assert [step.name for step in outcome.plan.steps] == [
        *("records before", "apply", "site", "content", "record site"),
        *("traffic at 0 %", *(f"{check} at 0 %" for check in checks)),
        *("traffic at 10 %", *(f"{check} at 10 %" for check in checks)),
        *("traffic", *checks, "declare", "doubles", "record"),
        *("records after", "names", "record records"),
    ]
    asked = [headers.get("cloudflare-workers-version-overrides") for _, path, headers, _ in desk.stand_in.seen
             if path == "/api/horses"]  # fmt: skip
    assert set(asked[:-4]) == {f'ems-api="{new}"'}
    assert asked[-2:] == [None, None]
    assert read_releases(desk.home, "api").good == (old, new)


def test_the_same_code_moves_no_traffic(desk: Desk) -> None:
    """A deploy in stages that uploads nothing new sends no deployment, and there is nothing to watch for long."""
    good = desk.release()
    outcome = desk.run(book_of(desk, live=good, traffic=(10, 100), bake_seconds=600))
    assert (outcome.status, splits(desk)) == ("done", [])


def test_a_split_that_a_crash_left_is_ended_first(desk: Desk) -> None:
    """A new deploy sends everything to what was verified before it begins anew."""
    good = desk.release()
    desk.stand_in.deploy(half := desk.stand_in.upload(), good)
    facts = book_of(desk, live=half, traffic=(10, 100)).gather()
    assert (facts.live, facts.held, facts.back) == ((half, good), good, good)
    outcome = desk.run(book_of(desk, live=half, traffic=(10, 100)))
    assert (outcome.status, splits(desk)) == ("done", [[100], [10, 90], [100]])


def test_too_many_wrong_answers_take_it_back(desk: Desk) -> None:
    """While the release is watched more requests fail than may: it ends early, with the share and an example."""
    good, new = desk.release(), desk.stand_in.upload()
    desk.stand_in.bad_after[new] = 6
    outcome = desk.run(book_of(desk, live=new, traffic=(10, 100), bake_seconds=20, error_rate_percent=1))
    assert (outcome.status, desk.stand_in.live) == ("taken back", good)
    assert "2 of 5 requests failed, expected at most 1 % over 20 s: GET https://api.ems.example" in outcome.text
    assert splits(desk) == [[10, 90], [100]]


def test_what_was_quarantined_does_not_come_back(desk: Desk) -> None:
    """The same content under any version id is refused before anything is done, until somebody says that it is good."""
    desk.release()
    book = book_of(desk, live="x")
    api = msgspec.structs.replace(desk.settings.stack.api, build=("python", "-c", "print('code')"))
    bad = desk.stand_in.upload(message=api.message(b"code"))
    other = desk.stand_in.upload()
    for version in (other, "gone", bad):
        quarantine(desk.home, "api", version=version, to="x", clock=now).act(Sight(run="run-7"))
    with pytest.raises(Refused, match=f"got that of version {bad} .*, which run run-7 quarantined") as refused:
        desk.run(book)
    assert refused.value.next_command == "invoke deploy --accept-quarantined --stack twin"
    assert desk.stand_in.writes == []
    assert book_of(desk, live="x", accept=True).gather().pinned is None
    pin_release(desk.settings.file, "api", version=other, reason="r", clock=now).act(Sight())
    facts = book.gather()  # it is uploaded beside the pin, and gets no traffic
    assert (facts.pinned, book.on_failure(facts)) == (other, ())


@pytest.mark.parametrize(
    ("live", "quarantined", "back"),
    [("new", (), "good"), ("good", (), "good"), ("new", ("new", "good"), None), ("maintenance", (), "good")],
)
def test_where_a_release_goes_back_to(desk: Desk, live: str, quarantined: tuple[str, ...], back: str | None) -> None:
    """To what is live if that is good, else to the last that is; where there is nothing, it says why."""
    versions = {"good": desk.release(), "new": desk.stand_in.upload()}
    versions["maintenance"] = desk.stand_in.upload(message="maintenance")
    desk.stand_in.deploy(versions[live])
    for one in quarantined:
        quarantine(desk.home, "api", version=versions[one], to="x", clock=now).act(Sight())
    facts = book_of(desk, live="x").gather()
    assert facts.back == (versions[back] if back else None)
    assert bool(facts.why_none) is not bool(back)


def test_without_a_ledger_what_is_live_is_the_way_back(desk: Desk) -> None:
    """An account that was taken over has a way back before anything was recorded."""
    version = desk.release(good=False)
    assert book_of(desk, live="x").gather().back == version


def test_the_plan_holds_the_preview_and_the_pin(desk: Desk) -> None:
    """A dry run says what would change and what stays pinned, and changes nothing."""
    version = desk.release()
    pin_release(desk.settings.file, "api", version=version, reason="r", clock=now).act(Sight())
    desk.consent = Consent(dry_run=True)
    outcome = desk.run(book_of(desk, live=version, preview=True))
    assert outcome.status == "planned"
    assert outcome.plan.facts["changes"] == ["create t create"]
    assert f"Traffic stays on {version[:8]}, which is pinned" in outcome.plan.summary
    assert desk.stand_in.writes == []


def test_traffic_elsewhere_than_the_program_says_is_moved(desk: Desk) -> None:
    """Where somebody moved it without the program, the program changes nothing: it is sent there by REST."""
    desk.release()
    new = desk.stand_in.upload()
    outcome = desk.run(book_of(desk, live=new))
    assert (outcome.status, desk.stand_in.live, splits(desk)) == ("done", new, [[100]])


def test_an_undo_gives_the_traffic_back(desk: Desk) -> None:
    """A release in stages that was stopped half-way is taken back, and what was live before is proven."""
    old, new = desk.release(), desk.stand_in.upload()
    book = book_of(desk, live=new, traffic=(10, 50, 100))
    desk.stand_in.bad_paths[new] = {"/api/lessons": 500}
    stopped = desk.run(replace(book, on_failure=lambda _facts: ()))
    assert (stopped.status, splits(desk)) == ("unproven", [[10, 90]])
    undone = desk.runner().undo(stopped.run, book=replace(book, on_failure=lambda _facts: ()), consent=desk.consent)
    assert (undone.status, desk.stand_in.live) == ("undone", old)
    assert undone.results["former health"]["version"] == given(old)(Sight())  # type: ignore[index,call-overload] # evidence
