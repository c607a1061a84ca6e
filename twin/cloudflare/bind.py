"""Write a zone as a BIND file and read one: comments, and what Cloudflare adds to them, go both ways.

Source: documentation of import and export, read for the facts of 2026-11-23.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import dns.exception
import dns.rdatatype
import dns.zone

from twin.cloudflare.contents import ORDER, data_of
from twin.cloudflare.errors import ApiError, Json
from twin.cloudflare.store import now

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = {"CNAME", "MX", "NS", "PTR"}
COMMENT = re.compile(r'^((?:[^";]|"(?:[^"\\]|\\.)*")*);(.*)$')


def written(zone: Json) -> str:
    """Return the zone in BIND form, comments and the proxied mark at the line's end."""
    lines = [f";; Domain:     {zone['name']}.", ";; Exported:   " + now(), ""]
    for record in zone["records"].values():
        content, kind = record["content"], record["type"]
        if kind == "TXT" and not content.startswith('"'):
            content = f'"{content}"'
        content = f"{content}." if kind in TARGETS or kind == "SRV" else content
        content = f"{record['priority']} {content}" if record.get("priority") is not None else content
        tags = ",".join(
            [*record["tags"], *([f"cf-proxied:{str(record['proxied']).lower()}"] if record["proxiable"] else [])]
        )
        remark = " ".join(x for x in (record["comment"] or "", f"cf_tags={tags}" if tags else "") if x)
        lines.append(f"{record['name']}.\t{record['ttl']}\tIN\t{kind}\t{content}{' ; ' + remark if remark else ''}")
    return "\n".join(lines) + "\n"


def read(zone: Json, text: str, *, proxied: bool) -> list[Json]:
    """Return the records of a BIND file as they would be sent; the apex's own SOA and NS are left out.

    `$ORIGIN`, `$TTL` and `$GENERATE` are followed, `$INCLUDE` is refused. Raises 400 with 9207 (unconfirmed) for a
    file that is none.
    """
    remarks = dict(remarks_of(text, zone["name"]))
    try:
        parsed = dns.zone.from_text(text, f"{zone['name']}.", relativize=False, check_origin=False)
    except (dns.exception.DNSException, ValueError, OSError) as error:
        raise ApiError(400, 9207, f"The zone file cannot be read: {error}") from None
    records = []
    for name, ttl, data in parsed.iterate_rdatas():
        kind, host = dns.rdatatype.to_text(data.rdtype), str(name).rstrip(".").lower()
        if kind == "SOA" or (kind == "NS" and host == zone["name"]):
            continue
        record = sent(host, kind, ttl, data.to_text())
        remark, tags = remarks.get((host, kind, data.to_text()), ("", []))
        mark = next((tag.partition(":")[2] == "true" for tag in tags if tag.startswith("cf-proxied:")), proxied)
        if kind in {"A", "AAAA", "CNAME"}:
            record["proxied"] = mark
        record["comment"] = remark or None
        record["tags"] = [tag for tag in tags if not tag.startswith("cf-proxied:")]
        records.append(record)
    return records


def sent(host: str, kind: str, ttl: int, text: str) -> Json:
    """Return a record as a client would send it."""
    record: Json = {"name": host, "type": kind, "ttl": ttl, "content": text}
    words = text.split()
    if kind in {"MX", "SRV", "URI"}:
        record |= {"priority": int(words[0]), "content": " ".join(words[1:]).rstrip(".")}
    if kind in ORDER:
        record["data"] = data_of(kind, record["content"], record.get("priority"))
    return record


def remarks_of(text: str, origin: str) -> Iterator[tuple[tuple[str, str, str], tuple[str, list[str]]]]:
    """Yield comment and tags of each line that is a whole record with a comment."""
    before: list[str] = []
    for line in text.splitlines():
        if line.startswith(("$ORIGIN", "$TTL")):
            before.append(line)
        fits = COMMENT.match(line)
        if fits is None or not fits[1].strip():
            continue
        remark, _, tags = fits[2].strip().partition("cf_tags=")
        try:
            one = dns.zone.from_text("\n".join([*before, fits[1]]), f"{origin}.", relativize=False, check_origin=False)
        except (dns.exception.DNSException, ValueError, OSError):
            continue  # a line that is no record by itself; the whole file says what is wrong
        for name, _, data in one.iterate_rdatas():
            key = (str(name).rstrip(".").lower(), dns.rdatatype.to_text(data.rdtype), data.to_text())
            yield key, (remark.strip(), [tag for tag in tags.strip().split(",") if tag])
