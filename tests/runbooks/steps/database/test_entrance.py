"""Whether a refused connection would prove anything is asked before anything is stopped."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from runbooks.clients.postgres import Postgres
from runbooks.clients.supabase import Cidrs, Supabase, explain
from runbooks.clients.transport import Transport
from runbooks.model.errors import Refused
from runbooks.steps.database.restrictions import Entrance, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stack import Database
    from tests.runbooks.desk import Desk
    from tests.runbooks.stand_in import StandIn

EVERYONE = Cidrs(("0.0.0.0/0",), ("::/0",))


@pytest.fixture
def told(desk: Desk) -> Database:
    """Return what the stack file says of the database."""
    found: Database = msgspec.structs.replace(
        desk.settings.stack.database, operator_cidrs=("127.0.0.1/32",), outsider="127.0.0.2"
    )
    return found


@pytest.fixture
def closed() -> Postgres:
    """Return a database at whose address nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return Postgres(f"postgresql://me@127.0.0.1:{listening.getsockname()[1]}/shop")


@pytest.fixture
def supabase(stand_in: StandIn) -> Iterator[Supabase]:
    """Open the way to a project."""
    transport = Transport("Supabase", stand_in.address, "sbp_x", explain=explain)
    yield Supabase(transport, "abcdefghijklmnopqrst")
    transport.close()


def open_to(*cidrs: str) -> tuple[int, dict[str, str], Any]:
    """Return the platform's answer: these may connect."""
    config = {"dbAllowedCidrs": [cidr for cidr in cidrs if ":" not in cidr]}
    config["dbAllowedCidrsV6"] = [cidr for cidr in cidrs if ":" in cidr]
    return 200, {}, {"entitlement": "allowed", "config": config, "status": "applied"}


def test_who_never_gets_in_proves_nothing(
    stand_in: StandIn, supabase: Supabase, told: Database, closed: Postgres
) -> None:
    """An outsider that nobody named, that may not connect, or that does not get in: the plan says so."""
    unnamed = msgspec.structs.replace(told, outsider=None)
    stand_in.next.extend([open_to("0.0.0.0/0", "::/0"), open_to("192.0.2.0/24"), open_to("0.0.0.0/0", "::/0")])
    why = (
        "ems-ops:database.outsider names no address that must be refused: set it to a second address of this machine, "
        "outside operator_cidrs, that may connect today"
    )
    assert Entrance(supabase, closed, unnamed).look(None, here=True) == Entry(EVERYONE, why)
    entrance = Entrance(supabase, closed, told)
    assert entrance.look(None, here=True).unproven == "127.0.0.2 may not connect now either"
    why = "127.0.0.2 does not get in now either: no connection: Connection refused"
    assert entrance.look(None, here=True) == Entry(EVERYONE, why)


def test_what_cannot_be_asked_is_not_asked(
    stand_in: StandIn, supabase: Supabase, told: Database, closed: Postgres
) -> None:
    """A database that does not answer, and one that an earlier run left stopped, say nothing of before."""
    stand_in.next.extend([open_to("0.0.0.0/0", "::/0"), open_to("127.0.0.1/32")])
    entrance = Entrance(supabase, closed, told)
    assert entrance.look(None, here=False) == Entry(EVERYONE)
    assert entrance.look(EVERYONE, here=True) == Entry(EVERYONE)


def test_an_operator_is_no_outsider(stand_in: StandIn, supabase: Supabase, told: Database, closed: Postgres) -> None:
    """An address that stays allowed cannot prove a refusal: the stack file is refused."""
    stand_in.next.append(open_to("0.0.0.0/0"))
    own = msgspec.structs.replace(told, outsider="127.0.0.1")
    said = r"database.outsider: expected an address outside operator_cidrs \(127.0.0.1/32\), got 127.0.0.1\."
    with pytest.raises(Refused, match=said):
        Entrance(supabase, closed, own).look(None, here=True)
