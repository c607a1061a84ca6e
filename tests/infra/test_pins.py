"""While the records are pinned, the program declares what it declared when the pinned state was taken."""

from __future__ import annotations

import pytest

from infra.shapes import Pin, against_pin, declared
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
