"""Somebody at another address of this machine who tries to get into the database, as far as its door: no password.

PostgreSQL's protocol 3: a start-up message, then one message of the server tells whether it would ask for a password.
libpq cannot choose the address that it connects from, so the few bytes are sent here.
"""

from __future__ import annotations

import errno
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import conninfo

from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from runbooks.clients.postgres import Postgres

PATIENCE: Final = 5.0  # seconds; a firewall that drops says nothing at all
VERSION: Final = 3 << 16
TLS_REQUEST: Final = struct.pack("!ii", 8, 80877103)
SHUT_OUT: Final = ("28000", "allow_list")
"""pg_hba's SQLSTATE for an address that may not connect, and what Supabase's pooler says of one (Supavisor)."""


@dataclass(frozen=True)
class Tried:
    """How far somebody came: let in (asked for a password), shut out, or neither; and what was said."""

    let_in: bool
    shut_out: bool
    said: str


@dataclass(frozen=True)
class Outsider:
    """Somebody who connects from `address` to the door of `database`."""

    database: Postgres
    address: str

    def tries(self) -> Tried:
        """Connect once. Raises Refused where this machine does not have the address."""
        given = conninfo.conninfo_to_dict(self.database.address()[0])
        where = (str(given.get("host")), int(str(given.get("port") or 5432)))
        try:
            with socket.create_connection(where, timeout=PATIENCE, source_address=(self.address, 0)) as plain:
                return _knock(plain, user=str(given.get("user")), database=str(given.get("dbname") or "postgres"))
        except TimeoutError:
            return Tried(let_in=False, shut_out=True, said=f"no answer within {PATIENCE:g} s")
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                message = f"database.outsider: expected an address of this machine, {self.address} is none."
                raise Refused(message) from None
            return Tried(let_in=False, shut_out=True, said=f"no connection: {error.strerror or error}")


def _knock(plain: socket.socket, *, user: str, database: str) -> Tried:
    plain.sendall(TLS_REQUEST)
    door = _encrypted(plain) if plain.recv(1) == b"S" else plain
    pairs = f"user\0{user}\0database\0{database}\0\0".encode()
    door.sendall(struct.pack("!ii", 8 + len(pairs), VERSION) + pairs)
    kind, rest = door.recv(1), door.recv(1024)
    if kind == b"R":
        return Tried(let_in=True, shut_out=False, said="it was asked for a password")
    if kind != b"E":
        return Tried(let_in=False, shut_out=not kind, said="the connection was closed" if not kind else f"{kind!r}")
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in rest[4:].split(b"\0") if part}
    code, text = fields.get(b"C", ""), fields.get(b"M", "")
    refused = any(mark in f"{code} {text}" for mark in SHUT_OUT)
    return Tried(let_in=False, shut_out=refused, said=f"{text} (SQLSTATE {code})")


def _encrypted(plain: socket.socket) -> ssl.SSLSocket:
    """Go on over TLS with whoever is there: nothing secret is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(plain)
