"""Guard the way to PostgreSQL: TCP for the public, a UNIX socket for what leaves Cloudflare, both checked by address.

Source of the refusal's text: Supabase's pooler (Supavisor) for an address outside the network restrictions.
"""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

CLOUDFLARE_EGRESS = "203.0.113.10"
"""The address that Workers are seen to come from (TEST-NET-3, RFC 5737)."""
_HYPERDRIVE_CONNECTIONS = 60  # Hyperdrive's soft limit of origin connections; more of them wait
_ENCRYPTION_REQUESTS = {80877103, 80877104}  # SSLRequest, GSSENCRequest
_CANNOT_CONNECT_NOW = "57P03"
_NOT_ALLOWED = "XX000"


class Gateway:
    """Pipe allowed connections to the server's socket; refuse the others, and all of them while it is closed."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)
        self.room = asyncio.Semaphore(_HYPERDRIVE_CONNECTIONS)
        self._closed: str | None = "the database system is starting up"
        self._allowed: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] | None = None
        self._servers: list[asyncio.Server] = []
        self._open: set[_Client] = set()

    async def listen(self, public: socket.socket, egress: Path) -> None:
        """Serve the public socket, and Cloudflare's side on the UNIX socket `egress`."""
        loop = asyncio.get_running_loop()
        self._servers = [
            await loop.create_server(lambda: _Client(self, None), sock=public),
            await loop.create_unix_server(lambda: _Client(self, CLOUDFLARE_EGRESS), str(egress)),
        ]

    def close(self, reason: str) -> None:
        """End all sessions and refuse new ones with `reason`."""
        self._closed = reason
        for client in tuple(self._open):
            client.cut()

    def open(self) -> None:
        """Let sessions in again."""
        self._closed = None

    def restrict(self, allowed: Sequence[str]) -> None:
        """Allow only these CIDRs, and end the sessions of all others."""
        self._allowed = tuple(ipaddress.ip_network(cidr, strict=False) for cidr in allowed)
        for client in tuple(self._open):
            if not self._allows(client.address):
                client.cut()

    def stop(self) -> None:
        """End everything."""
        for server in self._servers:
            server.close()
        self.close("the database system is shutting down")

    def refusal(self, address: str) -> bytes | None:
        """Return the error message for a connection from `address`, or None when it is welcome."""
        if not self._allows(address):
            octets = ", ".join(address.split("."))
            return _fatal(_NOT_ALLOWED, f"Address not in tenant allow_list: {{{octets}}}")
        return None if self._closed is None else _fatal(_CANNOT_CONNECT_NOW, self._closed)

    def entered(self, client: _Client) -> None:
        """Count a session in."""
        self._open.add(client)

    def left(self, client: _Client) -> None:
        """Count a session out."""
        self._open.discard(client)

    def _allows(self, address: str) -> bool:
        if self._allowed is None:
            return True
        given = ipaddress.ip_address(address)
        return any(given in network for network in self._allowed)


def _fatal(code: str, text: str) -> bytes:
    """Return an ErrorResponse of PostgreSQL's protocol 3."""
    fields = f"SFATAL\0VFATAL\0C{code}\0M{text}\0\0".encode()
    return b"E" + struct.pack("!i", 4 + len(fields)) + fields


class _Pipe(asyncio.Protocol):
    """One side of a session: what it reads goes to the other side, no faster than that takes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Pipe | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()
        self.transport = None

    def cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class _Client(_Pipe):
    """The client's side: is checked, then given a connection of its own to the server."""

    def __init__(self, gateway: Gateway, address: str | None) -> None:
        super().__init__()
        self.address = address or ""
        self._gateway = gateway
        self._counted = address is not None  # Hyperdrive's share is limited
        self._early = b""
        self._joining: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.address = self.address or str(transport.get_extra_info("peername")[0])
        if self._gateway.refusal(self.address) is None:
            cast("asyncio.Transport", transport).pause_reading()
            self._gateway.entered(self)
            self._joining = asyncio.create_task(self._join())

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        self._early += data  # Python before 3.11.5 reads once more after a pause right at the beginning
        if self._joining is None:
            self._refuse()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._gateway.left(self)
        if self._joining is not None:
            self._joining.cancel()

    async def _join(self) -> None:
        if self._counted:
            async with self._gateway.room:
                server = await self._connect()
                if server is not None:
                    await server.ended.wait()
        else:
            await self._connect()

    async def _connect(self) -> _Server | None:
        loop = asyncio.get_running_loop()
        if self.transport is None:
            return None
        try:
            _, server = await loop.create_unix_connection(lambda: _Server(self), self._gateway.target)
        except OSError:
            self._gateway.left(self)
            self.transport.abort()
            return None
        self.other = server
        if self._early and server.transport is not None:
            server.transport.write(self._early)
        self.transport.resume_reading()
        return server

    def _refuse(self) -> None:
        """Answer as a server that will not have this client: after its start-up message, where clients read it."""
        transport = self.transport
        while transport is not None and len(self._early) >= 8:  # noqa: PLR2004 - a length and a code, 4 bytes each
            length, code = struct.unpack("!ii", self._early[:8])
            if code in _ENCRYPTION_REQUESTS:
                self._early = self._early[8:]
                transport.write(b"N")
                continue
            if len(self._early) >= length:
                transport.write(self._gateway.refusal(self.address) or _fatal(_CANNOT_CONNECT_NOW, "try again"))
                transport.close()
            return


class _Server(_Pipe):
    """The server's side."""

    def __init__(self, client: _Client) -> None:
        super().__init__()
        self.other = client
        self.ended = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended.set()
