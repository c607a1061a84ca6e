"""What the verification catches is planted and measured; the document of it names every fault that there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from benchmarks.databases.faults import FAULTS, Place
from benchmarks.databases.subjects import DEPOT, copy
from benchmarks.databases.trials import NOTE, bench
from benchmarks.detection import DOCUMENT, alone, caught, document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.databases.trials import Bench

pytestmark = pytest.mark.twin

SAMPLE = (
    "a row missing",
    "rows from after the point",
    "case lost in case-insensitive text",
    "a foreign key violated",
    "rows missing in an index",
    "a page of a table damaged",
    "a policy lost",
    "a materialized view stale",
)
"""One of each way of planting, and of each way of seeing."""


@pytest.fixture(scope="module")
def made() -> Iterator[Bench]:
    """Give a bench with the sample planted."""
    with bench([fault for fault in FAULTS if fault.name in SAMPLE]) as made:
        yield made


@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_fault_is_caught(made: Bench, name: str) -> None:
    """Each fault of the sample is called one, and the document says of each way what it really does."""
    fault = next(fault for fault in FAULTS if fault.name == name)
    seen = made.seen(fault)
    assert caught(seen)
    row = next(line for line in DOCUMENT.read_text("utf-8").splitlines() if line.startswith(f"| {name} |"))
    assert row in document({fault: seen}, [], 0).splitlines()


def test_a_healthy_copy_raises_no_alarm(made: Bench) -> None:
    """What nobody broke is called whole by both; what changed since the point is a note."""
    copy(made.server, DEPOT, "healthy")
    seen = made.look(DEPOT, made.server, "healthy")
    assert (seen.by_manifest, alone(seen)) == ([], [])
    assert f"{NOTE}column ledger.settings.later: in the present 3. text, now nothing (changed since the point)" in (
        seen.alone
    )


def test_the_document_names_every_fault() -> None:
    """The document was written with the faults that there are, at least 95 of 100 were caught, and nothing else was."""
    text = DOCUMENT.read_text("utf-8")
    rows = re.findall(r"^\| (.+?) \| (.+) \| (.+) \|$", text, re.MULTILINE)
    names = [name for name, *_ in rows if name != "fault"]
    assert names == [fault.name for fault in FAULTS]
    assert len(FAULTS) >= 45
    figures = re.search(r"(\d+) faults: (\d+) caught; .* (\d+) healthy restores .*: (\d+) false alarms", text)
    assert figures is not None
    faults, found, restores, alarms = map(int, figures.groups())
    assert faults == len(FAULTS)
    assert found >= 0.95 * faults
    assert (restores >= 20, alarms) == (True, 0)


def test_faults_are_what_they_say() -> None:
    """Names are unique; what breaks the cluster says how it is taken back."""
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert [f.name for f in FAULTS if f.place is Place.CLUSTER and not f.undo] == []
