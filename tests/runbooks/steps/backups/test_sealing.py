"""What is encrypted for somebody is read by them alone, and whole or not at all."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.model.errors import CheckError, Refused
from runbooks.steps.backups.sealing import PIECE, TAG, opened, public_of, seal_for


def private_key() -> str:
    """Make a key as `openssl rand -base64 32` does."""
    return base64.b64encode(os.urandom(32)).decode()


@settings(max_examples=30, deadline=None)
@given(
    size=st.sampled_from([0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 7]),
    cut=st.integers(min_value=1, max_value=3 * PIECE),
)
def test_what_was_encrypted_comes_back(size: int, cut: int) -> None:
    """Whatever the size, and however its pieces arrive."""
    key, content = private_key(), os.urandom(size)
    seal = seal_for(public_of(key))
    sent = b"".join(seal.encrypted("dump/1.dat", [content]))
    assert len(sent) == size + TAG * max(1, -(-size // PIECE))
    arrived = [sent[at : at + cut] for at in range(0, len(sent), cut)]
    assert b"".join(opened(seal.envelope, key).decrypted("dump/1.dat", arrived)) == content


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda sent: sent[:-1],
        lambda sent: sent[: PIECE + TAG],
        lambda sent: sent + b"x",
        lambda sent: sent[PIECE + TAG :],
        lambda sent: sent[PIECE + TAG : 2 * (PIECE + TAG)] + sent[: PIECE + TAG] + sent[2 * (PIECE + TAG) :],
        lambda sent: bytes([sent[0] ^ 1]) + sent[1:],
    ],
    ids=["cut", "end missing", "added", "beginning missing", "moved", "flipped"],
)
def test_what_was_altered_is_noticed(spoilt: type[bytes]) -> None:
    """A piece that is cut, missing, added, moved or altered never becomes content."""
    key = private_key()
    seal = seal_for(public_of(key))
    sent = b"".join(seal.encrypted("dump/1.dat", [os.urandom(3 * PIECE)]))
    with pytest.raises(CheckError, match=r"dump/1.dat: piece \d is not what was encrypted for "):
        list(opened(seal.envelope, key).decrypted("dump/1.dat", [spoilt(sent)]))


def test_a_file_does_not_stand_for_another() -> None:
    """Two files of one backup cannot be exchanged."""
    key = private_key()
    seal = seal_for(public_of(key))
    sent = b"".join(seal.encrypted("dump/1.dat", [b"rows"]))
    with pytest.raises(CheckError, match=r"dump/2\.dat: piece 0 is not what was encrypted"):
        list(opened(seal.envelope, key).decrypted("dump/2.dat", [sent]))


def test_another_key_is_refused_with_whose_it_is() -> None:
    """The refusal names the public key that is needed and the one that was given, never a private one."""
    key, other = private_key(), private_key()
    seal = seal_for(public_of(key))
    with pytest.raises(Refused) as raised:
        opened(seal.envelope, other)
    assert str(raised.value) == (
        f"EMS_BACKUP_KEY: expected the private key of {public_of(key)}, for which this backup is encrypted, "
        f"got that of {public_of(other)}."
    )
    with pytest.raises(Refused, match="EMS_BACKUP_KEY is not set: this backup is encrypted for"):
        opened(seal.envelope, None)
    with pytest.raises(Refused, match="EMS_BACKUP_KEY: expected an X25519 key, 32 bytes in base64"):
        opened(seal.envelope, "abc")


def test_a_public_key_that_is_nobodys_is_refused() -> None:
    """Every private key shares the same secret with it: whoever knows that could read the backup."""
    with pytest.raises(Refused, match="expected the X25519 public key of whoever may read backups"):
        seal_for("A" * 43 + "=")
