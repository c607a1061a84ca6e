"""The SQL of the stack file, looked at before it is needed: a slip in it is found while nothing is stopped yet.

What a statement names and is not there may be part of the accident; what is no SQL, or gives no boolean, never works.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

from infra.shapes import SUBJECT
from runbooks.clients.postgres import sql
from runbooks.model.errors import CheckError, NotThere, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from infra.stack import Check, Stack
    from runbooks.clients.postgres import Postgres, Session

NO_SQL: Final = re.compile(r"SQLSTATE (42601|25006)|didn't produce")
"""Syntax, a statement that writes where only reading is allowed (PostgreSQL 18, appendix A), one that gives no rows.
Nothing else is sure: wrong types, say, may come from the very migration that is to be taken back."""
PLANNED: Final = re.compile(r"\s*(select|insert|update|delete|merge|with|values)\b", re.IGNORECASE)
"""What can be explained without being run."""
QUERIES: Final = ("gone", "waiting", "held")


def refuse_wrong_statements(database: Postgres, stack: Stack, *, file: Path) -> None:
    """Raise Refused for a statement of the stack file that could not be run after a restore either."""
    with database.reading() as session:
        for check in stack.database.checks:
            if wrong := wrong_check(session, check):
                raise _refused(file, f"database.checks “{check.name}”: expected a query for one boolean", wrong)
        for key, statement in _statements(stack):
            if (PLANNED.match(statement) or key.endswith(QUERIES)) and (wrong := _wrong(session, statement)):
                raise _refused(file, f"hazards.{key}: expected a statement", wrong)


def _wrong(session: Session, statement: str) -> str:
    try:
        with session.attempt():
            session.rows(sql.SQL("explain {}").format(sql.SQL(statement)))
    except (NotThere, Unreachable):
        return ""
    except CheckError as error:
        return str(error) if NO_SQL.search(str(error)) else ""
    return ""


def wrong_check(session: Session, check: Check) -> str:
    """Return why a check is none, whatever the data are; nothing where it is one, or where that cannot be told."""
    try:
        with session.attempt():
            rows = session.rows(sql.SQL(check.sql).format())
    except (NotThere, Unreachable):
        return ""
    except CheckError as error:
        return str(error) if NO_SQL.search(str(error)) else ""
    values = [value for row in rows for value in row]
    if len(values) == 1 and isinstance(values[0], bool | None):
        return ""
    return f"{values[0]!r}, no boolean" if len(values) == 1 else f"{len(rows)} rows, {len(values)} values"


def _statements(stack: Stack) -> Iterator[tuple[str, str]]:
    for kind, erasure in stack.hazards.erasures.items():
        for statement in erasure.statements:
            yield f"erasures.{kind}.statements", statement.replace(SUBJECT, "'0'")
        yield f"erasures.{kind}.gone", erasure.gone.replace(SUBJECT, "'0'")
    for one in stack.hazards.outgoing:
        for word in ("waiting", "hold", "held", "release"):
            yield f"outgoing “{one.name}”.{word}", getattr(one, word)


def _refused(file: Path, what: str, got: str) -> Refused:
    return Refused(
        f"{file.name}: ems-ops:{what}, got {got.rstrip('.')}. Nothing was begun.",
        next_command=f"edit {shlex.quote(str(file))}",
    )
