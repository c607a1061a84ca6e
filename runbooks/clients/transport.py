"""The HTTP door: every request that the runbooks send to a provider or to the operated service passes here.

It retries what is safe to ask again, tells a refusal from a lost answer, and keeps its second lock in a plan: a
read-only transport sends nothing but GET and HEAD. It never writes a token anywhere.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import stamina
import stamina.instrumentation

from runbooks.model.errors import ActRefused, AnswerLost, CheckError, Refused, Unreachable

if TYPE_CHECKING:
    from runbooks.model.reconciliation import Write

stamina.instrumentation.set_on_retry_hooks([])  # retries are told by the steps, not by a log

T = TypeVar("T")

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
EXCERPT: Final = 300  # characters of an answer that an error shows: enough for a provider's message
NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Failures before the first byte of a request left: the effect can't have happened."""


@dataclass(frozen=True)
class Explanation:
    """What a provider's refusal says: its own code ("" where it has none) and its text."""

    code: str
    text: str


Explain = Callable[[bytes], Explanation]


@cache
def trusted(base_url: str) -> ssl.SSLContext:
    """Return who is trusted: the usual authorities, or nobody where nothing is encrypted (reading them takes 40 ms)."""
    return httpx.create_ssl_context() if base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def excerpt(body: bytes) -> Explanation:
    """Explain a refusal by the beginning of its body: for providers whose errors have no known shape."""
    return Explanation("", body[:EXCERPT].decode("utf-8", "replace").strip() or "no text")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `milliseconds` from the first byte sent to the last byte read; headers in lower case."""

    what: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: float

    def decode(self, shape: type[T]) -> T:
        """Return the body as typed data, or raise CheckError: what, where, expected, got."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.MsgspecError as error:
            got = excerpt(self.body).text
            message = f"{self.what}: expected {_name(shape)} as JSON, got {got!r} ({error})."
            raise CheckError(message) from None


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: for a connection, for one answer, and for a read with all its retries."""

    connect: float = 5.0
    answer: float = 15.0
    read: float = 30.0
    attempts: int = 6


class _Later(Unreachable):
    """An answer that says "later", or none at all: what is asked again here while patience lasts."""


@dataclass
class Transport:
    """Speak to one provider: `base_url` without trailing slash, `token` sent as a bearer token where there is one.

    `read_only` is the lock of a plan. `calls` counts the requests that were sent.
    """

    provider: str
    base_url: str
    token: str = ""
    read_only: bool = False
    explain: Explain = excerpt
    patience: Patience = field(default_factory=Patience)
    calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        headers = {"user-agent": "ems-ops", "accept": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        self.base_url = self.base_url.rstrip("/")
        self._client = httpx.Client(
            headers=headers,
            verify=trusted(self.base_url),
            timeout=httpx.Timeout(self.patience.answer, connect=self.patience.connect),
            follow_redirects=False,
            trust_env=urlsplit(self.base_url).hostname not in LOOPBACK,  # no proxy stands before loopback
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None, *, accept: tuple[int, ...] = ()) -> Answer:
        """Read `path`, asking again after connection errors, 429 and 5xx while patience lasts.

        Statuses in `accept` are answers like any other (404 as "there is none"). Raises Unreachable when nothing
        but "later" came back, CheckError for any other status that is not 2xx.
        """
        for attempt in self._attempts():
            with attempt:
                return self._read(path, params, accept)
        raise AssertionError  # the loop above returns or raises

    def send(self, write: Write, path: str, *, json: object = None, params: Mapping[str, str] | None = None) -> Answer:
        """Write; a request that may have had its effect is never sent again.

        `write` says how its lost answer is settled. Raises ValueError where that is said of other paths.

        What surely had none is sent again while patience lasts: a connection that was never made, and 429 ("later").
        Raises Refused when this transport is read-only, ActRefused with the provider's code and text for any other
        4xx, Unreachable when nothing was done, AnswerLost when it was sent and no clear answer came back.
        """
        method = write.call
        what = f"{method} {self.base_url}{path}"
        if not write.covers(path):
            message = f"{what}: expected a path like {write.path}: how a lost answer is settled is not known here"
            raise ValueError(message)
        if self.read_only:
            message = f"{what}: a plan only reads; expected GET, got {method}. Nothing was sent."
            raise Refused(message)
        body = msgspec.json.encode(json) if json is not None else None
        for attempt in self._attempts():
            with attempt:
                return self._write(method, path, params, body)
        raise AssertionError  # the loop above returns or raises

    def _attempts(self) -> Iterable[stamina.Attempt]:
        patience = self.patience
        return stamina.retry_context(
            on=self._wait, attempts=patience.attempts, timeout=patience.read, wait_initial=0.1, wait_max=2.0,
            wait_jitter=0.2,
        )  # fmt: skip

    def _write(self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None) -> Answer:
        what = f"{method} {self.base_url}{path}"
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            answer = self._exchange(method, path, params, body, headers)
        except NEVER_SENT as error:
            message = f"{what}: {self.provider} can't be reached, nothing was sent ({_cause(error)})."
            raise _Later(message, provider=self.provider) from None
        except httpx.HTTPError as error:
            message = f"{what}: sent, but the answer of {self.provider} was lost ({_cause(error)})."
            raise AnswerLost(message) from None
        if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        said = self.explain(answer.body)
        got = f"expected 2xx, got {answer.status} {_said(said)}"
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            message = f"{what}: sent; {got}. It may have happened."
            raise AnswerLost(message)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            message = f"{what}: {self.provider} asks to wait, nothing was done; {got}."
            raise _Later(message, provider=self.provider, after=_retry_after(answer.headers), busy=True)
        message = f"{what}: {self.provider} refused; {got}."
        raise ActRefused(message, code=said.code)

    def _read(self, path: str, params: Mapping[str, str] | None, accept: tuple[int, ...]) -> Answer:
        what = f"GET {self.base_url}{path}"
        try:
            answer = self._exchange("GET", path, params, None, {})
        except httpx.HTTPError as error:
            message = f"{what}: no answer from {self.provider} ({_cause(error)})."
            raise _Later(message, provider=self.provider) from None
        if answer.status in accept or HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        text = f"{what}: expected 2xx, got {answer.status} {_said(self.explain(answer.body))}."
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            busy = answer.status == HTTPStatus.TOO_MANY_REQUESTS
            raise _Later(text, provider=self.provider, after=_retry_after(answer.headers), busy=busy)
        if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            text += f" The token for {self.provider} is not valid or may not do this."
        raise CheckError(text)

    def _exchange(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:  # fmt: skip
        self.calls += 1
        started = time.perf_counter()
        response = self._client.request(method, self.base_url + path, params=params, content=body, headers=headers)
        spent = (time.perf_counter() - started) * 1000
        return Answer(f"{method} {self.base_url}{path}", response.status_code, dict(response.headers),
                      response.content, spent)  # fmt: skip

    def _wait(self, error: Exception) -> bool | float:
        """Tell stamina whether to ask again, and after how many seconds where the provider said so."""
        if not isinstance(error, _Later):
            return False
        if not error.after:
            return True
        return error.after if error.after <= self.patience.read else False


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of `Retry-After` (RFC 9110: seconds or an HTTP date), 0 where there are none.

    Supabase says `x-ratelimit-reset` instead, in seconds (recorded answers); with every answer, so that it means
    something only when nothing remains.
    """
    reset = headers.get("x-ratelimit-reset", "") if headers.get("x-ratelimit-remaining") == "0" else ""
    value = headers.get("retry-after", "") or reset
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _said(said: Explanation) -> str:
    return f"({said.code}: {said.text})" if said.code else f"({said.text})"


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _name(shape: object) -> str:
    return getattr(shape, "__name__", str(shape))
