"""The deployment, run whole: the program is a stand-in, its proof is real."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runbooks import deploy
from runbooks.clients.pulumi import Pulumi
from runbooks.engine.runner import Consent
from runbooks.engine.step import Sight
from runbooks.model.errors import Exit
from runbooks.steps.pins import pin_release
from runbooks.steps.releases import read_releases
from tests.runbooks.clients.test_pulumi import OUTPUTS, TWIN
from tests.runbooks.desk import now

if TYPE_CHECKING:
    from runbooks.engine.step import Book
    from tests.runbooks.desk import Desk


def book_of(desk: Desk, *, live: str, preview: bool = False) -> Book[deploy.Facts]:
    """Make the book, with a program that says that `live` has the traffic after it."""
    settings = desk.settings
    outputs = {**OUTPUTS, "api_live_version": live}
    (settings.root / "twin.py").write_text(TWIN.replace("OUTPUTS", json.dumps(outputs)), "utf-8")
    pulumi = Pulumi("twin", settings.file, settings.root, {}, settings.twin_state, str)
    arguments = deploy.Arguments(preview=preview)
    return deploy.book(settings, desk.cloudflare, desk.edge, pulumi, home=desk.home, arguments=arguments, clock=now)


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


def test_a_release_that_fails_names_the_rollback(desk: Desk) -> None:
    """A failed smoke check leaves the release unproven, unrecorded, and names the way back."""
    desk.release()
    bad = desk.release(good=False)
    desk.stand_in.failing_paths["/api/lessons"] = 500
    outcome = desk.run(book_of(desk, live=bad))
    assert (outcome.status, outcome.exit) == ("unproven", Exit.UNPROVEN)
    assert "/api/lessons" in outcome.text
    assert outcome.next_command == "invoke rollback --stack twin"
    assert bad not in read_releases(desk.home, "api").verified


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


def test_traffic_elsewhere_than_the_program_says_is_not_proven(desk: Desk) -> None:
    """The live version is looked up at Cloudflare: outputs alone prove nothing."""
    desk.release()
    book = book_of(desk, live="another")
    facts = book.gather()
    apply = book.steps(facts)[0]
    apply.act(Sight())
    held = apply.holds(Sight())
    assert "expected another live" in getattr(held, "why", "")
