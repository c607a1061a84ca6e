"""Keep KV namespaces in one SQLite file: what Workers' bindings and the REST API both read and write.

Source of the binding's protocol: miniflare's namespace.worker.ts, read 2026-11-23.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_LIST = 1000
LONGEST_KEY, LONGEST_METADATA, LONGEST_VALUE = 512, 1024, 25 << 20  # bytes
MOST_READ = 100  # keys of one bulk read
_SHORTEST_LIFE = 60  # seconds


class RefusedError(Exception):
    """What KV does not take, with the HTTP status that it answers."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Entry:
    """One key: its bytes, its metadata as JSON text or None, its Unix time of expiry or None."""

    name: str
    value: bytes
    metadata: str | None
    expires: float | None


def entry(
    name: str, value: bytes, metadata: str | None, *, expiration: str | None = None, ttl: str | None = None
) -> Entry:
    """Return a checked entry; RefusedError for what is too long or would expire too soon.

    `expiration` is a Unix time, `ttl` a number of seconds, both as they were sent.
    """
    check_key(name)
    if metadata is not None and len(metadata.encode()) > LONGEST_METADATA:
        raise RefusedError(413, f"Metadata length of {len(metadata.encode())} exceeds limit of {LONGEST_METADATA}.")
    if len(value) > LONGEST_VALUE:
        raise RefusedError(413, f"Value length of {len(value)} exceeds limit of {LONGEST_VALUE}.")
    return Entry(name, value, metadata, _end(expiration, ttl))


def check_key(name: str) -> None:
    """Refuse a name that no key can have."""
    if not name:
        raise RefusedError(400, "Key names must not be empty")
    if name in {".", ".."}:
        raise RefusedError(400, f'Illegal key name "{name}". Please use a different name.')
    length = len(name.encode())
    if length > LONGEST_KEY:
        raise RefusedError(414, f"UTF-8 encoded length of {length} exceeds key length limit of {LONGEST_KEY}.")


def _end(expiration: str | None, ttl: str | None) -> float | None:
    now = time.time()
    if ttl is not None:
        if not ttl.isdecimal() or int(ttl) == 0:
            raise RefusedError(400, f"Invalid expiration_ttl of {ttl}. Please specify integer greater than 0.")
        if int(ttl) < _SHORTEST_LIFE:
            text = f"Invalid expiration_ttl of {ttl}. Expiration TTL must be at least {_SHORTEST_LIFE}."
            raise RefusedError(400, text)
        return now + int(ttl)
    if expiration is None:
        return None
    if not expiration.isdecimal() or int(expiration) < now + _SHORTEST_LIFE:
        text = (
            f"Invalid expiration of {expiration}. Expiration times must be at least {_SHORTEST_LIFE} seconds in the "
            "future."
        )
        raise RefusedError(400, text)
    return float(expiration)


