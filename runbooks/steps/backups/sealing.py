"""Encrypt what leaves the database so that the machine that writes it cannot read it again.

Each backup has a fresh X25519 key; with the recipient's public key it gives, by HKDF-SHA256, one AES-256-GCM key a
file. A file is cut into pieces of 1 MiB; the nonce of a piece is its number and whether it is the last one (the STREAM
construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015), so a piece that is altered, moved, missing or added is
noticed. The private key of the recipient (EMS_BACKUP_KEY) is needed to read only. Who can write into the store can put
a backup of their own there: it is the proof (`invoke backup.verify`) that looks at what is in one.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from runbooks.model.errors import CheckError, Refused
from runbooks.steps.backups.catalog import Envelope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PIECE: Final = 1 << 20
TAG: Final = 16  # bytes that AES-GCM adds to each piece
PRIVATE: Final = "EMS_BACKUP_KEY"
SET_KEY: Final = "export EMS_BACKUP_KEY=…"
KEY: Final = 32  # bytes of a key, of each kind here


class Seal:
    """The keys of one backup, by file name."""

    def __init__(self, secret: bytes, envelope: Envelope) -> None:
        self.envelope = envelope
        self._secret = secret

    def encrypted(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a file's content encrypted."""
        key = self._key(name)
        for number, piece, last in _numbered(pieces, PIECE):
            yield key.encrypt(_nonce(number, last=last), piece, None)

    def decrypted(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield a file's content. Raises CheckError where it is not what was encrypted."""
        key = self._key(name)
        for number, piece, last in _numbered(pieces, PIECE + TAG):
            try:
                yield key.decrypt(_nonce(number, last=last), piece, None)
            except InvalidTag:
                message = f"{name}: piece {number} is not what was encrypted for {self.envelope.recipient}."
                raise CheckError(message) from None

    def _key(self, name: str) -> AESGCM:
        salt = (self.envelope.ephemeral + self.envelope.recipient).encode()
        return AESGCM(HKDF(SHA256(), KEY, salt, f"ems-ops backup {name}".encode()).derive(self._secret))


def seal_for(recipient: str) -> Seal:
    """Return a fresh seal that only the owner of the recipient's private key can open. Raises Refused."""
    own = X25519PrivateKey.generate()
    envelope = Envelope(recipient, _text(own.public_key().public_bytes_raw()))
    return Seal(_shared(own, recipient, "ems-ops:backups.encryption"), envelope)


def opened(envelope: Envelope, private_key: str | None) -> Seal:
    """Return the seal of a backup. Raises Refused without its private key, naming whose it is."""
    if not private_key:
        message = f"EMS_BACKUP_KEY is not set: this backup is encrypted for {envelope.recipient}."
        raise Refused(message, next_command=SET_KEY)
    own = X25519PrivateKey.from_private_bytes(_bytes(private_key, PRIVATE))
    if public_of(private_key) != envelope.recipient:
        message = (
            f"EMS_BACKUP_KEY: expected the private key of {envelope.recipient}, for which this backup is encrypted, "
            f"got that of {public_of(private_key)}."
        )
        raise Refused(message, next_command=SET_KEY)
    return Seal(_shared(own, envelope.ephemeral, "manifest"), envelope)


def _shared(own: X25519PrivateKey, public: str, where: str) -> bytes:
    """Return the secret of two keys. Raises Refused for a public key that every private one shares the same with."""
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(_bytes(public, where)))
    except ValueError:
        message = (
            f"{where}: expected the X25519 public key of whoever may read backups, got {public}, which is nobody's."
        )
        raise Refused(message, next_command="openssl rand -base64 32") from None


def public_of(private_key: str) -> str:
    """Return the public key of a private one, in base64: what the stack file holds. Raises Refused."""
    own = X25519PrivateKey.from_private_bytes(_bytes(private_key, PRIVATE))
    return _text(own.public_key().public_bytes_raw())


def _numbered(pieces: Iterable[bytes], size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Yield pieces of one size with their number and whether each is the last; an empty file is one empty piece."""
    rest, number = bytearray(), 0
    for piece in pieces:
        rest += piece
        while len(rest) > size:
            yield number, bytes(rest[:size]), False
            del rest[:size]
            number += 1
    yield number, bytes(rest), True


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _bytes(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY:
        message = f"{where}: expected an X25519 key, {KEY} bytes in base64, got something else."
        raise Refused(message, next_command=SET_KEY if where == PRIVATE else None)
    return key


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
