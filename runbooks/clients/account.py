"""What stands in a Cloudflare account, read by GET alone: what `deploy.drift` compares with the program."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from runbooks.model.account import (
    Change,
    Domain,
    Healthcheck,
    Hyperdrive,
    Named,
    Policy,
    Record,
    Route,
    Ruleset,
    Site,
    Worker,
)
from runbooks.model.errors import CheckError

if TYPE_CHECKING:
    from runbooks.clients.transport import Transport

ResultT = TypeVar("ResultT")
PER_PAGE: Final = 50  # the most that every list takes
MOST_PAGES: Final = 200
BOUND: Final = ("hyperdrive", "kv_namespace")
REMEMBERED: Final = timedelta(days=30)  # what the second version of the audit log keeps
MOST_CHANGES: Final = 1000  # entries of one page


class _Envelope(msgspec.Struct, Generic[ResultT], frozen=True):
    result: ResultT


class _Schedule(msgspec.Struct, frozen=True):
    cron: str


class _Schedules(msgspec.Struct, frozen=True):
    schedules: tuple[_Schedule, ...]


@dataclass
class Account:
    """One account and one zone in it. Each list is read whole; one that is missing is empty or None."""

    transport: Transport
    account: str
    zone_name: str

    @cached_property
    def zone(self) -> str:
        """Return the zone's id. Raises CheckError when the account has none of that name."""
        answer = self.transport.get("/zones", {"name": self.zone_name, "account.id": self.account})
        found = answer.decode(_Envelope[tuple[Named, ...]]).result
        if not found:
            message = f"Zone {self.zone_name}: expected it in account {self.account}, got none of that name."
            raise CheckError(message)
        return found[0].id

    def records(self) -> tuple[Record, ...]:
        """Return every DNS record of the zone."""
        return self._all(f"/zones/{self.zone}/dns_records", Record)

    def routes(self) -> tuple[Route, ...]:
        """Return the routes of the zone."""
        return self._one(f"/zones/{self.zone}/workers/routes", tuple[Route, ...]) or ()

    def rulesets(self) -> tuple[Ruleset, ...]:
        """Return the zone's own rulesets with their rules, which a list does not have."""
        path = f"/zones/{self.zone}/rulesets"
        own = [listed for listed in self._all(path, Ruleset) if listed.kind == "zone"]
        return tuple(whole for listed in own if (whole := self._one(f"{path}/{listed.id}", Ruleset)))

    def setting(self, name: str) -> str:
        """Return the value of a zone setting."""
        found = self._one(f"/zones/{self.zone}/settings/{name}", dict[str, Any]) or {}
        return str(found.get("value"))

    def dnssec(self) -> str:
        """Return whether the zone's answers are signed: active, disabled, or on the way to one of them."""
        found = self._one(f"/zones/{self.zone}/dnssec", dict[str, Any]) or {}
        return str(found.get("status"))

    def healthchecks(self) -> tuple[Healthcheck, ...]:
        """Return the looks from outside."""
        return self._all(f"/zones/{self.zone}/healthchecks", Healthcheck)

    def worker(self, name: str) -> Worker | None:
        """Return a Worker."""
        return self._one(self._in(f"workers/workers/{name}"), Worker)

    def bound(self, script: str, version: str) -> tuple[str, ...]:
        """Return the ids of the namespaces and Hyperdrive configurations that a version is bound to."""
        found = self._one(self._in(f"workers/scripts/{script}/versions/{version}"), dict[str, Any]) or {}
        bindings = (found.get("resources") or {}).get("bindings") or ()
        return tuple(str(one.get("id") or one["namespace_id"]) for one in bindings if one.get("type") in BOUND)

    def secrets(self, script: str) -> tuple[str, ...]:
        """Return the names of a Worker's secrets."""
        found = self._one(self._in(f"workers/scripts/{script}/secrets"), tuple[dict[str, Any], ...]) or ()
        return tuple(str(secret["name"]) for secret in found)

    def schedules(self, script: str) -> tuple[str, ...]:
        """Return a Worker's cron expressions."""
        found = self._one(self._in(f"workers/scripts/{script}/schedules"), _Schedules)
        return tuple(schedule.cron for schedule in found.schedules) if found else ()

    def domains(self) -> tuple[Domain, ...]:
        """Return the custom domains of all Workers."""
        return self._one(self._in("workers/domains"), tuple[Domain, ...]) or ()

    def namespaces(self) -> tuple[Named, ...]:
        """Return the KV namespaces."""
        return self._all(self._in("storage/kv/namespaces"), Named)

    def hyperdrives(self) -> tuple[Hyperdrive, ...]:
        """Return the Hyperdrive configurations."""
        return self._all(self._in("hyperdrive/configs"), Hyperdrive)

    def buckets(self) -> tuple[str, ...]:
        """Return the names of the R2 buckets."""
        found = self._one(self._in("r2/buckets"), dict[str, Any]) or {}
        return tuple(str(bucket["name"]) for bucket in found.get("buckets", ()))

    def lifecycle(self, bucket: str) -> dict[str, float]:
        """Return after how many seconds a bucket deletes, by prefix."""
        found = self._one(self._in(f"r2/buckets/{bucket}/lifecycle"), dict[str, Any]) or {}
        kept: dict[str, float] = {}
        for rule in found.get("rules", ()):
            condition = (rule.get("deleteObjectsTransition") or {}).get("condition") or {}
            if rule.get("enabled") and "maxAge" in condition:
                kept[str((rule.get("conditions") or {}).get("prefix") or "")] = float(condition["maxAge"])
        return kept

    def policies(self) -> tuple[Policy, ...]:
        """Return the notification policies."""
        return self._all(self._in("alerting/v3/policies"), Policy)

    def site(self, project: str) -> Site | None:
        """Return a Pages project."""
        return self._one(self._in(f"pages/projects/{project}"), Site)

    def site_hosts(self, project: str) -> dict[str, str]:
        """Return the status of each custom domain of a Pages project."""
        found = self._one(self._in(f"pages/projects/{project}/domains"), tuple[dict[str, Any], ...]) or ()
        return {str(domain["name"]): str(domain.get("status")) for domain in found}

    def changes(self, now: datetime) -> tuple[Change, ...]:
        """Return who changed what lately, newest first. Raises CheckError where the token may not read it."""
        span = {"since": (now - REMEMBERED).isoformat(), "before": (now + timedelta(minutes=1)).isoformat()}
        answer = self.transport.get(self._in("logs/audit"), {**span, "limit": str(MOST_CHANGES)})
        return tuple(_change(entry) for entry in answer.decode(_Envelope[tuple[dict[str, Any], ...]]).result)

    def _in(self, path: str) -> str:
        return f"/accounts/{self.account}/{path}"

    def _one(self, path: str, shape: type[ResultT]) -> ResultT | None:
        answer = self.transport.get(path, accept=(HTTPStatus.NOT_FOUND,))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return answer.decode(_Envelope[shape]).result  # type: ignore[valid-type] # the shape is a value here

    def _all(self, path: str, shape: type[ResultT]) -> tuple[ResultT, ...]:
        """Read a list page by page until one is not full."""
        rows: list[ResultT] = []
        for page in range(1, MOST_PAGES + 1):
            answer = self.transport.get(path, {"page": str(page), "per_page": str(PER_PAGE)})
            part = answer.decode(_Envelope[tuple[shape, ...]]).result  # type: ignore[valid-type] # as above
            rows += part
            if len(part) < PER_PAGE:
                break
        return tuple(rows)


def _change(entry: dict[str, Any]) -> Change:
    actor, raw = entry.get("actor") or {}, entry.get("raw") or {}
    who = str(actor.get("email") or actor.get("id") or "somebody")
    token = actor.get("token_name")
    return Change(
        at=str((entry.get("action") or {}).get("time") or ""),
        by=f"{who} with token {token}" if token else who,
        method=str(raw.get("method") or ""),
        uri=str(raw.get("uri") or ""),
        resource=str((entry.get("resource") or {}).get("id") or ""),
    )
