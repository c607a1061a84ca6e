"""Call Cloudflare's API for what its Pulumi provider does not do: envelope, retries, the provider's own words."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import pulumi
import stamina

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TRIES: Final = 4


class PassingError(pulumi.RunError):
    """The provider failed in a way that may pass: no answer, "later", or its own fault."""


@dataclass(frozen=True)
class Rest:
    """One connection to the API. `what` begins every message."""

    http: httpx.Client
    what: str

    def call(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401 - the provider's JSON
        """Make one call that may be repeated, and return its result."""
        for attempt in attempts():
            with attempt:
                return self.send(method, path, **content)
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def send(self, method: str, path: str, *, absent: object = ..., **content: Any) -> Any:  # noqa: ANN401 - the provider's JSON
        """Make one call once and return its result; raise PassingError or RunError with the provider's words.

        With `absent`, that is what a 404 means.
        """
        what = f"{self.what}: {method} {path}: expected success, got"
        try:
            response = self.http.request(method, path, **content)
        except httpx.TransportError as error:
            message = f"{what} {error or type(error).__name__}"
            raise PassingError(message) from None
        if response.status_code == httpx.codes.NOT_FOUND and absent is not ...:
            return absent
        message = f"{what} {response.status_code} {response.text[:1000]}"
        if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise PassingError(message)
        answer = response.json() if response.headers.get("content-type", "").startswith("application/json") else {}
        if not response.is_success or not answer.get("success"):
            raise pulumi.RunError(message)
        return answer["result"]


@contextmanager
def connected(base_url: str, token: str, *, what: str) -> Iterator[Rest]:
    """Open a connection with this token. The machine's proxies are asked for where there is TLS."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=60, trust_env=base_url.startswith("https")) as http:
        yield Rest(http, what)


def attempts() -> Iterable[stamina.Attempt]:
    """Yield attempts until one ends without PassingError."""
    return stamina.retry_context(on=PassingError, attempts=TRIES, wait_initial=0.25)
