"""Keep the objects of R2 buckets in one SQLite file: what Workers' bindings and the REST API both read and write.

Source of the rules: miniflare's bucket.worker.ts, read 2026-11-28. What is refused carries R2's own code.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import sqlite3
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONGEST_LIST = 1000
LONGEST_KEY, LARGEST_METADATA = 1024, 2048  # bytes
SMALLEST_PART = 5 << 20  # bytes, of every part of an upload but the last
_COLUMNS = "name, version, etag, uploaded, http, custom, checksums, class, size"


class RefusedError(Exception):
    """What R2 does not do, with HTTP status and R2's code."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


NO_KEY = (404, 10007, "The specified key does not exist.")
LOCKED = (409, 10069, "The object is locked by the bucket policy.")
NO_UPLOAD = (400, 10024, "The specified multipart upload does not exist.")
NO_PART = (400, 10025, "One or more of the specified parts could not be found.")


@dataclass(frozen=True)
class About:
    """What an object is called and what is known of it; `uploaded` in milliseconds since 1970."""

    name: str
    http: dict[str, str]
    custom: dict[str, str]
    storage_class: str = "Standard"
    version: str = ""
    etag: str = ""
    uploaded: int = 0
    checksums: dict[str, str] | None = None
    size: int = 0


class Listing(NamedTuple):
    """A page of a list: objects, common prefixes, and the name to go on after (None: that was all)."""

    objects: list[About]
    prefixes: list[str]
    after: str | None


