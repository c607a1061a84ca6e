"""Send what happened to everybody whose policy asks for it, as the provider's generic webhook does.

A webhook on loopback is called, three times at most; nothing is ever sent to another machine. A mail becomes a line in
`logs/mail.ndjson`. Sources, read 2026-11-28: the webhook payload schema and the page on configuring webhooks. How often
the provider repeats a call, and the fields of a Pages event, are not confirmed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from yarl import URL

from twin.cloudflare.store import now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twin.cloudflare.errors import Json
    from twin.cloudflare.store import Store

TRIES: Final = 3
PAUSE: Final = 0.5  # seconds before the second try; twice that before the third
PATIENCE: Final = 5.0  # seconds for one answer
KEPT: Final = 1000  # notifications in the history
TEST: Final = (
    "Hello World! This is a test message sent from https://cloudflare.com. "
    "If you can see this, your webhook is configured properly."
)
_log = logging.getLogger("twin.alerting")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that policies of one alert type want to know.

    `facts` is what their filters are held against; `correlation` joins the start of a trouble with its end.
    """

    alert_type: str
    text: str
    data: Json
    facts: Mapping[str, str]
    ends: bool = False
    correlation: str = ""


class Dispatcher:
    """The way from an event to webhooks and mails."""

    def __init__(self, store: Store) -> None:
        """Call nobody before the first event."""
        self._store = store
        self._sending: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def tell(self, event: Event) -> None:
        """Send the event to all whose policy fits, without waiting for them."""
        for policy in list(self._store.data.get("policies", {}).values()):
            if fits(policy, event) and not self._silenced(policy):
                task = asyncio.create_task(self._send(policy, self._payload(policy, event)))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)

    async def test(self, webhook: Json) -> str:
        """Call a webhook with the test message; return what went wrong, "" when nothing did."""
        return await self._call(webhook, {"text": TEST})

    async def stop(self, _: web.Application | None = None) -> None:
        """Leave what is under way."""
        for task in list(self._sending):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._session is not None:
            await self._session.close()

    def _payload(self, policy: Json, event: Event) -> Json:
        whose = {"account_name": "twin", "account_tag": self._store.account}
        return {
            "name": policy["name"],
            "text": event.text,
            "data": whose | event.data,
            "ts": int(time.time()),
            "account_id": self._store.account,
            "policy_id": policy["id"],
            "policy_name": policy["name"],
            "alert_type": event.alert_type,
            "alert_correlation_id": event.correlation or uuid.uuid4().hex,
            "alert_event": "ALERT_STATE_EVENT_END" if event.ends else "ALERT_STATE_EVENT_START",
        }

    def _silenced(self, policy: Json) -> bool:
        at = datetime.now(UTC)
        silences = self._store.data.get("silences", {}).values()
        return any(
            one["policy_id"] == policy["id"]
            and datetime.fromisoformat(one["start_time"]) <= at < datetime.fromisoformat(one["end_time"])
            for one in silences
        )

    async def _send(self, policy: Json, payload: Json) -> None:
        mechanisms = policy.get("mechanisms") or {}
        for one in mechanisms.get("email") or []:
            self._mail(one["id"], payload)
            self._remember(policy, payload, one["id"], "email")
        webhooks = self._store.data.get("webhooks", {})
        for one in mechanisms.get("webhooks") or []:
            webhook = webhooks.get(one["id"])
            if webhook is None:
                _log.warning("%s names the webhook %s, which is gone", policy["name"], one["id"])
            elif await self._deliver(webhook, payload):
                self._remember(policy, payload, webhook["name"], "webhook")
        if mechanisms.get("pagerduty"):
            _log.warning("%s names PagerDuty, which the twin does not call", policy["name"])

    async def _deliver(self, webhook: Json, payload: Json) -> bool:
        for again in range(TRIES):
            if again:
                await asyncio.sleep(PAUSE * again)
            wrong = await self._call(webhook, payload)
            webhook["last_failure" if wrong else "last_success"] = now()
            if not wrong:
                return True
            _log.warning("webhook %s was not reached (try %d of %d): %s", webhook["name"], again + 1, TRIES, wrong)
        self._store.save()
        return False

    async def _call(self, webhook: Json, payload: Json) -> str:
        url = URL(webhook["url"])
        if not on_loopback(url):
            return f"the twin calls loopback addresses only, {url.host} is none"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE))
        headers = {"cf-webhook-auth": webhook["secret"]} if webhook.get("secret") else {}
        try:
            async with self._session.post(url, json=payload, headers=headers, allow_redirects=False) as answer:
                return "" if answer.ok and answer.status < 300 else f"it answered {answer.status}"  # noqa: PLR2004 - HTTP
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"

    def _mail(self, address: str, payload: Json) -> None:
        with (self._store.home.state / "logs" / "mail.ndjson").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"at": now(), "to": address, **payload}, ensure_ascii=False) + "\n")

    def _remember(self, policy: Json, payload: Json, mechanism: str, kind: str) -> None:
        history: list[Json] = self._store.data.setdefault("notifications", [])
        history.append(
            {
                "id": str(uuid.uuid4()),
                "name": policy["name"],
                "description": policy.get("description", ""),
                "alert_type": policy["alert_type"],
                "alert_body": json.dumps(payload),
                "mechanism": mechanism,
                "mechanism_type": kind,
                "policy_id": policy["id"],
                "sent": now(),
            }
        )
        del history[:-KEPT]
        self._store.save()


DISPATCHER: web.AppKey[Dispatcher] = web.AppKey("dispatcher", Dispatcher)


def on_loopback(url: URL) -> bool:
    """Tell whether an address leads to this machine."""
    if url.host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(url.host or "").is_loopback
    return False


def fits(policy: Json, event: Event) -> bool:
    """Tell whether a policy asks for an event: enabled, of its type, every filter that says something about it met."""
    if not policy["enabled"] or policy["alert_type"] != event.alert_type:
        return False
    filters = (policy.get("filters") or {}).items()
    return all(event.facts[name] in wanted for name, wanted in filters if wanted and name in event.facts)
