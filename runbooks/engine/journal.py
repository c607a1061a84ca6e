"""Write down what a run intends and what it saw, so that nothing is lost and nothing can be altered unseen.

One JSON object a line, canonical (sorted keys, no spaces, UTF-8), ended by a newline. `hash` is the SHA-256 over the
canonical JSON of all other fields, `prev` the hash of the line before (64 zeros in the first). Payloads by kind:

    run opened     book, stack, arguments, plan (whole), digest, facts, actor, host, pid, code, reason, agreed
    lease taken    fence, actor, host, pid, purpose (run, resume, undo), reason, agreed, took_over (holder or null)
    step started   request, attempt, effect, title, before        on disk before the act
    observed       answer, or lost: why there is none
    held           evidence, seconds
    already so     evidence, seconds
    failed         error, text, effect (none, unknown, done), traceback of what nobody expected
    undo started   request, attempt, before                       on disk before the undo
    undone         answer, evidence, seconds
    asked, answered, noted    text and what belongs to it
    paused         text, next_command
    closed         status, exit, text, next_command, seconds
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.engine.home import JOURNAL, Home, Log
from runbooks.model.canonical import canonical
from runbooks.model.errors import NotWritten, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runbooks.engine.redaction import Redactor

NONE_BEFORE: Final = "0" * 64


class Kind(StrEnum):
    """What an entry says, in the words that are written."""

    RUN_OPENED = "run opened"
    LEASE_TAKEN = "lease taken"
    STEP_STARTED = "step started"
    OBSERVED = "observed"
    HELD = "held"
    ALREADY_SO = "already so"
    FAILED = "failed"
    UNDO_STARTED = "undo started"
    UNDONE = "undone"
    ASKED = "asked"
    ANSWERED = "answered"
    PAUSED = "paused"
    CLOSED = "closed"
    NOTED = "noted"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line. `seq` counts from 1; `at` is RFC 3339, UTC, microseconds."""

    seq: int
    at: str
    kind: Kind
    step: str | None
    payload: dict[str, Any]
    prev: str
    hash: str


class Decoded(msgspec.Struct, frozen=True):
    """A journal that is in order: its entries, their size in bytes, and the torn bytes that follow them."""

    entries: tuple[Entry, ...]
    size: int
    torn: bytes


class Verdict(msgspec.Struct, frozen=True):
    """What `verify` proved: so many entries in one chain that ends in `head`, and how the last one says it ended."""

    journal: str
    entries: int
    head: str
    last: Kind
    torn: int

    @property
    def complete(self) -> bool:
        """Whether the last entry is the close: of a longer journal whose end was cut off it would not be."""
        return self.last is Kind.CLOSED and not self.torn


def read(path: Path) -> list[Entry]:
    """Return the entries of a journal (a file or its run's folder), without a torn last line.

    Raises Refused naming the line when anything else is out of order, or when there is no journal.
    """
    return list(decode(_bytes(path), where=str(path)).entries)


def verify(path: Path) -> Verdict:
    """Prove offline that a journal is whole and unaltered. Raises Refused naming the first line that is not."""
    decoded = decode(_bytes(path), where=str(path))
    if not decoded.entries:
        message = f"{path}: nothing was written"
        raise Refused(message)
    last = decoded.entries[-1]
    return Verdict(str(path), len(decoded.entries), last.hash, last.kind, len(decoded.torn))


def decode(data: bytes, *, where: str) -> Decoded:
    """Return the entries and what was torn; a line is whole when it ends in a newline. Raises Refused."""
    *lines, torn = data.split(b"\n")
    entries: list[Entry] = []
    previous = NONE_BEFORE
    for number, line in enumerate(lines, 1):
        entry = _entry(line, where=f"{where}, line {number}")
        if entry.seq != number or entry.prev != previous:
            message = f"{where}, line {number}: it does not follow the line before it; the journal was altered"
            raise Refused(message)
        previous = entry.hash
        entries.append(entry)
    return Decoded(tuple(entries), len(data) - len(torn), torn)


def _bytes(path: Path) -> bytes:
    file = path / JOURNAL if path.is_dir() else path
    try:
        return file.read_bytes()
    except OSError as error:
        message = f"{file}: cannot be read: {error.strerror}"
        raise Refused(message) from error


def _entry(line: bytes, *, where: str) -> Entry:
    """Return one line as data, if it is exactly what was written."""
    try:
        data = json.loads(line)
        entry = msgspec.convert(data, Entry)
        whole = canonical(data)
        del data["hash"]
        right = whole == line and hashlib.sha256(canonical(data)).hexdigest() == entry.hash
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        message = f"{where}: not an entry of a journal: {error}"
        raise Refused(message) from error
    if not right:
        message = f"{where}: its hash does not fit its content; the journal was altered"
        raise Refused(message)
    return entry


class Journal:
    """The open end of a run's journal. Everything that goes in passes the redactor.

    `follows` is the number of entries that the caller knows of: a journal that has others is refused. A torn last
    line is dropped with a note. `guard` is asked before every line: it raises when this process may not write any more.
    """

    def __init__(
        self,
        home: Home,
        run: str,
        *,
        follows: int,
        redact: Redactor,
        clock: Callable[[], datetime],
        guard: Callable[[], None],
    ) -> None:
        where = home.where(run)
        done = decode(home.read(run), where=str(where))
        if len(done.entries) != follows:
            message = f"{where}: {len(done.entries)} entries instead of {follows}: somebody went on with it; look again"
            raise Refused(message)
        self._where = where
        self._redact = redact
        self._clock = clock
        self._guard = guard
        self._seq = len(done.entries)
        self._prev = done.entries[-1].hash if done.entries else NONE_BEFORE
        self._log = _opened(home, run, size=done.size)
        if done.torn:
            text = f"a torn last line of {len(done.torn)} bytes was dropped"
            self.append(Kind.NOTED, None, {"text": text, "torn_bytes": len(done.torn)})

    def append(self, kind: Kind, step: str | None, payload: dict[str, Any], *, durable: bool = False) -> dict[str, Any]:
        """Write one entry and return its payload as it was written; `durable` returns once it is on disk.

        Raises NotWritten when it cannot be written (then nothing of it is), and what the guard raises.
        """
        self._guard()
        content = self._redact.written(payload)
        at = self._clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        moment = b'{"at":"%b",' % at.encode()
        # In the order of the canonical form, so that the payload is encoded once.
        rest = b'"kind":"%b","payload":%b,"prev":"%b","seq":%d,"step":%b}' % (
            kind.encode(),
            content,
            self._prev.encode(),
            self._seq + 1,
            canonical(step),
        )
        seal = hashlib.sha256(moment + rest).hexdigest()
        try:
            self._log.append(b'%b"hash":"%b",%b\n' % (moment, seal.encode(), rest), durable=durable)
        except OSError as error:
            raise _not_written(self._where, error) from error
        self._seq += 1
        self._prev = seal
        return json.loads(content)  # type: ignore[no-any-return] # an object, as the payload was

    def close(self) -> None:
        """Let go of the file; the run's end is an entry of its own."""
        self._log.close()


def _opened(home: Home, run: str, *, size: int) -> Log:
    try:
        return home.log(run, size=size)
    except OSError as error:
        raise _not_written(home.where(run), error) from error


def _not_written(where: Path, error: OSError) -> NotWritten:
    return NotWritten(f"the journal {where} cannot be written: {error.strerror or error}; no effect starts without it")
