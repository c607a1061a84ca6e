"""Say of a key that no stack file has what it is called here, or why there is none: nothing is dropped unsaid."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN: Final = re.compile(r"unknown field `(.+)`")
STEP: Final = re.compile(r"[^.\[\]]+")

_DATA = "it keeps data of its own, which no backup here holds and no restore takes back"
_ALONE = "the twin cannot run it, so that no drill would prove a release that needs it"
_ADDRESS = "it is off: users come by host and routes"
WORKERS: Final[Mapping[str, str]] = {
    "main": "it is build here",
    "vars": "it is variables here",
    "kv_namespaces": "it is kv here",
    "r2_buckets": "it is buckets here",
    "analytics_engine_datasets": "it is analytics here",
    "ratelimits": "it is limiters here",
    "triggers": "it is crons here",
    "limits": "it is cpu_milliseconds here",
    "hyperdrive": "there is one, to ems-ops:database, bound as DB",
    "version_metadata": "every version has it, bound as VERSION",
    "env": "every environment has a stack file of its own",
    "workers_dev": _ADDRESS,
    "preview_urls": _ADDRESS,
    "observability": "it is on, for every request: what was accepted after the point of a restore is listed from it",
    "logpush": "it is ems-ops:logpush",
    "durable_objects": _DATA,
    "migrations": _DATA,
    "d1_databases": _DATA,
    "vectorize": _DATA,
    "workflows": _DATA,
    "queues": "messages outlive a restore, and the twin has none, so that no drill would prove what becomes of them",
    "services": "a stack has one Worker, and so has a drill's twin: what it would be bound to is not there",
    "tail_consumers": "a stack has one Worker, and so has a drill's twin: what would consume its logs is not there",
    "assets": "the site is ems-ops:web",
    "site": "the site is ems-ops:web",
    **dict.fromkeys(
        (
            "ai", "browser", "containers", "dispatch_namespaces", "images", "media", "mtls_certificates", "pipelines",
            "secrets_store_secrets", "send_email", "unsafe", "vpc_services", "worker_loaders",
        ),
        _ALONE,
    ),
}  # fmt: skip
"""What wrangler's configuration calls them, and what becomes of each in `ems-ops:api`."""


def explained(what: str, path: str, shape: type[object]) -> str:
    """Return a decoder's complaint about what stands at a path of a shape; of an unknown key, with the known ones."""
    found = UNKNOWN.search(what)
    known = _keys(path, shape) if found else ()
    if not found or not known:
        return what
    reason = WORKERS.get(found[1], "") if path == "api" else ""
    guess = "" if reason else next((f"did you mean {one}?" for one in get_close_matches(found[1], known, n=1)), "")
    return f"{what} ({reason or guess or 'there is none'}); expected one of {', '.join(known)}"


def _keys(path: str, shape: type[object]) -> tuple[str, ...]:
    """Return the keys that may stand at a path such as `api.smoke[1]`; none where that is no mapping of known keys."""
    here: inspect.Type | None = inspect.type_info(shape)
    for step in STEP.findall(path.replace("...", "*")):  # a mapping does not tell which of its values
        here = _inside(here, step)
    return tuple(one.encode_name for one in here.fields) if isinstance(here, inspect.StructType) else ()


def _inside(type_: inspect.Type | None, step: str) -> inspect.Type | None:
    """Return the type of what a step leads to; of several that may stand there, the one that has keys."""
    match type_:
        case inspect.StructType():
            found = next((one.type for one in type_.fields if one.encode_name == step), None)
        case inspect.VarTupleType():
            found = type_.item_type
        case inspect.DictType():
            found = type_.value_type
        case _:
            return None
    if isinstance(found, inspect.UnionType):
        return next((one for one in found.types if isinstance(one, inspect.StructType)), None)
    return found
