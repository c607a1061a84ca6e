"""The operated service as its users reach it: requests to a host name, redirects and errors returned as they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from runbooks.clients.transport import LOOPBACK, NEVER_SENT, Answer, trusted
from runbooks.model.errors import AnswerLost, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbooks.model.reconciliation import Write

PATIENCE: Final = 10.0  # seconds for one answer: longer than any user would wait


def asking_for(worker: str, version: str) -> dict[str, str]:
    """Return the header by which a request reaches this version, whatever its share of the traffic, 0 % included.

    Cloudflare obeys it for versions of the current deployment only (documentation of gradual deployments, 2026-11).
    """
    return {"cloudflare-workers-version-overrides": f'{worker}="{version}"'}


@dataclass
class Edge:
    """Reach hosts at `endpoint` (the twin's edge) or, without one, by their own names over TLS.

    `read_only` is the lock of a plan: nothing but GET and HEAD is sent. `calls` counts the requests.
    """

    endpoint: str | None
    read_only: bool = False
    patience: float = PATIENCE
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        local = self.endpoint is not None and urlsplit(self.endpoint).hostname in LOOPBACK
        self._client = httpx.Client(
            timeout=self.patience,
            verify=trusted(self.endpoint or "https:"),
            follow_redirects=False,
            headers={"user-agent": "ems-ops"},
            trust_env=not local,  # no proxy stands before loopback
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, host: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask once, as a browser would; any status is an answer. Raises Unreachable when none came."""
        return self._request("GET", host, path, None, headers or {})

    def send(self, write: Write, host: str, path: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Write once and return the answer, whatever its status; `write` says how a lost one is settled.

        Raises Unreachable when it never left, AnswerLost when it left and no answer came, Refused in a plan.
        """
        if self.read_only:
            message = f"{write.call} https://{host}{path}: a plan only reads; expected GET. Nothing was sent."
            raise Refused(message)
        return self._request(write.call, host, path, body, headers)

    def _request(
        self, method: str, host: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:  # fmt: skip
        base = self.endpoint or f"https://{host}"
        what = f"{method} https://{host}{path}" + (f" at {self.endpoint}" if self.endpoint else "")
        self.calls += 1
        started = time.perf_counter()
        try:
            response = self._client.request(
                method, base.rstrip("/") + path, content=body, headers={**headers, "host": host}
            )
        except httpx.HTTPError as error:
            message = f"{what}: no answer ({type(error).__name__}: {error})."
            if method == "GET" or isinstance(error, NEVER_SENT):
                raise Unreachable(message) from None
            raise AnswerLost(message) from None
        spent = (time.perf_counter() - started) * 1000
        return Answer(what, response.status_code, dict(response.headers), response.content, spent)
