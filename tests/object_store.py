"""A real S3 server as a process of its own, and a bucket for each test."""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING

import httpx

from runbooks.clients.storage import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

PAGE = 20
"""Names in one page of the server's lists: small, so that a list of more pages is quickly made."""
LISTENS = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")
START_LIMIT = 60.0  # seconds


@dataclass(frozen=True)
class ObjectStore:
    """Where the server answers."""

    address: str

    def made(self) -> str:
        """Make a bucket and return its name."""
        name = f"ops-{uuid.uuid4().hex[:12]}"
        httpx.put(f"{self.address}/{name}").raise_for_status()
        return name

    def bucket(self, name: str | None = None, *, prefix: str = "team/ops", address: str = "") -> Bucket:
        """Return the way to a bucket, a new one without a name; `address` leads there by another way."""
        return Bucket(
            name or self.made(),
            prefix,
            endpoint=address or self.address,
            region="us-east-1",
            key_id="test-key-id",
            secret_key="test-secret-key",
        )


@contextmanager
def serving() -> Iterator[ObjectStore]:
    """Start the server on a free port; end it with the block."""
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(words, env=environment, stderr=said, stdout=subprocess.DEVNULL) as moto,
    ):
        try:
            yield ObjectStore(_address(said, moto))
        finally:
            moto.kill()


def _address(said: IO[str], moto: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + START_LIMIT
    while moto.poll() is None and time.monotonic() < until:
        said.seek(0)
        if found := LISTENS.search(said.read()):
            return found[1]
        time.sleep(0.05)
    said.seek(0)
    message = f"the object store did not start: {said.read()}"
    raise AssertionError(message)


class Cable:
    """A way to a server that a test pulls out: nothing gets through while `out` is set.

    When a request holds the bytes `when`, `then` is done after it was passed on and before it is answered.
    """

    def __init__(self, address: str) -> None:
        self.out = Event()
        self.when: bytes | None = None
        self.then: Callable[[], None] = lambda: None
        host, _, port = address.removeprefix("http://").partition(":")
        self._server = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._listening.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(self._server) as server:
            other = {client: server, server: client}
            while not self.out.is_set():
                for end in select.select([client, server], [], [], 0.05)[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    other[end].sendall(data)
                    if end is client and self.when is not None and self.when in data:
                        select.select([server], [], [])
                        self.when = None
                        self.then()
                    if self.out.is_set():
                        return
