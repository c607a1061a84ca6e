"""When a restore from a backup names the database in the stack file, so that the program does not leave it again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from infra.pins.pinned import Pin
from runbooks.clients.cloudflare import Origin
from runbooks.steps.recovery.dump import Dump

if TYPE_CHECKING:
    from tests.runbooks.desk import Desk

DIRECT = Origin("db.abcdefghijklmnopqrst.supabase.co", 5432, "postgres", "postgres")
POOLER = Origin("aws-0-eu-west-1.pooler.supabase.com", 5432, "postgres", "postgres.abcdefghijklmnopqrst")
ANOTHER = Origin("db.zyxwvutsrqponmlkjihg.supabase.co", 5432, "postgres", "postgres")
FRESH = Origin(DIRECT.host, 5432, "postgres_20261128_101112", "postgres")
OWN, MOVED_OWN = (Origin(host, 5432, "app", "owner") for host in ("10.0.0.5", "10.0.0.6"))


def pin_of(origin: Origin) -> Pin:
    """Return the pin of a database."""
    where = f"{origin.user}@{origin.host}:{origin.port}"
    return Pin(version=origin.database, since="", reason="", run="r-1", server=where)


@pytest.mark.parametrize(
    ("final", "moves_from", "pinned", "pins"),
    [
        pytest.param(FRESH, DIRECT, None, True, id="a new database"),
        pytest.param(FRESH, FRESH, None, False, id="renamed"),
        pytest.param(DIRECT, POOLER, None, False, id="another address of one server"),
        pytest.param(DIRECT, ANOTHER, None, True, id="a new project"),
        pytest.param(MOVED_OWN, OWN, None, True, id="perhaps another server"),
        pytest.param(DIRECT, ANOTHER, FRESH, True, id="a new project, another one pinned"),
        pytest.param(DIRECT, None, FRESH, True, id="renamed, another one pinned"),
        pytest.param(FRESH, None, FRESH, False, id="renamed, pinned already"),
    ],
)
def test_what_is_pinned(
    desk: Desk, final: Origin, moves_from: Origin | None, pinned: Origin | None, *, pins: bool
) -> None:
    """Where the API uses another database or server than before, or than the stack file says."""
    stack = desk.settings.stack
    told = msgspec.structs.replace(stack, pins={"database": pin_of(pinned)} if pinned else {})
    dump = cast("Dump", SimpleNamespace(settings=SimpleNamespace(stack=told, file=desk.settings.file)))
    assert Dump._pins(dump, final, None if moves_from == final else moves_from) is pins
