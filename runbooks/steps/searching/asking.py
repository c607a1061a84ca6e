"""Ask a database whether a check of a person holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runbooks.model.errors import CheckError, NotThere

if TYPE_CHECKING:
    from runbooks.clients.postgres import Session


def names(check: str, table: str) -> bool:
    """Tell whether a query may name a table: whether its name is a word of it."""
    name = table.rpartition(".")[2].strip('"')
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", check, re.IGNORECASE) is not None


def told(session: Session, check: str) -> tuple[bool, str]:
    """Tell whether a check holds, and why not where what it names is not there. Raises CheckError, Unreachable."""
    try:
        return verdict(session, check), ""
    except NotThere as error:
        return False, str(error)


def verdict(session: Session, check: str) -> bool:
    """Tell whether a check holds. Raises CheckError unless it gives one boolean, Unreachable."""
    found = session.verdict(check)
    if isinstance(found, bool):
        return found
    got = "nothing (no row, or null)" if found is None else f"{type(found).__name__} {str(found)[:40]!r}"
    message = f"expected a query for one boolean, got {got}"
    raise CheckError(message)
