"""Answer DNS for the account's zones over UDP and TCP, as Cloudflare's name servers do.

Sources: RFC 1034, 2308 (no data, no such name), 4592 (wildcards); Cloudflare's documentation of proxied records and
CNAME flattening, read 2026-11-23.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from typing import TYPE_CHECKING, Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    import socket

    from twin.world import Routing

_EDGE = "127.0.0.1"
_AUTOMATIC = 300  # seconds: what ttl 1 ("automatic") and every proxied record become
_SERVERS = ("ns1.twin.example.", "ns2.twin.example.")
_SERVER_TTL = 86400
_NEGATIVE_TTL = 1800
_UDP_SIZE = 1232
_LONGEST_CHAIN = 8
_HOSTED = (".pages.dev", ".workers.dev")
_ADDRESSES = {"A", "AAAA", "CNAME"}
_log = logging.getLogger("twin.dns")


class Zones:
    """The zones as they are now, answered from the routing's records."""

    def __init__(self, routing: Routing, zone: str) -> None:
        self._routing = routing
        self._zone = zone.lower()
        self._seen: tuple[dict[str, Any], ...] = ()
        self._serial = int(time.time())

    def answer(self, wire: bytes, *, largest: int | None) -> bytes | None:
        """Answer one message; None for what cannot be read. `largest` is the transport's limit in bytes."""
        try:
            asked = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if asked.flags & dns.flags.QR:
            return None
        told = dns.message.make_response(asked, our_payload=_UDP_SIZE)
        if asked.opcode() != dns.opcode.QUERY or len(asked.question) != 1:
            told.set_rcode(dns.rcode.NOTIMP)
        else:
            try:
                self._fill(told, asked.question[0])
            except (dns.exception.DNSException, ValueError) as error:
                _log.error("%s: %s", asked.question[0], error)
                told = dns.message.make_response(asked)
                told.set_rcode(dns.rcode.SERVFAIL)
        limit = 65535 if largest is None else max(largest, min(asked.payload, _UDP_SIZE) if asked.edns >= 0 else 0)
        try:
            return told.to_wire(max_size=limit)
        except dns.exception.TooBig:
            short = dns.message.make_response(asked)
            short.flags |= dns.flags.TC
            return short.to_wire()

    def _fill(self, told: dns.message.Message, question: dns.rrset.RRset) -> None:
        records = self._records()
        name = question.name.to_text(omit_final_dot=True).lower()
        zone = self._zone_of(name, records)
        if zone is None:
            told.set_rcode(dns.rcode.REFUSED)
            return
        told.flags |= dns.flags.AA
        kind = dns.rdatatype.to_text(question.rdtype)
        sets, exists = self._look(name, kind, zone, records)
        for owner, rdtype, ttl, texts in sets:
            told.answer.append(_rrset(owner, ttl, rdtype, texts))
        if not exists:
            told.set_rcode(dns.rcode.NXDOMAIN)
        if not any(rdtype == kind for _, rdtype, _, _ in sets):
            told.authority.append(self._soa(zone, _NEGATIVE_TTL))

    def _look(
        self, name: str, kind: str, zone: str, records: tuple[dict[str, Any], ...]
    ) -> tuple[list[tuple[str, str, int, list[str]]], bool]:
        """Return the answer's sets (owner, type, seconds, texts), and whether the name that they end at exists."""
        sets: list[tuple[str, str, int, list[str]]] = []
        owner, exists = name, True
        for _ in range(_LONGEST_CHAIN):
            held, exists = _at(owner, zone, records)
            direct = self._direct(owner, kind, zone, held)
            alias = next((r for r in held if r["type"] == "CNAME" and not r["proxied"]), None)
            if direct is not None:
                sets.append((owner, kind, *direct))
            if direct is not None or alias is None:
                break
            target = alias["content"].rstrip(".").lower()
            if owner == zone:  # flattened: the apex may hold no CNAME, its target's addresses stand there instead
                texts = self._addresses(target, kind, records)
                sets += [(owner, kind, _seconds(alias), texts)] if texts else []
                break
            sets.append((owner, "CNAME", _seconds(alias), [target + "."]))
            if target.endswith(_HOSTED):
                sets += [(target, "A", _AUTOMATIC, [_EDGE])] if kind == "A" else []
                break
            if self._zone_of(target, records) != zone:
                break  # its own zone's servers say the rest
            owner = target
        return sets, exists

    def _direct(self, owner: str, kind: str, zone: str, held: list[dict[str, Any]]) -> tuple[int, list[str]] | None:
        """Return seconds and texts of what a name itself holds of this type."""
        apex = owner == zone
        if apex and kind in {"SOA", "NS"}:
            return _SERVER_TTL, list(_SERVERS) if kind == "NS" else [self._soa_text()]
        if kind == "A" and any(r["proxied"] for r in held if r["type"] in _ADDRESSES):
            return _AUTOMATIC, [_EDGE]
        right = [r for r in held if r["type"] == kind and not (r["proxied"] or (apex and kind == "CNAME"))]
        return (_seconds(right[0]), [_text(r) for r in right]) if right else None

    def _addresses(self, target: str, kind: str, records: tuple[dict[str, Any], ...]) -> list[str]:
        if kind not in {"A", "AAAA"}:
            return []
        if target.endswith(_HOSTED):
            return [_EDGE] if kind == "A" else []
        zone = self._zone_of(target, records)
        sets = self._look(target, kind, zone, records)[0] if zone is not None else []
        return [text for _, rdtype, _, texts in sets if rdtype == kind for text in texts]

    def _records(self) -> tuple[dict[str, Any], ...]:
        records = self._routing.records()
        if records != self._seen:
            self._seen = records
            self._serial = max(self._serial + 1, int(time.time()))
        return records

    def _zone_of(self, name: str, records: tuple[dict[str, Any], ...]) -> str | None:
        zones = {self._zone} | {str(r["zone_name"]).lower() for r in records if r.get("zone_name")}
        fitting = [zone for zone in zones if name == zone or name.endswith("." + zone)]
        return max(fitting, key=len, default=None)

    def _soa(self, zone: str, ttl: int) -> dns.rrset.RRset:
        return _rrset(zone, ttl, "SOA", [self._soa_text()])

    def _soa_text(self) -> str:
        return f"{_SERVERS[0]} dns.twin.example. {self._serial} 10000 2400 604800 {_NEGATIVE_TTL}"


