"""Write through the API as its users do, and keep an own ledger of every answer: what was accepted must be there later.

A process of its own (`python -m runbooks.drills.rig.workload ORDERS`), so that nothing of the drill slows it down or
stops it. It ends on SIGTERM and when the process that started it is gone.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec

from runbooks.clients.edge import Edge
from runbooks.drills.rig.ledger import Ended, Sent
from runbooks.model.errors import AnswerLost, Unreachable
from runbooks.model.reconciliation import ORDER

CONNECTIONS: Final = 8  # at the same time: 200 requests a second when each takes 40 ms
PATIENCE: Final = 3.0  # seconds for an answer: the process must be gone five seconds after its parent
PARENT: Final = 0.5  # seconds between looks at whether the parent is there
VISITORS: Final = 250  # addresses that the requests come from, so that a limit for one of them stops none
MAX_BEHIND: Final = 1.0  # seconds; a backlog that is older is skipped, as users who wait do not ask twice as often


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What to write: `choices` are the values that each field of the body is picked from, `headers` go with each.

    `ledger` is a file.
    """

    edge: str | None
    host: str
    path: str
    key: str
    per_second: float
    choices: dict[str, list[msgspec.Raw]]
    ledger: str
    headers: dict[str, str] = {}


class Workload:
    """Send requests at a steady rate from several threads; each answer is one line of the ledger."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._edge = Edge(orders.edge, patience=PATIENCE)
        self._ledger = os.open(orders.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._stop = threading.Event()
        self._random = random.Random(7)  # noqa: S311 - which row is picked guards nothing; a fixed seed repeats it

    def stop(self) -> None:
        """Send nothing more; what is on its way is waited for."""
        self._stop.set()

    def run(self) -> None:
        """Write until stopped or until nobody is left who would read the ledger."""
        parent, looked = os.getppid(), time.monotonic()
        pause = 1.0 / self._orders.per_second
        due = time.monotonic()
        busy = threading.BoundedSemaphore(CONNECTIONS)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                due = max(due + pause, time.monotonic() - MAX_BEHIND)
                if not busy.acquire(timeout=PATIENCE):
                    continue
                pool.submit(self._one, self._body(), busy)
                if time.monotonic() - looked > PARENT:
                    looked = time.monotonic()
                    if os.getppid() != parent:
                        break
        self._edge.close()
        os.close(self._ledger)

    def _body(self) -> dict[str, msgspec.Raw]:
        return {field: self._random.choice(values) for field, values in self._orders.choices.items()}

    def _one(self, body: dict[str, msgspec.Raw], busy: threading.BoundedSemaphore) -> None:
        try:
            request = str(uuid.uuid4())
            content = msgspec.json.encode(body)
            self._write(Sent(request=request, at=_now(), body=msgspec.json.decode(content, type=dict)))
            self._write(self._sent(request, content))
        finally:
            busy.release()

    def _sent(self, request: str, content: bytes) -> Ended:
        orders = self._orders
        visitor = f"203.0.113.{uuid.UUID(request).int % VISITORS + 1}"
        own = {"content-type": "application/json", "idempotency-key": request, "twin-visitor": visitor}
        headers = {name.lower(): value for name, value in orders.headers.items()} | own
        try:
            answer = self._edge.send(ORDER, orders.host, orders.path, body=content, headers=headers)
        except AnswerLost as error:
            return Ended(request=request, at=_now(), outcome="unanswered", why=str(error))
        except Unreachable as error:
            return Ended(request=request, at=_now(), outcome="refused", why=str(error))
        at = _now()
        status = answer.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Ended(request=request, at=at, outcome="accepted", status=status, row=_row(answer.body, orders.key))
        refused = status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.SERVICE_UNAVAILABLE
        why = answer.body[:200].decode("utf-8", "replace")
        return Ended(request=request, at=at, outcome="refused" if refused else "failed", status=status, why=why)

    def _write(self, line: Sent | Ended) -> None:
        os.write(self._ledger, msgspec.json.encode(line) + b"\n")


def _row(body: bytes, key: str) -> dict[str, msgspec.Raw] | None:
    """Return the object of the answer that holds `key`: the answer itself, or one directly inside it."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if key in answer:
            return answer
        for value in answer.values():
            if bytes(value).lstrip()[:1] == b"{":
                inner = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
                if key in inner:
                    return inner
    except msgspec.MsgspecError:
        return None
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def main(arguments: list[str]) -> int:
    """Read the orders and write until told to stop."""
    workload = Workload(msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Orders))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: workload.stop())
    workload.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
