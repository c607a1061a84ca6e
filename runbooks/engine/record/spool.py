"""An ops home that may be out of reach: what cannot be sent stays on this machine, and a later command sends it.

    kept/               what was last seen of the ops home, so that it can be read while it is away
    pending/<process>/  what one process could not send: whole logs, and objects; locked while that process lives
    refused/<process>/  what the ops home has otherwise: set aside, named by every command until a person removes it

What is safe, and why:

A run that holds its lease goes on with a local journal only while that lease lasts for others. A lease is renewed in
the ops home or not at all, each step needs one that outlasts its deadline, and the run pauses where it has none.

A run may begin while the ops home is away, under a lease that only this machine sees. Only a process that has never
reached the ops home may take one: it has said so before its operator agreed to anything. Of several such processes on
this machine exactly one gets it; that somebody elsewhere took the same fence is found, and said, when it is sent.

Sending comes before anything else that a command does. Nothing of a living process is sent by another one. A log is
sent when the ops home holds its beginning: the lines that follow are put one by one, each only if absent. So nothing
is left out or written over, and being killed anywhere, or sending again, changes nothing.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from runbooks.engine.lease import Holder, current
from runbooks.engine.record.entry import Kind, decode
from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import JOURNAL
from runbooks.engine.record.unsent import Unsent, begun, files
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runbooks.engine.record.home import Home, Log

T = TypeVar("T")
PENDING: Final = "pending"
REFUSED: Final = "refused"
LEASES: Final = "leases"


class Spool:
    """The ops home `remote`, with `folder` for what cannot be sent. `note` is told what the operator must know."""

    def __init__(self, remote: Home, folder: Path, *, note: Callable[[str], None]) -> None:
        self.away = False
        self._remote = remote
        self._folder = folder
        self._note = note
        self._kept = Folder(folder / "kept")
        self._own: Unsent | None = None
        self._lock = -1
        self._reached = False

    def push(self) -> None:
        """Send what earlier processes could not, and name what was refused. Raises OSError when it is forbidden."""
        self._asked(lambda home: home.names(LEASES))
        try:
            for held in [] if self.away else self._held():
                with held.locked() as free:
                    if free:
                        self._send(held)
        except ConnectionError as error:
            self.lose(error)
        for file in sorted((self._folder / REFUSED).rglob("*")):
            if file.is_file():
                self._note(self._why_refused(file))

    def where(self, name: str) -> str:
        """Return where a name lies: on this machine as long as it was not sent."""
        return next((held.where(name) for held in self._held() if held.has(name)), self._remote.where(name))

    def names(self, folder: str) -> list[str]:
        """Return what lies there, what was not sent included."""
        found = self._asked(lambda home: home.names(folder))
        return sorted({*found, *(name for held in self._held() for name in held.names(folder))})

    def exists(self, name: str) -> bool:
        """Say whether it is there, or was not sent."""
        return any(held.has(name) for held in self._held()) or self._asked(lambda home: home.exists(name))

    def get(self, name: str) -> bytes | None:
        """Return the content, of what was not sent first."""
        unsent = [content for held in self._held() if (content := held.objects.get(name)) is not None]
        return unsent[-1] if unsent else self.seen(name, self._asked(lambda home: home.get(name)))

    def put_new(self, name: str, content: bytes) -> bool:
        """Put it unless there is one. Raises OSError when the ops home was reached and then lost."""
        if self._may_be_local():
            if any(held.has(name) for held in self._held()) or not self._kept.put_new(name, content):
                return False
            return self._mine().objects.put_new(name, content)
        won = self._remote.put_new(name, content)
        self.seen(name, content if won else None)
        return won

    def replace(self, name: str, content: bytes) -> None:
        """Put it over what is there; only what this process could not send is here. Raises OSError for the rest."""
        own = self._own
        if own is not None and own.objects.exists(name):
            own.objects.replace(name, content)
            return
        if own is not None:
            self._send_own(own)
        self._remote.replace(name, content)
        self.away = False
        self.seen(name, content)

    def claim_log(self, name: str) -> bool:
        """Make an empty log. Raises OSError when the ops home was reached and then lost."""
        if self._may_be_local():
            return not any(held.has(name) for held in self._held()) and self._kept.claim_log(name)
        return self._remote.claim_log(name)

    def abandon_log(self, name: str) -> None:
        """Take an empty log away."""
        (self._kept if self.away else self._remote).abandon_log(name)

    def read_log(self, name: str) -> bytes:
        """Return all lines, those that were not sent included."""
        sent = self.seen(name, self._asked(lambda home: home.read_log(name)) or None) or b""
        return max((sent, *(held.logs.read_log(name) for held in self._held())), key=len)

    def open_log(self, name: str, *, size: int) -> SpoolLog:
        """Open the end of a log."""
        return SpoolLog(self, name, self.read_log(name)[:size])

    def end_of(self, name: str, known: bytes, *, local: bool) -> Log:
        """Open the end of a log that holds what is known: in the ops home, or on this machine."""
        if not local:
            return self._remote.open_log(name, size=len(known))
        mine = self._mine()
        mine.logs.put_new(name, known)
        return mine.logs.open_log(name, size=len(known))

    def lose(self, error: ConnectionError) -> None:
        """Go on without the ops home, and say so."""
        self.away = True
        self._note(
            f"the ops home {self._remote.where('')} cannot be reached ({error}). Going on with what this machine "
            f"knows, in {self._folder}: other operators see neither this journal nor a lease taken now, until a "
            "later command here sends them"
        )

    def seen(self, name: str, content: bytes | None) -> bytes | None:
        """Keep what was seen of the ops home."""
        if not self.away and content is not None and self._kept.get(name) != content:
            self._kept.replace(name, content)
        return content

    def _asked(self, ask: Callable[[Home], T]) -> T:
        """Ask the ops home, or what was last seen of it."""
        if not self.away:
            try:
                answer = ask(self._remote)
            except ConnectionError as error:
                self.lose(error)
            else:
                self._reached = True
                return answer
        return ask(self._kept)

    def _may_be_local(self) -> bool:
        if self.away and self._reached:
            message = "the ops home was lost after the plan was made: the same command again goes on without it"
            raise ConnectionError(message)
        return self.away

    def _held(self) -> list[Unsent]:
        """Return what was not sent, oldest first."""
        return [Unsent(self._folder / PENDING / name) for name in Folder(self._folder).names(PENDING)]

    def _mine(self) -> Unsent:
        if self._own is None:
            self._own, self._lock = begun(self._folder / PENDING)
        return self._own

    def _send_own(self, own: Unsent) -> None:
        """Send this process's own journal. Raises OSError when it cannot be, or is not to be before the end."""
        if files(own.objects):
            message = "this run began without the ops home and ends without it"
            raise ConnectionError(message)
        whole = self._send(own)
        os.close(self._lock)
        self._own, self.away = None, False
        if not whole:
            message = "somebody else went on with this run while the ops home was away"
            raise FileExistsError(message)

    def _send(self, held: Unsent) -> bool:
        """Send what one process could not, then remove it; say whether all of it is in the ops home now.

        Journals come first: what was done is known before the stack is free for others.
        """
        whole = True
        for kind, sent in ((held.logs, self._send_log), (held.objects, self._send_object)):
            for name in files(kind):
                if not sent(name, kind.get(name) or b""):
                    whole = False
                    aside = self._folder / REFUSED / held.folder.name / kind.root.name / name
                    aside.parent.mkdir(parents=True, exist_ok=True)
                    (kind.root / name).rename(aside)
        shutil.rmtree(held.folder)
        return whole

    def _send_object(self, name: str, content: bytes) -> bool:
        return self._remote.put_new(name, content) or self._remote.get(name) == content

    def _send_log(self, name: str, content: bytes) -> bool:
        whole = content[: content.rfind(b"\n") + 1]  # a torn line never was one
        self._remote.claim_log(name)
        there = self._remote.read_log(name)
        if there.startswith(whole):
            return True
        if not whole.startswith(there) or not self._sound(name, whole):
            return False
        lines = whole[len(there) :].split(b"\n")[:-1]
        try:
            log = self._remote.open_log(name, size=len(there))
            for line in lines:
                log.append(line + b"\n", durable=True)
            log.close()
        except FileExistsError:
            return False
        self._kept.replace(name, whole)
        self._note(f"sent to the ops home, from when it was away: {len(lines)} entries of {name}")
        if name.endswith(f"/{JOURNAL}"):
            self._say_if_overtaken(name, whole)
        return True

    def _sound(self, name: str, content: bytes) -> bool:
        """Say whether what was not sent is as it was written: an altered journal never reaches the ops home."""
        try:
            return not name.endswith(f"/{JOURNAL}") or bool(decode(content, where=self.where(name)).entries)
        except Refused as error:
            self._note(str(error))
            return False

    def _say_if_overtaken(self, name: str, journal: bytes) -> None:
        entries = decode(journal, where=name).entries
        taken = [entry.payload["fence"] for entry in entries if entry.kind is Kind.LEASE_TAKEN]
        now = current(self._remote, entries[0].payload["plan"].get("lease") or entries[0].payload["stack"])
        if now is not None and taken and now.fence > taken[-1]:
            self._note(
                f"{name} went on without the ops home under fence {taken[-1]}; meanwhile the stack was taken by {now}: "
                "compare what both did"
            )

    def _why_refused(self, file: Path) -> str:
        """Say what the ops home has instead of what was set aside."""
        name = file.relative_to(self._folder / REFUSED).as_posix().split("/", 2)[2]
        text = f"{self._remote.where(name)} is not what this machine left unsent: somebody else wrote to it meanwhile"
        if name.startswith(f"{LEASES}/"):
            ours, theirs = (
                msgspec.json.decode(found, type=Holder) if found else None
                for found in (file.read_bytes(), None if self.away else self._remote.get(name))
            )
            text = f"while the ops home was away the lease {name} was taken twice: by {ours}, and by {theirs}"
        return f"{text}. Ours is in {file}: compare what both did (runs.show), then remove that file"


class SpoolLog:
    """The end of a log that is written in the ops home as long as it can be reached, else on this machine."""

    def __init__(self, spool: Spool, name: str, known: bytes) -> None:
        self._spool = spool
        self._name = name
        self._known = known
        self._log: Log | None = None
        self._local = False

    def append(self, line: bytes, *, durable: bool) -> None:
        """Add one line. Raises OSError."""
        if not self._spool.away:
            try:
                self._end(local=False).append(line, durable=durable)
            except ConnectionError as error:
                self._spool.lose(error)
        if self._spool.away:
            self._end(local=True).append(line, durable=durable)
        self._known += line

    def close(self) -> None:
        """Let go of it."""
        if self._log is not None:
            self._log.close()
            self._log = None
            self._spool.seen(self._name, self._known)

    def _end(self, *, local: bool) -> Log:
        if self._log is None or self._local is not local:
            self.close()
            self._log, self._local = self._spool.end_of(self._name, self._known, local=local), local
        return self._log
