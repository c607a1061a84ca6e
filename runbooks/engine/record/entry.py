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
    asked, answered, noted    text and what belongs to it (turned: the proof that failed, by which the run turned back)
    paused         text, next_command
    closed         status, exit, text, next_command, seconds
"""

from __future__ import annotations

import hashlib
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.engine.record.home import JOURNAL, journal_of
from runbooks.model.canonical import canonical
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from runbooks.engine.record.home import Home

NONE_BEFORE: Final = "0" * 64
ENTRY: Final = re.compile("(?!0{8})[0-9]{8}")
"""How an object store names an entry; number 0 is what claimed the log."""


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


def read(path: Path | str) -> list[Entry]:
    """Return the entries of a journal, without a torn last line.

    Raises Refused naming the line when anything else is out of order, or when there is no journal.
    """
    return list(decode(content_of(path), where=str(path)).entries)


def entries_of(home: Home, run: str) -> tuple[Entry, ...]:
    """Return the entries of a run in an ops home; none when nothing was begun. Raises Refused, and OSError."""
    name = journal_of(run)
    return decode(home.read_log(name), where=home.where(name)).entries


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


def content_of(path: Path | str) -> bytes:
    """Return the bytes of a journal: a file, its run's folder, or as a bucket holds it, one object an entry.

    Raises Refused when it cannot be read.
    """
    file = Path(path) if Path(path).name == JOURNAL or not Path(path).is_dir() else Path(path) / JOURNAL
    try:
        if file.is_dir():
            return b"".join(one.read_bytes() for one in sorted(file.iterdir()) if ENTRY.fullmatch(one.name))
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