class Objects:
    """All buckets of the account."""

    def __init__(self, file: Path, locks: Callable[[str], list[dict[str, Any]]] = lambda _: []) -> None:
        """Open the file; `locks` gives the lock rules of a bucket."""
        self._locks = locks
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.executescript("""
            pragma journal_mode = wal;
            pragma synchronous = off;
            create table if not exists objects (
              bucket text, name text, version text, etag text, uploaded integer, http text, custom text,
              checksums text, class text, size integer, body blob, primary key (bucket, name));
            create table if not exists uploads (id text primary key, bucket text, name text, about text);
            create table if not exists parts (upload text, number integer, etag text, body blob,
              primary key (upload, number));
        """)

    def head(self, bucket: str, name: str) -> About | None:
        """Return what is known of an object."""
        rows = self._database.execute(
            f"select {_COLUMNS} from objects where bucket = ? and name = ?",  # noqa: S608 - our own column names
            (bucket, name),
        )
        row = rows.fetchone()
        return None if row is None else _about(row)

    def body(self, bucket: str, name: str) -> bytes:
        """Return the bytes of an object that is there."""
        rows = self._database.execute("select body from objects where bucket = ? and name = ?", (bucket, name))
        return bytes(rows.fetchone()[0])

    def put(self, bucket: str, about: About, body: bytes, *, etag: str | None = None) -> About:
        """Write an object over what was there and return it with its version, etag, size and time."""
        _check(about)
        self._unlocked(bucket, about.name)
        whole = replace(
            about,
            version=secrets.token_hex(16),
            etag=etag or hashlib.md5(body, usedforsecurity=False).hexdigest(),
            uploaded=int(time.time() * 1000),
            size=len(body),
        )
        self._database.execute(
            "insert or replace into objects values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(bucket, whole.name, whole.version, whole.etag, whole.uploaded),
                *(json.dumps(whole.http), json.dumps(whole.custom), json.dumps(whole.checksums or {})),
                *(whole.storage_class, whole.size, body),
            ),
        )
        return whole

    def delete(self, bucket: str, *names: str) -> None:
        """Remove objects, those that are there."""
        for name in names:
            self._unlocked(bucket, name)
        for name in names:
            self._database.execute("delete from objects where bucket = ? and name = ?", (bucket, name))

    def count(self, bucket: str) -> int:
        """Return how many objects a bucket has."""
        return int(self._database.execute("select count(*) from objects where bucket = ?", (bucket,)).fetchone()[0])

    def listed(
        self, bucket: str, *, prefix: str = "", after: str = "", delimiter: str = "", limit: int = LONGEST_LIST
    ) -> Listing:
        """Return objects by name; names that go on after the delimiter are told once, as their common prefix."""
        rows = self._database.execute(
            f"select {_COLUMNS} from objects where bucket = ? and name > ? and substr(name, 1, ?) = ?"  # noqa: S608
            " order by name",
            (bucket, after, len(prefix), prefix),
        )
        objects: list[About] = []
        prefixes: list[str] = []
        last = after
        for row in rows:
            about = _about(row)
            start, found, _ = about.name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            shared = prefix + start + found if found else None
            if shared is not None and shared in prefixes[-1:]:
                last = about.name
                continue
            if len(objects) + len(prefixes) == limit:
                return Listing(objects, prefixes, last)
            last = about.name
            if shared is None:
                objects.append(about)
            else:
                prefixes.append(shared)
        return Listing(objects, prefixes, None)

    def begin(self, bucket: str, about: About) -> str:
        """Begin an upload in parts and return its id."""
        _check(about)
        upload = secrets.token_urlsafe(64)
        kept = json.dumps({"http": about.http, "custom": about.custom})
        self._database.execute("insert into uploads values (?, ?, ?, ?)", (upload, bucket, about.name, kept))
        return upload

    def add(self, bucket: str, name: str, upload: str, number: int, body: bytes) -> str:
        """Keep one part and return its etag."""
        self._upload(bucket, name, upload)
        etag = secrets.token_urlsafe(32)
        self._database.execute("insert or replace into parts values (?, ?, ?, ?)", (upload, number, etag, body))
        return etag

    def complete(self, bucket: str, name: str, upload: str, chosen: list[tuple[int, str]]) -> About:
        """Make the chosen parts (number and etag) one object."""
        about = self._upload(bucket, name, upload)
        parts = []
        for number, etag in sorted(chosen):
            row = self._database.execute(
                "select etag, body from parts where upload = ? and number = ?", (upload, number)
            ).fetchone()
            if row is None or row[0] != etag:
                raise RefusedError(*NO_PART)
            parts.append(bytes(row[1]))
        if any(len(part) < SMALLEST_PART for part in parts[:-1]):
            text = "Your proposed upload is smaller than the minimum allowed object size."
            raise RefusedError(400, 10011, text)
        digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        made = self.put(bucket, about, b"".join(parts), etag=etag)
        self.abort(bucket, name, upload)
        return made

    def abort(self, bucket: str, name: str, upload: str) -> None:
        """Forget an upload with its parts."""
        self._upload(bucket, name, upload)
        self._database.execute("delete from parts where upload = ?", (upload,))
        self._database.execute("delete from uploads where id = ?", (upload,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _unlocked(self, bucket: str, name: str) -> None:
        """Refuse to replace or remove an object that a lock rule of its bucket holds."""
        rules = [r for r in self._locks(bucket) if r.get("enabled") and name.startswith(r.get("prefix") or "")]
        there = self.head(bucket, name) if rules else None
        if there is not None and any(_holds(rule["condition"], there.uploaded / 1000) for rule in rules):
            raise RefusedError(*LOCKED)

    def _upload(self, bucket: str, name: str, upload: str) -> About:
        row = self._database.execute(
            "select about from uploads where id = ? and bucket = ? and name = ?", (upload, bucket, name)
        ).fetchone()
        if row is None:
            raise RefusedError(*NO_UPLOAD)
        kept = json.loads(row[0])
        return About(name, kept["http"], kept["custom"])


def _about(row: tuple[str, str, str, int, str, str, str, str, int]) -> About:
    name, version, etag, uploaded, http, custom, checksums, storage_class, size = row
    texts = {"http": json.loads(http), "custom": json.loads(custom), "checksums": json.loads(checksums)}
    return About(name, storage_class=storage_class, version=version, etag=etag, uploaded=uploaded, size=size, **texts)


def _holds(condition: dict[str, Any], uploaded: float) -> bool:
    if condition["type"] == "Age":
        return time.time() < uploaded + float(condition["maxAgeSeconds"])
    if condition["type"] == "Date":
        until = datetime.fromisoformat(condition["date"])
        return datetime.now(UTC) < (until if until.tzinfo else until.replace(tzinfo=UTC))
    return True


def _check(about: About) -> None:
    if not about.name or len(about.name.encode()) > LONGEST_KEY:
        raise RefusedError(400, 10020, "The specified object name is not valid.")
    if sum(len((key + value).encode()) for key, value in about.custom.items()) > LARGEST_METADATA:
        raise RefusedError(400, 10012, "Your metadata headers exceed the maximum allowed metadata size.")
