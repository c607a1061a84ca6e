"""The shape of the services that users reach: the Worker, and the site beside it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final, Literal

from msgspec import Meta, field, json

from infra.shapes import (
    Arguments,
    BindingName,
    BucketName,
    Dataset,
    FileName,
    Frozen,
    HostName,
    Limiter,
    Name,
    Seconds,
    UrlPath,
    Value,
)


class Health(Frozen, frozen=True):
    """The health contract: `GET path` answers 200 and JSON with these values, no older than `fresh_seconds`."""

    path: UrlPath
    status: str
    message: str
    fresh_seconds: Seconds


class Smoke(Frozen, frozen=True):
    """One request that shows that the service works: `GET path` answers `status`, and `contains` in its body."""

    path: UrlPath
    status: Annotated[int, Meta(ge=100, le=599)] = 200
    contains: str | None = None


OURS: Final = ("DB", "VERSION")
"""Bindings that every version has: the database, and the version's own id."""


class Api(Frozen, frozen=True):
    """The Worker: `build` prints one ES module on standard output.

    `variables` are texts, or what JSON can say. `kv` names the KV namespace behind each binding, `buckets` the R2
    bucket, which `ems-ops:buckets` declares, `analytics` a dataset of Analytics Engine, `limiters` what it asks by key.
    `secrets` are names only (`infra/dynamic/worker_secrets.py`), `routes` patterns (`example.com/api/*`) beside `host`.
    Limits need a paid plan; smart placement runs it near its data.
    """

    name: Name
    host: HostName
    build: Arguments
    compatibility_date: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    compatibility_flags: tuple[str, ...]
    crons: tuple[str, ...]
    variables: dict[str, Value]
    retry_after_seconds: Annotated[int, Meta(ge=0)]
    health: Health
    smoke: tuple[Smoke, ...]
    routes: tuple[Annotated[str, Meta(pattern=r"^[^\s/]+/\S*$")], ...] = ()
    kv: dict[BindingName, Name] = field(default_factory=dict)
    buckets: dict[BindingName, BucketName] = field(default_factory=dict)
    analytics: dict[BindingName, Dataset] = field(default_factory=dict)
    limiters: dict[BindingName, Limiter] = field(default_factory=dict)
    secrets: tuple[BindingName, ...] = ()
    cpu_milliseconds: Annotated[int, Meta(gt=0, le=300_000)] | None = None
    placement: Literal["smart"] | None = None

    def message(self, module: bytes) -> str:
        """Return how a version is called: by all that makes it run as it does. The same content, the same name."""
        bound = (sorted(self.variables.items()), sorted(self.kv.items()), sorted(self.buckets.items()))
        names = (self.compatibility_flags, *bound, sorted(self.secrets))
        limits = (self.compatibility_date, self.cpu_milliseconds, self.placement)
        later = (self.analytics, self.limiters)  # what makes no difference while it is not used
        whole = (module.rstrip(), names, limits, *([later] if any(later) else []))
        return f"app {hashlib.sha256(json.encode(whole, order='sorted')).hexdigest()[:12]}"

    def __post_init__(self) -> None:
        """Refuse two bindings of one name: the provider would keep one of them, and not say which."""
        names = [*OURS, *self.variables, *self.kv, *self.buckets, *self.analytics, *self.limiters, *self.secrets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            message = (
                "expected each name of a binding once in variables, kv, buckets, analytics, limiters and secrets, "
                f"got {twice[0]} again"
            )
            raise ValueError(message)


class Web(Frozen, frozen=True):
    """The Pages site: the files of `folder` as they are. `variables` are what its build and functions see."""

    name: Name
    host: HostName
    folder: FileName
    branch: str
    smoke: tuple[Smoke, ...]
    variables: dict[str, str] = field(default_factory=dict)
