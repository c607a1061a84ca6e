"""Records whose parts come one by one are answered whole, in whatever order the parts were sent."""

from __future__ import annotations

import dns.message
import pytest

from tests.twin.test_dns import Records, record
from twin.cloudflare.contents import check_content, content_of
from twin.cloudflare.errors import ApiError, Json
from twin.dns import Zones

KEY = "ab" * 32
PARTS: dict[str, tuple[Json, str]] = {
    "TLSA": ({"usage": 3, "selector": 1, "matching_type": 1, "certificate": KEY}, f"3 1 1 {KEY}"),
    "SSHFP": ({"algorithm": 4, "type": 2, "fingerprint": KEY}, f"4 2 {KEY}"),
    "DS": ({"key_tag": 7, "algorithm": 13, "digest_type": 2, "digest": KEY}, f"7 13 2 {KEY}"),
    "HTTPS": ({"priority": 1, "target": ".", "value": 'alpn="h2,h3"'}, '1 . alpn="h2,h3"'),
    "URI": ({"weight": 1, "target": "https://example.com/"}, '10 1 "https://example.com/"'),
    "NAPTR": (
        {"order": 1, "preference": 2, "flags": "S", "service": "SIP+D2U", "regex": "", "replacement": "s.example.com"},
        '1 2 "S" "SIP+D2U" "" s.example.com',
    ),
    "LOC": (
        {f"{side}_{part}": value for side, values in (("lat", (51, 30, 12.748, "N")), ("long", (0, 7, 39.612, "W")))
         for part, value in zip(("degrees", "minutes", "seconds", "direction"), values, strict=True)},
        "51 30 12.748 N 0 7 39.612 W 0.00m 0.00m 0.00m 0.00m",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PARTS)
def test_parts_become_a_record(kind: str) -> None:
    """The order of the parts is the type's own, and the name server can say it."""
    data, said = PARTS[kind]
    content = content_of(kind, dict(sorted(data.items())))
    check_content(kind, content)
    zones = Zones(Records(record("x.ems.example", kind, content, data=data, priority=10)), "ems.example")
    told = zones.answer(dns.message.make_query("x.ems.example", kind).to_wire(), largest=None)
    assert told is not None
    assert said in dns.message.from_wire(told).answer[0].to_text()


def test_parts_that_make_no_record_are_refused() -> None:
    """What no name server could say is refused when it is written, with the provider's code."""
    with pytest.raises(ApiError, match="Content for TLSA record is invalid"):
        check_content(
            "TLSA", content_of("TLSA", {"usage": "x", "selector": 1, "matching_type": 1, "certificate": "zz"})
        )


def test_a_record_that_cannot_be_said_is_a_failure_of_the_server() -> None:
    """It answers at once that it failed, and others are still answered."""
    zones = Zones(Records(record("x.ems.example", "TLSA", "nonsense")), "ems.example")
    told = zones.answer(dns.message.make_query("x.ems.example", "TLSA").to_wire(), largest=None)
    assert told is not None
    assert dns.message.from_wire(told).rcode() == dns.rcode.SERVFAIL
