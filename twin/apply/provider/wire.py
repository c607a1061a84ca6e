"""Call the Cloudflare API as the provider does: envelope, retries, paging."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from twin.apply.errors import AnswerLostError, ApplyError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TRIES: Final = 6
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 8.0
TIMEOUT: Final = 60.0
PASSING: Final = (408, 429)
SERVER_ERROR: Final = 500
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Wire:
    """One connection pool to the API of one twin. Safe to use from several threads."""

    def __init__(self, base_url: str, token: str) -> None:
        """Refuse an address that isn't on loopback: everything else belongs to the Pulumi CLI."""
        if urlsplit(base_url).hostname not in LOOPBACK:
            message = f"cloudflare:baseUrl: expected the address of a twin on loopback, got {base_url}; use `pulumi up`"
            raise ApplyError(message)
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "twin-apply"}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def call(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - the provider's JSON
        """Make one call and return its `result`; repeat it while the provider says "later" or fails.

        Unlike the provider, a POST without an answer is not sent again: AnswerLostError leaves that to who can look.
        Raises ProviderError with the provider's codes and texts.
        """
        where = f"{method} {path}"
        for tried in range(1, TRIES + 1):
            wait = min(FIRST_PAUSE * 2 ** (tried - 1), LONGEST_PAUSE)
            try:
                response = self._http.request(method, path, json=_whole(body), params=query)
            except httpx.TransportError as error:
                failure: ApplyError = AnswerLostError(f"{where}: {error or type(error).__name__}")
            else:
                if response.is_success:
                    return response.json().get("result") if response.content else None
                failure = _refusal(where, response)
                if response.status_code not in PASSING and response.status_code < SERVER_ERROR:
                    raise failure
                if response.headers.get("x-should-retry") == "false":
                    raise failure
                wait = _wait(response, wait)
                if method == "POST" and response.status_code not in PASSING:
                    raise AnswerLostError(str(failure)) from None
            if tried == TRIES or (method == "POST" and isinstance(failure, AnswerLostError)):
                raise failure
            time.sleep(wait)
        raise AssertionError  # pragma: no cover - the last round returns or raises

    def walk(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Yield every object of a list: page after page until one is empty, or repeats (lists without pages)."""
        seen: set[str] = set()
        page = 1
        while True:
            asked = {**(query or {}), **({"page": str(page)} if page > 1 else {})}
            rows = _rows(self.call("GET", path, query=asked or None))
            new = [row for row in rows if str(row.get("id", row)) not in seen]
            if not new:
                return
            seen.update(str(row.get("id", row)) for row in new)
            yield from new
            page += 1


def _whole(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return a body as the provider sends it: Pulumi's numbers are all floats, the API's are mostly integers."""
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rows(result: object) -> list[dict[str, Any]]:
    """Return the rows of a list's result; deployments stand one level deeper."""
    if isinstance(result, dict):
        result = result.get("deployments") or result.get("items") or []
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []


def _refusal(where: str, response: httpx.Response) -> ProviderError:
    status = response.status_code
    try:
        errors = response.json()["errors"]
        said = "; ".join(f"{error['code']} {error['message']}" for error in errors)
    except (ValueError, KeyError, TypeError):
        said = response.text[:500]
    return ProviderError(f"{where}: {status} {said}", status=status)


def _wait(response: httpx.Response, otherwise: float) -> float:
    """Return the pause in seconds that the provider asks for."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdigit() else otherwise
