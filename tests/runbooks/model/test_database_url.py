"""The address of the database: what is none is refused by name, and no password in it is ever shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runbooks.model.database_url import is_database_url, passwords_in
from runbooks.model.errors import Refused
from runbooks.model.settings import load

if TYPE_CHECKING:
    from pathlib import Path

WRONG = ("host=db port=5432 password=s3cret-word dbname=x", "postgresql://u:s3cret-word@h:port/x",
         "postgresql://u:s3cret-word@[bad/x", "mysql://u:s3cret-word@h/x", "s3cret-word")  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_address_is_refused(root: Path, url: str) -> None:
    """One sentence with what is expected, without the value; commands that do not need it go on."""
    settings = load("prod", root=root, environ={"EMS_DATABASE_URL": url})
    assert any(secret in url for secret in settings.secrets())
    with pytest.raises(Refused, match="EMS_DATABASE_URL: expected postgresql://user:password@host") as caught:
        settings.require("EMS_DATABASE_URL")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://u:s3cret%2Fword@h:5432/x", "s3cret/word"),
        ("postgresql://u:s3cret@word@h/x?options=a", "s3cret@word"),
        ("postgresql://u:s3cret-word@h/x?application_name=a@b", "s3cret-word"),
        ("postgresql://u:s3cret-word@[::1]:5432/x", "s3cret-word"),
        ("password='s3cret word' host=h", "s3cret word"),
    ],
)
def test_its_password_is_known(url: str, password: str) -> None:
    """Also one with signs that should be written otherwise: it is among what is hidden."""
    assert password in passwords_in(url)


def test_addresses_are_addresses() -> None:
    """Both schemes, a port or none, IPv6, a socket."""
    for url in ("postgres://u:p@h/x", "postgresql://u@h:1/x", "postgresql://u@[::1]:5432/x", "postgresql:///x"):
        assert is_database_url(url)
