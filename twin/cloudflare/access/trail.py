"""Write down every call that changed something: who, what, when, from where. It outlives restarts and is never edited.

The file has one JSON object a line, in the form of the audit log's version 2. Bodies are not in it: they hold secrets.
Source: types of the official SDK 5.9.0. The words in `resource` are taken from the path, as the provider takes them
from its own OpenAPI; they are not confirmed one by one.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections import deque
from typing import TYPE_CHECKING

from aiohttp import web

from twin.cloudflare.store import now
from twin.route import EFFECT

if TYPE_CHECKING:
    from pathlib import Path

    from twin.cloudflare.errors import Json
    from twin.cloudflare.store import Store

ACTIONS = {"POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
OPERATOR = "operator@example.com"
TOKEN: web.RequestKey[Json] = web.RequestKey("token")
"""The API token that a call was made with, as the store keeps it."""

_KEPT = 200_000
_PLACEHOLDER = re.compile(r"^{(\w+)(?::[^}]*)?}$")


class Trail:
    """The entries, oldest first, and the file that each is appended to before its call is answered."""

    def __init__(self, file: Path) -> None:
        """Read what earlier runs wrote; a line that a kill cut short is left out."""
        self.entries: deque[Json] = deque(maxlen=_KEPT)
        file.touch(mode=0o600, exist_ok=True)
        self._file = file
        whole, _, torn = file.read_bytes().rpartition(b"\n")
        self.entries.extend(json.loads(line) for line in whole.splitlines())
        if torn:
            os.truncate(file, len(whole) + 1 if whole else 0)

    def add(self, entry: Json) -> None:
        """Append one entry."""
        self.entries.append(entry)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, separators=(",", ":")) + "\n")


TRAIL: web.AppKey[Trail] = web.AppKey("trail", Trail)


def note(request: web.Request, response: web.StreamResponse, store: Store, ray: str) -> None:
    """Write down a call that changed something."""
    if request.get(EFFECT) is not None:
        request.app[TRAIL].add(entry_of(request, response, store, ray))


def entry_of(request: web.Request, response: web.StreamResponse, store: Store, ray: str) -> Json:
    """Return the entry of a call."""
    token = request.get(TOKEN)
    zone = store.data["zones"].get(request.match_info.get("zone"))
    actor: Json = {"id": store.data["user"], "email": OPERATOR, "type": "user", "ip_address": request.remote}
    actor["context"] = "api" if token is None else "api_token"  # "api": an upload token, which names nobody
    if token is not None:
        actor |= {"token_id": token["id"], "token_name": token["name"]}
    return {
        "id": str(uuid.uuid4()),
        "account": {"id": store.account, "name": "twin"},
        "action": {
            "description": request[EFFECT],
            "result": "success",
            "time": now(),
            "type": ACTIONS.get(request.method, "update"),
        },
        "actor": actor,
        "raw": {
            "cf_ray_id": ray.partition("-")[0],
            "method": request.method,
            "status_code": response.status,
            "uri": request.path,
            "user_agent": request.headers.get("User-Agent", ""),
        },
        "resource": resource_of(request, response),
        "zone": None if zone is None else {"id": zone["id"], "name": zone["name"]},
    }


def resource_of(request: web.Request, response: web.StreamResponse) -> Json:
    """Return what a call was about, from its path; a new object's id is in the answer."""
    route = request.match_info.route.resource
    parts = (route.canonical if route is not None else request.path).split("/")[3:]
    scope = parts[0] if parts else ""
    names = [part for part in parts[2 if scope in {"accounts", "zones"} else 1 :] if not _PLACEHOLDER.match(part)]
    last = _PLACEHOLDER.match(parts[-1]) if parts else None
    own = request.match_info.get(last[1]) if last else None
    return {
        "id": own or made_id(response) or parent_id(request),
        "product": names[0] if names else scope,
        "type": names[-1] if names else scope,
        "scope": scope if scope in {"accounts", "zones", "user"} else "accounts",
        "request": None,
        "response": None,
    }


def made_id(response: web.StreamResponse) -> str | None:
    """Return the id (or the name, where that is the id) of what an answer shows."""
    if not isinstance(response, web.Response) or response.content_type != "application/json" or not response.text:
        return None
    result = json.loads(response.text).get("result")
    shown = result if isinstance(result, dict) else {}
    return next((str(shown[key]) for key in ("id", "name") if shown.get(key)), None)


def parent_id(request: web.Request) -> str | None:
    """Return the innermost object that the path names."""
    return next(iter(reversed(list(request.match_info.values()))), None)
