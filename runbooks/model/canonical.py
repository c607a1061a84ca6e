"""Turn data into the one sequence of bytes that is hashed, compared and written."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final, TypeAlias

import msgspec

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

_OTHERWISE: Final = re.compile(rb"[:,[]-?(?:null|0\.0000|[0-9.]+e)")
"""What msgspec may have written unlike the standard library: NaN as null, 1e-05 as 0.00001, 1e+16 as 1e16."""


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, no spaces and UTF-8, as any JSON library can make it again.

    Raises ValueError on NaN and infinities, TypeError on what is not JSON: `written` turns those into text.
    """
    return _ENCODER.encode(value).encode()


def digest(value: object) -> str:
    """Return the SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def plain(value: object) -> Json:
    """Return the value as JSON: structs and mappings become objects, what JSON cannot say becomes its text."""
    return json.loads(written(value))  # type: ignore[no-any-return] # JSON is what it is


def written(value: object) -> bytes:
    """Return the canonical JSON of any value at all.

    A provider's answer may hold anything (dates, NaN, lone surrogates from broken UTF-8); none of it may keep the
    journal from being written.
    """
    try:
        quick = _QUICK.encode(value)
    except (TypeError, ValueError):  # keys that are numbers, lone surrogates
        return _written_slowly(value)
    return _written_slowly(value) if _OTHERWISE.search(b":" + quick) else quick


def _written_slowly(value: object) -> bytes:
    built = msgspec.to_builtins(value, str_keys=True, enc_hook=_opened, order="deterministic")
    try:
        return canonical(built)
    except (TypeError, ValueError):
        return canonical(_sayable(built))


def _opened(value: object) -> object:
    """Return what msgspec does not know as a dict, where it has items, or as text."""
    items = getattr(value, "items", None)
    return dict(items()) if callable(items) else str(value)


_QUICK: Final = msgspec.json.Encoder(order="sorted", enc_hook=_opened)
"""A tenth of the time, and the same bytes wherever `_OTHERWISE` finds nothing."""


def _sayable(value: object) -> object:
    """Return builtins with every text encodable and every number finite."""
    if isinstance(value, dict):
        return {str(_sayable(key)): _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value if isinstance(value, bool | int | float | None) else str(value)
