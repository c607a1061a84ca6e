"""Who tries the database's door from another address: let in, shut out, or neither, and what was said."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runbooks.clients.outside import outsider
from runbooks.clients.outside.outsider import Outsider, Tried
from runbooks.clients.postgres import Postgres
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = "127.0.0.1"


def error(code: str, text: str) -> bytes:
    """Return an error of PostgreSQL's protocol."""
    fields = f"SFATAL\0C{code}\0M{text}\0\0".encode()
    return b"E" + struct.pack("!i", 4 + len(fields)) + fields


@contextmanager
def door(answer: bytes) -> Iterator[tuple[Postgres, list[bytes]]]:
    """Give a database that refuses encryption and then answers this; and what it was sent."""
    heard: list[bytes] = []
    with socket.create_server((HERE, 0)) as listening:

        def serve() -> None:
            caller, _ = listening.accept()
            with caller:
                heard.append(caller.recv(8))
                caller.sendall(b"N")
                heard.append(caller.recv(1024))
                caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Postgres(f"postgresql://me:secret@{HERE}:{listening.getsockname()[1]}/shop"), heard
        thread.join()


@pytest.mark.parametrize(
    ("answer", "let_in", "shut_out", "said"),
    [
        (b"R\0\0\0\x08\0\0\0\x03", True, False, "it was asked for a password"),
        (
            error("XX000", "Address not in tenant allow_list: {1, 2, 3, 4}"),
            False,
            True,
            "Address not in tenant allow_list: {1, 2, 3, 4} (SQLSTATE XX000)",
        ),
        (
            error("28000", "no pg_hba.conf entry for host"),
            False,
            True,
            "no pg_hba.conf entry for host (SQLSTATE 28000)",
        ),
        (error("57P03", "starting up"), False, False, "starting up (SQLSTATE 57P03)"),
        (error("XX000", "Tenant or user not found"), False, False, "Tenant or user not found (SQLSTATE XX000)"),
        (b"", False, True, "the connection was closed"),
        (b"?", False, False, "b'?'"),
    ],
)
def test_what_a_server_answers(answer: bytes, said: str, *, let_in: bool, shut_out: bool) -> None:
    """Only a refusal by address shuts out: a server that starts, or does not know the user, proves nothing."""
    with door(answer) as (database, heard):
        assert Outsider(database, HERE).tries() == Tried(let_in=let_in, shut_out=shut_out, said=said)
    assert b"user\0me\0database\0shop\0" in heard[1]
    assert b"secret" not in b"".join(heard)


def test_where_nobody_listens_nobody_gets_in() -> None:
    """A refused connection, and one that is never answered, are what a firewall does."""
    with socket.create_server((HERE, 0)) as listening:
        port = listening.getsockname()[1]
    gone = Outsider(Postgres(f"postgresql://me@{HERE}:{port}/shop"), HERE).tries()
    assert gone == Tried(let_in=False, shut_out=True, said="no connection: Connection refused")


def test_silence_shuts_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A door that says nothing is given up."""
    monkeypatch.setattr(outsider, "PATIENCE", 0.1)
    with socket.create_server((HERE, 0)) as listening:
        database = Postgres(f"postgresql://me@{HERE}:{listening.getsockname()[1]}/shop")
        assert Outsider(database, HERE).tries().said == "no answer within 0.1 s"


def test_an_address_of_another_machine_is_refused() -> None:
    """Nobody can connect from an address that this machine does not have."""
    database = Postgres(f"postgresql://me@{HERE}:1/shop")
    with pytest.raises(Refused, match=r"^database.outsider: expected an address of this machine, 192.0.2.9 is none.$"):
        Outsider(database, "192.0.2.9").tries()
