"""Load the rows of a dump over several connections, several of them into one table where it outweighs the others.

pg_restore gives each table to one connection: one large table then keeps one processor busy. Here, who has no table
left helps with the one that has the most to go: they take turns in reading its file, whole rows at a time.
"""

from __future__ import annotations

import re
import zlib
from collections import deque
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import IO, TYPE_CHECKING, Final

from runbooks.clients.postgres import sql
from runbooks.clients.postgres_programs import LOADERS
from runbooks.model.errors import ActError, CheckError, Unreachable
from runbooks.model.reconciliation import LOAD_BACKUP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from runbooks.clients.postgres import Postgres, Session

END: Final = b"\\.\n\n\n"
"""How pg_dump ends a table's file: one without it is cut."""
PIECE: Final = 64 << 10  # bytes of a file that are read at once
GZIP: Final = zlib.MAX_WBITS | 16  # of zlib: a header and a sum, as gzip writes them
WORTH_IT: Final = 4 << 20  # bytes of a file that must be left for another connection to help
LOOK: Final = 0.1  # seconds between looks at how large the database has become
TABLE: Final = re.compile(rb'COPY ((?:"(?:[^"]|"")*"|[^".( ]+)\.(?:"(?:[^"]|"")*"|[^".( ]+)) ')
"""What a statement of pg_dump names first: schema and table."""
TABLES: Final = """
select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm', 'p') and not c.relispartition and c.relpersistence <> 't'
 order by pg_relation_size(c.oid) desc
"""
UNLOGGED: Final = "select current_setting('wal_level') = 'minimal'"


@dataclass
class Rows:
    """The rows of one table: the statement that takes them, and their file."""

    statement: bytes
    file: Path
    lock: Lock = field(default_factory=Lock)
    over: bool = False
    taken: int = 0
    rest: bytes = b""

    @cached_property
    def size(self) -> int:
        """Return the bytes of the file."""
        return self.file.stat().st_size

    @property
    def left(self) -> int:
        """Return about how many of them nobody has taken yet."""
        return 0 if self.over else self.size - self.taken

    @property
    def table(self) -> str:
        """Return schema and table, as SQL has them."""
        named = TABLE.match(self.statement)
        return (named[1] if named else self.statement).decode()

    def pieces(self) -> Iterator[bytes]:
        """Yield whole rows until there are no more. Several threads may ask: a row is given to one of them.

        Raises ActError where the file is cut.
        """
        while piece := self._piece():
            yield piece

    def end(self) -> None:
        """Give no more rows to anybody."""
        with self.lock:
            self._end()

    def _piece(self) -> bytes:
        with self.lock:
            while not self.over:
                more = self._read()
                content, self.rest = self.rest + more, b""
                if not more:
                    self._end()
                    return self._without_end(content)
                cut = content.rfind(b"\n", 0, max(0, len(content) - len(END))) + 1  # the end is kept in one piece
                self.rest = content[cut:]
                if cut:
                    return content[:cut]
            return b""

    @cached_property
    def _file(self) -> IO[bytes]:
        return self.file.open("rb")

    @cached_property
    def _plain(self) -> Callable[[bytes], bytes]:
        return zlib.decompressobj(GZIP).decompress if self.file.suffix == ".gz" else bytes

    def _read(self) -> bytes:
        try:
            while part := self._file.read(PIECE):
                self.taken += len(part)
                if more := self._plain(part):
                    return more
        except (OSError, zlib.error) as error:
            self._end()
            message = f"{self.file}: cannot be read: {error}"
            raise ActError(message) from None
        return b""

    def _end(self) -> None:
        self.over = True
        if opened := vars(self).get("_file"):
            opened.close()

    def _without_end(self, content: bytes) -> bytes:
        rows = content.removesuffix(END)
        if rows == content or not (rows.endswith(b"\n") or not rows):
            message = f"{self.file}: expected rows and a last line “\\.”, its end is missing"
            raise ActError(message)
        return rows


@dataclass
class _Shared:
    """Who loads what: each table once, the largest first; then who is free helps."""

    waiting: deque[Rows]
    together: bool
    begun: list[Rows] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def next(self) -> Rows | None:
        """Return a table that nobody has begun, else the one that has the most to go, if any is worth it."""
        with self.lock:
            if self.waiting:
                self.begun.append(self.waiting.popleft())
                return self.begun[-1]
            going = [one for one in self.begun if one.left > WORTH_IT and self.together]
            return max(going, key=lambda one: one.left, default=None)

    def stop(self) -> None:
        """Give nothing more to anybody: what is half then is made anew."""
        with self.lock:
            self.waiting.clear()
            for one in self.begun:
                one.end()


def load_rows(database: Postgres, rows: Iterable[Rows], settings: Sequence[str], *, watch: Callable[[], None]) -> None:
    """Load the rows of tables that hold nothing yet; `settings` are the server's, for these sessions alone.

    Raises ActError with the table and the server's words, Unreachable.
    """
    with database.commanding(LOAD_BACKUP) as session:
        unlogged = bool(session.value(UNLOGGED))
    shared = _Shared(deque(sorted(rows, key=lambda one: -one.size)), together=not unlogged)

    def work() -> None:
        with database.commanding(LOAD_BACKUP) as session:
            for setting in settings:
                name, _, value = setting.partition("=")
                session.rows("select set_config(%s, %s, false)", (name, value))
            while one := shared.next():
                _load(session, one, emptied=unlogged)

    _at_once(work, shared.stop, watch)


def analyze(database: Postgres) -> None:
    """Let the planner know every table, several at the same time. What our role may not look at is passed over."""
    with database.commanding(LOAD_BACKUP) as session:
        waiting = deque(session.rows(TABLES))

    def work() -> None:
        with database.commanding(LOAD_BACKUP) as session:
            while waiting:
                with suppress(IndexError):  # another one took the last
                    session.run(sql.SQL("analyze (skip_locked) {}").format(sql.SQL(waiting.popleft()[0])))

    _at_once(work, waiting.clear)


def _at_once(work: Callable[[], None], stop: Callable[[], None], watch: Callable[[], None] = lambda: None) -> None:
    """Let as many connections as load at the same time do their work, and `stop` at the first error or signal."""
    with ThreadPoolExecutor(LOADERS) as pool:
        try:
            going = {pool.submit(work) for _ in range(LOADERS)}
            while going:
                over, going = wait(going, LOOK, FIRST_COMPLETED)
                for one in over:
                    one.result()
                watch()
        finally:
            stop()


def _load(session: Session, rows: Rows, *, emptied: bool) -> None:
    """Load what is left of a table. Where it is `emptied` in the same transaction, the server need not log its rows."""
    try:
        with session.attempt():
            if emptied:
                session.run(sql.SQL("truncate only {}").format(sql.SQL(rows.table)))
            session.fill(rows.statement, rows.pieces())
    except Unreachable:
        raise
    except CheckError as error:
        message = f"Loading the rows of {rows.table} failed: {error}"
        raise ActError(message) from None
