"""Turn telemetry filters, needles and time frames into SQL conditions on stored events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twin.cloudflare.errors import ApiError
from twin.cloudflare.observability.messages import DATASET
from twin.cloudflare.observability.questions import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twin.cloudflare.observability.questions import Filter, Needle, Span, Value

Sql = tuple[str, list[Any]]

_DEEPEST = 4
_ROOTS = frozenset(("$metadata", "$workers", "dataset", "timestamp", "source"))
_FIELD = "json_extract(event, ?)"
_NOT_IN_RE2 = re.compile(r"\(\?<?[=!]|\\[1-9]|\(\?P=")
_TEXTS = {
    "includes": "instr({field}, ?) > 0",
    "not_includes": "ifnull(instr({field}, ?), 0) = 0",
    "starts_with": "substr({field}, 1, length(?)) = ?",
    "ends_with": "substr({field}, -length(?)) = ?",
}
_COMPARED = {"eq": "=", "neq": "is not", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_ORDERED = frozenset(("gt", "gte", "lt", "lte"))


def path(key: str) -> str:
    """Return the JSON path of a field in a stored event: what a Worker logged itself is in `source`."""
    parts = key.replace('"', "").split(".")
    if parts[0] not in _ROOTS:
        parts.insert(0, "source")
    return "$" + "".join(f'."{part}"' for part in parts)


def whole(
    span: Span | None, datasets: list[str], filters: list[Filter], combination: str, needle: Needle | None
) -> Sql:
    """Return the condition of a call: time, dataset, filters, needle."""
    conditions: list[Sql] = []
    if span is not None:
        if span.begin >= span.to:
            raise ApiError(400, 10021, "Invalid timeframe: 'from' must be earlier than 'to'.")
        conditions.append(("at >= ? and at <= ?", [span.begin, span.to]))
    if datasets and DATASET not in datasets:
        conditions.append(("false", []))
    if filters:
        conditions.append(_group(filters, combination, depth=1))
    if needle is not None:
        conditions.append(_needle(needle))
    return _joined(conditions, "and") if conditions else ("true", [])


def _joined(conditions: Iterable[Sql], word: str) -> Sql:
    texts, given = zip(*conditions, strict=True)
    return f" {word} ".join(f"({text})" for text in texts), [value for part in given for value in part]


def _group(filters: list[Filter], combination: str, *, depth: int) -> Sql:
    if depth > _DEEPEST:
        raise ApiError(400, 10021, f"Filters are nested deeper than {_DEEPEST} levels.")
    made = [
        _group(one.filters, one.filter_combination, depth=depth + 1) if one.kind == "group" else _leaf(one)
        for one in filters
    ]
    return _joined(made, combination.lower()) if made else ("true", [])


def _leaf(one: Filter) -> Sql:
    operation, at = OPERATIONS.get(one.operation, one.operation), path(one.key)
    if not one.key:
        raise ApiError(400, 10021, "A filter needs a key.")
    if operation in {"exists", "is_null"}:
        return f"{_FIELD} is {'not ' if operation == 'exists' else ''}null", [at]
    if operation in {"in", "not_in"}:
        values = [_value(one, part) for part in _listed(one)]
        negated = "not " if operation == "not_in" else ""
        return f"ifnull({_FIELD}, '') {negated}in ({', '.join('?' * len(values))})", [at, *values]
    if one.value is None or isinstance(one.value, list):
        raise ApiError(400, 10021, f"The filter on {one.key} needs a value.")
    if operation == "regex":
        return f"regexp(?, {_FIELD})", [pattern(str(one.value)), at]
    if operation in _TEXTS:
        text = _TEXTS[operation].format(field=_FIELD)
        return text, [at, *[str(one.value)] * (text.count("?") - 1)]
    if operation not in _COMPARED:
        raise ApiError(400, 10021, f"There is no operation {one.operation!r}.")
    numbers = f"typeof({_FIELD}) in ('integer', 'real') and " if operation in _ORDERED else ""
    return f"{numbers}{_FIELD} {_COMPARED[operation]} ?", [*[at] * bool(numbers), at, _value(one, one.value)]


def _listed(one: Filter) -> list[Value]:
    if isinstance(one.value, list):
        return one.value
    return [part.strip() for part in str(one.value).split(",")]


def _value(one: Filter, value: Value) -> str | float | int:
    """Return a filter's value in the type that it says; 400 when it is none."""
    try:
        if one.type == "number":
            return float(value)
        if one.type == "boolean":
            return {"true": 1, "false": 0}[str(value).lower()]
    except (ValueError, KeyError):
        raise ApiError(400, 10021, f"{value!r} is no {one.type}: the filter on {one.key} says that it is.") from None
    return str(value)


def _needle(needle: Needle) -> Sql:
    text, atom = str(needle.value), "cast(atom as text)"
    if needle.is_regex:
        sought, condition = ("" if needle.match_case else "(?i)") + pattern(text), f"regexp(?, {atom})"
    elif needle.match_case:
        sought, condition = text, f"instr({atom}, ?) > 0"
    else:
        sought, condition = text.lower(), f"instr(lower({atom}), ?) > 0"
    return f"exists (select 1 from json_tree(event) where atom is not null and {condition})", [sought]


def pattern(text: str) -> str:
    """Return a regular expression; 400 for what RE2 does not know either."""
    try:
        re.compile(text)
    except re.error as error:
        raise ApiError(400, 10021, f"Invalid regular expression {text!r}: {error}") from None
    if _NOT_IN_RE2.search(text):
        raise ApiError(400, 10021, f"Invalid regular expression {text!r}: RE2 has no lookaround and no backreference.")
    return text
