"""Keep KV namespaces in one SQLite file: what Workers' bindings and the REST API both read and write.

Source of the binding's protocol: miniflare's namespace.worker.ts, read 2026-11-23.
"""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_LIST = 1000


@dataclass(frozen=True)
class Entry:
    """One key: its bytes, its metadata as JSON text or None, its Unix time of expiry or None."""

    name: str
    value: bytes
    metadata: str | None
    expires: float | None


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

    def delete(self, namespace: str, name: str) -> None:
        """Remove an entry, if it is there."""
        self._database.execute("delete from entries where namespace = ? and name = ?", (namespace, name))

    def listed(self, namespace: str, *, prefix: str = "", after: str = "", limit: int = _LONGEST_LIST) -> list[Entry]:
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
    match request.method:
        case "GET" if not name:
            return _list(store, namespace, request)
        case "GET":
            entry = store.get(namespace, name)
            if entry is None:
                return web.Response(status=404, text="Not Found")
            about = {} if entry.metadata is None else {"CF-KV-Metadata": entry.metadata}
            if entry.expires is not None:
                about["CF-Expiration"] = str(int(entry.expires))
            return web.Response(body=entry.value, headers=about)
        case "PUT":
            expires = request.query.get("expiration")
            ttl = request.query.get("expiration_ttl")
            until = float(expires) if expires else time.time() + float(ttl) if ttl else None
            metadata = request.headers.get("CF-KV-Metadata")
            store.put(namespace, Entry(name, await request.read(), metadata, until))
            return web.Response()
        case "DELETE":
            store.delete(namespace, name)
            return web.Response()
        case _:
            return web.Response(status=501, text="this KV call is not there: see twin/workerd/kv.py")


def _list(store: KeyValues, namespace: str, request: web.Request) -> web.Response:
    limit = min(int(request.query.get("key_count_limit", _LONGEST_LIST)), _LONGEST_LIST)
    found = store.listed(
        namespace,
        prefix=request.query.get("prefix", ""),
        after=request.query.get("cursor", ""),
        limit=limit + 1,
    )
    keys = [
        {"name": entry.name}
        | ({} if entry.expires is None else {"expiration": int(entry.expires)})
        | ({} if entry.metadata is None else {"metadata": entry.metadata})
        for entry in found[:limit]
    ]
    more = len(found) > limit
    listing = {"keys": keys, "list_complete": not more, "cacheStatus": None}
    if more:
        listing["cursor"] = found[limit - 1].name
    return web.Response(text=json.dumps(listing), content_type="application/json")
