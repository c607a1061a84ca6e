"""The database door: sessions that only read unless they are asked to write, with every wait bounded.

A plan's door never opens a writable session. Errors are told apart by one question: would asking again help.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, LiteralString
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import conninfo, sql

from runbooks.model.errors import CheckError, Denied, NotThere, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runbooks.model.reconciliation import Write


__all__ = ["OURS", "Postgres", "Session", "identifier", "sql"]
# `sql` composes statements: the driver itself stays behind this door

OURS: Final = "ems-ops"
"""The application name of every session of ours: what is not ours is told by it."""

PARTS: Final = re.compile(r'"(?:[^"]|"")+"|[^".]+')
"""The parts of a name in SQL: quoted, or plain."""

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

LATER: Final = (
    "08",  # connection exceptions
    "53",  # insufficient resources: too many connections, disk full, out of memory
    "57P",  # operator intervention: shutdown, crash, cannot connect now
    "57014",  # cancelled: the statement's own time limit
    "55P03",  # a lock that was not to be had in time
    "40",  # rolled back by the server: deadlock, serialization
)
"""Beginnings of SQLSTATEs after which the same question may be answered (PostgreSQL 18, appendix A)."""
DENIED: Final = re.compile(
    r"password authentication failed|no password supplied|no pg_hba.conf entry|[Tt]enant or user not found"
    r"|not permitted to log in|(role|database|user) \".*\" does not exist|permission denied for database"
)
"""What a server says at the door, where the driver gives no SQLSTATE: PostgreSQL 18, and Supabase's pooler."""
NOT_THERE: Final = ("42P01", "42703", "42883", "42704", "3F000")
"""SQLSTATEs of a table, column, function, type or schema that does not exist (PostgreSQL 18, appendix A)."""


@dataclass(frozen=True)
class Postgres:
    """One database by its URL. `connect_seconds` bounds a connection, `statement_seconds` each statement.

    `read_only` is the lock of a plan: no writable session is opened. A remote host is spoken to over TLS; add
    `?sslmode=verify-full&sslrootcert=FILE` to the URL to have its certificate checked as well.
    """

    url: str
    read_only: bool = False
    connect_seconds: int = 5
    statement_seconds: float = 30.0

    @property
    def where(self) -> str:
        """Return the server and database without user and password: what errors name."""
        parts = urlsplit(self.url)
        return f"{parts.hostname or 'a socket'}:{parts.port or 5432}{parts.path or '/postgres'}"

    @property
    def database(self) -> str:
        """Return the name of the database."""
        return unquote(urlsplit(self.url).path.strip("/")) or "postgres"

    @property
    def is_local(self) -> bool:
        """Tell whether the server is on this machine's loopback."""
        return urlsplit(self.url).hostname in LOOPBACK

    @contextmanager
    def reading(self, *, snapshot: str | None = None) -> Iterator[Session]:
        """Open a session in which every transaction is read-only, all of it on one snapshot.

        `snapshot` is one that another session exported (`pg_export_snapshot`) and still holds: then both see the same.
        Raises Unreachable when nobody answers or the server says "later".
        """
        with self._connected() as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            if snapshot is not None:
                with _explained(self.where):
                    connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot)))
            yield Session(connection, self.where)

    @contextmanager
    def writing(self, write: Write) -> Iterator[Session]:
        """Open a session that commits when it ends well. Raises Refused in a plan, Unreachable as above.

        `write` says how a lost commit is settled.
        """
        if self.read_only:
            message = f"Database {self.where}: a plan only reads, expected no {write.call}. Nothing was done."
            raise Refused(message)
        with self._connected() as connection:
            connection.read_only = False
            yield Session(connection, self.where)

    @contextmanager
    def commanding(self, write: Write) -> Iterator[Session]:
        """Open a session in which each statement commits by itself: what PostgreSQL takes in no transaction.

        Raises Refused in a plan, Unreachable as above.
        """
        with self.writing(write) as session:
            session.connection.rollback()
            session.connection.autocommit = True
            session.rows("select set_config('default_transaction_read_only', 'off', false)")
            yield session
            session.connection.autocommit = False

    def named(self, database: str) -> Postgres:
        """Return another database of the same server, for the same user."""
        return replace(self, url=urlunsplit(urlsplit(self.url)._replace(path=f"/{quote(database, safe='')}")))

    @contextmanager
    def rehearsing(self) -> Iterator[Session]:
        """Open a session whose changes are all rolled back at its end: nothing of it ever holds.

        Raises Refused in a plan, Unreachable as above.
        """
        if self.read_only:
            message = f"Database {self.where}: a plan only reads, expected nothing that is rolled back either."
            raise Refused(message)
        with self._connected() as connection:
            connection.read_only = False
            try:
                yield Session(connection, self.where)
            finally:
                connection.rollback()

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        address, password = self.address()
        with _explained(self.where):
            connection = psycopg.connect(address, password=password, autocommit=True, client_encoding="UTF8")
        with _explained(self.where), connection:  # the end of the session may fail as well
            limit = int(self.statement_seconds * 1000)
            # set after connecting: a pooler may drop what the startup packet asks for; a role or a database may have
            # its own idea of how a date is written, which the driver does not read
            connection.execute(
                "select set_config('default_transaction_read_only', 'on', false),"
                " set_config('row_security', 'off', false), set_config('timezone', 'UTC', false),"
                " set_config('datestyle', 'ISO', false), set_config('intervalstyle', 'postgres', false),"
                " set_config('idle_in_transaction_session_timeout', '0', false),"
                " case when current_setting('transaction_timeout', true) <> '0'"
                " then set_config('transaction_timeout', '0', false) end,"  # version 17 has it
                " set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
                (str(limit), str(limit)),
            )
            connection.autocommit = False
            yield connection

    def address(self) -> tuple[str, str]:
        """Return the connection string without the password, and the password. Raises Refused for what is none."""
        try:
            given = conninfo.conninfo_to_dict(self.url)
        except psycopg.ProgrammingError:
            message = "EMS_DATABASE_URL: expected postgresql://user:password@host:port/database."
            raise Refused(message) from None
        password = str(given.pop("password", "") or "")
        given.setdefault("connect_timeout", self.connect_seconds)
        given.setdefault("sslmode", "disable" if self.is_local else "require")
        given["application_name"] = OURS
        return conninfo.make_conninfo("", **given), password


