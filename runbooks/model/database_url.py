"""The address of a database as the environment gives it: whether it is one, and where its password stands."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

PASSWORD: Final = re.compile(r"(?=://[^:/@]*:(.*)@)://[^:/@]*:(.*?)@|\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))")
"""A password, or what somebody took for one: it is never shown, whatever else is wrong with the address."""


def is_database_url(text: str) -> bool:
    """Tell whether this is the address of one database: what everything else here takes apart."""
    try:
        scheme, port = urlsplit(text).scheme, urlsplit(text).port
    except ValueError:  # of its port, or of an address in brackets
        return False
    return scheme in ("postgres", "postgresql") and port != 0


def passwords_in(text: str) -> tuple[str, ...]:
    """Return what may be the password, as it is written and as it is meant."""
    found = {part for one in PASSWORD.finditer(text) for part in one.groups() if part}
    return tuple(sorted(found | {unquote(part) for part in found}))
