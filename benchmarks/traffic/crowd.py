"""Users who ask at a steady rate, in a process of their own: `python -m benchmarks.traffic.crowd EDGE HOST PATH FILE`.

Each answer is a line of FILE. It ends on SIGTERM, and after a minute in any case.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterator

PER_SECOND: Final = 200
AT_ONCE: Final = 32  # of them wait for an answer; more do not ask before: a machine that is too slow gets fewer
LONGEST: Final = 60.0  # seconds
PATIENCE: Final = 10.0  # seconds for one answer
VISITORS: Final = 250  # addresses that they come from, so that a limit for one of them stops none
LOOK: Final = 0.01  # seconds between looks for the first answer


@dataclass(frozen=True)
class Heard:
    """One answer: when it was there (Unix seconds), its status (0: none came), and the version that gave it."""

    at: float
    status: int
    version: str


@contextmanager
def crowd(*, edge: str, host: str, path: str, file: Path) -> Iterator[None]:
    """Let them ask while the block runs; it begins with the first answer."""
    words = [sys.executable, "-m", "benchmarks.traffic.crowd", edge, host, path, str(file)]
    with subprocess.Popen(words) as process:
        try:
            while process.poll() is None and not (file.is_file() and file.stat().st_size):
                time.sleep(LOOK)
            yield
        finally:
            process.terminate()


def heard(file: Path) -> list[Heard]:
    """Return every answer, in the order in which they came."""
    return [Heard(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


async def _one(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> Heard:
    try:
        async with session.get(url, headers=headers) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        return Heard(time.time(), 0, "")
    try:
        version = str(json.loads(body)["version"])
    except (ValueError, KeyError, TypeError):
        version = ""
    return Heard(time.time(), answer.status, version)


async def _ask(edge: str, host: str, path: str, *, file: Path) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    began, asked, free = time.monotonic(), 0, asyncio.Semaphore(AT_ONCE)
    with file.open("w", encoding="utf-8") as lines:

        def note(done: asyncio.Task[Heard]) -> None:
            free.release()
            lines.write(json.dumps(asdict(done.result())) + "\n")
            lines.flush()

        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)) as session,
            asyncio.TaskGroup() as group,
        ):
            while not over.is_set() and time.monotonic() - began < LONGEST:
                await free.acquire()
                headers = {"host": host, "twin-visitor": f"203.0.113.{asked % VISITORS + 1}"}
                group.create_task(_one(session, edge + path, headers)).add_done_callback(note)
                asked += 1
                await asyncio.sleep(max(0.0, began + asked / PER_SECOND - time.monotonic()))


if __name__ == "__main__":
    asyncio.run(_ask(*sys.argv[1:4], file=Path(sys.argv[4])))
