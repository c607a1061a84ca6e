"""Keep health checks and perform them: each looks at the edge at its interval, shows its status and tells of a change.

Source: official SDK 5.9.0, read 2026-11-28. The provider's shortest interval depends on the plan; here it is a second.
Not confirmed: codes of refusals; that the first healthy look is no news.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web

from twin.cloudflare.alerting import probe
from twin.cloudflare.alerting.dispatch import DISPATCHER, Dispatcher, Event
from twin.cloudflare.collection import Collection, Rows
from twin.cloudflare.errors import ApiError, Json, listed, ok, read, required, shaped
from twin.cloudflare.store import STORE, changed, now
from twin.route import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from twin.cloudflare.store import Store

DEFAULTS: Json = {
    "type": "HTTP",
    "interval": 60,
    "retries": 2,
    "timeout": 5,
    "consecutive_fails": 1,
    "consecutive_successes": 1,
    "suspended": False,
    "description": "",
    "check_regions": None,
}
LEAST: Final = {"interval": 1, "retries": 0, "timeout": 1, "consecutive_fails": 1, "consecutive_successes": 1}
GONE: Final = (1002, "healthcheck not found")
PATH: Final = "/zones/{zone}/healthchecks"
_LOOK: Final = 0.2  # seconds between looks at what is due


def build(sent: Json, _rows: Rows, _own: str) -> Json:
    """Return a checked health check, whose status is unknown until it was performed."""
    shaped(sent, 1002, name=str, address=str, type=str, http_config=dict, tcp_config=dict, suspended=bool)
    how = shaped(sent.get("http_config") or {}, 1002, path=str, method=str, expected_body=str, header=dict)
    listed(how, "expected_codes", str, 1002)
    for name in how.get("header") or {}:
        listed(how["header"], name, str, 1002)
    required(sent, "name", "address")
    if not re.fullmatch(r"[0-9A-Za-z_-]+", str(sent["name"])):
        raise ApiError(400, 1002, "name may have letters, digits, hyphens and underscores only")
    made = DEFAULTS | {key: value for key, value in sent.items() if value is not None}
    if made["type"] not in {"HTTP", "HTTPS", "TCP"}:
        raise ApiError(400, 1002, f"type {made['type']!r} is none of HTTP, HTTPS, TCP")
    for name, least in LEAST.items():
        if not isinstance(made[name], int | float) or made[name] < least or made[name] % 1:
            raise ApiError(400, 1002, f"{name} must be a whole number, {least} at least")
    return made | {"status": "suspended" if made["suspended"] else "unknown", "failure_reason": ""}


HEALTHCHECKS = Collection(kind="health check", path=PATH, key="healthchecks", gone=GONE, build=build)


async def patch(request: web.Request) -> web.Response:
    """Change the given fields of a health check; its status is unknown again."""
    old = HEALTHCHECKS.find(request)
    made = build(old | await read(request), {}, old["id"]) | {"modified_on": now()}
    HEALTHCHECKS.rows(request)[old["id"]] = made
    changed(request, f"health check {made['name']} changed")
    return ok(made)


ROUTES = (*HEALTHCHECKS.routes(), Route("PATCH", PATH + "/{id}", patch, "official SDK", "2026-11-28"))


@dataclass
class Look:
    """What is remembered of a check between two looks."""

    version: str
    due: float = 0.0
    fails: int = 0
    successes: int = 0
    failed_at: float | None = None
    trouble: str = ""
    running: asyncio.Task[None] | None = field(default=None, repr=False)


class Watch:
    """Performs every health check of every zone until it is cancelled."""

    def __init__(self, store: Store, dispatcher: Dispatcher, edge: str) -> None:
        """Look through this edge."""
        self._store = store
        self._dispatcher = dispatcher
        self._edge = edge
        self._looks: dict[str, Look] = {}

    async def run(self) -> None:
        """Go on until cancelled."""
        async with aiohttp.ClientSession() as session:
            try:
                while True:
                    self._begin_due(session)
                    await asyncio.sleep(_LOOK)
            finally:
                for look in self._looks.values():
                    if look.running is not None:
                        look.running.cancel()

    def _begin_due(self, session: aiohttp.ClientSession) -> None:
        declared = {
            check["id"]: (zone, check)
            for zone in self._store.zones()
            for check in zone.get("healthchecks", {}).values()
            if not check["suspended"]
        }
        self._looks = {id_: look for id_, look in self._looks.items() if id_ in declared}
        for id_, (zone, check) in declared.items():
            look = self._looks.get(id_)
            if look is None or look.version != check["modified_on"]:
                self._looks[id_] = look = Look(version=check["modified_on"])
            if time.monotonic() >= look.due and (look.running is None or look.running.done()):
                look.due = time.monotonic() + check["interval"]
                look.running = asyncio.create_task(self._perform(session, zone, check, look))

    async def _perform(self, session: aiohttp.ClientSession, zone: Json, check: Json, look: Look) -> None:
        reason = await probe.look(session, self._edge, check)
        if zone.get("healthchecks", {}).get(check["id"]) is not check:
            return  # changed or deleted meanwhile
        look.fails, look.successes = (look.fails + 1, 0) if reason else (0, look.successes + 1)
        enough = (
            look.fails >= check["consecutive_fails"] if reason else look.successes >= check["consecutive_successes"]
        )
        before, status = check["status"], "unhealthy" if reason else "healthy"
        if enough and (before, check["failure_reason"]) != (status, reason):
            check |= {"status": status, "failure_reason": reason}
            self._store.save()
            if before != status and (before, status) != ("unknown", "healthy"):
                self._tell(zone, check, look, before)
        if reason:
            look.failed_at = time.monotonic()

    def _tell(self, zone: Json, check: Json, look: Look, before: str) -> None:
        healthy = check["status"] == "healthy"
        look.trouble = look.trouble or uuid.uuid4().hex
        old, new = before.capitalize(), check["status"].capitalize()
        since = "" if look.failed_at is None else f"{time.monotonic() - look.failed_at:.0f}s"
        data = {
            "failing_regions": "" if healthy else "Global",
            "health_check_id": check["id"],
            "health_check_name": check["name"],
            "new_health_status": new,
            "new_status": new,
            "old_status": old,
            "origin_ip": check["address"],
            "reason": check["failure_reason"] or "No failures",
            "status_change_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "time_since_last_failure": since,
            "zone_name": zone["name"],
            "zone_tag": zone["id"],
        }
        text = f"Health check {check['name']} ({check['address']}) changed from {old} to {new}: {data['reason']}"
        facts = {"health_check_id": check["id"], "status": new, "new_health": new, "zones": zone["id"]}
        self._dispatcher.tell(
            Event(
                alert_type="health_check_status_notification",
                text=text,
                data=data,
                facts=facts,
                ends=healthy,
                correlation=look.trouble,
            )
        )
        if healthy:
            look.trouble = ""


async def watching(app: web.Application) -> AsyncIterator[None]:
    """Perform the health checks while the app is served, if there is an edge to look at."""
    store, dispatcher = app[STORE], app[DISPATCHER]
    edge = store.home.addresses.get("edge")
    task = asyncio.create_task(Watch(store, dispatcher, edge).run()) if edge else None
    yield
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await dispatcher.stop()
