"""Join what the edge and cron saw with what the runtime told of it; hand each invocation to the ledger and to tails."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from typing import TYPE_CHECKING, Any, TypeVar

from twin.cloudflare.observability.messages import Invocation, message

if TYPE_CHECKING:
    from twin.cloudflare.observability.ledger import Ledger
    from twin.cloudflare.observability.tails import Tails
    from twin.cloudflare.store import Store
    from twin.world import Handled

Taken = TypeVar("Taken")

_PATIENCE = 1.0  # seconds that a request waits for the runtime's word: a Worker may go on after its answer
_LONGEST = 60.0  # seconds that the runtime's word waits for an answer that a visitor takes slowly
_LOOK = 0.25
_GIVEN_UP = 35.0  # Cloudflare lets a Worker go on for 30 seconds after its answer


class Recorder:
    """The `twin.world.Traffic` of a Cloudflare account."""

    def __init__(self, store: Store, ledger: Ledger, tails: Tails) -> None:
        """Keep nothing yet; timers run in the loop that the first request comes in."""
        self._store = store
        self._ledger = ledger
        self._tails = tails
        self._seen: dict[str, tuple[float, Handled]] = {}
        self._told: dict[str, tuple[float, dict[str, Any]]] = {}
        self._late: dict[str, tuple[float, Handled]] = {}  # recorded already, without the runtime's word
        self._looking: asyncio.TimerHandle | None = None

    def handled(self, one: Handled) -> None:
        """Take what the twin saw; a site, an unknown host and a Worker that never began have no more to tell."""
        if one.site or not one.service:
            self._ledger.request(one, "", round(one.at * 1000))
            if one.site:
                self._tails.site(one)
            return
        told = self._told.pop(one.key, None)
        if told is not None:
            self._finish(Invocation(one, told[1]))
        elif one.outcome == "internalError":
            self._finish(Invocation(one, None))
        else:
            self._seen[one.key] = (time.monotonic(), one)
            self._look_later()

    def ran(self, version: str, event: dict[str, Any]) -> None:
        """Take what the runtime told."""
        key = f"{version} {event['cron']} {event['scheduled']}" if event["cron"] else event["ray"]
        if not key:
            return  # nothing of ours asked for it
        late = self._late.pop(key, None)
        if late is not None:
            one = Invocation(late[1], event)
            self._ledger.restate(key, one.status)
            self._tell(one)
            return
        seen = self._seen.pop(key, None)
        if seen is not None:
            self._finish(Invocation(seen[1], event))
        else:
            self._told[key] = (time.monotonic(), event)
            self._look_later()

    def close(self) -> None:
        """Record what still waits."""
        if self._looking is not None:
            self._looking.cancel()
        self._look(at=time.monotonic() + _LONGEST)
        if self._looking is not None:
            self._looking.cancel()

    def _finish(self, one: Invocation) -> None:
        self._ledger.request(one.handled, one.status, one.at)
        self._tell(one)

    def _tell(self, one: Invocation) -> None:
        script = one.handled.service
        rate = self._rate(script)
        kept = rate > 0 and (rate >= 1 or random.random() < rate)  # noqa: S311 - a sample of traffic
        watched = self._tails.watched(script)
        if kept or watched:
            told = message(one, self._version(script, one.handled.version))
            if kept:
                self._ledger.observed(one, told, account=self._store.account, rate=rate)
            if watched:
                self._tails.send(script, told)

    def _rate(self, script: str) -> float:
        """Return which share of a Worker's invocations is logged: 0 when observability is off."""
        worker = self._worker(script)
        if worker is None or not worker["observability"]["enabled"]:
            return 0.0
        return float(worker["observability"].get("head_sampling_rate") or 1)

    def _version(self, script: str, version: str) -> dict[str, Any]:
        """Return `{id, tag, message}` of a version, without what it has not."""
        worker = self._worker(script)
        rows = worker["versions"] if worker else []
        notes: dict[str, str] = next((row["annotations"] for row in rows if row["id"] == version), {})
        told = {"id": version, "tag": notes.get("workers/tag"), "message": notes.get("workers/message")}
        return {key: value for key, value in told.items() if value}

    def _worker(self, script: str) -> dict[str, Any] | None:
        return next((worker for worker in self._store.workers() if worker["name"] == script), None)

    def _look_later(self) -> None:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def _look(self, at: float | None = None) -> None:
        """Record what has waited long enough for the runtime; forget what the runtime told of nothing of ours."""
        self._looking = None
        now = time.monotonic() if at is None else at
        for key, (since, one) in _older(self._seen, now - _PATIENCE):
            self._ledger.request(one, Invocation(one, None).status, round(one.at * 1000))
            self._late[key] = (since, one)
        for _, (_, one) in _older(self._late, now - _GIVEN_UP):
            self._tell(Invocation(one, None))
        _older(self._told, now - _LONGEST)
        if self._seen or self._late or self._told:
            self._look_later()


def _older(waiting: dict[str, tuple[float, Taken]], than: float) -> list[tuple[str, tuple[float, Taken]]]:
    """Take out what came before this moment; the oldest stands first."""
    old = list(itertools.takewhile(lambda entry: entry[1][0] <= than, waiting.items()))
    for key, _ in old:
        del waiting[key]
    return old
