"""Say where in a file something does not fit, and what stands there: the typed reader tells it in its own words."""

from __future__ import annotations

import copy
import re
from typing import Any, Final

import msgspec

STEP: Final = re.compile(r"[^.\[\]]+")
"""A key or a place within a path of the typed reader: `api.smoke[1].path`."""
SOME: Final = "[...]"
"""How the typed reader tells a key that the file itself chooses."""
SHOWN: Final = 80


def named(fields: dict[str, Any], path: str, shape: type) -> str:
    """Return the path with the key's own name for `[...]`: that of the entry which alone does not fit either."""
    begun, some, rest = path.partition(SOME)
    trial = copy.deepcopy(fields) if some else {}
    there = _at(trial, begun)
    inside: dict[str, Any] = there if some and isinstance(there, dict) else {}
    for name, value in [*inside.items()]:
        inside.clear()
        inside[name] = value
        try:
            msgspec.convert(trial, shape)
        except msgspec.ValidationError:
            return f"{begun}.{name}{rest}"
    return path


def found(fields: dict[str, Any], path: str) -> str:
    """Return what stands where something does not fit, as far as it is one value (`records[2].name`)."""
    value = _at(fields, path)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = str(value)
    return f"{text[:SHOWN]!r}" + (f" … ({len(text)} characters)" if len(text) > SHOWN else "")


def _at(fields: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - what stands there, whatever it is
    value: Any = fields
    for part in STEP.findall(path):
        value = value.get(part) if isinstance(value, dict) else value[int(part)] if isinstance(value, list) else None
    return value
