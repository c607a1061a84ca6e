"""Keep what the Cloudflare account holds: one JSON file, written whole and renamed, and a folder of blobs."""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from twin.cloudflare.errors import ApiError, Json
from twin.route import EFFECT
from twin.workerd.kv import KeyValues
from twin.workerd.objects import Objects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from twin.world import Engines, Home

EMPTY: Json = {
    "workers": {},
    "hyperdrive": {},
    "namespaces": {},
    "buckets": {},
    "zones": {},
    "domains": {},
    "pages": {},
    "assets": {},
    "worker_assets": {},
    "tokens": {},
}


def object_id() -> str:
    """Return an id in Cloudflare's usual form: 32 hex digits."""
    return secrets.token_hex(16)


def version_id() -> str:
    """Return an id in the form of versions and deployments: a UUID."""
    return str(uuid.uuid4())


def now() -> str:
    """Return the time as the API writes it: RFC 3339, microseconds, Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Store:
    """The account's objects by kind, each as the plain JSON that the API is built from.

    Secret values are in it (mode 0600): workerd needs them. No answer of the API contains them.
    """

    def __init__(self, home: Home) -> None:
        """Load the state of the home folder, or begin with one account and one zone."""
        self.home = home
        self.path: Path = home.state / "cloudflare.json"
        self.blobs: Path = home.state / "cloudflare"
        self.blobs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.values = KeyValues(home.state / "kv.sqlite")
        self.objects = Objects(home.state / "r2.sqlite", self.locks)
        self.revision = 0  # grows with every change, so that what is made from the state can tell that it is old
        self.data: Json = {kind: {} for kind in EMPTY}
        if self.path.exists():
            self.data |= json.loads(self.path.read_text(encoding="utf-8"))
        self.data.setdefault("account", home.account or object_id())
        self.data.setdefault("user", object_id())
        self.data.setdefault("token", object_id())
        self.data.setdefault("signing_key", secrets.token_hex(32))
        self.data.setdefault("subdomain", "twin")
        if home.zone and not any(zone["name"] == home.zone for zone in self.zones()):
            self.add_zone(home.zone)
        self.save()

    def add_zone(self, name: str) -> Json:
        """Create a zone with no records, routes or settings."""
        zone: Json = {"id": object_id(), "name": name, "created_on": now(), "records": {}, "routes": {}}
        self.data["zones"][zone["id"]] = zone
        return zone

    def save(self) -> None:
        """Write the state whole beside the old one, then rename: a kill leaves one or the other."""
        self.revision += 1
        fresh = self.path.with_suffix(".new")
        fresh.touch(mode=0o600, exist_ok=True)
        fresh.write_text(json.dumps(self.data, separators=(",", ":")), encoding="utf-8")
        fresh.replace(self.path)

    def locks(self, bucket: str) -> list[Json]:
        """Return the lock rules of a bucket."""
        rules: list[Json] = self.data["buckets"].get(bucket, {}).get("lock", [])
        return rules

    def close(self) -> None:
        """Close the files of keys and objects."""
        self.values.close()
        self.objects.close()

    def put_blob(self, body: bytes, *, key: str | None = None) -> str:
        """Keep bytes under their SHA-256, or under the key that the client computed."""
        name = key or hashlib.sha256(body).hexdigest()
        target = self.blobs / name
        if not target.exists():
            fresh = self.blobs / f"{name}.new"
            fresh.write_bytes(body)
            fresh.replace(target)
        return name

    def blob(self, name: str) -> bytes:
        """Return the bytes kept under a name."""
        return (self.blobs / name).read_bytes()

    @property
    def account(self) -> str:
        """Return the id of the one account."""
        return str(self.data["account"])

    def zones(self) -> list[Json]:
        """Return every zone."""
        return list(self.data["zones"].values())

    def workers(self) -> list[Json]:
        """Return every Worker."""
        return list(self.data["workers"].values())

    def worker(self, name: str) -> Json:
        """Return the Worker with this name or id; 404 with 10007."""
        for worker in self.workers():
            if name in (worker["name"], worker["id"]):
                return worker
        raise ApiError(404, 10007, "This Worker does not exist on your account.")

    def zone(self, zone_id: str) -> Json:
        """Return a zone by id; 403 with 9109 when the token sees none of that id."""
        zone: Json | None = self.data["zones"].get(zone_id)
        if zone is None:
            raise ApiError(403, 9109, "Unauthorized to access requested resource")
        return zone

    def zone_of(self, host: str) -> Json | None:
        """Return the zone that a host name lies in, the longest first."""
        fits = [z for z in self.zones() if host == z["name"] or host.endswith("." + z["name"])]
        return max(fits, key=lambda z: len(z["name"]), default=None)

    def records(self) -> Iterator[Json]:
        """Yield every DNS record of every zone."""
        for zone in self.zones():
            yield from zone["records"].values()


STORE = web.AppKey("store", Store)
ENGINES: web.AppKey[Engines] = web.AppKey("engines")


def store_of(request: web.Request) -> Store:
    """Return the store of the app that answers this request."""
    return request.app[STORE]


def source_of(request: web.Request) -> str:
    """Return what made this call, by its User-Agent: wrangler asks before it overwrites what another made."""
    agent = request.headers.get("User-Agent", "").lower()
    return next((word for word in ("wrangler", "terraform") if word in agent), "api")


def changed(request: web.Request, effect: str) -> None:
    """Save the state and say in words what the call changed."""
    request.app[STORE].save()
    request[EFFECT] = effect


def found(rows: dict[str, Any], key: str, code: int, message: str) -> Json:
    """Return an object by its key; 404 with the product's code and text."""
    row: Json | None = rows.get(key)
    if row is None:
        raise ApiError(404, code, message)
    return row
