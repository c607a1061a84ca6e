"""An ops home in an object store that speaks S3: a name is a key below a prefix, a log is one object an entry.

Entries are put only if absent, so of two writers one is told so: nothing is ever written over
(S3: `If-None-Match: *`, since 2024; R2: the same header).
"""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obstore.store import ClientConfig, S3Config

CLAIM: Final = 0
"""The number under which a log is claimed; entries count from 1."""

NUMBER: Final = re.compile(r"[0-9]{8}")
"""How the object of an entry is named. Whatever else lies in a log's place is none."""

AT_ONCE: Final = 16
"""Entries that are read at the same time."""

REFUSED: Final = re.compile(r"status code: 4(?!08|29)\d\d")
"""How the store's library words an answer that asking again would not change."""

CODE: Final = re.compile(r"<Code>(\w+)</Code>")
"""Where an answer of S3 says what is wrong, in one word."""


class Bucket:
    """An ops home in `bucket`, below `prefix` where there is one.

    `endpoint` is the store's address where it is not Amazon's own; only one that begins with `http:` is spoken to
    without TLS. Every failure is an OSError; a ConnectionError when the store did not answer, or not sensibly.
    """

    patience = timedelta(seconds=10)
    """How long one request may take."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str,
        key_id: str,
        secret_key: str,
        session_token: str | None = None,
    ) -> None:
        self._url = "/".join(("s3:/", bucket, *filter(None, (prefix,))))
        config: S3Config = {"region": region, "access_key_id": key_id, "secret_access_key": secret_key}
        if endpoint:
            config["endpoint"] = endpoint
        if session_token:
            config["session_token"] = session_token
        client: ClientConfig = {
            "allow_http": urlsplit(endpoint or "").scheme == "http",
            "connect_timeout": timedelta(seconds=3),
            "timeout": self.patience,
        }
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=client,
            retry_config={"max_retries": 2, "retry_timeout": self.patience},
        )

    def where(self, name: str) -> str:
        """Return the address of an object, or of the objects of a log."""
        return f"{self._url}/{name}"

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder: objects and prefixes."""
        with told():
            found = obstore.list_with_delimiter(self._store, folder or None)
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return sorted({path.rpartition("/")[2] for path in paths})

    def exists(self, name: str) -> bool:
        """Ask for the head of the object."""
        try:
            with told():
                obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def get(self, name: str) -> bytes | None:
        """Return the object's bytes."""
        try:
            with told():
                return obstore.get(self._store, name).bytes().to_bytes()
        except FileNotFoundError:
            return None

    def put_new(self, name: str, content: bytes) -> bool:
        """Put it if absent. Where there is one with this very content it was us: the answer to a put was lost."""
        try:
            with told():
                obstore.put(self._store, name, content, mode="create", use_multipart=False)
        except FileExistsError:
            return self.get(name) == content
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Put it over what is there."""
        with told():
            obstore.put(self._store, name, content, use_multipart=False)

    def claim_log(self, name: str) -> bool:
        """Put the object that stands before its entries."""
        return self.put_new(_entry(name, CLAIM), secrets.token_hex(16).encode())

    def abandon_log(self, name: str) -> None:
        """Delete the object that stands before its entries."""
        with told():
            obstore.delete(self._store, _entry(name, CLAIM))

    def read_log(self, name: str) -> bytes:
        """Return the content of all entries, in order."""
        entries = [_entry(name, number) for number, _ in self._entries(name)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return b"".join(content or b"" for content in pool.map(self.get, entries))

    def open_log(self, name: str, *, size: int) -> BucketLog:
        """Open the end after the entries that are `size` bytes together. Raises OSError when there are others."""
        entries = self._entries(name)
        if sum(length for _, length in entries) != size:
            raise _written_to(self.where(name))
        return BucketLog(self, name, last=entries[-1][0] if entries else CLAIM)

    def _entries(self, name: str) -> list[tuple[int, int]]:
        """Return the numbers of a log's entries and their sizes in bytes."""
        with told():
            found = [item for page in obstore.list(self._store, name) for item in page]
        sizes = {item["path"].rpartition("/")[2]: item["size"] for item in found}
        entries = [(int(number), size) for number, size in sizes.items() if NUMBER.fullmatch(number)]
        return sorted((number, size) for number, size in entries if number != CLAIM)


class BucketLog:
    """The end of a log. Whoever knows of fewer entries than there are cannot add one."""

    def __init__(self, bucket: Bucket, name: str, *, last: int) -> None:
        self._bucket = bucket
        self._name = name
        self._last = last

    def append(self, line: bytes, *, durable: bool) -> None:  # noqa: ARG002 - what is put is lasting
        """Put one entry. Raises OSError: a FileExistsError when somebody else has written it."""
        if not self._bucket.put_new(_entry(self._name, self._last + 1), line):
            raise _written_to(self._bucket.where(_entry(self._name, self._last + 1)))
        self._last += 1

    def close(self) -> None:
        """Nothing is open."""


def _entry(name: str, number: int) -> str:
    return f"{name}/{number:08d}"


def _written_to(where: str) -> FileExistsError:
    return FileExistsError(f"another process has written to it: {where}")


@contextmanager
def told() -> Iterator[None]:
    """Turn what the store's library raises into the OSError that says the same in one line."""
    try:
        yield
    except BaseError as error:
        text = _in_one_line(error)
        if isinstance(error, AlreadyExistsError):
            raise FileExistsError(text) from None
        if isinstance(error, GenericError) and not REFUSED.search(text):
            raise ConnectionError(text) from None
        raise OSError(text) from None
    except FileNotFoundError as error:
        raise FileNotFoundError(_in_one_line(error)) from None


def _in_one_line(error: Exception) -> str:
    """Return what went wrong, with the store's own code instead of its XML."""
    text = str(error).partition("\n")[0].partition("<?xml")[0].rstrip(": ")
    code = CODE.search(str(error))
    return f"{text}: {code[1]}" if code else text
