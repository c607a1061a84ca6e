"""The journal: nothing lost, nothing altered unseen, nothing misread."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.engine.record import entry as journal
from runbooks.engine.record.entry import Kind, decode, read
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import JOURNAL, journal_of
from runbooks.engine.record.journal import Journal
from runbooks.engine.record.verdict import verify, verify_run
from runbooks.engine.redaction import Redactor
from runbooks.model.canonical import canonical
from runbooks.model.errors import HeldByOther, NotWritten, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = "2026-11-23-2114-tango-7"
AT = datetime(2026, 11, 23, 21, 14, 5, 123456, tzinfo=UTC)


def opened(home: Folder, *, guard: Callable[[], None] = lambda: None, secrets: tuple[str, ...] = ()) -> Journal:
    """Open the journal of the run as it is."""
    home.claim_log(journal_of(RUN))
    follows = len(decode(home.read_log(journal_of(RUN)), where=RUN).entries)
    return Journal(home, RUN, follows=follows, redact=Redactor(secrets), clock=lambda: AT, guard=guard)


def written(home: Folder, count: int = 5) -> list[bytes]:
    """Write so many entries; return their lines."""
    log = opened(home)
    for number in range(count - 1):
        log.append(Kind.NOTED, f"step {number}", {"text": "é", "number": number})
    log.append(Kind.CLOSED, None, {"status": "done"}, durable=True)
    log.close()
    return home.read_log(journal_of(RUN)).splitlines(keepends=True)


def test_an_entry_is_one_canonical_line(tmp_path: Path) -> None:
    """Anybody can check it with a JSON library and SHA-256: sorted keys, no spaces, all fields but the hash."""
    log = opened(Folder(tmp_path))
    log.append(Kind.STEP_STARTED, "a", {"request": "r1", "é": [1.5, None]}, durable=True)
    log.close()
    line = (tmp_path / "runs" / RUN / JOURNAL).read_bytes()
    data = json.loads(line)
    assert list(data) == ["at", "hash", "kind", "payload", "prev", "seq", "step"]
    assert (data["seq"], data["at"], data["kind"], data["step"]) == (
        1,
        "2026-11-23T21:14:05.123456Z",
        "step started",
        "a",
    )
    assert data["prev"] == "0" * 64
    seal = data.pop("hash")
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == seal


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Entries come back in order, each pointing at the one before; a journal can be named by its run's folder."""
    written(Folder(tmp_path), 3)
    entries = read(tmp_path / "runs" / RUN)
    assert [(entry.seq, entry.step) for entry in entries] == [(1, "step 0"), (2, "step 1"), (3, None)]
    assert [entry.prev for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]
    verdict = verify(tmp_path / "runs" / RUN / JOURNAL)
    assert (verdict.entries, verdict.head, verdict.last, verdict.torn) == (3, entries[-1].hash, Kind.CLOSED, 0)
    assert verdict.complete
    assert verify_run(Folder(tmp_path), RUN) == verdict


def test_secrets_stay_out(tmp_path: Path) -> None:
    """A secret in a payload is replaced, and the caller gets what was written."""
    log = opened(Folder(tmp_path), secrets=("hunter22",))
    assert log.append(Kind.OBSERVED, "a", {"answer": {"token": "hunter22"}}) == {"answer": {"token": "●●●"}}
    log.close()
    assert b"hunter22" not in Folder(tmp_path).read_log(journal_of(RUN))


@pytest.mark.parametrize("torn", [1, 30, 120])
def test_torn_last_line_is_dropped_with_a_note(tmp_path: Path, torn: int) -> None:
    """A line without its newline was never whole: it is dropped, what was dropped is noted, and the chain goes on."""
    home = Folder(tmp_path)
    lines = written(home)
    Path(home.where(journal_of(RUN))).write_bytes(b"".join(lines[:-1]) + lines[-1][:torn])
    assert len(read(Path(home.where(journal_of(RUN))))) == 4
    verdict = verify(Path(home.where(journal_of(RUN))))
    assert (verdict.torn, verdict.complete) == (torn, False)
    opened(home).close()
    last = read(Path(home.where(journal_of(RUN))))[-1]
    assert (last.seq, last.payload) == (
        5,
        {"text": f"a torn last line of {torn} bytes was dropped", "torn_bytes": torn},
    )


