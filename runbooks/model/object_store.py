"""The address of an ops home in an object store: `s3://bucket/prefix?endpoint=https://…&region=…`."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec

SCHEME: Final = "s3"
EXAMPLE: Final = "s3://bucket/prefix?endpoint=https://ACCOUNT.r2.cloudflarestorage.com&region=auto"
REGION: Final = "us-east-1"
"""The region where none is given; R2 takes it for its own (developers.cloudflare.com/r2/api/s3/api, 2026-11)."""

BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""What S3 and R2 both take for the name of a bucket."""
PREFIX: Final = re.compile(r"([A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?")
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class ObjectStore(msgspec.Struct, frozen=True):
    """Where an ops home lies. `endpoint` is None for Amazon's own store; `prefix` may be empty."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str

    @property
    def label(self) -> str:
        """Return it as the name of a folder."""
        return "+".join(filter(None, (self.bucket, *self.prefix.split("/"))))


def object_store(ops_home: str) -> ObjectStore | None:
    """Return where the ops home lies; None for a folder. Raises ValueError that says what is wrong with an address."""
    if "://" not in ops_home:
        return None
    parts = urlsplit(ops_home)
    known = parse_qs(parts.query, keep_blank_values=True)
    expected = f"expected a folder, or an address like {EXAMPLE}"
    if parts.scheme != SCHEME or parts.fragment or not BUCKET.fullmatch(parts.netloc):
        raise ValueError(expected)
    prefix = parts.path.strip("/")
    if not PREFIX.fullmatch(prefix):
        message = f"the prefix {prefix} holds something else than letters, digits, `.`, `_` and `-` between slashes"
        raise ValueError(message)
    if astray := sorted(known.keys() - {"endpoint", "region"}):
        message = f"{astray[0]} is not known there; {expected}"
        raise ValueError(message)
    endpoint = known.get("endpoint", [None])[-1]
    return ObjectStore(parts.netloc, prefix, _checked(endpoint), known.get("region", [REGION])[-1])


def below(store: ObjectStore, folder: str) -> ObjectStore:
    """Return the place of a folder in this one."""
    return msgspec.structs.replace(store, prefix="/".join(filter(None, (store.prefix, folder))))


def _checked(endpoint: str | None) -> str | None:
    """Return the store's own address without a last slash. Raises ValueError unless it is https, or on this machine."""
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (safe and parts.hostname) or "@" in parts.netloc or parts.path.strip("/") or parts.query:
        message = "its endpoint is not an address like https://ACCOUNT.r2.cloudflarestorage.com"
        raise ValueError(message)
    return endpoint.rstrip("/")
