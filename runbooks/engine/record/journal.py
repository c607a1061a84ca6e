"""The open end of a run's journal: entries are chained, sealed and written here, and nowhere else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from runbooks.engine.record.entry import NONE_BEFORE, Kind, decode
from runbooks.engine.record.home import journal_of
from runbooks.model.canonical import written
from runbooks.model.errors import NotWritten, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.engine.record.home import Home
    from runbooks.engine.record.signature import Signer
    from runbooks.engine.redaction import Redactor


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
        name = journal_of(run)
        where = home.where(name)
        try:
            done = decode(home.read_log(name), where=where)
            if len(done.entries) != follows:
                message = (
                    f"{where}: {len(done.entries)} entries instead of {follows}: somebody went on with it; look again"
                )
                raise Refused(message)
            self._log = home.open_log(name, size=done.size)
        except OSError as error:
            raise _not_written(where, error) from error
        self._home = home
        self._run = run
        self._where = where
        self._redact = redact
        self._clock = clock
        self._guard = guard
        self._seq = len(done.entries)
        self._prev = done.entries[-1].hash if done.entries else NONE_BEFORE
        if done.torn:
            text = f"a torn last line of {len(done.torn)} bytes was dropped"
            self.append(Kind.NOTED, None, {"text": text, "torn_bytes": len(done.torn)})

    def append(self, kind: Kind, step: str | None, payload: dict[str, Any], *, durable: bool = False) -> dict[str, Any]:
        """Write one entry and return its payload as it was written; `durable` returns once it is on disk.

        Raises NotWritten when it cannot be written (then nothing of it is), and what the guard raises.
        """
        self._guard()
        content = self._redact.written(payload)
        at = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        moment = b'{"at":"%bZ",' % at.removesuffix("+00:00").encode()
        # In the order of the canonical form, so that the payload is encoded once.
        rest = b'"kind":"%b","payload":%b,"prev":"%b","seq":%d,"step":%b}' % (
            kind.encode(),
            content,
            self._prev.encode(),
            self._seq + 1,
            written(step),
        )
        seal = hashlib.sha256(moment + rest).hexdigest()
        try:
            self._log.append(b'%b"hash":"%b",%b\n' % (moment, seal.encode(), rest), durable=durable)
        except OSError as error:
            raise _not_written(self._where, error) from error
        self._seq += 1
        self._prev = seal
        return msgspec.json.decode(content)  # type: ignore[no-any-return] # an object, as the payload was

    def sign(self, signer: Signer) -> bool:
        """Sign the journal as it ends now; say False when this end is signed already. Raises OSError."""
        return signer.sign(self._home, self._run, entries=self._seq, head=self._prev)

    def close(self) -> None:
        """Let go of the file; the run's end is an entry of its own."""
        self._log.close()


def _not_written(where: str, error: OSError) -> NotWritten:
    return NotWritten(f"the journal {where} cannot be written: {error.strerror or error}; no effect starts without it")