def resealed(line: bytes, **change: object) -> bytes:
    """Change an entry and give it the hash that fits."""
    data = json.loads(line) | change
    del data["hash"]
    data["hash"] = hashlib.sha256(canonical(data)).hexdigest()
    return canonical(data) + b"\n"


TAMPERED: dict[str, tuple[int, Callable[[list[bytes]], list[bytes]]]] = {
    "a byte flipped": (2, lambda ls: [ls[0], ls[1].replace(b'"number":1', b'"number":7'), *ls[2:]]),
    "a line dropped": (2, lambda ls: [ls[0], *ls[2:]]),
    "the first line dropped": (1, lambda ls: ls[1:]),
    "two lines swapped": (2, lambda ls: [ls[0], ls[2], ls[1], *ls[3:]]),
    "a line twice": (3, lambda ls: [ls[0], ls[1], ls[1], *ls[2:]]),
    "a line inserted": (4, lambda ls: [*ls[:2], resealed(ls[2], payload={}), *ls[2:]]),
    "a line changed and sealed again": (3, lambda ls: [ls[0], resealed(ls[1], payload={}), *ls[2:]]),
    "a key twice": (2, lambda ls: [ls[0], ls[1].replace(b'"seq":', b'"seq":9,"seq":'), *ls[2:]]),
    "spaces": (2, lambda ls: [ls[0], ls[1].replace(b'"seq":', b'"seq": '), *ls[2:]]),
    "a field more": (2, lambda ls: [ls[0], resealed(ls[1], more=1), *ls[2:]]),
    "another kind": (2, lambda ls: [ls[0], resealed(ls[1], kind="smiled"), *ls[2:]]),
    "no object": (2, lambda ls: [ls[0], b"[1]\n", *ls[2:]]),
    "too deep": (2, lambda ls: [ls[0], b"[" * 100_000 + b"\n", *ls[2:]]),
    "not a number": (2, lambda ls: [ls[0], ls[1].replace(b'"number":1', b'"number":NaN'), *ls[2:]]),
    "an empty line": (3, lambda ls: [*ls[:2], b"\n", *ls[2:]]),
    "bytes": (6, lambda ls: [*ls, b"\xff\x00\n"]),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_refused_with_its_line(tmp_path: Path, what: str) -> None:
    """Whatever was altered, the first line that is not as it was written is named."""
    home = Folder(tmp_path)
    line, change = TAMPERED[what]
    Path(home.where(journal_of(RUN))).parent.mkdir(parents=True)
    Path(home.where(journal_of(RUN))).write_bytes(b"".join(change(written(Folder(tmp_path / "other")))))
    with pytest.raises(Refused, match=f"journal.jsonl, line {line}: "):
        verify(Path(home.where(journal_of(RUN))))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_tail_is_dropped_or_refused(tail: bytes, cut: int) -> None:
    """Any bytes after a good journal, whole or cut, are dropped as torn or refused, and never read as an entry."""
    lines = LINES
    whole = b"".join(lines)
    kept = whole[: max(0, len(whole) - cut)]
    good = kept.count(b"\n")
    try:
        decoded = decode(kept + tail, where="j")
    except Refused as error:
        assert f"j, line {good + 1}" in str(error)  # noqa: PT017 - dropped or refused, either is right
    else:
        assert decoded.entries == ENTRIES[: len(decoded.entries)]
        assert len(decoded.entries) >= good


def _lines() -> list[bytes]:
    import tempfile  # noqa: PLC0415 - once, for the property test, which has no fixture

    with tempfile.TemporaryDirectory() as folder:
        return written(Folder(Path(folder)), 4)


LINES = _lines()
ENTRIES = decode(b"".join(LINES), where="j").entries


def test_no_journal_is_refused(tmp_path: Path) -> None:
    """What is not there, is no file or holds nothing is refused in words."""
    with pytest.raises(Refused, match="cannot be read: No such file or directory"):
        read(tmp_path / "none")
    (tmp_path / JOURNAL).touch()
    assert journal.read(tmp_path) == []
    with pytest.raises(Refused, match="nothing was written"):
        verify(tmp_path)


def test_a_journal_that_went_on_is_refused(tmp_path: Path) -> None:
    """A caller who knows of fewer entries than there are would repeat what somebody else did."""
    home = Folder(tmp_path)
    written(home, 3)
    with pytest.raises(Refused, match="3 entries instead of 2: somebody went on with it; look again"):
        Journal(home, RUN, follows=2, redact=Redactor(()), clock=lambda: AT, guard=lambda: None)


def test_guard_stands_before_every_line(tmp_path: Path) -> None:
    """What the guard raises keeps the line from being written."""

    def guard() -> None:
        message = "taken over"
        raise HeldByOther(message)

    home = Folder(tmp_path)
    log = opened(home, guard=guard)
    with pytest.raises(HeldByOther, match="taken over"):
        log.append(Kind.NOTED, None, {})
    log.close()
    assert home.read_log(journal_of(RUN)) == b""


def test_a_second_writer_is_noticed(tmp_path: Path) -> None:
    """Two processes that hold one journal cannot mix their lines: the second one's append fails."""
    home = Folder(tmp_path)
    first, second = opened(home), opened(home)
    first.append(Kind.NOTED, None, {"by": "first"})
    with pytest.raises(NotWritten, match="another process has written to it"):
        second.append(Kind.NOTED, None, {"by": "second"})
    first.close()
    second.close()
    assert len(read(Path(home.where(journal_of(RUN))))) == 1


def test_a_journal_that_was_deleted_takes_no_more_lines(tmp_path: Path) -> None:
    """An open file without a name would take every line and keep none."""
    home = Folder(tmp_path)
    log = opened(home)
    log.append(Kind.NOTED, None, {}, durable=True)
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(NotWritten, match="cannot be written: it was deleted; no effect starts without it"):
        log.append(Kind.NOTED, None, {})
    log.close()


def test_disk_full_takes_the_line_back(tmp_path: Path) -> None:
    """A line that does not fit is not written at all, not even its beginning; with room again the chain goes on."""
    home = Folder(tmp_path)
    log = opened(home)
    log.append(Kind.NOTED, None, {"text": "fits"})
    size = len(home.read_log(journal_of(RUN)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, hard))
    try:
        with pytest.raises(NotWritten, match="cannot be written: File too large; no effect starts without it"):
            log.append(Kind.NOTED, None, {"text": "does not fit" * 20}, durable=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert len(home.read_log(journal_of(RUN))) == size
    log.append(Kind.NOTED, None, {"text": "fits again"}, durable=True)
    log.close()
    assert verify(Path(home.where(journal_of(RUN)))).entries == 2


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """Where the journal cannot be opened, that is the error."""
    (tmp_path / "runs").write_text("no folder")
    home = Folder(tmp_path)
    with pytest.raises(NotWritten, match="Not a directory"):
        Journal(home, "gone", follows=0, redact=Redactor(()), clock=lambda: AT, guard=lambda: None)


def test_only_we_may_read_it(tmp_path: Path) -> None:
    """A journal is readable by its owner alone."""
    written(Folder(tmp_path))
    assert os.stat(tmp_path / "runs" / RUN / JOURNAL).st_mode & 0o777 == 0o600  # noqa: PTH116 - the mode, plainly
