"""While the records or the database are pinned, the program may only declare what was declared, or name, then."""

from __future__ import annotations

import pytest

from infra.pins.pinned import Pin, against_database_pin, against_pin, declared, server_of
from infra.stack import Record

RECORDS = (Record(name="ems.example", type="TXT", ttl=3600, content='"v=spf1 -all"'),)
OTHERS = (Record(name="ems.example", type="TXT", ttl=3600, content='"v=spf1 +all"'),)


def pin(known: str) -> Pin:
    """Return a pin of the records."""
    return Pin(version="1be839ff903d", since="2026-11-28T08:23:48+00:00", reason="by hand", run="r-1", declared=known)


@pytest.mark.parametrize("known", [None, pin(""), pin(declared(RECORDS))])
def test_the_same_records_may_be_declared(known: Pin | None) -> None:
    """Nothing pinned, nothing known of what was declared, or just that: the program may be applied."""
    assert against_pin(known, RECORDS) == ""


def test_other_records_may_not() -> None:
    """Applied would be live, and the rollback undone: it is said since when, why and by which run they are pinned."""
    assert against_pin(pin(declared(RECORDS)), OTHERS) == (
        "ems-ops:records: pinned to 1be839ff903d since 2026-11-28T08:23:48+00:00 (by hand; run r-1): expected what was "
        f"declared then ({declared(RECORDS)}), got something else ({declared(OTHERS)})"
    )


REF = "abcdefghijklmnopqrst"
MOVED = Pin(
    version="postgres_20261128_101112",
    since="2026-11-28T10:11:12+00:00",
    reason="a restore",
    run="r-1",
    server=f"postgres.{REF}@aws-0-eu-west-1.pooler.supabase.com:5432",
)


@pytest.mark.parametrize(
    ("host", "port", "user", "database", "may"),
    [
        (f"db.{REF}.supabase.co", 5432, "postgres", MOVED.version, True),
        ("aws-0-eu-west-1.pooler.supabase.com", 6543, f"postgres.{REF}", MOVED.version, True),
        (f"db.{REF}.supabase.co", 5432, "postgres", "postgres", False),
        ("db.zyxwvutsrqponmlkjihg.supabase.co", 5432, "postgres", MOVED.version, False),
        ("10.0.0.5", 5432, "postgres", MOVED.version, False),
    ],
)
def test_only_the_pinned_database_may_be_named(host: str, port: int, user: str, database: str, *, may: bool) -> None:
    """Its name on its server, by whatever address a project has; another name or another server is refused."""
    server = server_of(host, port, user)
    refused = (
        ""
        if may
        else (
            f"ems-ops:pins.database: pinned to {MOVED.version} on {REF} since 2026-11-28T10:11:12+00:00 (a restore; "
            f"run r-1): expected EMS_DATABASE_URL to name it, got {database} on {server}"
        )
    )
    assert against_database_pin(MOVED, server=server, database=database) == refused


def test_a_server_of_our_own_is_known_by_host_and_port() -> None:
    """Nothing else tells it; a pin that somebody wrote without a server asks for the name alone."""
    own = Pin(version="app", since="", reason="", run="", server="owner@db.example.com:5432")
    assert against_database_pin(own, server=server_of("db.example.com", 5432, "other"), database="app") == ""
    assert "on db.example.com:5432" in against_database_pin(own, server="db.example.com:5433", database="app")
    assert own.address == "postgresql://owner:…@db.example.com:5432/app"
    by_hand = Pin(version="app", since="", reason="", run="")
    assert against_database_pin(by_hand, server="anywhere:1", database="app") == ""
    assert against_database_pin(None, server="anywhere:1", database="app") == ""
