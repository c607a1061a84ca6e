"""Keep the versions running that traffic goes to, and the last few that a rollback would go back to."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any

from twin.workerd.instance import Instance
from twin.world import UnrunnableError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from pathlib import Path

    from twin.processes import Processes
    from twin.workerd.config import Ways
    from twin.world import Routing

_KEPT = 3
"""Versions of a script that stay running after they are no longer live, some 40 MB each: rolling back is instant."""
_TURN = 2.0
"""Seconds that requests of a version with Durable Objects have to end when another takes its turn."""
_QUICK_DEATH = 1.0
_LONGEST_PAUSE = 5.0
_log = logging.getLogger("twin.workerd")


class Fleet:
    """All running versions, by script and version id."""

    def __init__(self, program: Path, owned: Processes, *, sockets: Path, logs: Path, ways: Ways) -> None:
        self.routing: Routing | None = None
        self._program = program
        self._owned = owned
        self._sockets = sockets
        self._logs = logs
        self._ways = ways
        self._numbers = itertools.count(1)
        self._running: dict[tuple[str, str], Instance] = {}  # the most recently live last
        self._starting: dict[tuple[str, str], asyncio.Task[Instance]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def running(self, script: str, version: str) -> Instance | None:
        """Return the version if it runs: the quick way."""
        return self._running.get((script, version))

    async def ensure(self, script: str, version: str) -> Instance:
        """Return the version, started when it does not run. UnrunnableError when it cannot, KeyError: no such one."""
        key = (script, version)
        found = self._running.get(key)
        if found is not None:
            return found
        if key not in self._starting:
            self._starting[key] = asyncio.create_task(self._start(key))
            self._starting[key].add_done_callback(lambda _: self._starting.pop(key))
        return await asyncio.shield(self._starting[key])

    async def switch(self, script: str) -> None:
        """Have the script's live versions running as they are bound now; let others but the newest few go."""
        routing = self._routing()
        live = [version for version, _ in routing.live(script)]
        for version in live:
            if not routing.runnable(script, version).modules:  # static assets alone
                continue
            key = (script, version)
            old = self._running.get(key)
            if old is not None and old.fingerprint != repr(routing.runnable(script, version)):
                await self._start(key)
                if not old.durable:
                    self._later(old.drain(self._owned))
            else:
                await self.ensure(script, version)
            self._running[key] = self._running.pop(key)
        self._spare(script, live)

    async def prove(self, script: str, version: str) -> float:
        """Start a version that no traffic goes to, and return how many milliseconds that took."""
        begun = time.monotonic()
        if self._routing().runnable(script, version).classes:
            await (await self._made((script, version))).stop(self._owned)
            return (time.monotonic() - begun) * 1000
        await self.ensure(script, version)
        taken = (time.monotonic() - begun) * 1000
        self._spare(script, [live for live, _ in self._routing().live(script)])
        return taken

    def _spare(self, script: str, live: list[str]) -> None:
        """Let all versions of a script go that no traffic goes to, but the newest few."""
        idle = [key for key in self._running if key[0] == script and key[1] not in live]
        for key in idle[: max(0, len(idle) - _KEPT)]:
            self._later(self._running.pop(key).drain(self._owned))

    def names(self) -> Iterable[tuple[str, str]]:
        """Return script and version of all that run."""
        return tuple(self._running)

    async def stop(self) -> None:
        """Stop everything at once."""
        for task in (*self._tasks, *self._starting.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._starting.values(), return_exceptions=True)
        await asyncio.gather(*(instance.stop(self._owned) for instance in self._running.values()))

    def kill(self, script: str) -> None:
        """Kill every process of a script, as a crash would."""
        for key, instance in tuple(self._running.items()):
            if key[0] == script:
                instance.kill()

    async def _start(self, key: tuple[str, str]) -> Instance:
        """Start a version that requests go to; of one with Durable Objects no other may run meanwhile."""
        if self._routing().runnable(*key).classes:
            gone = [self._running.pop(one) for one in tuple(self._running) if one[0] == key[0]]
            await asyncio.gather(*(instance.drain(self._owned, within=_TURN) for instance in gone))
        instance = self._running[key] = await self._made(key)
        self._later(self._watch(key, instance))
        return instance

    async def _made(self, key: tuple[str, str]) -> Instance:
        runnable = self._routing().runnable(*key)
        instance = Instance(
            runnable, self._sockets / f"worker{next(self._numbers)}", self._logs / f"workerd-{key[0]}.log"
        )
        try:
            await instance.start(self._program, self._owned, self._ways)
        except BaseException:
            await instance.stop(self._owned)
            raise
        return instance

    async def _watch(self, key: tuple[str, str], instance: Instance) -> None:
        """Start a version again that died."""
        code = await instance.ended()
        if instance.stopping:
            return
        _log.error("%s %s died with %d", *key, code)
        if self._running.get(key) is instance:
            del self._running[key]
        await instance.stop(self._owned)
        if time.monotonic() - instance.started < _QUICK_DEATH:
            await asyncio.sleep(_LONGEST_PAUSE)
        if key[1] in dict(self._routing().live(key[0])):
            try:
                await self.ensure(*key)
            except UnrunnableError as error:
                _log.error("%s %s does not start again: %s", *key, error)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _routing(self) -> Routing:
        if self.routing is None:
            message = "the control plane is not there yet"
            raise UnrunnableError(message)
        return self.routing
