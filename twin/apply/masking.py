"""Keep secrets out of what is written: their places stay visible, their values become keyed hashes."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any, Final

from pulumi.output import Unknown

from twin.apply.errors import ApplyError

if TYPE_CHECKING:
    from pathlib import Path

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi's wire format marks a value that is not plain (sdk/python/lib/pulumi/runtime/rpc.py)."""
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark of the wire format
UNKNOWN: Final = "\N{HORIZONTAL ELLIPSIS}unknown until it is made\N{HORIZONTAL ELLIPSIS}"
KEY_BYTES: Final = 32


class Masker:
    """Replace secret values by hashes under a key of this state folder: comparable, and good for nothing else."""

    def __init__(self, key: bytes) -> None:
        """Take the key that `load_key` keeps."""
        self._key = key

    def mask(self, value: object, *, secret: bool = False) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return `value` as JSON that may be written: every leaf below a secret mark is hashed."""
        if isinstance(value, Unknown):
            return UNKNOWN
        if isinstance(value, dict):
            if value.get(SIGNATURE) == SECRET:
                return self.mask(value.get("value"), secret=True)
            return {key: self.mask(inner, secret=secret) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.mask(inner, secret=secret) for inner in value]
        if not isinstance(value, str | int | float | bool | None):
            message = f"expected JSON, got {type(value).__name__}: assets and archives are not applied"
            raise ApplyError(message)
        if secret:
            return "hmac-sha256:" + hmac.new(self._key, json.dumps(value).encode(), hashlib.sha256).hexdigest()
        return value


def unmark(value: object) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return `value` without marks: secrets as they are, for the request that needs them."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return unmark(value.get("value"))
        return {key: unmark(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [unmark(inner) for inner in value]
    return value


def veil(value: object) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return `value` as `pulumi stack output` prints it: secrets as `[secret]`."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return "[secret]"
        return {key: veil(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [veil(inner) for inner in value]
    return None if isinstance(value, Unknown) else value


def load_key(file: Path) -> bytes:
    """Return the key of a state folder; made at the first use, readable by the owner only."""
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        key = file.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    file.write_bytes(key := secrets.token_bytes(KEY_BYTES))
    return key
