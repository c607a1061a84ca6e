"""The zone's own name server is asked over UDP and TCP, and its failures are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.clients.zone.resolver import Resolver, spelled
from runbooks.model.errors import CheckError, Refused, Unreachable

if TYPE_CHECKING:
    from tests.runbooks.plane import Plane


def test_a_name_is_answered_as_its_records_say(plane: Plane) -> None:
    """Texts in their one spelling, seconds, where an alias leads; nothing for what is not there."""
    record = {"type": "CNAME", "name": "a", "content": "B.test", "ttl": 1}
    plane.send("POST", f"{plane.zone[0]._path}/dns_records", record)
    resolver = plane.resolver
    mail = resolver.ask("ems.example", "MX")
    assert (mail.texts, mail.server) == (frozenset({"10 mail.ems.example."}), resolver.address)
    assert resolver.ask("ems.example", "TXT").seconds == 3600
    assert resolver.ask("a.ems.example", "CNAME").texts == {"b.test."}
    assert resolver.ask("nobody.ems.example", "A").texts == frozenset()


def test_an_answer_too_long_for_udp_is_read_whole(plane: Plane) -> None:
    """Where UDP is cut off, TCP gives the rest; both must say the same."""
    long = " ".join(f'"{letter * 250}"' for letter in "abcdefgh")
    path = f"{plane.zone[0]._path}/dns_records"
    plane.send("POST", path, {"type": "TXT", "name": "long", "content": long, "ttl": 60})
    assert plane.resolver.ask("long.ems.example", "TXT").texts == {long}


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:9"])
def test_a_silent_server_is_told(address: str) -> None:
    """Nobody there is no answer, which may be asked for again."""
    with pytest.raises(Unreachable, match=r"a\.example A: no name server of example answers"):
        Resolver("example", address).ask("a.example", "A")


def test_an_address_that_is_none_is_refused() -> None:
    """The stack file's key is named."""
    with pytest.raises(Refused, match=r"ems-ops:endpoints\.resolver: expected host:port, got nonsense"):
        Resolver("example", "nonsense").ask("a.example", "A")


def test_texts_have_one_spelling() -> None:
    """Upper case in names is the same, in texts it is not; what cannot be read has none."""
    assert spelled("MX", "10 Mail.Example.com.") == spelled("MX", "10 mail.example.com.")
    assert spelled("TXT", '"A"') != spelled("TXT", '"a"')
    assert spelled("AAAA", "2001:DB8:0::1") == "2001:db8::1"
    assert spelled("A", "nonsense") is None
    assert spelled("NAPTR", '1 2 "s" "" "" x.example') == spelled("NAPTR", '1 2 "s" "" "" x.example.')


def test_a_zone_that_is_not_there_is_told(plane: Plane) -> None:
    """A name that the account does not have is an error, never an empty zone."""
    from runbooks.clients.zone.records import Zone  # noqa: PLC0415

    with pytest.raises(CheckError, match=r"zone elsewhere\.example in account .*: expected one, got 0"):
        Zone(plane.cloudflare.transport, plane.cloudflare.account, "elsewhere.example").records()
