"""The workload writes at its rate, keeps every answer, and ends when it is told or left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import msgspec
import pytest

from runbooks.drills.rig.ledger import read_ledger
from runbooks.drills.rig.workload import Orders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Api(BaseHTTPRequestHandler):
    """Accept the first two of five writes (the second with the row one level down), then refuse, fail, say nothing."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, dict[str, object]]]
    keys: set[str | None]

    def do_POST(self) -> None:
        """Answer by turns."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        turn = len(self.seen)
        self.keys.add(self.headers["authorization"])
        self.seen.append((str(self.headers["idempotency-key"]), body))
        if turn % 5 == 4:
            self.close_connection = True
            return
        row = {"id": turn, **body}
        answer = {"booking": row} if turn % 5 == 1 else row
        text = json.dumps(answer).encode()
        self.send_response((201, 201, 503, 500)[turn % 5])
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Path]:
    """Give orders for a little API that answers by turns."""
    Api.seen, Api.keys = [], set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    file = tmp_path / "orders.json"
    wanted = Orders(
        edge=f"http://127.0.0.1:{server.server_port}",
        host="api.example",
        path="/api/bookings",
        key="id",
        per_second=50,
        choices={"rider_id": [msgspec.Raw(b"7"), msgspec.Raw(b"8")], "note": [msgspec.Raw(b'"a"')]},
        ledger=str(tmp_path / "ledger.jsonl"),
        headers={"Authorization": "Bearer x", "Idempotency-Key": "never"},
    )
    file.write_bytes(msgspec.json.encode(wanted))
    yield file
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_answer_is_in_the_ledger(root: Path, orders: Path) -> None:
    """Accepted writes have their row, others how they ended; ids, bodies and headers are those that were sent."""
    process = subprocess.Popen([sys.executable, "-m", "runbooks.drills.rig.workload", str(orders)], cwd=root)
    deadline = time.monotonic() + 20
    while len(Api.seen) < 25 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    writes = read_ledger(orders.with_name("ledger.jsonl"))
    assert {write.request: write.body for write in writes} == dict(Api.seen)
    assert Api.keys == {"Bearer x"}
    assert {write.body["rider_id"] for write in writes} == {7, 8}
    outcomes = [write.outcome for write in writes]
    assert {outcome: outcomes.count(outcome) > 2 for outcome in set(outcomes)} == {
        "accepted": True,
        "refused": True,
        "failed": True,
        "unanswered": True,
    }
    assert all(write.row["rider_id"] == write.body["rider_id"] for write in writes if write.outcome == "accepted")
    assert {write.why[:3] for write in writes if write.outcome in ("refused", "failed")} == {"503", "500"}
    assert {write.why for write in writes if write.outcome == "accepted"} == {""}
    assert all(write.ended and write.ended >= write.sent for write in writes)


def test_it_ends_with_its_parent(root: Path, orders: Path) -> None:
    """When the process that started it is killed, it ends by itself."""
    starter = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'runbooks.drills.rig.workload', {str(orders)!r}])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter], cwd=root, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workload = int(parent.stdout.readline())
    deadline = time.monotonic() + 20
    while not Api.seen and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.kill(workload, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.kill(workload, signal.SIGKILL)
    pytest.fail("the workload outlived its parent")
