"""Sign how a run ended (Ed25519), so that a chain that was altered and hashed anew as a whole is noticed too.

A signature is an object beside the journal, `runs/<run>/signatures/<entries>.json`: run, number of entries, hash of
the last one, public key and signature, both in base64. It is made over the canonical JSON of the first three.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from runbooks.engine.record.home import signatures_of
from runbooks.model.canonical import canonical, plain
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runbooks.engine.record.entry import Entry
    from runbooks.engine.record.home import Home

KEY_BYTES: Final = 32
"""Size of an Ed25519 key, private as public (RFC 8032, section 5.1.5)."""


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says that the journal of `run` had so many entries, the last of them with the hash `head`."""

    run: str
    entries: int
    head: str
    key: str
    signature: str


class Signer:
    """Signs with a private key: 32 bytes in base64. Raises Refused when it is none."""

    def __init__(self, key: str) -> None:
        try:
            octets = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            octets = b""
        if len(octets) != KEY_BYTES:
            message = f"EMS_SIGNING_KEY: expected {KEY_BYTES} bytes in base64, got {len(key)} characters that are not"
            raise Refused(message, next_command="unset EMS_SIGNING_KEY")
        self._key = Ed25519PrivateKey.from_private_bytes(octets)

    @property
    def public(self) -> str:
        """The public key in base64, as the stack file's signers hold it."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, home: Home, run: str, *, entries: int, head: str) -> bool:
        """Put a signature beside the journal; say False when there is one of this end already. Raises OSError."""
        made = base64.b64encode(self._key.sign(_said(run, entries, head))).decode()
        content = canonical(plain(Signature(run, entries, head, self.public, made)))
        return home.put_new(f"{signatures_of(run)}/{entries:08d}.json", content)


def who_signed(
    signatures: Mapping[str, bytes], entries: Sequence[Entry], *, run: str, signers: Mapping[str, str]
) -> str:
    """Return who signed the last entry: a name of `signers`, or the key itself where there are none.

    Raises Refused naming the signature that fits neither its key nor the entries, or is of another run.
    """
    names = {key: name for name, key in signers.items()}
    signed_by = ""
    for where, content in signatures.items():
        one = _read(content, where=where)
        if one.run != run:
            message = f"{where}: signed for run {one.run}, and lies beside the journal of {run}"
            raise Refused(message)
        if one.entries > len(entries) or entries[one.entries - 1].hash != one.head:
            message = f"{where}: entry {one.entries} is not the one that was signed; the journal was altered"
            raise Refused(message)
        known = names.get(one.key, "" if signers else one.key)
        if one.entries == len(entries):
            signed_by = signed_by or known
    return signed_by


def _read(content: bytes, *, where: str) -> Signature:
    """Return a signature that its key really made."""
    try:
        one = msgspec.json.decode(content, type=Signature)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(one.key, validate=True))
        key.verify(base64.b64decode(one.signature, validate=True), _said(one.run, one.entries, one.head))
        right = one.entries > 0
    except (msgspec.MsgspecError, ValueError, InvalidSignature):
        right = False
    if not right:
        message = f"{where}: not a signature, or not made by the key that it names"
        raise Refused(message)
    return one


def _said(run: str, entries: int, head: str) -> bytes:
    return canonical({"entries": entries, "head": head, "run": run})
