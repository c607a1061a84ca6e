"""Restore to random points of a live workload: each restored state equals that of a ledger outside the database.

Points to the microsecond go the way of the strategy `archive`, one copy stepping forward where that is possible; some
whole seconds go through the twin's own recovery.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from benchmarks.databases.selfhosted import ROOT, SelfHosted, selfhosted
from benchmarks.recovering.ledger import Ledger, work
from runbooks.clients import twin
from runbooks.clients.selfhosted.files import copy_base
from runbooks.clients.supabase import Supabase, explain
from runbooks.clients.transport import Transport
from runbooks.model.settings import read_stack
from runbooks.steps.archive.finding import choose
from runbooks.steps.archive.own import Own
from runbooks.steps.archive.work import copy_for, make_room, work_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runbooks.clients.selfhosted.paused import Paused

POINTS: Final = 120
TWIN_POINTS: Final = 5
SESSIONS: Final = 4
RECOVERED_WITHIN: Final = 120.0


def measure(_runs: int, *, points: int = POINTS, seconds: float = 12.0, seed: int | None = None) -> dict[str, Any]:
    """Return how many points were restored to, and how many of them were wrong."""
    seed = random.SystemRandom().randrange(1 << 30) if seed is None else seed
    began = time.monotonic()
    with selfhosted() as server:
        server.base("base")
        ledger = work(server.url, sessions=SESSIONS, seconds=seconds, seed=seed)
        server.archive()
        wrong, copies = compare(server, ledger, random_points(ledger, points, seed))
    at_twin, wrong_at_twin = through_the_twin(seed)
    return {
        "name": "pitr_fuzz",
        "points": points + at_twin,
        "wrong": len(wrong) + len(wrong_at_twin),
        "wrong_points": [*wrong, *wrong_at_twin],
        "seconds": round(time.monotonic() - began, 1),
        "points_through_the_twin": at_twin,
        "commits": ledger.commits,
        "given_up": ledger.given_up,
        "copies": copies,
        "seed": seed,
    }


def random_points(ledger: Ledger, count: int, seed: int) -> list[datetime]:
    """Return points between the first and the last commit, some of them exactly on one, in order."""
    chance = random.Random(seed)  # noqa: S311 - a plan
    span = ledger.ends - ledger.begins
    moments = [moment for told in ledger.sessions for moment in told.moments if moment >= ledger.begins]
    exact = chance.sample(moments, min(len(moments), count // 4))
    return sorted([*exact, *(ledger.begins + span * chance.random() for _ in range(count - len(exact)))])


def compare(server: SelfHosted, ledger: Ledger, points: Sequence[datetime]) -> tuple[list[str], int]:
    """Restore to each point, in order; return what was wrong, and how many copies of the base it took."""
    own = Own(server.told, ROOT, dict(os.environ), server.door)
    wrong: list[str] = []
    copies, copy = 0, None
    try:
        for point in points:
            chosen = choose(own, point, timeline=1)
            if chosen.target is None:
                wrong.append(f"{point}: its WAL is not archived")
                continue
            if copy is None:
                copies += 1
                copy = _copied(own)
            copy.start(chosen.target)
            ended = copy.free_tables()
            with psycopg.connect(copy.door.url) as connection:
                wrong += [f"{point}: {table}" for table in ledger.wrong(connection, point)]
            if ended:  # what is a server of its own goes no further
                copy.stop()
                copy = None
    finally:
        if copy is not None:
            copy.stop()
    return wrong, copies


def _copied(own: Own) -> Paused:
    place = work_named(own, "fuzz")
    make_room(place, own)
    base = own.found.bases[0]
    copy_base(base, place.fresh, own.installed, report=lambda _done, _total: None)
    return copy_for(own, base, place.fresh)


def through_the_twin(seed: int) -> tuple[int, list[str]]:
    """Restore the twin's own database to whole seconds, forth and back; return how many, and what was wrong."""
    with _twin() as (url, supabase):
        _until(lambda: supabase.backups().window.earliest is not None)
        ledger = work(url, sessions=2, seconds=2.0 * TWIN_POINTS, seed=seed)
        first, last = ledger.begins.replace(microsecond=0) + timedelta(seconds=1), ledger.ends.replace(microsecond=0)
        seconds = int((last - first).total_seconds())
        chance = random.Random(seed)  # noqa: S311 - a plan
        points = [first + timedelta(seconds=offset) for offset in chance.sample(range(seconds + 1), TWIN_POINTS)]
        while datetime.now(UTC) <= last + timedelta(seconds=1):
            time.sleep(0.05)
        wrong: list[str] = []
        for point in points:
            supabase.restore_pitr(point)
            _until(lambda: supabase.project().status != "ACTIVE_HEALTHY")
            _until(lambda: supabase.project().status == "ACTIVE_HEALTHY")
            with psycopg.connect(url) as connection:
                wrong += [f"{point} by the twin: {table}" for table in ledger.wrong(connection, point)]
    return len(points), wrong


@contextmanager
def _twin() -> Iterator[tuple[str, Supabase]]:
    stack = read_stack(ROOT / "Pulumi.twin.yaml")
    with tempfile.TemporaryDirectory(prefix="ems-ops-") as folder:
        started = twin.start(
            state=Path(folder) / "twin", account=stack.account, zone=stack.zone, project=stack.database.project,
            root=ROOT, environment=dict(os.environ),
        )  # fmt: skip
        addresses = started.addresses
        transport = Transport(
            "Supabase", addresses.supabase, addresses.tokens["SUPABASE_ACCESS_TOKEN"], explain=explain
        )
        try:
            yield addresses.database_url, Supabase(transport, stack.database.project)
        finally:
            transport.close()
            started.stop()


def _until(holds: Any) -> None:  # noqa: ANN401 - a question
    until = time.monotonic() + RECOVERED_WITHIN
    while not holds():
        if time.monotonic() > until:
            message = f"the twin did not get there within {RECOVERED_WITHIN:g} s"
            raise TimeoutError(message)
        time.sleep(0.02)
