"""The kinds of values that stack files are made of."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

HostName = Annotated[str, Meta(pattern=r"^(?=.{1,253}$)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$")]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
UrlPath = Annotated[str, Meta(pattern=r"^/")]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s]+$")]
Seconds = Annotated[float, Meta(gt=0)]
PublicKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=$")]
"""An Ed25519 public key in base64."""
BookName = Literal["deploy", "restore", "rollback"]
Port = Annotated[int, Meta(ge=0, le=65535)]
Arguments = tuple[str, ...]
"""A command as an argument list; `python` as its first word means the interpreter that runs us."""


class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Refuse unknown keys and later changes: what all parts of a stack file have in common."""
