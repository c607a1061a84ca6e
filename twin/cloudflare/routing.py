"""Answer the edge's questions from the store's memory: who serves a host, what runs, which records there are."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from twin.cloudflare.errors import ApiError, Json
from twin.cloudflare.pages import projects, sites
from twin.cloudflare.workers import assets, bindings, deployments, versions
from twin.world import Asset, Module, Rules, Runnable, SiteTarget, WorkerTarget

if TYPE_CHECKING:
    from twin.cloudflare.store import Store


class StoredRouting:
    """The `twin.world.Routing` of a Cloudflare store."""

    def __init__(self, store: Store) -> None:
        """Read from this store at every question."""
        self.store = store
        self._rules: dict[str, Rules] = {}

    def target(self, host: str, path: str) -> WorkerTarget | SiteTarget | None:
        """Return who serves this host and path: most specific route, custom domain, workers.dev, then Pages."""
        name = host.split(":", maxsplit=1)[0].lower().rstrip(".")
        script = self.routed(name, path)
        if script is None:
            domain = next((d for d in self.store.data["domains"].values() if d["hostname"] == name), None)
            script = self.on_workers_dev(name) if domain is None else domain["service"]
        if script is not None:
            return self.to_worker(script)
        return self.to_site(name)

    def routed(self, host: str, path: str) -> str | None:
        """Return the script of the most specific route; it answers only where a proxied record leads to the edge."""
        zone = self.store.zone_of(host)
        if zone is None or not any(r["proxied"] and covers(r["name"], host) for r in zone["records"].values()):
            return None
        fits = [r for r in zone["routes"].values() if route_matches(r["pattern"], host + path)]
        best = max(fits, key=lambda r: len(r["pattern"].replace("*", "")), default=None)
        return None if best is None else best.get("script")

    def on_workers_dev(self, host: str) -> str | None:
        """Return the script that this workers.dev host names, when it is switched on there."""
        suffix = f".{self.store.data['subdomain']}.workers.dev"
        workers = (w for w in self.store.workers() if w["subdomain"]["enabled"] and host == w["name"] + suffix)
        return next((str(worker["name"]) for worker in workers), None)

    def to_site(self, host: str) -> SiteTarget | None:
        """Return the Pages deployment of a host: custom domain, project, one deployment, a branch's newest."""
        for project in self.store.data["pages"].values():
            base = f"{project['name']}.pages.dev"
            named = host in project["domains"] and projects.leads_here(self.store, project["name"], host)
            if host == base or named:
                return SiteTarget(project["name"], project["canonical"], host) if project["canonical"] else None
            label = host.removesuffix("." + base)
            for row in reversed(project["deployments"]):
                if label != host and (label == row["short_id"] or f"https://{host}" in (row["aliases"] or ())):
                    return SiteTarget(project["name"], row["id"], host)
        return None

    def to_worker(self, script: str) -> WorkerTarget | None:
        """Return the target of a script that has a deployment."""
        split = self.live(script)
        return WorkerTarget(script, split) if split else None

    def rules(self, host: str) -> Rules | None:
        """Return what guards the zone that this host lies in; put together once, until something changes."""
        zone = self.store.zone_of(host)
        if zone is None:
            return None
        rules = self._rules.get(zone["id"])
        if rules is None or rules.revision != self.store.revision:
            phases = {row["phase"]: row["rules"] for row in zone.get("rulesets", {}).values()}
            development = zone.get("settings", {}).get("development_mode", {}).get("value") == "on"
            rules = self._rules[zone["id"]] = Rules(zone["id"], self.store.revision, phases, development)
        return rules

    def live(self, script: str) -> tuple[tuple[str, float], ...]:
        """Return version ids and percentages of the script's newest deployment."""
        worker = next((w for w in self.store.workers() if w["name"] == script), None)
        return deployments.live(worker) if worker else ()

    def runnable(self, script: str, version: str) -> Runnable:
        """Return the version with bindings resolved; KeyError when there is none."""
        try:
            worker = self.store.worker(script)
            row = versions.get(worker, version)
        except ApiError as error:
            raise KeyError(version) from error
        modules = tuple(Module(m["name"], m["kind"], self.store.blob(m["blob"])) for m in row["modules"])
        return Runnable(
            script=worker["name"],
            version=row["id"],
            main_module=row["main_module"],
            modules=modules,
            bindings=bindings.resolved(self.store, row["bindings"]),
            compatibility_date=row["compatibility_date"],
            compatibility_flags=tuple(row["compatibility_flags"]),
            classes=tuple((name, one["key"], one["sqlite"]) for name, one in row.get("classes", {}).items()),
            tag=row["annotations"].get("workers/tag", ""),
            created_on=row["created_on"],
        )

    def asset(self, site: SiteTarget, path: str) -> Asset:
        """Return what a Pages deployment answers; KeyError when there is none."""
        rows = self.store.data["pages"][site.project]["deployments"]
        deployment = next((row for row in rows if row["id"] == site.deployment), None)
        if deployment is None:
            raise KeyError(site.deployment)
        return sites.serve(self.store, deployment, path, site.host)

    def static(self, script: str, version: str, path: str, *, host: str, navigates: bool, bound: bool) -> Asset | None:
        """Return what a Worker's static assets answer; None when its code answers."""
        worker = next((w for w in self.store.workers() if w["name"] == script), None)
        row = next((v for v in reversed(worker["versions"]) if v["id"] == version), None) if worker else None
        if row is None or not row.get("assets"):
            return None
        return assets.answer(self.store, row, path, host=host, navigates=navigates, bound=bound)

    def crons(self) -> tuple[tuple[str, str], ...]:
        """Return (script, cron expression) of every schedule of a deployed script."""
        workers = [worker for worker in self.store.workers() if worker["deployments"]]
        return tuple((str(w["name"]), str(row["cron"])) for w in workers for row in w["schedules"])

    def records(self) -> tuple[Json, ...]:
        """Return every DNS record of every zone as the API shows it."""
        return tuple(dict(record) for record in self.store.records())


def covers(name: str, host: str) -> bool:
    """Tell whether a record's name, wildcard or not, answers for a host."""
    return name == host or (name.startswith("*.") and host.endswith(name[1:]))


def route_matches(pattern: str, whole: str) -> bool:
    """Tell whether `host/path?query` fits a route pattern, in which `*` stands for anything.

    The query counts, as documented: only a pattern that ends with `*` takes one. Visitors here come over TLS.
    """
    host, _, rest = pattern.removeprefix("https://").partition("/")
    return fnmatch.fnmatchcase(whole, f"{host.lower()}/{rest}".replace("[", "[[]"))
