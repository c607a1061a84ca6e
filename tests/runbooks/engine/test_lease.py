"""One run writes at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from runbooks.engine.lease import Holder, Lease, Superseded, _born, current, dead, gone, lease_name, take
from runbooks.engine.record.entry import Kind
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import journal_of
from runbooks.engine.record.journal import Journal
from runbooks.engine.redaction import Redactor
from runbooks.model.errors import HeldByOther, NotWritten, Refused

NOW = datetime(2026, 11, 23, 21, 14, tzinfo=UTC)


def taken(
    home: Folder, *, run: str = "run-2", take_over: bool = False, now: datetime = NOW
) -> tuple[Lease, Holder | None]:
    """Take the lease of the toy stack."""
    return take(
        home,
        "toy",
        actor="dba@example.com",
        run=run,
        take_over=take_over,
        clock=lambda: now,
        resume=lambda run: f"invoke runs.resume {run}",
    )


def held_by(home: Folder, *, written: bool = True, **change: object) -> Holder:
    """Put a lease of run-1 that something about it makes dead or alive."""
    lease, _ = taken(home, run="run-1")
    holder = msgspec.structs.replace(lease.holder, **change)
    home.replace(lease_name("toy", holder.fence), msgspec.json.encode(holder))
    home.claim_log(journal_of("run-1"))
    if written:
        Path(home.where(journal_of("run-1"))).write_text("something\n")
    return holder


@pytest.fixture
def home(tmp_path: Path) -> Folder:
    """Give an empty ops home."""
    return Folder(tmp_path)


@pytest.fixture
def ended() -> int:
    """Give the id of a process that is over."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_live_holder_is_named(home: Folder) -> None:
    """A second operator is told who is at work, where, since when and on what, also when they would take over."""
    taken(home, run="run-1")
    for take_over in (False, True):
        with pytest.raises(
            HeldByOther, match=r"held by dba@example.com on .* \(process \d+\) since 2026-11-23 21:14:00 UTC"
        ):
            taken(home, take_over=take_over)


def test_fences_grow(home: Folder) -> None:
    """A released lease is free; the next one has a higher number."""
    first, over = taken(home)
    assert (first.holder.fence, over) == (1, None)
    first.release()
    second, over = taken(home)
    assert (second.holder.fence, over) == (2, None)


def test_a_dead_holders_lease_needs_consent(home: Folder, ended: int) -> None:
    """Its process is gone: the text names the run to go on with, and what to add to leave it as it is."""
    holder = held_by(home, pid=ended)
    with pytest.raises(HeldByOther, match=r'its process is gone.*--take-over --reason "<why>"') as caught:
        taken(home)
    assert caught.value.next_command == "invoke runs.resume run-1"
    lease, over = taken(home, take_over=True)
    assert (lease.holder.fence, over) == (2, holder)


def test_a_run_takes_its_own_lease_back(home: Folder, ended: int) -> None:
    """Going on with the very run whose process died is consent enough."""
    held_by(home, pid=ended)
    assert taken(home, run="run-1")[0].holder.fence == 2


def test_a_run_that_wrote_nothing_holds_nothing(home: Folder, ended: int) -> None:
    """A process that died between its lease and its first line did nothing: nobody needs to be asked."""
    held_by(home, pid=ended, written=False)
    assert taken(home)[0].holder.fence == 2


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_a_run_that_was_closed_holds_nothing(home: Folder, ended: int, host: str) -> None:
    """Where only the lease could not be given back, nobody needs to be asked once its process is over."""
    if host == "here":
        held_by(home, pid=ended, written=False)
    else:
        held_by(home, host=host, until=NOW - timedelta(seconds=1), written=False)
    journal = Journal(home, "run-1", follows=0, redact=Redactor(()), clock=lambda: NOW, guard=lambda: None)
    journal.append(Kind.RUN_OPENED, None, {})
    with pytest.raises(HeldByOther, match="Its run is unfinished"):
        taken(home)
    journal.append(Kind.CLOSED, None, {"status": "done"})
    journal.close()
    assert taken(home)[0].holder.fence == 2


