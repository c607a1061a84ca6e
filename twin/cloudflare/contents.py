"""The text form of DNS records whose parts come one by one, and whether a text is one of its type."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from twin.cloudflare.errors import ApiError, Json

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = frozenset(
    (
        *("A", "AAAA", "CAA", "CERT", "CNAME", "DNSKEY", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "OPENPGPKEY"),
        *("PTR", "SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URI"),
    )
)
ORDER = {
    "SRV": ("weight", "port", "target"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
    "SMIMEA": ("usage", "selector", "matching_type", "certificate"),
    "SSHFP": ("algorithm", "type", "fingerprint"),
    "DS": ("key_tag", "algorithm", "digest_type", "digest"),
    "DNSKEY": ("flags", "protocol", "algorithm", "public_key"),
    "CERT": ("type", "key_tag", "algorithm", "certificate"),
    "HTTPS": ("priority", "target", "value"),
    "SVCB": ("priority", "target", "value"),
    "NAPTR": ("order", "preference", "flags", "service", "regex", "replacement"),
    "URI": ("weight", "target"),
}
"""How the parts of a record stand in its text (RFC 2782, 6698, 4255, 4034, 4398, 9460, 3403, 7553)."""
QUOTED = {("NAPTR", "flags"), ("NAPTR", "service"), ("NAPTR", "regex"), ("URI", "target")}
ANGLE, LENGTHS = (
    ("degrees", "minutes", "seconds", "direction"),
    ("altitude", "size", "precision_horz", "precision_vert"),
)


def content_of(kind: str, data: Json) -> str:
    """Return the text form of structured data: CAA, SRV and the like."""
    if kind == "CAA":
        return f'{data.get("flags", 0)} {data.get("tag")} "{data.get("value")}"'
    if kind == "LOC":
        sides = [" ".join(str(data.get(f"{side}_{part}", 0)) for part in ANGLE) for side in ("lat", "long")]
        lengths = [f"{float(data.get(part, 0)):.2f}m" for part in LENGTHS]
        return " ".join([*sides, *lengths])
    words = [(name, str(data.get(name, ""))) for name in ORDER.get(kind, tuple(data))]
    return " ".join(f'"{word}"' if (kind, name) in QUOTED else word for name, word in words)


def check_content(kind: str, content: str) -> None:
    """Refuse an address or target that is none; 400 with 9005 or 9007."""
    families: dict[str, tuple[Callable[[str], object], str]] = {
        "A": (ipaddress.IPv4Address, "IPv4"),
        "AAAA": (ipaddress.IPv6Address, "IPv6"),
    }
    if kind in families:
        parse, family = families[kind]
        try:
            parse(content)
        except ValueError:
            raise ApiError(400, 9005, f"Content for {kind} record must be a valid {family} address.") from None
    if kind in ORDER and kind not in {"SRV", "URI"}:  # of those a part stands beside the text
        try:
            dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), content)
        except (dns.exception.DNSException, ValueError):
            raise ApiError(400, 9007, f"Content for {kind} record is invalid.") from None
    if not content or (kind in {"CNAME", "MX", "NS"} and (" " in content or "/" in content)):
        raise ApiError(400, 9007, f"Content for {kind} record is invalid.")