def _at(name: str, zone: str, records: tuple[dict[str, Any], ...]) -> tuple[list[dict[str, Any]], bool]:
    """Return the records of a name, those of the closest wildcard when it has none, and whether it exists."""
    held = [r for r in records if r["name"].lower() == name]
    below = any(r["name"].lower().endswith("." + name) for r in records)
    if held or below or name == zone:
        return held, True
    parent = name.partition(".")[2]
    while parent == zone or parent.endswith("." + zone):
        wild = [r for r in records if r["name"].lower() == f"*.{parent}"]
        if wild:
            return wild, True
        if any(r["name"].lower() == parent or r["name"].lower().endswith("." + parent) for r in records):
            break  # the closest name that exists shuts out wildcards further up
        parent = parent.partition(".")[2]
    return [], False


def _seconds(record: dict[str, Any]) -> int:
    ttl = int(record.get("ttl") or 1)
    return _AUTOMATIC if ttl == 1 else ttl


def _text(record: dict[str, Any]) -> str:
    """Return a record's data in the form of a zone file."""
    content, data = str(record.get("content") or ""), record.get("data") or {}
    match record["type"]:
        case "CAA" if data:
            return f'{int(data["flags"])} {data["tag"]} "{data["value"]}"'
        case "SRV" if data:
            return f"{int(data['priority'])} {int(data['weight'])} {int(data['port'])} {_dotted(str(data['target']))}"
        case "MX" | "URI" as kind:
            return f"{int(record.get('priority') or 0)} {_dotted(content) if kind == 'MX' else content}"
        case "CNAME" | "NS" | "PTR":
            return _dotted(content)
        case "TXT" if not content.startswith('"'):
            pieces = [content[at : at + 255] for at in range(0, len(content), 255)] or [""]
            return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
        case _:
            return content


def _dotted(name: str) -> str:
    return name if name.endswith(".") else name + "."


def _rrset(owner: str, ttl: int, rdtype: str, texts: list[str]) -> dns.rrset.RRset:
    name = dns.name.from_text(owner)
    kind, root = dns.rdatatype.from_text(rdtype), dns.name.root
    return dns.rrset.from_text_list(name, ttl, dns.rdataclass.IN, kind, texts, origin=root, relativize=False)


class Server:
    """Both transports. `stop` closes them."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._datagrams: asyncio.DatagramTransport | None = None
        self._streams: asyncio.Server | None = None

    async def start(self, datagrams: socket.socket, streams: socket.socket) -> None:
        """Serve these bound sockets."""
        loop = asyncio.get_running_loop()
        self._datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self._zones), sock=datagrams)
        self._streams = await asyncio.start_server(self._converse, sock=streams)

    def stop(self) -> None:
        """Close both."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._streams is not None:
            self._streams.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                told = self._zones.answer(await reader.readexactly(length), largest=None)
                if told is None:
                    break
                writer.write(struct.pack("!H", len(told)) + told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        told = self._zones.answer(data, largest=512)
        if told is not None and self._transport is not None:
            self._transport.sendto(told, addr)
