"""The zone goes back: run whole against the twin's records and its name server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runbooks.engine.step import Sight
from runbooks.model.errors import ActRefused, Exit, Refused
from runbooks.steps.pins import read_pins
from runbooks.steps.releases import read_releases
from runbooks.steps.snapshots import read_snapshots
from tests.runbooks.plane import DECLARED

if TYPE_CHECKING:
    from tests.runbooks.plane import Plane

STRANGER = {"type": "A", "name": "evil.ems.example", "content": "203.0.113.9", "ttl": 60}
OTHERS = (
    {"type": "TXT", "name": "_acme-challenge.ems.example", "content": '"under way"', "ttl": 60},
    {"type": "CNAME", "name": "shop.ems.example", "content": "shop.pages.dev", "proxied": True},
)


def found(plane: Plane, kind: str) -> dict[str, Any]:
    """Return the one record of a type that the twin keeps."""
    return next(record for record in plane.records if record["type"] == kind)


def by_hand(plane: Plane) -> None:
    """Break the zone as somebody does in the dashboard: one record changed, one gone, one too many."""
    path = f"{plane.zone[0]._path}/dns_records"
    plane.send("PATCH", f"{path}/{found(plane, 'TXT')['id']}", {"content": '"v=spf1 +all"', "ttl": 60})
    plane.send("DELETE", f"{path}/{found(plane, 'CNAME')['id']}")
    plane.send("POST", path, STRANGER)


def test_the_last_verified_state_is_brought_back(plane: Plane) -> None:
    """The plan lists what goes, changes and comes; one transaction does it; the name server says so; the pin holds."""
    good = plane.keep(declared="d" * 12)
    kept = found(plane, "TXT")["id"]
    by_hand(plane)
    made = plane.book("dns")
    facts = made.gather()
    assert made.shows(facts)[:3] == (
        "- evil.ems.example  A  203.0.113.9  (ttl 60)",
        '~ ems.example  TXT  "v=spf1 +all"  (ttl 60)  →  "v=spf1 -all"  (ttl 3600)',
        "+ www.ems.example  CNAME  ems-web.pages.dev  (proxied)",
    )
    outcome = plane.roll_back("dns")
    assert (outcome.status, outcome.exit, outcome.text) == ("done", Exit.DONE, "")
    assert {(r["type"], r["name"], r["content"]) for r in plane.records} == {
        (r["type"], r["name"], r["content"]) for r in DECLARED
    }
    assert found(plane, "TXT")["id"] == kept
    assert plane.calls["POST batch"] == 1
    asked = outcome.results["names"]
    assert isinstance(asked, dict)
    assert (asked["asked"], asked["servers"]) == (3, plane.settings.stack.endpoints.resolver)
    pin = read_pins(plane.settings.file)["dns"]
    assert (pin.version, pin.declared, pin.run) == (good, "d" * 12, outcome.run)
    releases = read_releases(plane.home, "dns")
    assert (releases.quarantined, releases.rolled_back_to) == ((facts.state,), good)
    assert [snapshot.state for snapshot in read_snapshots(plane.home)] == [good, facts.state, good]


def test_twice_is_once(plane: Plane) -> None:
    """A second rollback changes nothing, and asks the name server for everything."""
    plane.keep()
    by_hand(plane)
    plane.roll_back("dns")
    again = plane.roll_back("dns")
    assert (again.status, again.exit, plane.calls["POST batch"]) == ("already so", Exit.DONE, 1)
    assert again.results["names"]["asked"] == len(DECLARED)  # type: ignore[index,call-overload] # evidence


def test_what_others_own_is_never_touched(plane: Plane) -> None:
    """A Worker's host, another site's host and a certificate's challenge stay, though the snapshot has none of them."""
    plane.keep()
    account, zone = f"/accounts/{plane.settings.stack.account}", plane.zone[0]._path
    plane.send("POST", f"{account}/workers/workers", {"name": "ems-api"})
    plane.send("PUT", f"{account}/workers/domains", {"hostname": "api.ems.example", "service": "ems-api"})
    plane.send("POST", f"{account}/pages/projects", {"name": "shop", "production_branch": "main"})
    plane.send("POST", f"{account}/pages/projects/shop/domains", {"name": "shop.ems.example"})
    for record in OTHERS:
        plane.send("POST", f"{zone}/dns_records", record)
    by_hand(plane)
    assert plane.roll_back("dns").exit is Exit.DONE
    names = {record["name"] for record in plane.records}
    assert names == {"api.ems.example", "shop.ems.example", "_acme-challenge.ems.example"} | {
        record["name"] for record in DECLARED
    }


