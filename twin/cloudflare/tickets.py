"""Sign what uploads are allowed by: JSON web tokens that name what they are for and end soon."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twin.cloudflare.errors import Json
    from twin.cloudflare.store import Store


def issue(store: Store, payload: Json, *, seconds: int) -> str:
    """Return a token with this payload that is good for so long."""
    now = int(time.time())
    whole = {"iat": now, "exp": now + seconds, **payload}
    text = encode(b'{"alg":"HS256","typ":"JWT"}') + "." + encode(json.dumps(whole).encode())
    return f"{text}.{sign(store, text)}"


def read(store: Store, token: str) -> Json | None:
    """Return the payload of a token of ours that has not ended."""
    text, _, signature = token.rpartition(".")
    if not text or not hmac.compare_digest(signature.encode(), sign(store, text).encode()):
        return None
    body = text.rpartition(".")[2]
    payload: Json = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return payload if payload.get("exp", 0) > time.time() else None


def sign(store: Store, text: str) -> str:
    """Return the signature of a token's first two parts."""
    return encode(hmac.digest(bytes.fromhex(store.data["signing_key"]), text.encode(), hashlib.sha256))


def encode(part: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(part).decode().rstrip("=")
