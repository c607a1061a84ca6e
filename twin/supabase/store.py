"""Keep what the project has beside its database: one JSON file, written whole and renamed."""

from __future__ import annotations

import asyncio
import json
import secrets
import string
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from twin.route import EFFECT
from twin.supabase.errors import ApiError, Json
from twin.supabase.wild import Wild

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from twin.world import Engines, Home

HEALTHY = "ACTIVE_HEALTHY"
RESTORING = "RESTORING"
COMING_UP = "COMING_UP"
FAILED = "RESTORE_FAILED"
PAUSING = "PAUSING"
PAUSED = "INACTIVE"
ODD = "RESTORING_FROM_BACKUP"  # no status of the API's description: what a newer API might say
OPEN: Json = {"dbAllowedCidrs": ["0.0.0.0/0"], "dbAllowedCidrsV6": ["::/0"]}


def now() -> str:
    """Return the time as the API writes it: RFC 3339, milliseconds, Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def word(length: int) -> str:
    """Return random lower-case letters, the form of a project's reference."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(length))


class Store:
    """The one project: status, restrictions, add-ons, keys; and the lag in seconds that its status shows."""

    def __init__(self, home: Home, *, lag: float) -> None:
        """Load the project of the home folder, or begin with a healthy one that has PITR for 7 days."""
        self.home = home
        self.lag = lag
        self.path = home.state / "supabase.json"
        self.running: set[asyncio.Task[None]] = set()
        self.wild = Wild()
        home.state.mkdir(parents=True, exist_ok=True)
        self.data: Json = {}
        if self.path.exists():
            self.data = json.loads(self.path.read_text(encoding="utf-8"))
        fresh: Json = {
            "ref": home.project or word(20),
            "organization": word(20),
            "name": "twin",
            "region": "eu-west-3",
            "created_at": now(),
            "status": HEALTHY,
            "addons": {"compute_instance": "ci_small", "pitr": "pitr_7"},
            "restrictions": {"config": OPEN, "status": "applied"},
            "bans": [],
            "postgres": {},
            "ssl": False,
            "keys": {name: secrets.token_urlsafe(24) for name in ("anon", "service_role", "publishable", "secret")},
            "key_ids": [str(uuid.uuid4()), str(uuid.uuid4())],
            "recovery": None,
        }
        self.data = fresh | self.data
        self.save()

    def save(self) -> None:
        """Write the state whole beside the old one, then rename."""
        fresh = self.path.with_suffix(".new")
        fresh.touch(mode=0o600, exist_ok=True)
        fresh.write_text(json.dumps(self.data), encoding="utf-8")
        fresh.replace(self.path)

    def become(self, status: str) -> None:
        """Set the project's status and keep it."""
        self.data["status"] = status
        self.save()

    def later(self, work: Coroutine[object, object, None]) -> None:
        """Run work beside the answers; it ends with the app."""
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def cidrs(self) -> tuple[str, ...]:
        """Return the addresses that may connect to the database, both families."""
        config = self.data["restrictions"]["config"]
        return (*config["dbAllowedCidrs"], *config["dbAllowedCidrsV6"])


STORE = web.AppKey("store", Store)
ENGINES: web.AppKey[Engines] = web.AppKey("engines")


def store_of(request: web.Request) -> Store:
    """Return the store; 404 when the path names another project."""
    store = request.app[STORE]
    ref = request.match_info.get("ref")
    if ref is not None and ref != store.data["ref"]:
        raise ApiError(404, "Project not found")
    return store


def changed(request: web.Request, effect: str) -> None:
    """Save the state and say in words what the call changed."""
    request.app[STORE].save()
    request[EFFECT] = effect
