"""Read a tail's filters and apply them: an event is sent when it passes all of them.

Source: wrangler's `tail/filters.ts` and its help texts, read 2026-11-23.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from twin.cloudflare.errors import ApiError
from twin.cloudflare.observability.messages import spoken

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]


def read(body: Json) -> list[Json]:
    """Return the filters of a tail's body; 400 for one that cannot be read (code unconfirmed)."""
    chosen = body.get("filters") or []
    for one in chosen if isinstance(chosen, list) else [chosen]:
        if not isinstance(one, dict) or not all(kind in _KINDS and _KINDS[kind][0](one[kind]) for kind in one):
            raise ApiError(400, 10021, f"{json.dumps(one)} is no filter of a tail: there is {', '.join(_KINDS)}")
    return list(chosen)


def passes(chosen: list[Json], told: Json, *, creator: str) -> bool:
    """Say whether a message passes; `creator` is the address that "self" means."""
    return all(_KINDS[kind][1](value, told, creator) for one in chosen for kind, value in one.items())


def _share(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value <= 1


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _text(value: object) -> bool:
    return isinstance(value, str)


def _header(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("key"), str)


def _sampled(value: float, _: Json, __: str) -> bool:
    return random.random() < value  # noqa: S311 - a sample of traffic


def _outcome(value: list[str], told: Json, _: str) -> bool:
    return told["outcome"] in value


def _method(value: list[str], told: Json, _: str) -> bool:
    request = told["event"].get("request")
    return request is not None and request["method"].upper() in {method.upper() for method in value}


def _has_header(value: Json, told: Json, _: str) -> bool:
    held = _headers(told).get(value["key"].lower())
    return held is not None and str(value.get("query") or "") in held


def _from(value: list[str], told: Json, creator: str) -> bool:
    return _headers(told).get("cf-connecting-ip") in {creator if text == "self" else text for text in value}


def _says(value: str, told: Json, _: str) -> bool:
    return any(value in spoken(log) for log in told["logs"])


def _version(value: str, told: Json, _: str) -> bool:
    return bool(told["scriptVersion"]["id"] == value)


def _headers(told: Json) -> dict[str, str]:
    return dict(told["event"].get("request", {}).get("headers", {}))


_KINDS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Json, str], bool]]] = {
    "sampling_rate": (_share, _sampled),
    "outcome": (_texts, _outcome),
    "method": (_texts, _method),
    "header": (_header, _has_header),
    "client_ip": (_texts, _from),
    "query": (_text, _says),
    "scriptVersion": (_text, _version),
}
