"""What the edge saw and what the runtime told are joined, kept, bounded, and there after a restart."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin import serving
from twin.cloudflare.observability import ledger, recorder
from twin.cloudflare.observability.ledger import Ledger
from twin.cloudflare.observability.recorder import Recorder
from twin.cloudflare.observability.tails import Tails
from twin.cloudflare.store import Store
from twin.cloudflare.workers import identities
from twin.world import Handled

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

EVENT: dict[str, Any] = {
    "at": 1_795_000_000_000,
    "outcome": "ok",
    "cron": None,
    "scheduled": None,
    "request": {"method": "GET", "url": "https://h/x", "headers": {}, "cf": {}},
    "response": {"status": 200},
    "ray": "r1",
    "logs": [{"timestamp": 1_795_000_000_001, "level": "log", "message": ["hello"]}],
    "exceptions": [],
}


@contextmanager
def recording(folder: Path) -> Iterator[tuple[Recorder, Ledger]]:
    """Give a recorder of an account with one Worker that keeps logs."""
    store = Store(serving.home(folder))
    if not store.workers():
        identities.create(store, "api", {"observability": {"enabled": True}})
        store.save()
    kept = Ledger(folder / "traffic.sqlite")
    made = Recorder(store, kept, Tails())
    try:
        yield made, kept
    finally:
        made.close()
        kept.close()


def handled(key: str = "r1", outcome: str = "ok") -> Handled:
    """Return a request that the edge has answered."""
    return Handled(key, time.time(), outcome, service="api", version="v", host="h", path="/x", status=200, wall=0.01)


def both(database: sqlite3.Connection) -> tuple[list[Any], int]:
    """Return the statuses of requests, and how many events there are."""
    statuses = [row[0] for row in database.execute("select status from requests order by id")]
    return statuses, database.execute("select count(*) from events").fetchone()[0]


@pytest.mark.parametrize("first", ["edge", "runtime"])
def test_the_two_halves_meet_whichever_comes_first(tmp_path: Path, first: str) -> None:
    """One request, with the runtime's outcome and lines; what threw after its answer is an error all the same."""

    async def story() -> None:
        with recording(tmp_path) as (made, kept):
            event = {**EVENT, "outcome": "exception"}
            if first == "edge":
                made.handled(handled())
                made.ran("v", event)
            else:
                made.ran("v", event)
                made.handled(handled())
            assert await kept.read(both) == (["scriptThrewException"], 2)

    asyncio.run(story())


def test_a_late_word_of_the_runtime_corrects_what_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request counts soon; when the runtime tells later how it went, the record says so, and counts once."""
    monkeypatch.setattr(recorder, "_PATIENCE", 0.02)
    monkeypatch.setattr(recorder, "_LOOK", 0.01)

    async def story() -> None:
        with recording(tmp_path) as (made, kept):
            made.handled(handled())
            async with asyncio.timeout(5):
                while await kept.read(both) != (["success"], 0):  # noqa: ASYNC110 - a timer of the recorder
                    await asyncio.sleep(0.01)
            made.ran("v", {**EVENT, "outcome": "exceededCpu"})
            assert await kept.read(both) == (["exceededResources"], 2)

    asyncio.run(story())


def test_a_runtime_that_died_is_recorded_by_what_the_edge_saw(tmp_path: Path) -> None:
    """Without a word of the runtime the request is an internal error, with one event that says so."""

    async def story() -> None:
        with recording(tmp_path) as (made, kept):
            made.handled(handled(outcome="internalError"))
            assert await kept.read(both) == (["internalError"], 1)

    asyncio.run(story())


def test_traffic_survives_a_restart_and_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited when the twin stopped is there when it starts again; only the newest rows are kept."""
    monkeypatch.setattr(ledger, "KEPT", {"requests": 5, "events": 3})

    async def story(*keys: str) -> tuple[list[Any], int]:
        with recording(tmp_path) as (made, kept):
            before = await kept.read(both)
            for key in keys:
                made.handled(handled(key))  # the runtime never speaks
        return before

    assert asyncio.run(story("a", "b")) == ([], 0)
    assert asyncio.run(story(*"cdefgh")) == (["success"] * 2, 2)
    assert asyncio.run(story()) == (["success"] * 5, 3)


def test_quantiles_are_values_that_were_seen(tmp_path: Path) -> None:
    """The nearest rank: of 1 to 100 the 99th percentile is 99; a value that stands for more weighs more."""
    kept = Ledger(tmp_path / "traffic.sqlite")

    async def ask(rows: str, share: float) -> Any:  # noqa: ANN401 - a number or nothing
        text = f"with t(x, w) as ({rows}) select quantile(x, w, {share}) from t"  # noqa: S608 - the test's own
        return await kept.read(lambda database: database.execute(text).fetchone()[0])

    hundred = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 100) select x, 1 from n"
    assert asyncio.run(ask(hundred, 0.99)) == 99
    assert asyncio.run(ask(hundred, 0.5)) == 50
    assert asyncio.run(ask("values (1, 1), (2, 1), (9, 8)", 0.5)) == 9
    assert asyncio.run(ask("select null, 1", 0.5)) is None
    kept.close()
