"""Remember what was made, in one file that is replaced as a whole after every resource."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from twin.apply.errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION: Final = 1


class Entry(msgspec.Struct):
    """A resource that exists. `inputs` are masked; `outputs` are the provider's beyond the inputs.

    `order` grows with creation: what is newer goes first when things are removed.
    """

    urn: str
    type: str
    name: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    order: int
    protect: bool = False
    retain: bool = False


class Pending(msgspec.Struct):
    """A creation whose answer has not been written: after a crash the resource may exist, so it is looked for."""

    inputs: dict[str, Any]
    since: str


class Content(msgspec.Struct):
    """The whole file. `replaced` holds what a successor has taken the place of and still has to be removed."""

    version: int = VERSION
    resources: dict[str, Entry] = {}
    replaced: list[Entry] = []
    pending: dict[str, Pending] = {}


class State:
    """The state of one folder, held by one process at a time. Safe to use from several threads."""

    def __init__(self, folder: Path, *, writes: bool) -> None:
        """Read what there is; with `writes` off (a preview) nothing is ever written."""
        self._file = folder / "apply.json"
        self._writes = writes
        self._lock = threading.Lock()
        self._content = _read(self._file)

    @property
    def resources(self) -> list[Entry]:
        """Return all entries, newest first."""
        with self._lock:
            return sorted(self._content.resources.values(), key=lambda entry: -entry.order)

    @property
    def replaced(self) -> list[Entry]:
        """Return what still has to be removed after a replacement, newest first."""
        with self._lock:
            return list(reversed(self._content.replaced))

    def find(self, urn: str) -> Entry | None:
        """Return the entry of a resource."""
        with self._lock:
            return self._content.resources.get(urn)

    def pending(self, urn: str) -> Pending | None:
        """Return the creation of a resource that a crash has left open."""
        with self._lock:
            return self._content.pending.get(urn)

    def known(self) -> set[str]:
        """Return the ids of everything that is ours."""
        with self._lock:
            return {entry.id for entry in (*self._content.resources.values(), *self._content.replaced)}

    def open(self, urn: str, inputs: dict[str, Any]) -> Pending:
        """Write down that a creation begins, and return that note."""
        with self._change():
            note = Pending(inputs, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
            self._content.pending[urn] = note
        return note

    def close(self, urn: str) -> None:
        """Write down that a creation was refused: nothing was made."""
        with self._change():
            self._content.pending.pop(urn, None)

    def keep(self, entry: Entry, *, replaces: bool = False) -> Entry:
        """Write down a resource as it is now; with `replaces`, its predecessor is to be removed."""
        with self._change():
            old = self._content.resources.get(entry.urn)
            if replaces and old is not None:
                self._content.replaced.append(old)
            if old is None or replaces:
                entry.order = 1 + max((each.order for each in self._content.resources.values()), default=0)
            self._content.resources[entry.urn] = entry
            self._content.pending.pop(entry.urn, None)
        return entry

    def forget(self, entry: Entry) -> None:
        """Write down that a resource is gone."""
        with self._change():
            if self._content.resources.get(entry.urn) is entry:
                del self._content.resources[entry.urn]
            self._content.replaced = [each for each in self._content.replaced if each is not entry]
            self._content.pending.pop(entry.urn, None)

    @contextlib.contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            yield
            if self._writes:
                temporary = self._file.with_suffix(".new")
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(msgspec.json.encode(self._content))
                temporary.replace(self._file)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder for one process; raise ApplyError when another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "apply.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{folder}: another apply is running on this state"
            raise ApplyError(message) from None
        yield


def _read(file: Path) -> Content:
    try:
        content = msgspec.json.decode(file.read_bytes(), type=Content)
    except FileNotFoundError:
        return Content()
    except msgspec.DecodeError as error:
        message = f"{file}: expected the state of an earlier apply, got something else: {error}"
        raise ApplyError(message) from None
    if content.version != VERSION:
        message = f"{file}: expected version {VERSION}, got {content.version}"
        raise ApplyError(message)
    return content
