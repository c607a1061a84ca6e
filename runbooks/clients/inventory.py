"""What there is: what the program registers for a stack file, and what the account holds."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.clients import child
from runbooks.model.errors import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runbooks.clients.transport import Transport

Row = dict[str, Any]
"""An object as the API lists it; each product has its own fields, and what is looked for says which count."""
MOST_PAGES: Final = 1000


class Registration(msgspec.Struct, frozen=True):
    """A resource as the program registers it. An input that is a URN means that resource's id; secrets are null."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: dict[str, Any]


class _Registered(msgspec.Struct, frozen=True):
    resources: tuple[Registration, ...]


class _Info(msgspec.Struct, frozen=True):
    page: int = 1
    total_pages: int = 1
    cursors: dict[str, str] = {}


class _Listed(msgspec.Struct, frozen=True):
    result: Any
    result_info: _Info | None = None


def registrations(stack_file: Path, *, root: Path, environment: Mapping[str, str]) -> tuple[Registration, ...]:
    """Run the program without making anything, and return what it registers. Raises CheckError with its own words."""
    said = child.printed(("python", "-m", "infra.registrations", str(stack_file)), folder=root, environment=environment)
    return msgspec.json.decode(said, type=_Registered).resources


@dataclass(frozen=True)
class Inventory:
    """The account, read only. Answers are kept: a list is asked for once, however many are looked for in it."""

    transport: Transport
    _kept: dict[str, list[Row]]

    def rows(self, path: str) -> list[Row]:
        """Return every object of a list, or the one object of a path, or none where there is no such path."""
        if path not in self._kept:
            self._kept[path] = list(self._walk(path))
        return self._kept[path]

    def _walk(self, path: str) -> Iterator[Row]:
        params: dict[str, str] = {}
        for page in range(2, MOST_PAGES):
            answer = self.transport.get(path, params, accept=(HTTPStatus.NOT_FOUND,))
            if answer.status == HTTPStatus.NOT_FOUND:
                return
            listed = answer.decode(_Listed)
            yield from _rows(listed.result)
            info = listed.result_info or _Info()
            if info.cursors.get("after"):
                params = {"cursor": info.cursors["after"]}
            elif info.page < info.total_pages:
                params = {"page": str(page)}
            else:
                return
        message = f"GET {path}: expected an end of its pages, got {MOST_PAGES} of them."
        raise CheckError(message)


def _rows(result: object) -> list[Row]:
    """Return the rows of a result; some lists stand one level deeper."""
    if isinstance(result, dict):
        nested = next((result[name] for name in ("deployments", "items", "schedules") if name in result), None)
        result = [result] if nested is None else nested
    return [row for row in result if isinstance(row, dict)] if isinstance(result, list) else []
