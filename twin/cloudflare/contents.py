"""The text form of DNS records whose parts come one by one, and whether a text is one of its type."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from twin.cloudflare.errors import ApiError, Json, shaped

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = frozenset(
    (
        *("A", "AAAA", "CAA", "CERT", "CNAME", "DNSKEY", "DS", "HTTPS", "LOC", "MX", "NAPTR", "NS", "OPENPGPKEY"),
        *("PTR", "SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URI"),
    )
)
ORDER = {
    "CAA": ("flags", "tag", "value"),
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
MAY_LACK = {("HTTPS", "value"), ("SVCB", "value")}
NUMBERS = frozenset(
    (
        *("algorithm", "digest_type", "flags", "key_tag", "matching_type", "order", "port", "preference", "priority"),
        *("protocol", "selector", "type", "usage", "weight"),
    )
)
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
QUOTED = {("CAA", "value"), ("NAPTR", "flags"), ("NAPTR", "service"), ("NAPTR", "regex"), ("URI", "target")}
PRIVATE = tuple(
    ipaddress.ip_network(net)
    for net in ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
)
"""Where no proxied record may lead (9003); that it is all of these is unconfirmed."""
ANGLE, LENGTHS = (
    ("degrees", "minutes", "seconds", "direction"),
    ("altitude", "size", "precision_horz", "precision_vert"),
)


def content_of(kind: str, data: Json) -> str:
    """Return the text form of structured data: CAA, SRV and the like."""
    if kind == "LOC":
        sides = [" ".join(str(data.get(f"{side}_{part}", 0)) for part in ANGLE) for side in ("lat", "long")]
        lengths = [f"{float(data.get(part, 0)):.2f}m" for part in LENGTHS]
        return " ".join([*sides, *lengths])
    words = [(name, str(data.get(name, ""))) for name in ORDER.get(kind, tuple(data))]
    return " ".join(f'"{word}"' if (kind, name) in QUOTED else word for name, word in words)


def check_data(kind: str, data: object) -> Json:
    """Return the parts of a record, texts without space around them.

    400 with a 9101 for each part that is not there (a public issue of June 2025).
    """
    parts = ("priority", *ORDER[kind]) if kind == "SRV" else ORDER.get(kind, ())
    have: Json = shaped(data or {}, 9101)
    missing = [part for part in parts if have.get(part) is None and (kind, part) not in MAY_LACK]
    if missing:
        refused = ApiError(400, 9101, "")
        refused.errors = [{"code": 9101, "message": f"{part} is a required data field."} for part in missing]
        raise refused
    return {part: value.strip() if isinstance(value, str) else value for part, value in have.items()}


def data_of(kind: str, content: str, priority: int | None) -> Json:
    """Return the parts of a record's text, as the provider shows them beside it; nothing for LOC, which has more."""
    names = ORDER[kind]
    words = [quoted or plain for quoted, plain in WORD.findall(content)]
    words = [*words[: len(names) - 1], " ".join(words[len(names) - 1 :])]
    data = {
        name: int(word) if name in NUMBERS and word.isdigit() else word
        for name, word in zip(names, words, strict=False)
    }
    return {"priority": priority, **data} if kind == "SRV" else data


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


def inside(content: str) -> bool:
    """Tell whether a record's content is an address of a private network or of the machine itself."""
    try:
        address = ipaddress.ip_address(content)
    except ValueError:
        return False
    return any(address.version == net.version and address in net for net in PRIVATE)
