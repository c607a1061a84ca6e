"""The API's Worker: what is live, its versions, schedule, settings, secrets, and the ways that lead to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.clients.cloudflare import MAINTENANCE
from runbooks.clients.cloudflare_secrets import root_of
from runbooks.model.account import Difference, Kind
from runbooks.steps.cloudflare.workers import SHORT
from runbooks.steps.drift.difference import AGAIN, differs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stack import Stack
    from runbooks.clients.account import Account
    from runbooks.clients.cloudflare import Cloudflare, Deployment, Version

SYSTEM: Final = "worker"
SCHEDULE: Final = "Pulumi does not see schedules: change ems-ops:api.crons and deploy, or set them back by hand"


def worker_drift(account: Account, cloudflare: Cloudflare, stack: Stack, *, content: str) -> Iterator[Difference]:
    """Yield what differs; `content` is the message that the program gives to what the repository holds now."""
    api = stack.api
    worker = account.worker(api.name)
    if worker is None:
        yield Difference(SYSTEM, api.name, Kind.MISSING, "a Worker", "none", AGAIN, "", ("workers/workers",))
        return
    path = (f"workers/scripts/{api.name}", worker.id)
    yield from _live(cloudflare, stack, content)
    crons = sorted(account.schedules(api.name))
    yield from differs(
        "schedule", api.name, sorted(api.crons), crons, trail=(f"scripts/{api.name}/schedules",), mend=SCHEDULE
    )
    settings = {
        "observability": (True, worker.observability.enabled),
        "workers.dev": (False, worker.subdomain.enabled),
        "previews": (False, worker.subdomain.previews_enabled),
        "logpush": (stack.logpush is not None, worker.logpush),
        "tail consumers": ([], worker.tail_consumers or []),
    }
    ways = (f"scripts/{api.name}/subdomain", f"scripts/{api.name}/script-settings", f"workers/workers/{worker.id}")
    for name, (expected, found) in settings.items():
        yield from differs("settings", f"{api.name} {name}", expected, found, trail=(*ways, *path))
    there = account.secrets(api.name)
    for secret in sorted({*there, *api.secrets}):
        trail = (f"secrets/{secret}", f"scripts/{api.name}/secrets", f"scripts/{api.name}/secrets-bulk")
        if secret not in there:
            yield Difference("secrets", secret, Kind.MISSING, "a secret", "none", "invoke deploy.secrets", "", trail)
        elif secret not in api.secrets:
            mend = "the next deploy drops it: declare its name in ems-ops:api.secrets, or let it go"
            yield Difference("secrets", secret, Kind.FOREIGN, "none of this name", "a secret", mend, secret, trail)
    yield from _ways(account, stack)


def _live(cloudflare: Cloudflare, stack: Stack, content: str) -> Iterator[Difference]:
    """Yield what is live beside what should be."""
    worker = stack.api.name
    versions = {version.id: version for version in cloudflare.versions(worker)}
    trail = (f"scripts/{worker}/deployments",)
    live = cloudflare.live(worker)
    pin = stack.pins.get("api")
    if live is None:
        yield Difference("traffic", worker, Kind.MISSING, "a release", "nothing was ever deployed", "invoke deploy")
    elif pin is not None:
        yield from differs("traffic", worker, f"{pin.version} 100 %", _split(live), trail=trail, mend="invoke deploy")
    else:
        yield from differs(
            "traffic",
            worker,
            f"{content} 100 %",
            _messages(live, versions),
            trail=trail,
            mend="invoke deploy, or invoke rollback where it was sent back by hand",
        )
    yield from _uploads(worker, versions, live)


def _uploads(worker: str, versions: dict[str, Version], live: Deployment | None) -> Iterator[Difference]:
    """Yield versions that somebody else has uploaded since what is live; and the one to stop with, where it is gone."""
    shares = live.versions if live else ()
    top = max((versions[share.version_id].number for share in shares if share.version_id in versions), default=0)
    for version in versions.values():
        named = version.is_maintenance or version.annotations.message.startswith("app ")
        if version.number > top and not named and root_of(version) == version.id:
            said = version.annotations.message or "no message"
            yield Difference(
                "versions",
                f"{worker} version {version.number}",
                Kind.FOREIGN,
                "versions of the program only",
                f"{version.id[:SHORT]} of {version.metadata.created_on[:19]}Z by {version.metadata.source} ({said})",
                "look at what it holds: the next deploy leaves it behind",
                version.id,
                (version.id, f"scripts/{worker}/versions", f"scripts/{worker}"),
            )
    if not any(version.is_maintenance for version in versions.values()):
        yield Difference("versions", f"{worker} {MAINTENANCE}", Kind.MISSING, "a version", "none", "invoke deploy")


def _split(live: Deployment) -> str:
    return ", ".join(f"{share.version_id} {share.percentage:g} %" for share in live.versions)


def _messages(live: Deployment, versions: dict[str, Version]) -> str:
    """Return what is live by what was said of each version's code when it was uploaded."""
    parts = []
    for share in live.versions:
        seen = versions.get(share.version_id)
        seen = versions.get(root_of(seen), seen) if seen else None
        parts.append(f"{(seen and seen.annotations.message) or share.version_id} {share.percentage:g} %")
    return ", ".join(parts)


def _ways(account: Account, stack: Stack) -> Iterator[Difference]:
    """Yield custom domains and routes that lead elsewhere than the program says."""
    api = stack.api
    domains = account.domains()
    found = next((domain.service for domain in domains if domain.hostname == api.host), None)
    yield from differs("domains", api.host, api.name, found, trail=("workers/domains", "domains/records"))
    for domain in domains:
        if domain.service == api.name and domain.hostname != api.host:
            trail = (f"workers/domains/{domain.id}", "workers/domains", "domains/records")
            yield Difference(
                "domains", domain.hostname, Kind.FOREIGN, "no such host", domain.service, "", domain.id, trail
            )
    routes = {route.pattern: route for route in account.routes()}
    for pattern in api.routes:
        to = routes[pattern].script if pattern in routes else None
        yield from differs("routes", pattern, api.name, to, trail=("workers/routes", f"scripts/{api.name}/routes"))
    for route in routes.values():
        host = route.pattern.partition("/")[0].removeprefix("*").lstrip(".")
        ours = route.script == api.name or any(one == host or one.endswith(f".{host}") for one in stack.hosts)
        if ours and route.pattern not in api.routes:
            calls = (f"workers/routes/{route.id}", route.id, "workers/routes", f"scripts/{route.script}/routes")
            to = f"to {route.script}" if route.script else "to no Worker"
            yield Difference("routes", route.pattern, Kind.FOREIGN, "no route", to, "", route.id, calls)
