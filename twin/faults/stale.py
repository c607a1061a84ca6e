"""Remember what reads answered before the last write: what a cache or a lagging replica still tells."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from multidict import CIMultiDict

_LARGEST: Final = 128 << 10  # bytes of an answer that is remembered
_KEPT: Final = 512  # answers


@dataclass(frozen=True)
class Told:
    """An answer as it was given."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def again(self) -> web.Response:
        """Return it once more."""
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@dataclass
class Memory:
    """The last answer of each read, and its last answer before the last write of anybody to anything."""

    written: float = 0.0
    _latest: dict[str, Told] = field(default_factory=dict)
    _before: dict[str, Told] = field(default_factory=dict)

    def read(self, key: str, answer: web.StreamResponse) -> None:
        """Keep what a read answered."""
        if isinstance(answer, web.Response) and isinstance(answer.body, bytes) and len(answer.body) <= _LARGEST:
            headers = answer.headers.copy()
            headers.popall("content-length", None)
            self._latest.pop(key, None)
            self._latest[key] = Told(answer.status, headers, answer.body)
            if len(self._latest) > _KEPT:
                del self._latest[next(iter(self._latest))]

    def wrote(self) -> None:
        """Let everything that was read so far be from before the last write."""
        self.written = time.monotonic()
        self._before |= self._latest
        for key in list(self._before)[:-_KEPT]:
            del self._before[key]

    def before(self, key: str, within: float) -> web.Response | None:
        """Return what this read answered before the last write; None after `within` seconds, or if it never did."""
        told = self._before.get(key) if time.monotonic() - self.written <= within else None
        return told.again() if told else None
