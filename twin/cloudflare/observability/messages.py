"""Say what an invocation was, in the provider's two shapes: a tail's message and the events of Workers Logs.

Sources, read 2026-11-23: wrangler's tail (types and printing), the official SDK's types of telemetry events.
"""

from __future__ import annotations

import itertools
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twin.world import Handled

Json = dict[str, Any]

DATASET = "cloudflare-workers"
_OUTCOMES = {
    "ok": "ok",
    "clientDisconnected": "canceled",
    "scriptThrewException": "exception",
}
_STATUSES = {
    "ok": "success",
    "canceled": "clientDisconnected",
    "responseStreamDisconnected": "clientDisconnected",
    "exception": "scriptThrewException",
    "exceededCpu": "exceededResources",
    "exceededMemory": "exceededResources",
}
_sequence = itertools.count()


@dataclass(frozen=True)
class Invocation:
    """One run of a Worker: what the twin saw, and what the runtime told, or None when it died before it could."""

    handled: Handled
    event: Json | None

    @property
    def outcome(self) -> str:
        """Return how it went, in a tail's words: the runtime knows best, but not that a visitor left."""
        seen = _OUTCOMES.get(self.handled.outcome, "unknown")
        told = str(self.event["outcome"]) if self.event else seen
        return seen if told == "ok" and seen == "canceled" else told

    @property
    def status(self) -> str:
        """Return how it went, in the words of GraphQL analytics."""
        return _STATUSES.get(self.outcome, "internalError")

    @property
    def at(self) -> int:
        """Return when it began: Unix milliseconds."""
        return int(self.event["at"] if self.event else self.handled.at * 1000)


def message(one: Invocation, version: Json) -> Json:
    """Return what a tail sends; `version` is `{id, tag?, message?}`."""
    handled, told = one.handled, one.event or {}
    return {
        "wallTime": round(handled.wall * 1000),
        "cpuTime": round(handled.cpu * 1000),
        "truncated": told.get("truncated", False),
        "executionModel": "stateless",
        "outcome": one.outcome,
        "scriptVersion": version,
        "scriptName": handled.service,
        "entrypoint": told.get("entrypoint") or "default",
        "diagnosticsChannelEvents": [],
        "exceptions": told.get("exceptions", []),
        "logs": told.get("logs", []),
        "eventTimestamp": one.at,
        "event": _event(handled, told),
    }


def _event(handled: Handled, told: Json) -> Json:
    if handled.cron:
        return {"cron": handled.cron, "scheduledTime": told.get("scheduled") or round(handled.at * 1000)}
    event: Json = {"request": told.get("request") or _request(handled)}
    if told.get("response") or not told:
        event["response"] = told.get("response") or {"status": handled.status}
    return event


def _request(handled: Handled) -> Json:
    """Return a request as the edge saw it: for sites, and for a runtime that died."""
    headers = {name.lower(): value for name, value in handled.headers.items()}
    for secret in ("authorization", "cookie"):
        if secret in headers:
            headers[secret] = "REDACTED"
    headers |= {"cf-ray": handled.key, "cf-connecting-ip": handled.visitor}
    return {"url": f"https://{handled.host}{handled.path}", "method": handled.method, "headers": headers, "cf": {}}


def events(told: Json, *, request: str, account: str) -> Iterator[Json]:
    """Yield the events of Workers Logs that a tail's message stands for: lines, exceptions, the invocation last."""
    event = told["event"]
    asked = event.get("request")
    shared: Json = {
        "requestId": request.partition("-")[0] if asked else secrets.token_hex(8),
        "service": told["scriptName"],
        "trigger": f"{asked['method']} {_path(asked['url'])}" if asked else event["cron"],
        "origin": "fetch" if asked else "scheduled",
        "account": account,
    }
    if asked:
        shared |= {"url": asked["url"], "rayId": shared["requestId"]}
    same = ("scriptName", "outcome", "scriptVersion", "executionModel", "entrypoint", "truncated", "event")
    worker = {"eventType": shared["origin"], "requestId": shared["requestId"], **{key: told[key] for key in same}}
    for log in told["logs"]:
        yield _line(log, shared, worker)
    for thrown in told["exceptions"]:
        text = f"{thrown['name']}: {thrown['message']}"
        error = {"level": "error", "message": text, "error": text, "type": "cf-worker-log"}
        source = {"level": "error", "exception": thrown, "message": text}
        yield _made(thrown["timestamp"], source, shared | error, worker)
    text = f"{asked['method']} {asked['url']}" if asked else event["cron"]
    source = {"level": "info" if told["outcome"] == "ok" else "error", "message": text}
    summary = shared | source | {"type": "cf-worker-event"}
    if "response" in event:
        summary["statusCode"] = event["response"]["status"]
    times = {"wallTimeMs": told["wallTime"], "cpuTimeMs": told["cpuTime"]}
    yield _made(told["eventTimestamp"], source, summary, worker | times)


def spoken(log: Json) -> str:
    """Return a console call as one text: its arguments with blanks between them."""
    said = log["message"]
    parts = said if isinstance(said, list) else [said]
    return " ".join(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in parts)


def _line(log: Json, shared: Json, worker: Json) -> Json:
    """Return the event of one console call; what is an object, or JSON of one, can be asked for by its fields."""
    text, fields = spoken(log), _fields(log["message"])
    source = {"level": log["level"], "message": text} if fields is None else {"level": log["level"], **fields}
    own = {"level": log["level"], "message": str(source.get("message", text)), "type": "cf-worker-log"}
    if log["level"] == "error":
        own["error"] = own["message"]
    return _made(log["timestamp"], source, shared | own, worker)


def _fields(said: object) -> Json | None:
    lone = said[0] if isinstance(said, list) and len(said) == 1 else said
    if isinstance(lone, str) and lone.startswith("{"):
        try:
            lone = json.loads(lone)
        except ValueError:
            return None
    return lone if isinstance(lone, dict) else None


def _made(at: float, source: Json, metadata: Json, worker: Json) -> Json:
    identity = f"{int(at):012x}{next(_sequence) % (1 << 32):08x}"  # sorts by time
    about = {"id": identity, **metadata}
    return {"dataset": DATASET, "timestamp": int(at), "source": source, "$metadata": about, "$workers": worker}


def _path(url: str) -> str:
    return "/" + url.split("://", maxsplit=1)[-1].partition("/")[2].partition("?")[0]