def test_another_host_is_trusted_until_its_time_is_over(home: Folder) -> None:
    """Nobody can see whether a process on another host lives: what counts is that it renews."""
    holder = held_by(home, host="elsewhere", until=NOW + timedelta(seconds=9))
    assert not gone(holder)
    with pytest.raises(HeldByOther, match="it may act until 21:14:09 UTC unless it renews"):
        taken(home, take_over=True)
    later = NOW + timedelta(seconds=10)
    assert dead(holder, now=later) == "it was not renewed by 21:14:09 UTC"
    with pytest.raises(HeldByOther, match="it was not renewed"):
        taken(home, run="run-1", now=later)
    assert taken(home, take_over=True, now=later)[1] == holder


def test_a_process_id_that_was_given_again_is_no_holder(home: Folder) -> None:
    """A living process of the same id that began at another time is not the holder."""
    assert gone(held_by(home, born="1"))
    assert not gone(held_by(Folder(home.root / "other")))


def test_a_process_of_another_user_lives(home: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that we may not signal is there."""

    def forbidden(_pid: int, _signal: int) -> None:
        raise PermissionError

    holder = held_by(home)
    monkeypatch.setattr(os, "kill", forbidden)
    assert not gone(holder)


def test_a_process_that_was_not_waited_for_is_over(home: Folder) -> None:
    """A zombie does nothing any more."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    born = msgspec.structs.replace(held_by(home), pid=process.pid)
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert gone(born)
    process.wait()
    assert gone(born)
    assert _born(process.pid) == ""


def test_the_faster_one_wins(home: Folder) -> None:
    """Of two who take at the same moment one is told so."""

    class Slow(Folder):
        def put_new(self, name: str, content: bytes) -> bool:
            taken(home, run="faster")
            return super().put_new(name, content)

    with pytest.raises(HeldByOther, match=r"taken in this very moment by .*, run faster"):
        taken(Slow(home.root))


def test_a_lease_is_renewed_when_it_must_last(home: Folder) -> None:
    """It is written again only when it would not last long enough."""
    lease, _ = taken(home)
    until = lease.holder.until
    lease.extend(30)
    assert lease.holder.until == until
    lease.extend(600)
    renewed = current(home, "toy")
    assert renewed is not None
    assert renewed.until == NOW + timedelta(seconds=660)


def test_the_old_holder_is_stopped(home: Folder, ended: int) -> None:
    """Once a higher fence is out, the old holder's check names who has it now."""
    old, _ = taken(home, run="run-1")
    old.check()
    home.claim_log(journal_of("run-1"))
    Path(home.where(journal_of("run-1"))).touch()
    home.replace(lease_name("toy", 1), msgspec.json.encode(msgspec.structs.replace(old.holder, pid=ended)))
    taken(home, take_over=True)
    with pytest.raises(Superseded, match=r"was taken over by dba@example.com .*, run run-2: this process stopped"):
        old.check()


def test_a_lease_that_cannot_be_looked_at_stops_the_run(home: Folder) -> None:
    """Whoever cannot tell whether they still hold it starts nothing."""

    class Closed(Folder):
        def exists(self, name: str) -> bool:
            raise PermissionError(name)

    taken(home)
    holder = current(home, "toy")
    assert holder is not None
    with pytest.raises(NotWritten, match="whether the lease of toy still holds cannot be told: leases/toy/00000002"):
        Lease(Closed(home.root), "toy", holder, clock=lambda: NOW).check()


def test_a_damaged_lease_is_refused(home: Folder) -> None:
    """What cannot be read is not taken for nobody."""
    home.put_new(lease_name("toy", 1), b"{")
    with pytest.raises(Refused, match="the lease 1 of toy cannot be read"):
        taken(home)
