"""Secrets stay out, in whatever form they come."""

from __future__ import annotations

import base64
import html
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.engine.redaction import MARK, Redactor

SECRETS = (
    "cloudflare-token-0123456789",
    "sbp_" + "0a" * 20,
    'quo"ted\\back/slash',
    "it's <a> secret & more",
    "line one\nline two",
    "hundred%percent&more",
    "schlüssel-wört",
    "pa ss+word",
    "postgresql://owner:s3cret-word@db.example.com:5432/postgres",
)


def forms(secret: str) -> list[str]:
    """Return how a secret was seen to travel."""
    return [
        secret,
        f"Bearer {secret}.",
        quote(secret, safe=""),
        quote(secret, safe="").lower() if secret.isascii() and secret.islower() else secret,
        quote_plus(secret),
        json.dumps({"token": secret}),
        json.dumps({"token": secret}, ensure_ascii=False),
        json.dumps(json.dumps(secret)),
        repr(secret),
        repr(secret.encode()),
        html.escape(secret),
        html.escape(secret, quote=False),
        shlex.quote(secret),
        "'" + secret.replace("'", "''") + "'",
        secret.encode().hex(),
        secret.encode().hex().upper(),
        *(base64.b64encode(b"x" * pad + secret.encode() + b"tail").decode() for pad in range(4)),
        *(base64.urlsafe_b64encode(b"x" * pad + secret.encode() + b"tail").decode() for pad in range(4)),
    ]


@pytest.mark.parametrize("secret", SECRETS)
def test_every_form_is_hidden(secret: str) -> None:
    """A secret is found as it is, URL-encoded, JSON-escaped (twice too), in `repr`, HTML, hex, SQL, base64."""
    redact = Redactor(SECRETS)
    for form in forms(secret):
        text = redact(form)
        assert MARK in text, form
        assert secret not in text


def test_json_is_searched_throughout() -> None:
    """Keys and values at any depth are cleaned; what is clean stays as it is."""
    redact = Redactor(["topsecret"])
    assert redact({"a": ["x topsecret y", 1, None, {"topsecret": True}]}) == {
        "a": [f"x {MARK} y", 1, None, {MARK: True}]
    }
    assert redact.json(("topsecret", 2)) == [MARK, 2]
    assert redact.json({"a": (1, "clean")}) == {"a": [1, "clean"]}


def test_the_longer_secret_is_hidden_first() -> None:
    """Of two secrets, one inside the other, nothing of the longer one is left."""
    assert Redactor(["secret", "secret-and-more"])("a secret-and-more b") == f"a {MARK} b"


def test_short_secrets_are_counted_not_hidden() -> None:
    """A secret that is as short as a word would black out ordinary text: it is reported instead."""
    redact = Redactor(["", "abc", "abc", "12345", "long-enough"])
    assert redact.ignored == 2
    assert redact("abc 12345 long-enough") == f"abc 12345 {MARK}"


def test_no_secrets_no_change() -> None:
    """Without secrets everything passes as it is."""
    redact = Redactor([])
    assert redact("anything") == "anything"
    assert redact.json({"a": 1}) == {"a": 1}


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=6, max_size=40),
    st.binary(max_size=9),
    st.binary(max_size=9),
)
def test_any_secret_in_base64_is_hidden(secret: str, before: bytes, after: bytes) -> None:
    """Whatever the secret and wherever it stands, decoding what is left does not give it back."""
    left = Redactor([secret])(base64.b64encode(before + secret.encode() + after).decode())
    assert MARK in left
