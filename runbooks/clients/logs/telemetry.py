"""What a Worker's log tells of its requests: Workers Logs, asked by the telemetry call of Cloudflare's API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from runbooks.model.reconciliation import ASK_LOGS

if TYPE_CHECKING:
    from runbooks.clients.cloudflare import Cloudflare

PAGE: Final = 2000
"""Events in one answer: the most that Cloudflare gives (the official SDK's types, read 2026-11-23)."""
PAGES: Final = 50


class Asked(msgspec.Struct, frozen=True):
    """What was asked for."""

    url: str = ""
    method: str = ""


class Answered(msgspec.Struct, frozen=True):
    """What was answered."""

    status: int = 0


class Happened(msgspec.Struct, frozen=True):
    """A request and its answer; the log of a scheduled run has none."""

    request: Asked = Asked()
    response: Answered = Answered()


class Invoked(msgspec.Struct, frozen=True):
    """What the Worker was called for."""

    event: Happened = Happened()


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """The ids of an event and of its invocation."""

    id: str
    request_id: str = ""


class Event(msgspec.Struct, frozen=True):
    """One line of the log. `timestamp` in Unix milliseconds."""

    timestamp: int
    metadata: Metadata = msgspec.field(name="$metadata")
    workers: Invoked = msgspec.field(name="$workers", default=Invoked())


class Events(msgspec.Struct, frozen=True):
    """A page of events, the newest first."""

    events: tuple[Event, ...] = ()


class Result(msgspec.Struct, frozen=True):
    """What a query gave."""

    events: Events = Events()


class Envelope(msgspec.Struct, frozen=True):
    """What stands around it."""

    result: Result


@dataclass(frozen=True)
class Request:
    """One request that the Worker answered."""

    at: datetime
    method: str
    path: str
    status: int
    id: str


@dataclass(frozen=True)
class Telemetry:
    """The log of one Worker. Only what was logged is there, for days, and sampled where there is much."""

    cloudflare: Cloudflare
    worker: str

    def writes(self, since: datetime, until: datetime) -> tuple[tuple[Request, ...], bool]:
        """Return the requests but GET and HEAD that were answered with 2xx, oldest first, and whether these are all.

        Raises as `Transport.send` does.
        """
        found: dict[str, Request] = {}
        offset: str | None = None
        for _ in range(PAGES):
            page = self._page(since, until, offset)
            for event in page:
                happened = event.workers.event
                if happened.request.method not in ("", "GET", "HEAD") and happened.response.status // 100 == 2:  # noqa: PLR2004 - 2xx
                    found[event.metadata.request_id or event.metadata.id] = Request(
                        datetime.fromtimestamp(event.timestamp / 1000, UTC),
                        happened.request.method,
                        urlsplit(happened.request.url).path,
                        happened.response.status,
                        event.metadata.request_id,
                    )
            if len(page) < PAGE:
                return tuple(sorted(found.values(), key=lambda one: one.at)), True
            offset = page[-1].metadata.id
        return tuple(sorted(found.values(), key=lambda one: one.at)), False

    def _page(self, since: datetime, until: datetime, offset: str | None) -> tuple[Event, ...]:
        asked = {
            "queryId": "accepted",
            "view": "events",
            "timeframe": {"from": int(since.timestamp() * 1000), "to": int(until.timestamp() * 1000)},
            "parameters": {
                "datasets": ["cloudflare-workers"],
                "filters": [{"key": "$metadata.service", "operation": "eq", "type": "string", "value": self.worker}],
            },
            "limit": PAGE,
            "ignoreSeries": True,
        }
        body = asked | ({"offset": offset, "offsetDirection": "next"} if offset else {})
        path = f"/accounts/{self.cloudflare.account}/workers/observability/telemetry/query"
        answer = self.cloudflare.transport.send(ASK_LOGS, path, json=body)
        return msgspec.json.decode(answer.body, type=Envelope).result.events.events
