"""What holds data, and whom Cloudflare tells: KV, R2, Hyperdrive, health checks, notification policies.

An account may hold those of other products: here only what the stack file names is compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from runbooks.clients.cloudflare import Origin
from runbooks.model.account import Difference, Kind
from runbooks.model.database_url import is_database_url
from runbooks.steps.database.replaced import left_by_restore, origin_of, set_to
from runbooks.steps.drift.difference import AGAIN, differs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.stack import Stack
    from runbooks.clients.account import Account

DAY: Final = 86_400  # seconds
POSTGRES: Final = 5432


def store_drift(account: Account, stack: Stack, *, database: str, bound: Iterable[str]) -> Iterator[Difference]:
    """Yield what is missing or changed; `database` is its address, `bound` the ids that are in use."""
    spaces, ways, known = account.namespaces(), account.hyperdrives(), set(bound)
    for gone in sorted(known - {space.id for space in spaces} - {way.id for way in ways}):
        what = f"binding of the live version to {gone}"
        yield Difference("bindings", what, Kind.MISSING, "what it is bound to", "none of this id", "", gone, (gone,))
    for title in sorted(set(stack.api.kv.values()) - {space.title for space in spaces}):
        yield from _there("KV", title, [], "storage/kv/namespaces")
    yield from _hyperdrive(account, stack, database, known)
    yield from _buckets(account, stack)


def alert_drift(account: Account, stack: Stack) -> Iterator[Difference]:
    """Yield what Cloudflare would not tell as the stack file says."""
    seconds, api = stack.alerts.health_check_seconds, stack.api
    if seconds:
        checks = [check for check in account.healthchecks() if check.name == api.name]
        yield from _there("health check", api.name, [check.id for check in checks], "healthchecks")
        for check in checks[:1]:
            expected = {"address": api.host, "every": float(seconds), "suspended": False}
            found = {"address": check.address, "every": float(check.interval), "suspended": check.suspended}
            trail = (f"healthchecks/{check.id}", check.id)
            yield from differs("health check", api.name, expected, found, trail=trail, id_=check.id)
    policies = account.policies()
    for policy in stack.alerts.policies:
        name = f"{stack.product.name} {policy.name}"
        same = [one for one in policies if one.name == name]
        yield from _there("notification policy", name, [one.id for one in same], "alerting/v3/policies")
        for one in same[:1]:
            found = {"type": one.alert_type, "enabled": one.enabled}
            expected = {"type": policy.alert_type, "enabled": True}
            trail = (f"policies/{one.id}", one.id)
            yield from differs("notification policy", name, expected, found, trail=trail, id_=one.id)


def _there(system: str, name: str, ids: list[str], path: str) -> Iterator[Difference]:
    if not ids:
        yield Difference(system, name, Kind.MISSING, "one", "none", AGAIN, "", (path,))


def _hyperdrive(account: Account, stack: Stack, database: str, known: set[str]) -> Iterator[Difference]:
    name, every = stack.database.hyperdrive, account.hyperdrives()
    same = [one for one in every if one.name == name]
    yield from _there("Hyperdrive", name, [one.id for one in same], "hyperdrive/configs")
    used = next((one for one in same if one.id in known), same[0] if same else None)
    if used is not None:
        trail = (f"configs/{used.id}", used.id)
        yield from differs(
            "Hyperdrive", f"{name} caching", "off", "off" if used.caching.disabled else "on", trail=trail
        )
        expected = _origin(database)
        if expected:
            found = {key: used.origin.get(key) for key in expected}
            mend = _mend(database, found)
            yield from differs("Hyperdrive", f"{name} origin", expected, found, trail=trail, id_=used.id, mend=mend)


def _origin(database: str) -> dict[str, Any]:
    """Return where the address of the database leads, without its password; nothing where there is no address."""
    parts = urlsplit(database if is_database_url(database) else "")
    if not parts.hostname:
        return {}
    return {
        "host": parts.hostname,
        "port": parts.port or POSTGRES,
        "database": unquote(parts.path.strip("/")),
        "user": unquote(parts.username or ""),
    }


def _mend(database: str, found: dict[str, Any]) -> str:
    """Return what mends another origin: where a restore has moved it, the address is what is old."""
    origin = Origin(str(found["host"]), int(found["port"] or POSTGRES), str(found["database"]), str(found["user"]))
    if left_by_restore(database, origin):
        return f"a restore has moved it: {set_to(origin_of(database), origin.database)}"
    return AGAIN


def _buckets(account: Account, stack: Stack) -> Iterator[Difference]:
    names = account.buckets() if stack.buckets else ()
    for bucket in stack.buckets:
        if bucket.name not in names:
            calls = (f"r2/buckets/{bucket.name}", "r2/buckets")
            yield Difference("R2", bucket.name, Kind.MISSING, "a bucket", "none", AGAIN, "", calls)
            continue
        expected = {prefix: float(days) for prefix, days in sorted(bucket.keep_days.items())}
        found = {prefix: seconds / DAY for prefix, seconds in sorted(account.lifecycle(bucket.name).items())}
        trail = (f"r2/buckets/{bucket.name}/lifecycle",)
        yield from differs("R2", f"{bucket.name} keeps for days", expected, found, trail=trail)
