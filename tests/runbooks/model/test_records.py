"""The way from one state of a zone to another: the fewest changes, in an order that a provider can carry out."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.model.records import Change, Record, changes, ours, state_of
from twin.cloudflare import records as twin

A_RECORD = st.builds(
    Record,
    name=st.sampled_from(["a.example.com", "b.example.com"]),
    type=st.just("A"),
    content=st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
    ttl=st.sampled_from([1, 60, 3600]),
    proxied=st.booleans(),
    comment=st.sampled_from([None, "ours"]),
)
TEXT = st.builds(
    Record, name=st.just("example.com"), type=st.just("TXT"), content=st.sampled_from(['"x"', '"y"', '"z"'])
)
ALIAS = st.builds(
    Record, name=st.just("b.example.com"), type=st.just("CNAME"), content=st.sampled_from(["x.test", "y.test"])
)


@st.composite
def zones(draw: st.DrawFn) -> list[Record]:
    """Draw records that can stand beside each other, each with an id of its own."""
    drawn = draw(st.lists(st.one_of(A_RECORD, TEXT), max_size=6, unique_by=lambda one: (*one.key, one.content)))
    if draw(st.booleans()):
        drawn = [one for one in drawn if one.name != "b.example.com"] + [draw(ALIAS)]
    drawn = [msgspec.structs.replace(one, ttl=1) if one.proxied else one for one in drawn]  # no other is ever shown
    return [msgspec.structs.replace(one, id=f"{number}") for number, one in enumerate(drawn)]


def at_the_twin(now: list[Record]) -> dict[str, Any]:
    """Return the twin's zone with these records, under their ids."""
    zone: dict[str, Any] = {"name": "example.com", "records": {}}
    for record in now:
        zone["records"][record.id] = {**twin.create({**zone, "records": {}}, record.sent()), "id": record.id}
    return zone


def carried_out(zone: dict[str, Any], found: tuple[Change, ...]) -> None:
    """Do it in the provider's order, with the provider's checks."""
    for change in found:
        if change.before and not change.after:
            twin.remove(zone, change.before.id)
    for change in found:
        if change.before and change.after:
            twin.patch(zone, change.before.id, change.after.sent())
    for change in found:
        if change.after and not change.before:
            twin.create(zone, change.after.sent())


@given(zones(), zones())
@settings(max_examples=150, deadline=None)
def test_whatever_it_was_it_becomes_what_is_wanted(now: list[Record], wanted: list[Record]) -> None:
    """The provider refuses none of the changes, and afterwards the zone says exactly what is wanted."""
    zone = at_the_twin(now)
    carried_out(zone, changes(now, wanted))
    fields = ("name", "type", "content", "ttl", "proxied", "comment")
    left = sorted(tuple(str(row[field]) for field in fields) for row in zone["records"].values())
    assert left == sorted(tuple(str(getattr(record, field)) for field in fields) for record in wanted)


@given(zones())
def test_what_is_equal_is_not_touched(now: list[Record]) -> None:
    """The same words under other ids are no change, in any order, and have the same digest."""
    again = [msgspec.structs.replace(record, id=f"x{record.id}") for record in reversed(now)]
    assert changes(now, again) == ()
    assert state_of(now) == state_of(again)


def test_a_line_says_what_happens() -> None:
    """Each change is one line with its mark; a change that DNS does not show says where it is."""
    old = Record(name="a.example.com", type="MX", content="mail.example.com", priority=10, ttl=300)
    new = msgspec.structs.replace(old, priority=20)
    long = Record(name="t.example.com", type="TXT", content=f'"{"x" * 100}"')
    assert Change(old, new).words() == (
        "~ a.example.com  MX  10 mail.example.com  (ttl 300)  →  20 mail.example.com  (ttl 300)"
    )
    assert Change(before=long).words() == f'- t.example.com  TXT  "{"x" * 58}…'
    assert Change(old, msgspec.structs.replace(old, comment="c")).words().endswith(": its comment, tags or settings")


def test_only_what_is_ours_is_seen() -> None:
    """Records of other products, of certificates being proven and of other hosts are left out."""
    mine = Record(name="a.example.com", type="A", content="192.0.2.1")
    managed = msgspec.structs.replace(mine, managed=True)
    proof = msgspec.structs.replace(mine, name="_acme-challenge.example.com", type="TXT")
    other = msgspec.structs.replace(mine, name="shop.example.com")
    assert ours((managed, proof, other, mine), frozenset({"shop.example.com"})) == (mine,)
