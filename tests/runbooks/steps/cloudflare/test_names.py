"""What the name server answers is compared with the records, type by type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runbooks.model.records import Record
from runbooks.steps.cloudflare.names import names_faults

if TYPE_CHECKING:
    from tests.runbooks.plane import Plane

SERVICE = {"priority": 5, "weight": 10, "port": 5060, "target": "sip.ems.example"}
EVERY: tuple[dict[str, Any], ...] = (
    {"type": "A", "name": "a.ems.example", "content": "192.0.2.1", "ttl": 60},
    {"type": "A", "name": "a.ems.example", "content": "192.0.2.2", "ttl": 60},
    {"type": "AAAA", "name": "a.ems.example", "content": "2001:db8::1"},
    {"type": "A", "name": "behind.ems.example", "content": "192.0.2.3", "proxied": True},
    {"type": "CNAME", "name": "plain.ems.example", "content": "elsewhere.test"},
    {"type": "CNAME", "name": "hidden.ems.example", "content": "elsewhere.test", "proxied": True},
    {"type": "MX", "name": "ems.example", "content": "mail.ems.example", "priority": 10},
    {"type": "TXT", "name": "ems.example", "content": "v=spf1 " + "a" * 300},
    {"type": "TXT", "name": "ems.example", "content": '"quoted"'},
    {"type": "CAA", "name": "ems.example", "data": {"flags": 0, "tag": "issue", "value": "letsencrypt.org"}},
    {"type": "SRV", "name": "_sip._tcp.ems.example", "data": SERVICE},
    {"type": "A", "name": "*.wild.ems.example", "content": "192.0.2.4"},
)


def test_every_type_is_answered_as_it_stands(plane: Plane) -> None:
    """Addresses, aliases, mail, texts of any length, structured data, wildcards, and what the edge stands before."""
    plane.say(*EVERY)
    records = plane.zone[1]()
    assert len(records) == len(EVERY)
    assert names_faults(plane.resolver, records, sorted({record.key for record in records})) == []


@pytest.mark.parametrize(
    ("key", "change", "fault"),
    [
        (("a.ems.example", "A"), {"content": "192.0.2.9"}, "expected 192.0.2.2, 192.0.2.9, got 192.0.2.1, 192.0.2.2"),
        (("a.ems.example", "AAAA"), {"ttl": 120}, "expected a time to live of 120 s, got 300"),
        (("plain.ems.example", "CNAME"), {"content": "x.test"}, "expected x.test., got elsewhere.test."),
        (("ems.example", "MX"), {"priority": 20}, "expected 20 mail.ems.example., got 10 mail.ems.example."),
    ],
)
def test_another_answer_is_a_fault(plane: Plane, key: tuple[str, str], change: dict[str, Any], fault: str) -> None:
    """What was expected and what came are both told."""
    plane.say(*EVERY)
    records = list(plane.zone[1]())
    at = next(i for i, record in enumerate(records) if record.key == key and record.content != "192.0.2.2")
    records[at] = msgspec.structs.replace(records[at], **change)
    told = names_faults(plane.resolver, tuple(records), [key])
    assert told == [f"{key[0]} {key[1]} at {plane.resolver.address}: {fault}"]


def test_what_is_gone_must_not_be_answered(plane: Plane) -> None:
    """A key that no record has is answered by nothing; a wildcard, and an alias beside it, may stand in its place."""
    plane.say(*EVERY)
    records = plane.zone[1]()
    left = tuple(record for record in records if record.name != "plain.ems.example")
    assert names_faults(plane.resolver, left, [("plain.ems.example", "CNAME")]) == [
        f"plain.ems.example CNAME at {plane.resolver.address}: expected nothing, got elsewhere.test."
    ]
    assert names_faults(plane.resolver, records, [("x.wild.ems.example", "A"), ("hidden.ems.example", "A")]) == []
    hidden = Record(name="nobody.ems.example", type="A", content="192.0.2.1", proxied=True)
    assert names_faults(plane.resolver, (hidden,), [hidden.key]) == [
        f"nobody.ems.example A at {plane.resolver.address}: expected addresses of the edge, got nothing"
    ]