class KeyValues:
    """All namespaces of the account."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.executescript("""
            pragma journal_mode = wal;
            pragma synchronous = off;
            create table if not exists entries (
              namespace text, name text, value blob, metadata text, expires real, primary key (namespace, name));
        """)

    def get(self, namespace: str, name: str) -> Entry | None:
        """Return an entry that has not expired."""
        row = self._database.execute(
            "select name, value, metadata, expires from entries where namespace = ? and name = ?"
            " and (expires is null or expires > ?)",
            (namespace, name, time.time()),
        ).fetchone()
        return None if row is None else Entry(*row)

    def put(self, namespace: str, entry: Entry) -> None:
        """Write an entry over what was there."""
        self._database.execute(
            "insert or replace into entries values (?, ?, ?, ?, ?)",
            (namespace, entry.name, entry.value, entry.metadata, entry.expires),
        )

    def put_all(self, namespace: str, entries: list[Entry]) -> None:
        """Write all entries or none."""
        self._database.execute("begin")
        with self._database:
            for one in entries:
                self.put(namespace, one)

    def forget(self, namespace: str) -> None:
        """Remove all entries of a namespace."""
        self._database.execute("delete from entries where namespace = ?", (namespace,))

    def delete(self, namespace: str, name: str) -> None:
        """Remove an entry, if it is there."""
        self._database.execute("delete from entries where namespace = ? and name = ?", (namespace, name))

    def listed(self, namespace: str, *, prefix: str = "", after: str = "", limit: int = LONGEST_LIST) -> list[Entry]:
        """Return entries in the order of their names, without their values."""
        rows = self._database.execute(
            "select name, x'', metadata, expires from entries where namespace = ? and name > ?"
            " and substr(name, 1, ?) = ? and (expires is null or expires > ?) order by name limit ?",
            (namespace, after, len(prefix), prefix, time.time(), limit),
        ).fetchall()
        return [Entry(*row) for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


async def answer(store: KeyValues, namespace: str, request: web.Request) -> web.Response:
    """Answer one request of a KV binding."""
    name = unquote(request.rel_url.raw_path[1:])
    try:
        match request.method:
            case "GET" if not name:
                return _list(store, namespace, request)
            case "GET":
                return _show(store.get(namespace, name))
            case "PUT":
                expiration, ttl = request.query.get("expiration"), request.query.get("expiration_ttl")
                metadata = request.headers.get("CF-KV-Metadata")
                store.put(namespace, entry(name, await request.read(), metadata, expiration=expiration, ttl=ttl))
            case "DELETE":
                store.delete(namespace, name)
            case "POST" if name == "bulk/get":
                return _read_all(store, namespace, await request.json())
            case _:
                return web.Response(status=501, text="this KV call is not there: see twin/workerd/kv.py")
    except RefusedError as refused:
        return web.Response(status=refused.status, reason=str(refused), text=str(refused))
    return web.Response()


def _show(found: Entry | None) -> web.Response:
    if found is None:
        return web.Response(status=404, text="Not Found")
    about = {} if found.metadata is None else {"CF-KV-Metadata": found.metadata}
    if found.expires is not None:
        about["CF-Expiration"] = str(int(found.expires))
    return web.Response(body=found.value, headers=about)


def _read_all(store: KeyValues, namespace: str, sent: dict[str, Any]) -> web.Response:
    values = read_all(store, namespace, sent["keys"], kind=sent.get("type") or "text")
    whole = bool(sent.get("withMetadata"))
    return web.json_response(
        {
            name: None if one is None else {"value": one[0], "metadata": one[1]} if whole else one[0]
            for name, one in values.items()
        }
    )


def read_all(
    store: KeyValues, namespace: str, names: list[str], *, kind: str
) -> dict[str, tuple[object, object, float | None] | None]:
    """Return value, metadata and expiry of many keys, None for one that is not there; values as text or JSON."""
    if kind not in {"text", "json"}:
        raise RefusedError(400, f'"{kind}" is not a valid type. Use "json" or "text"')
    if len(names) > MOST_READ:
        raise RefusedError(400, f"You can request a maximum of {MOST_READ} keys")
    if not names:
        raise RefusedError(400, "You must request a minimum of 1 key")
    read: dict[str, tuple[object, object, float | None] | None] = {}
    for name in names:
        check_key(name)
        found = store.get(namespace, name)
        if found is None:
            read[name] = None
            continue
        text = found.value.decode("utf-8", "replace")
        try:
            value = json.loads(text) if kind == "json" else text
        except ValueError:
            raise RefusedError(400, f"At least one of the requested keys corresponds to a non-{kind} value") from None
        read[name] = (value, None if found.metadata is None else json.loads(found.metadata), found.expires)
    return read


def _list(store: KeyValues, namespace: str, request: web.Request) -> web.Response:
    limit = min(int(request.query.get("key_count_limit", LONGEST_LIST)), LONGEST_LIST)
    found = store.listed(
        namespace,
        prefix=request.query.get("prefix", ""),
        after=request.query.get("cursor", ""),
        limit=limit + 1,
    )
    keys = [
        {"name": one.name}
        | ({} if one.expires is None else {"expiration": int(one.expires)})
        | ({} if one.metadata is None else {"metadata": one.metadata})
        for one in found[:limit]
    ]
    more = len(found) > limit
    listing = {"keys": keys, "list_complete": not more, "cacheStatus": None}
    if more:
        listing["cursor"] = found[limit - 1].name
    return web.Response(text=json.dumps(listing), content_type="application/json")
