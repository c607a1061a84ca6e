"""Let one run write at a time. A lease has a number that only grows: whoever holds a lower one has lost it."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.home import journal_of
from runbooks.model.errors import HeldByOther, NotWritten, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home

SPARE: Final = 60.0
"""Seconds by which a lease outlasts what it was asked for, so that quick steps do not renew it each."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who may write. `since` and `until` are RFC 3339; `born` tells two processes of one id apart where it can."""

    fence: int
    actor: str
    host: str
    pid: int
    born: str
    run: str
    since: datetime
    until: datetime
    released: bool = False

    def __str__(self) -> str:
        return (
            f"{self.actor} on {self.host} (process {self.pid}) since {self.since:%Y-%m-%d %H:%M:%S} UTC, run {self.run}"
        )


class Superseded(HeldByOther):
    """Somebody took the lease over: this process must stop before its next effect and write nothing any more."""


class Lease:
    """The right to write to one stack, held under one fence until it is released or taken over."""

    def __init__(self, home: Home, stack: str, holder: Holder, *, clock: Callable[[], datetime]) -> None:
        self.holder = holder
        self._home = home
        self._stack = stack
        self._clock = clock

    def check(self) -> None:
        """Raise Superseded when a higher fence was handed out, NotWritten when that cannot be told."""
        try:
            # Fences are handed out without gaps and never taken away: the next number tells.
            lost = self._home.exists(lease_name(self._stack, self.holder.fence + 1))
            now = current(self._home, self._stack) if lost else None
        except OSError as error:
            message = f"whether the lease of {self._stack} still holds cannot be told: {error}"
            raise NotWritten(message) from error
        if lost:
            message = f"the lease of {self._stack} was taken over by {now}: this process stopped before its next effect"
            raise Superseded(message)

    def extend(self, seconds: float) -> None:
        """Make it last that much longer from now on. Raises OSError."""
        now = self._clock()
        if self.holder.until < now + timedelta(seconds=seconds):
            self._replace(msgspec.structs.replace(self.holder, until=now + timedelta(seconds=seconds + SPARE)))

    def release(self) -> None:
        """Let the next operator in. Raises OSError."""
        self._replace(msgspec.structs.replace(self.holder, released=True))

    def _replace(self, holder: Holder) -> None:
        self._home.replace(lease_name(self._stack, holder.fence), msgspec.json.encode(holder))
        self.holder = holder


def take(
    home: Home,
    stack: str,
    *,
    actor: str,
    run: str,
    take_over: bool,
    clock: Callable[[], datetime],
    resume: Callable[[str], str],
) -> tuple[Lease, Holder | None]:
    """Return the lease and the dead holder that it was taken from, if there was one.

    A run that goes on takes its own lease back once its process is gone; so does any run from one that never wrote
    anything, or that wrote down its end. Any other dead holder's lease needs `take_over`. Raises HeldByOther; `resume`
    gives the command that goes on with a run.
    """
    fence = _newest(home, stack)
    previous = current(home, stack)
    now = clock()
    if previous is not None and not previous.released:
        _refuse_unless_free(home, previous, run=run, take_over=take_over, now=now, resume=resume)
    holder = Holder(
        fence=fence + 1,
        actor=actor,
        host=socket.gethostname(),
        pid=os.getpid(),
        born=_born(os.getpid()),
        run=run,
        since=now.astimezone(UTC),
        until=now.astimezone(UTC) + timedelta(seconds=SPARE),
    )
    if not home.put_new(lease_name(stack, holder.fence), msgspec.json.encode(holder)):
        message = f"{stack} was taken in this very moment by {current(home, stack)}"
        raise HeldByOther(message)
    return Lease(home, stack, holder, clock=clock), previous if previous and not previous.released else None


def current(home: Home, stack: str) -> Holder | None:
    """Return the holder of the highest fence, released or not. Raises Refused when it cannot be read."""
    fence = _newest(home, stack)
    if not fence:
        return None
    try:
        return msgspec.json.decode(home.get(lease_name(stack, fence)) or b"", type=Holder)
    except msgspec.DecodeError as error:
        message = f"the lease {fence} of {stack} cannot be read: {error}; look who is at work, then remove its file"
        raise Refused(message) from error


def _newest(home: Home, stack: str) -> int:
    """Return the highest fence that was handed out; 0 when there never was one."""
    return max((int(name.removesuffix(".json")) for name in home.names(f"leases/{stack}")), default=0)


def lease_name(stack: str, fence: int) -> str:
    """Return where the lease of a fence lies in the ops home."""
    return f"leases/{stack}/{fence:08d}.json"


def dead(holder: Holder, *, now: datetime) -> str:
    """Say why a holder is thought dead, or nothing: its process is gone, or it did not renew in its time."""
    if gone(holder):
        return "its process is gone"
    if holder.until < now:
        return f"it was not renewed by {holder.until:%H:%M:%S} UTC"
    return ""


def gone(holder: Holder) -> bool:
    """Say whether the holder ran on this host and runs no more."""
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return holder.born != _born(holder.pid)


def _refuse_unless_free(
    home: Home, holder: Holder, *, run: str, take_over: bool, now: datetime, resume: Callable[[str], str]
) -> None:
    why = dead(holder, now=now)
    own = holder.run == run or b"\n" not in home.read_log(journal_of(holder.run))  # no line of it was ever whole
    if why and (take_over or (own and gone(holder)) or _closed(home, holder.run)):
        return
    if not why:
        message = (
            f"held by {holder}; it may act until {holder.until:%H:%M:%S} UTC unless it renews: wait, or end it there"
        )
        raise HeldByOther(message)
    message = (
        f"held by {holder}, but {why}. Its run is unfinished: go on with it, or leave it as it is and add "
        '--take-over --reason "<why>"'
    )
    raise HeldByOther(message, next_command=resume(holder.run))


def _closed(home: Home, run: str) -> bool:
    """Say whether a run wrote down its end: only its lease could not be given back any more."""
    try:
        entries = entries_of(home, run)
    except Refused:
        return False  # `runs.verify` reports it; of a damaged journal nobody knows whether it was closed
    return bool(entries) and entries[-1].kind is Kind.CLOSED


def _born(pid: int) -> str:
    """Return when a process began, in the kernel's own count (proc(5): starttime, field 22 of stat).

    Nothing where the system does not tell, and for a process that is over but not yet waited for.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]
