"""Translate between the names of Pulumi's schema and those on the wire."""

from __future__ import annotations

import re
from typing import Any, Final

HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MAPS: Final = frozenset({"envVars", "kvNamespaces", "r2Buckets", "d1Databases", "services", "hyperdriveBindings"})
"""Inputs whose keys are the user's own names."""
SPECIAL: Final = {
    "workersMessage": "workers/message",
    "workersTag": "workers/tag",
    "workersTriggeredBy": "workers/triggered_by",
}


def snake(name: str) -> str:
    """Return `accountId` as `account_id`."""
    return HUMP.sub("_", name).lower()


def camel(name: str) -> str:
    """Return `account_id` as `accountId`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def to_wire(value: object) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return inputs with the names that the API uses."""
    if isinstance(value, list):
        return [to_wire(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    wire: dict[str, Any] = {}
    for key, inner in value.items():
        name = SPECIAL.get(key) or snake(key)
        mapped = key in MAPS and isinstance(inner, dict)
        wire[name] = {own: to_wire(each) for own, each in inner.items()} if mapped else to_wire(inner)
    return wire


def to_outputs(result: object) -> dict[str, Any]:
    """Return the plain parts of an answer with the names that a program uses: texts, numbers, lists of those."""
    if not isinstance(result, dict):
        return {}
    return {camel(key): value for key, value in result.items() if key.replace("_", "").isalnum() and _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(inner, str | int | float) for inner in value)
    return isinstance(value, str | int | float)
