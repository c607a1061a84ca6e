"""What the twin's edge adds to plain workerd: the same Worker, asked over a connection that stays open, in turns.

The twin is a deployed product: its zone has rules, and this Worker keeps logs. `processor_microseconds` is what the
twin's own process spends on a request, rules, analytics and logs included; workerd's own is not in it.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from benchmarks.databases.server import free_port
from benchmarks.pairs import alternate
from benchmarks.sweeping.place import opened
from twin import packages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.sweeping.place import Place

LIMIT: Final = 1.0  # milliseconds that the edge may add
BLOCK: Final = 400  # requests of one side in its turn
VISITORS: Final = 250  # addresses that they come from, so that a limit for one of them stops none
SETTLED: Final = 1.0  # seconds after which what happened is in the ledger
PATIENCE: Final = 15.0
NAME: Final = "hello"
SOURCE: Final = "export default { fetch() { return new Response('hello'); } };"
CONFIG: Final = """using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [ (name = "main", worker = (
    modules = [ (name = "hello.js", esModule = embed "hello.js") ], compatibilityDate = "2026-04-01")) ],
  sockets = [ (name = "http", address = "127.0.0.1:PORT", http = (), service = "main") ] );
"""


def measure(runs: int) -> dict[str, Any]:
    """Return the medians of blocks of requests in milliseconds, and what the edge adds."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as leaving:
        folder = Path(name)
        place = leaving.enter_context(opened(folder / "place"))
        host = _deployed(place)
        at_edge = Asker(urlsplit(place.stage.addresses.edge).netloc, host)
        plain = Asker(leaving.enter_context(_workerd(folder)), host)
        pid = Twin(place)
        for side in (at_edge, plain):
            side.block()
        result = alternate(lambda: pid.during(at_edge.block), plain.block, runs)
        spent = pid.spent / (runs * BLOCK)
    return {
        "name": "edge",
        **result,
        "unit": "ms",
        "added_milliseconds": round(result["ours"] - result["peer"], 3),
        "limit": LIMIT,
        "requests": runs * BLOCK,
        "processor_microseconds": round(spent * 1_000_000),
        "peer_is": "workerd itself, on TCP: no host names, rules, versions, analytics or logs",
    }


class Asker:
    """A client with one connection that stays open."""

    def __init__(self, address: str, host: str) -> None:
        self._connection = HTTPConnection(address, timeout=PATIENCE)
        self._host = host
        self._asked = 0

    def block(self) -> float:
        """Ask a block of requests, one after the other; return the median in milliseconds."""
        return median(self._once() for _ in range(BLOCK)) * 1000

    def _once(self) -> float:
        self._asked += 1
        headers = {"host": self._host, "twin-visitor": f"203.0.113.{self._asked % VISITORS + 1}"}
        began = time.perf_counter()
        self._connection.request("GET", "/", headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - began
        if (answer.status, body) != (httpx.codes.OK, b"hello"):
            message = f"expected 200 hello, got {answer.status} {body[:100]!r}"
            raise AssertionError(message)
        return seconds


class Twin:
    """The twin's own process, and the processor time that it spent on blocks so far."""

    def __init__(self, place: Place) -> None:
        self.spent = 0.0
        self._clock = (~place.stage.addresses.pid << 3) | 2  # clock_getcpuclockid(3): all threads of a process

    def during(self, block: Any) -> float:  # noqa: ANN401 - see `alternate`
        """Do a block, and wait until its traffic is written down."""
        before = time.clock_gettime(self._clock)
        milliseconds: float = block()
        time.sleep(SETTLED)
        self.spent += time.clock_gettime(self._clock) - before
        return milliseconds


def _deployed(place: Place) -> str:
    """Deploy the Worker on the twin, with its logs kept; return its host name."""
    addresses, zone = place.stage.addresses, place.stage.site.settings.stack.zone
    headers = {"authorization": f"Bearer {addresses.tokens['CLOUDFLARE_API_TOKEN']}"}
    host, account = f"{NAME}.{zone}", f"accounts/{addresses.account}"
    with httpx.Client(base_url=f"{addresses.cloudflare}/", headers=headers, timeout=PATIENCE) as api:

        def ask(method: str, path: str, sent: object = None) -> Any:  # noqa: ANN401 - the provider's JSON
            return api.request(method, path, json=sent).raise_for_status().json()["result"]

        worker = ask("POST", f"{account}/workers/workers", {"name": NAME, "observability": {"enabled": True}})["id"]
        content = base64.b64encode(SOURCE.encode()).decode()
        module = {"name": "hello.js", "content_type": "application/javascript+module", "content_base64": content}
        upload = {"main_module": "hello.js", "modules": [module], "compatibility_date": "2026-04-01"}
        version = ask("POST", f"{account}/workers/workers/{worker}/versions", upload)["id"]
        whole = {"strategy": "percentage", "versions": [{"version_id": version, "percentage": 100}]}
        ask("POST", f"{account}/workers/scripts/{NAME}/deployments", whole)
        found = ask("GET", f"zones?name={zone}")[0]["id"]
        ask("PUT", f"{account}/workers/domains", {"hostname": host, "service": NAME, "zone_id": found})
    return host


@contextmanager
def _workerd(folder: Path) -> Iterator[str]:
    """Run workerd by itself; give its address."""
    port = free_port()
    (folder / "hello.js").write_text(SOURCE)
    (folder / "hello.capnp").write_text(CONFIG.replace("PORT", str(port)))
    with subprocess.Popen([packages.workerd(), "serve", folder / "hello.capnp"], cwd=folder) as process:
        try:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until and not _listens(port):
                time.sleep(0.01)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}").is_success
    except httpx.HTTPError:
        return False