@dataclass(frozen=True)
class Session:
    """One open connection, in one transaction."""

    connection: psycopg.Connection[tuple[Any, ...]]
    where: str

    def rows(self, query: LiteralString | sql.Composed, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return every row of a statement. Raises Unreachable when asking again may help, CheckError otherwise."""
        with _explained(self.where):
            # None: a percent sign in a statement without parameters is just that
            asked = _doubled(query) if parameters else query
            return self.connection.execute(asked, parameters or None).fetchall()

    def run(self, command: LiteralString | sql.Composed) -> None:
        """Run a command that returns no rows. Raises as `rows` does."""
        with _explained(self.where):
            self.connection.execute(command)

    def value(self, query: LiteralString | sql.Composed, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 - whatever the SQL gives
        """Return the first column of the first row, None when there is no row."""
        found = self.rows(query, parameters)
        return found[0][0] if found else None

    def truth(self, statement: str) -> bool:
        """Tell whether a statement of the stack file returns exactly one true."""
        return self.rows(statement) == [(True,)]

    def verdict(self, query: str) -> object:
        """Return the only value of a person's query: it is one scalar subquery, so no command and not two statements.

        None also where it has no row. Raises Unreachable when asking again may help, CheckError otherwise.
        """
        with _explained(self.where):
            asked = f"select (\n{query.strip().rstrip(';')}\n)"
            row = self.connection.execute(asked, prepare=True).fetchone()  # prepared: the server takes one statement
            return row[0] if row else None

    def copied(self, statement: sql.Composed) -> Iterator[bytes]:
        """Yield what a `copy … to stdout` gives, as the server sends it."""
        with _explained(self.where), self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for chunk in copy:
                yield bytes(chunk)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run what may fail without losing the transaction: a savepoint that is rolled back then."""
        with self.connection.transaction():
            yield


def identifier(table: str) -> sql.Identifier:
    """Return the name of a table that the stack file writes as in SQL: in double quotes where it needs them."""
    parts = (part[1:-1].replace('""', '"') if part[:1] == '"' else part.lower() for part in PARTS.findall(table))
    return sql.Identifier(*parts)


def _doubled(query: LiteralString | sql.Composed) -> LiteralString | sql.Composed:
    """Return a statement in which a percent sign of a name or a value begins no parameter."""
    return _within(query) if isinstance(query, sql.Composed) else query


def _within(query: sql.Composed) -> sql.Composed:
    parts: list[sql.Composable] = []
    for part in query:
        if isinstance(part, sql.Identifier | sql.Literal):
            parts.append(sql.SQL(part.as_string(None).replace("%", "%%")))
        else:
            parts.append(_within(part) if isinstance(part, sql.Composed) else part)
    return sql.Composed(parts)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the driver's errors into ours: what, where, what the server said."""
    try:
        yield
    except psycopg.Error as error:
        said = (error.diag.message_primary or str(error).strip() or type(error).__name__).replace("\n", " ")
        state = error.sqlstate or ""
        message = f"Database {where}: {said}" + (f" (SQLSTATE {state})" if state else "")
        if (isinstance(error, psycopg.OperationalError) and not state) or state.startswith(LATER):
            raise (Denied if not state and DENIED.search(said) else Unreachable)(message) from None
        raise (NotThere if state in NOT_THERE else CheckError)(message) from None
