"""The DNS server's answers, as Cloudflare's name servers give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from twin.dns import Zones

if TYPE_CHECKING:
    from twin.world import Asset, Runnable, SiteTarget, WorkerTarget

EDGE = "127.0.0.1"


class Records:
    """A routing that knows only DNS records."""

    def __init__(self, *records: dict[str, Any]) -> None:
        self._records = records

    def records(self) -> tuple[dict[str, Any], ...]:
        """Return what was given."""
        return self._records

    def rules(self, host: str) -> None:
        """Guard nothing."""

    def live(self, script: str) -> tuple[tuple[str, float], ...]:
        """Know no script."""
        raise NotImplementedError(script)

    def target(self, host: str, path: str) -> WorkerTarget | SiteTarget | None:
        """Know no host."""
        raise NotImplementedError(host, path)

    def runnable(self, script: str, version: str) -> Runnable:
        """Know no version."""
        raise NotImplementedError(script, version)

    def asset(self, site: SiteTarget, path: str) -> Asset:
        """Know no site."""
        raise NotImplementedError(site, path)

    def static(self, script: str, version: str, path: str, *, host: str, navigates: bool, bound: bool) -> Asset | None:
        """Have no static assets."""
        del script, version, path, host, navigates, bound
        return None

    def crons(self) -> tuple[tuple[str, str], ...]:
        """Know no schedule."""
        return ()


def record(name: str, rdtype: str, content: str = "", *, proxied: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a record's own fields
    """Return a record as the API shows it."""
    return {"name": name, "type": rdtype, "content": content, "proxied": proxied, "ttl": 1, **more}


ZONES = Zones(
    Records(
        record("ems.example", "CNAME", "site.pages.dev"),
        record("ems.example", "TXT", '"v=spf1 -all"', ttl=3600),
        record("ems.example", "CAA", data={"flags": 0, "tag": "issue", "value": "letsencrypt.org"}),
        record("ems.example", "MX", "mail.ems.example", priority=10),
        record("api.ems.example", "AAAA", "100::", proxied=True),
        record("www.ems.example", "CNAME", "site.pages.dev", proxied=True),
        record("plain.ems.example", "A", "192.0.2.7", ttl=120),
        record("alias.ems.example", "CNAME", "plain.ems.example"),
        record("dangling.ems.example", "CNAME", "gone.ems.example"),
        record("abroad.ems.example", "CNAME", "host.other.example"),
        record("*.apps.ems.example", "A", "192.0.2.8"),
        record("deep.er.ems.example", "A", "192.0.2.9"),
    ),
    "ems.example",
)


def ask(name: str, rdtype: str, *, largest: int | None = None) -> dns.message.Message:
    """Ask the zones over the wire format."""
    told = ZONES.answer(dns.message.make_query(name, rdtype).to_wire(), largest=largest)
    assert told is not None
    return dns.message.from_wire(told)


def texts(answer: dns.message.Message) -> list[str]:
    """Return the answer section's lines."""
    return sorted(line for rrset in answer.answer for line in rrset.to_text().splitlines())


@pytest.mark.parametrize(
    ("name", "rdtype", "expected"),
    [
        ("api.ems.example", "A", [f"api.ems.example. 300 IN A {EDGE}"]),
        ("www.ems.example", "A", [f"www.ems.example. 300 IN A {EDGE}"]),
        ("API.Ems.Example", "A", [f"API.Ems.Example. 300 IN A {EDGE}"]),
        ("ems.example", "A", [f"ems.example. 300 IN A {EDGE}"]),
        ("ems.example", "TXT", ['ems.example. 3600 IN TXT "v=spf1 -all"']),
        ("ems.example", "CAA", ['ems.example. 300 IN CAA 0 issue "letsencrypt.org"']),
        ("ems.example", "MX", ["ems.example. 300 IN MX 10 mail.ems.example."]),
        ("plain.ems.example", "A", ["plain.ems.example. 120 IN A 192.0.2.7"]),
        (
            "alias.ems.example",
            "A",
            ["alias.ems.example. 300 IN CNAME plain.ems.example.", "plain.ems.example. 120 IN A 192.0.2.7"],
        ),
        ("alias.ems.example", "CNAME", ["alias.ems.example. 300 IN CNAME plain.ems.example."]),
        ("abroad.ems.example", "A", ["abroad.ems.example. 300 IN CNAME host.other.example."]),
        ("any.apps.ems.example", "A", ["any.apps.ems.example. 300 IN A 192.0.2.8"]),
        (
            "ems.example",
            "NS",
            ["ems.example. 86400 IN NS ns1.twin.example.", "ems.example. 86400 IN NS ns2.twin.example."],
        ),
    ],
)
def test_answers(name: str, rdtype: str, expected: list[str]) -> None:
    """Proxied hosts lead to the edge, the apex's CNAME is flattened, aliases are followed, wildcards match."""
    answer = ask(name, rdtype)
    assert answer.rcode() == dns.rcode.NOERROR
    assert answer.flags & dns.flags.AA
    assert texts(answer) == expected


@pytest.mark.parametrize(
    ("name", "rdtype", "rcode"),
    [
        ("nothing.ems.example", "A", dns.rcode.NXDOMAIN),
        ("dangling.ems.example", "A", dns.rcode.NXDOMAIN),
        ("api.ems.example", "AAAA", dns.rcode.NOERROR),
        ("api.ems.example", "TXT", dns.rcode.NOERROR),
        ("ems.example", "CNAME", dns.rcode.NOERROR),
        ("er.ems.example", "A", dns.rcode.NOERROR),
    ],
)
def test_nothing_there(name: str, rdtype: str, rcode: dns.rcode.Rcode) -> None:
    """A name that does not exist is told apart from a type that it has not; both carry the SOA."""
    answer = ask(name, rdtype)
    assert answer.rcode() == rcode
    assert [rrset.rdtype.name for rrset in answer.authority] == ["SOA"]


def test_other_zones_are_refused() -> None:
    """A name outside the account's zones is not answered for."""
    assert ask("host.other.example", "A").rcode() == dns.rcode.REFUSED


def test_a_long_answer_over_udp_is_marked_as_cut() -> None:
    """An answer over 512 bytes without EDNS is cut and says so; over TCP it is whole."""
    zones = Zones(Records(*(record("ems.example", "TXT", f"{n}" * 200) for n in range(9))), "ems.example")
    query = dns.message.make_query("ems.example", "TXT", use_edns=False).to_wire()
    cut, whole = zones.answer(query, largest=512), zones.answer(query, largest=None)
    assert cut is not None
    assert whole is not None
    assert dns.message.from_wire(cut).flags & dns.flags.TC
    assert len(texts(dns.message.from_wire(whole))) == 9


def test_what_is_no_query_is_left_alone() -> None:
    """Noise and answers get no answer."""
    assert ZONES.answer(b"noise", largest=512) is None
    reply = dns.message.make_response(dns.message.make_query("ems.example", "A"))
    assert ZONES.answer(reply.to_wire(), largest=512) is None
