"""The generator: the same arguments, the same bytes; as much as asked for; nothing real and nothing of today."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.examples.conftest import EXAMPLE

GENERATOR = EXAMPLE / "database" / "generate.py"


def printed(*arguments: str, **environment: str) -> str:
    """Return what the generator prints."""
    return subprocess.run(
        [sys.executable, str(GENERATOR), *arguments],
        check=True,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
    ).stdout


def tables(text: str) -> dict[str, list[list[str]]]:
    """Return the rows that the COPY blocks hold, by table."""
    found: dict[str, list[list[str]]] = {}
    block = None
    for line in text.splitlines():
        if line == "\\.":
            block = None
        elif block is not None:
            block.append(line.split("\t"))
        elif line.startswith("copy "):
            block = found.setdefault(line.split()[1], [])
    return found


def test_same_arguments_give_the_same_bytes() -> None:
    """Neither the hash seed, the time zone nor the locale of a machine changes a byte."""
    here = printed("--horses", "12", PYTHONHASHSEED="1", TZ="Asia/Tokyo", LC_ALL="C")
    there = printed("--horses", "12", PYTHONHASHSEED="2", TZ="America/Lima", LC_ALL="C.UTF-8")
    assert here == there
    assert here != printed("--horses", "12", "--seed", "8")


def test_it_is_as_big_as_asked_for() -> None:
    """Horses are exactly as many as asked for; lessons and bookings grow with horses and with years."""
    asked = (("10", "1"), ("10", "2"), ("40", "1"))
    small, long, wide = (tables(printed("--horses", horses, "--years", years)) for horses, years in asked)
    assert [len(school["public.horses"]) for school in (small, long, wide)] == [10, 10, 40]
    few = len(small["public.bookings"])
    assert 1.7 * few < len(long["public.bookings"]) < 2.3 * few
    assert len(wide["public.bookings"]) > 2.5 * few


def test_yards_share_no_ids() -> None:
    """A school that is bigger than one yard counts its ids on without a gap or a double."""
    school = tables(printed("--horses", "501"))
    assert len(school.pop("ops.accounts")) == 3
    assert len(school) == 8
    for table, rows in school.items():
        assert sorted(int(row[0]) for row in rows) == list(range(1, len(rows) + 1)), table


def test_nobody_is_real_and_nothing_is_later_than_the_last_day() -> None:
    """Addresses are at example.com, telephones in the range that no one can have, moments before `--until`."""
    text = printed("--horses", "10", "--until", "2024-03-01")
    assert set(re.findall(r"@([\w.]+)", text)) == {"example.com"}
    assert all(row[4].startswith("+33 6 39 98 ") for row in tables(text)["public.riders"])
    moments = re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text)
    assert max(moments) < "2024-03-01"
    assert max(moments) > "2024-02-28"


def test_a_count_below_one_is_refused() -> None:
    """A school without a horse is refused with the argument's name."""
    done = subprocess.run(
        [sys.executable, str(GENERATOR), "--horses", "0"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "argument --horses: must be at least 1" in done.stderr
    assert done.stdout == ""