def test_a_snapshot_or_a_moment_can_be_named(plane: Plane) -> None:
    """--to takes a snapshot's id or its beginning, and any point in time: the last snapshot by then."""
    first = plane.keep(good=False)
    at = read_snapshots(plane.home)[-1].at
    plane.say(*DECLARED, STRANGER)
    second = plane.keep()
    plane.say(DECLARED[0])
    for to, wanted in ((first[:6], first), (at.replace("+00:00", "Z"), first), (second, second)):
        assert plane.book("dns", to=to).gather().target == wanted
    plane.roll_back("dns", to=at)
    assert len(plane.records) == len(DECLARED)


@pytest.mark.parametrize(
    ("to", "why", "command"),
    [
        ("ffff", "expected one snapshot of ems.example, got none; known:", "invoke rollback --service=dns"),
        ("2026-01-01T00:00:00Z", "expected a time after the first snapshot", "invoke rollback --service=dns --to="),
        ("yesterday", "is refused", "invoke rollback --service=dns"),
        ("", "expected a verified state beside the present one, got none", "invoke rollback --service=dns --to="),
    ],
)
def test_what_cannot_be_a_target_is_refused(plane: Plane, to: str, why: str, command: str) -> None:
    """No such snapshot, a time before the first one, no time at all, nothing verified: each with what to type."""
    plane.keep(good=False)
    by_hand(plane)
    with pytest.raises(Refused, match=why) as raised:
        plane.roll_back("dns", to=to)
    assert (raised.value.next_command or "").startswith(command)
    assert plane.calls["POST batch"] == 0


def test_without_snapshots_nothing_is_guessed(plane: Plane) -> None:
    """A zone that nobody looked at has no earlier state."""
    with pytest.raises(Refused, match=r"expected snapshots of ems\.example, got none") as raised:
        plane.roll_back("dns")
    assert raised.value.next_command == "invoke deploy --stack twin"


def test_a_lost_answer_is_found(plane: Plane) -> None:
    """The connection is cut after the transaction: the records tell, and nothing is sent again."""
    plane.keep()
    by_hand(plane)
    plane.watching.lose = "/batch"
    assert plane.roll_back("dns").exit is Exit.DONE
    assert plane.calls["POST batch"] == 1


def test_a_refused_transaction_changes_nothing(plane: Plane) -> None:
    """Where one change of many is refused, none of them happens, and the provider's words are told."""
    plane.keep()
    by_hand(plane)
    account = f"/accounts/{plane.settings.stack.account}"
    plane.send("POST", f"{account}/workers/workers", {"name": "ems-api"})
    plane.send("PUT", f"{account}/workers/domains", {"hostname": "www.ems.example", "service": "ems-api"})
    before = plane.records
    outcome = plane.roll_back("dns")
    assert outcome.exit is Exit.FAILED
    assert "81053: An A, AAAA, or CNAME record with that host already exists" in outcome.text
    assert plane.records == before
    assert "dns" not in read_pins(plane.settings.file)


def test_what_somebody_else_changes_meanwhile_is_left(plane: Plane) -> None:
    """A change that came between plan and act, or between act and undo, is not overwritten."""
    plane.keep()
    by_hand(plane)
    made = plane.book("dns")
    step = next(step for step in made.steps(made.gather()) if step.name == "bring back")
    path = f"{plane.zone[0]._path}/dns_records"
    plane.send("PATCH", f"{path}/{found(plane, 'A')['id']}", {"content": "203.0.113.10"})
    with pytest.raises(ActRefused, match=r"somebody else has changed its records meanwhile .~ evil\.ems\.example"):
        step.act(Sight())
    outcome = plane.roll_back("dns")
    plane.send("PATCH", f"{path}/{found(plane, 'TXT')['id']}", {"content": '"v=spf1 ~all"'})
    undone = plane.runner().undo(outcome.run, book=plane.book("dns"), consent=plane.consent)
    assert undone.exit is Exit.FAILED
    assert "They were left as they are" in undone.text
    assert found(plane, "TXT")["content"] == '"v=spf1 ~all"'


def test_undo_brings_the_records_of_before(plane: Plane) -> None:
    """Taking a rollback back restores every record and the pin, proven at the name server."""
    plane.keep()
    by_hand(plane)
    before = {(r["type"], r["name"], r["content"], r["ttl"]) for r in plane.records}
    outcome = plane.roll_back("dns")
    undone = plane.runner().undo(outcome.run, book=plane.book("dns"), consent=plane.consent)
    assert (undone.exit, read_pins(plane.settings.file)) == (Exit.DONE, {})
    assert {(r["type"], r["name"], r["content"], r["ttl"]) for r in plane.records} == before
    assert undone.plan.steps[-1].name == "former names"


def test_unpin_ends_it(plane: Plane) -> None:
    """The pin goes, the records stay as they are, and the ledger knows that the rollback is over."""
    plane.keep()
    by_hand(plane)
    plane.roll_back("dns")
    assert plane.roll_back("dns", unpin=True).exit is Exit.DONE
    assert read_pins(plane.settings.file) == {}
    assert read_releases(plane.home, "dns").rolled_back_to is None
    assert plane.calls["POST batch"] == 1
