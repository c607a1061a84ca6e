"""Keep secrets out of everything that is written or shown, also where they were encoded on the way."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, quote_plus

from runbooks.model.canonical import canonical, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runbooks.engine.step import Json

MARK = "●●●"
SHORTEST = 6
"""A shorter value would be found by chance in ordinary words; characters."""

TextOrJson = TypeVar("TextOrJson")


class Redactor:
    """Replace secrets by ●●●, and their base64 (any alignment), URL, JSON, `repr`, hex, HTML and shell forms too.

    `ignored` counts the secrets that are too short to be looked for: they must be changed, not hidden.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if secret}
        long = {secret for secret in known if len(secret) >= SHORTEST}
        self.ignored = len(known) - len(long)
        forms = {form for secret in long for form in _forms(secret) if len(form) >= SHORTEST}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._probes = tuple({canonical(form)[1:-1] for form in self._forms})

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Return what finds every form, the longest first; compiled only where one was found."""
        return re.compile("|".join(map(re.escape, self._forms)))

    def __call__(self, value: TextOrJson) -> TextOrJson:
        """Return the same text or JSON with every form of every secret replaced."""
        if not self._forms:
            return value
        return self._replace(value)  # type: ignore[arg-type, return-value] # JSON in its own shape

    def json(self, value: object) -> Json:
        """Return any value as JSON without secrets."""
        return json.loads(self.written(value))  # type: ignore[no-any-return] # JSON is what it is

    def written(self, value: object) -> bytes:
        """Return the canonical JSON of any value, without secrets. Costs one search a form where there is none."""
        text = written(value)
        for probe in self._probes:
            if probe in text:
                return canonical(self._replace(json.loads(text)))
        return text

    def _replace(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._pattern.sub(MARK, value) if any(form in value for form in self._forms) else value
        if isinstance(value, dict):
            return {str(self._replace(key)): self._replace(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._replace(item) for item in value]
        return value


def _forms(secret: str) -> Iterator[str]:
    """Yield the secret as it may stand in texts, addresses, JSON, tracebacks, headers, pages, dumps, a shell."""
    yield secret
    for part in (secret, secret.strip()):
        for encoded in (quote(part), quote(part, safe=""), quote_plus(part)):
            yield encoded
            yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), encoded)
        for ascii_only in (True, False):
            once = json.dumps(part, ensure_ascii=ascii_only)[1:-1]
            yield once
            yield once.replace("/", "\\/")
            yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        yield repr(part)[1:-1]
        yield repr(part.encode())[2:-1]
        yield html.escape(part)
        yield html.escape(part, quote=False)
        yield part.replace("'", "'\"'\"'")  # as `shlex.quote` does
        yield part.replace("'", "''")
        yield part.encode().hex()
        yield part.encode().hex().upper()
    yield from _base64(secret.encode())


def _base64(secret: bytes) -> Iterator[str]:
    """Yield the characters that the secret alone decides, for each of the three places it can start at."""
    for before in range(3):
        first = -(-before * 8 // 6)
        last = (before + len(secret)) * 8 // 6
        stable = base64.b64encode(b"\0" * before + secret)[first:last].decode()
        yield stable
        yield stable.replace("+", "-").replace("/", "_")
