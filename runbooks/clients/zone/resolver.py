"""Ask the name servers of a zone themselves, over UDP and TCP: what they say now, not what somebody remembers."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from runbooks.model.errors import Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable


PATIENCE: Final = 2.0  # seconds for one answer of one server
PORT: Final = 53
FAILURES: Final = (dns.exception.DNSException, OSError)


@dataclass(frozen=True)
class Answered:
    """What a server says of one name and type: its texts in their one spelling, none when the name itself has none.

    `seconds` is the time to live. `server` is who said it.
    """

    texts: frozenset[str]
    seconds: int | None
    server: str


@dataclass(frozen=True)
class Resolver:
    """Ask about names of `zone`: at `address` (`host:port`), or at the zone's own name servers where it is None."""

    zone: str
    address: str | None

    def ask(self, name: str, kind: str) -> Answered:
        """Ask every server that is known until one answers, by UDP and then again by TCP: both must say the same.

        Raises Unreachable when none does, or both ways differ.
        """
        failed = []
        for host, port in self.servers:
            try:
                quick, sure = (self._asked(way, name, kind, host, port) for way in (_by_udp, dns.query.tcp))
            except FAILURES as error:
                failed.append(f"{host}:{port}: {type(error).__name__}: {error}")
                continue
            if quick.texts != sure.texts:
                message = f"{name} {kind} at {host}:{port}: UDP says {_said(quick)}, TCP says {_said(sure)}"
                raise Unreachable(message)
            return sure
        message = f"{name} {kind}: no name server of {self.zone} answers ({'; '.join(failed)})."
        raise Unreachable(message)

    @cached_property
    def servers(self) -> tuple[tuple[str, int], ...]:
        """Return who can be asked. Raises Unreachable where the zone's name servers cannot be found."""
        if self.address is not None:
            host, _, port = self.address.rpartition(":")
            if not host or not port.isdigit():
                message = f"ems-ops:endpoints.resolver: expected host:port, got {self.address}."
                raise Refused(message)
            return ((host.strip("[]"), int(port)),)
        try:
            names = [str(entry.target) for entry in dns.resolver.resolve(self.zone, "NS")]
            found = [(info[4][0], PORT) for name in names for info in _addresses(name)]
        except FAILURES as error:
            message = f"{self.zone}: its name servers cannot be found ({type(error).__name__}: {error})."
            raise Unreachable(message) from None
        return tuple((str(host), port) for host, port in found)

    def _asked(
        self, way: Callable[..., dns.message.Message], name: str, kind: str, host: str, port: int
    ) -> Answered:  # fmt: skip
        query = dns.message.make_query(name, kind, use_edns=True)
        query.flags &= ~dns.flags.RD
        told = way(query, host, timeout=PATIENCE, port=port)
        if told.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            message = f"it answers {dns.rcode.to_text(told.rcode())}"
            raise OSError(message)
        return _read(told, query.question[0].name, dns.rdatatype.from_text(kind), f"{host}:{port}")


def spelled(kind: str, text: str) -> str | None:
    """Return a record's text in the one spelling in which answers are compared; None when it is no such text."""
    try:
        what = dns.rdatatype.from_text(kind)
        read = dns.rdata.from_text(dns.rdataclass.IN, what, text, origin=dns.name.root, relativize=False)
    except dns.exception.DNSException:
        return None
    return read.to_text().casefold() if kind not in ("TXT", "CAA") else read.to_text()


def _read(told: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType, server: str) -> Answered:
    texts: set[str] = set()
    seconds: int | None = None
    for found in (*told.answer, *told.authority):  # a delegation's name servers stand in the authority
        if found.name == name and found.rdtype == kind:
            seconds = found.ttl
            texts |= {spelled(dns.rdatatype.to_text(kind), entry.to_text()) or entry.to_text() for entry in found}
    return Answered(frozenset(texts), seconds, server)


def _by_udp(query: dns.message.Message, host: str, *, timeout: float, port: int) -> dns.message.Message:
    return dns.query.udp_with_fallback(query, host, timeout=timeout, port=port)[0]


def _addresses(name: str) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
    return list(socket.getaddrinfo(name, PORT, type=socket.SOCK_DGRAM))


def _said(answered: Answered) -> str:
    return ", ".join(sorted(answered.texts)) or "nothing"
