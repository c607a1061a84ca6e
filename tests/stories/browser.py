"""A real browser that looks at a page of the twin: Debian's Chromium, spoken to over its DevTools protocol."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAM = shutil.which("chromium")
NEEDED = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here: apt-get install chromium")
PATIENCE = 30.0  # seconds for a start, for a page
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
LOADED = "document.readyState === 'complete'"


@dataclass
class Browser:
    """A running browser whose names of `zone` all lead to the twin's edge."""

    port: int

    def look(self, url: str, script: str, *, until: str = "true") -> Any:  # noqa: ANN401 - whatever the script gives
        """Open a page in a tab of its own, without any cache; return what the script gives once `until` is true.

        When it is not within the time, the script tells what there is.
        """
        return asyncio.run(self._look(url, script, until))

    async def _look(self, url: str, script: str, until: str) -> Any:  # noqa: ANN401 - as above
        base = f"http://127.0.0.1:{self.port}/json"
        async with aiohttp.ClientSession() as session:
            async with session.put(f"{base}/new?about:blank") as answer:
                tab = await answer.json()
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                numbers = count(1)

                async def ask(method: str, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - the protocol's JSON
                    number = next(numbers)
                    await socket.send_json({"id": number, "method": method, "params": params})
                    while (told := await socket.receive_json()).get("id") != number:
                        pass
                    return dict(told["result"])

                async def value(expression: str) -> Any:  # noqa: ANN401 - as above
                    told = await ask("Runtime.evaluate", expression=expression, returnByValue=True)
                    return told["result"].get("value")

                await ask("Network.enable")
                await ask("Network.setCacheDisabled", cacheDisabled=True)
                await ask("Page.navigate", url=url)
                limit = time.monotonic() + PATIENCE
                while time.monotonic() < limit and not await value(f"{LOADED} && ({until})"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # a page tells nobody when its script is done
                seen = await value(script)
            async with session.get(f"{base}/close/{tab['id']}"):
                return seen


@contextmanager
def browsing(profile: Path, *, zone: str, edge: str) -> Iterator[Browser]:
    """Start a browser with a profile of its own; end it with the block."""
    assert PROGRAM is not None
    leads = f"--host-resolver-rules=MAP *.{zone} {edge.removeprefix('http://')}"
    words = [PROGRAM, *FLAGS, leads, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        note = profile / "DevToolsActivePort"
        limit = time.monotonic() + PATIENCE
        while not (note.is_file() and note.read_text().count("\n")):
            assert process.poll() is None, "the browser ended before it was ready"
            assert time.monotonic() < limit, "the browser did not get ready"
            time.sleep(0.05)
        yield Browser(int(note.read_text().splitlines()[0]))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
