"""A whole twin for this folder, and a machine that hears its webhooks."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.twin.cloudflare.live import Live, live

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Hearer:
    """What a webhook heard: (secret, body) of each call; it refuses as many as `refusing` says."""

    heard: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)
    refusing: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}/hook"

    def about(self, alert_type: str) -> list[dict[str, Any]]:
        """Return the bodies of one alert type."""
        return [body for _, body in self.heard if body.get("alert_type") == alert_type]


@contextmanager
def hearing() -> Iterator[Hearer]:
    """Listen on a free port until the block ends."""
    hearer = Hearer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            hearer.heard.append((self.headers.get("cf-webhook-auth"), body))
            hearer.refusing -= 1
            self.send_response(503 if hearer.refusing >= 0 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hearer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hearer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Give a running twin."""
    with live(tmp_path_factory.mktemp("twin")) as one:
        yield one


@pytest.fixture
def hearer() -> Iterator[Hearer]:
    """Give a webhook's other end."""
    with hearing() as one:
        yield one
