"""The API's way back: quarantine what is live → route the traffic → pin → prove health and smoke checks → record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.cloudflare_secrets import root_of
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.edge import any_version, serves
from runbooks.steps.cloudflare.workers import SHORT, given, route_traffic
from runbooks.steps.journals import refuse_while_stopped
from runbooks.steps.pins import pin_release
from runbooks.steps.releases import LEDGER, quarantine, read_releases, record_verified
from runbooks.steps.rollback.asked import NAME, UUID

if TYPE_CHECKING:
    from runbooks.clients.cloudflare import Cloudflare, Deployment, Version
    from runbooks.clients.edge import Edge
    from runbooks.engine.step import Step
    from runbooks.steps.releases import Releases
    from runbooks.steps.rollback.asked import Asked

KEPT: Final = 100
"""Versions that Cloudflare can still give traffic to: the last uploaded ones (changelog of 2025-09-11)."""
SECRETS: Final = (
    "Until a new version is deployed, `wrangler secret put` is refused (10215), since the newest version is not live: "
    "`invoke deploy.secrets` sets secrets all the same."
)


class Facts(msgspec.Struct, frozen=True):
    """What is live, what it shall become. `bad` are the live versions that are rolled back from."""

    live: tuple[str, ...]
    target: str
    bad: tuple[str, ...] = ()
    fallback: str | None = None
    """Where to go if the target is no good either."""


@dataclass(frozen=True)
class ApiRollback:
    """One rollback of the API's traffic."""

    asked: Asked
    cloudflare: Cloudflare
    edge: Edge

    facts_type = Facts
    recheck = ("live", "target")

    @property
    def worker(self) -> str:
        """Return the Worker's name."""
        return self.asked.settings.stack.api.name

    def gather(self) -> Facts:
        """Read what is live, what could be live, and what is known of it. Raises Refused when there is no target."""
        live = self.cloudflare.live(self.worker)
        if live is None:
            message = f"Worker {self.worker}: expected a live release to go back from, nothing was ever deployed."
            raise Refused(message, next_command=self.asked.command("deploy"))
        deployable = {version.id: version for version in self.cloudflare.versions(self.worker)}
        releases = read_releases(self.asked.home, "api")
        if live.version in deployable and deployable[live.version].is_maintenance:
            refuse_while_stopped(
                self.asked.home, self.asked.settings.name, self.asked.settings.argument, worker=self.worker,
                now=self.asked.clock(),
            )  # fmt: skip
        chosen = self.asked.arguments.to
        target = self.chosen(deployable, releases) if chosen else self.last_good(live, deployable, releases)
        now = tuple(share.version_id for share in live.versions)
        bad = tuple(v for v in now if v != target and not (v in deployable and deployable[v].is_maintenance))
        others = [v for v in releases.good if v not in (*bad, target) and v in deployable]
        facts = Facts(live=now, target=target, bad=bad, fallback=others[-1] if others else None)
        if now != (target,):
            self.refuse_unbound(facts)
        return facts

    def last_good(self, live: Deployment, deployable: dict[str, Version], releases: Releases) -> str:
        """Return the last verified release that isn't live, or the live one when a rollback has just chosen it."""
        if live.version is not None and live.version == releases.rolled_back_to:
            return live.version
        code = {version.id: root_of(version) for version in deployable.values()}  # other secrets are no way back
        known = [v for v in releases.good if v in code and code[v] != code.get(str(live.version), live.version)]
        if known:
            return known[-1]
        old = sum(v not in deployable for v in releases.good)
        choice = [v for v in deployable.values() if not v.is_maintenance and v.id != live.version]
        choice = sorted((v for v in choice if v.id not in releases.quarantined), key=lambda v: -v.number)
        listed = "; ".join(f"{v.id} of {v.metadata.created_on[:16]}" for v in choice[:5]) or "none"
        message = (
            f"Worker {self.worker}: expected a verified release beside the live one, got none in "
            f"{self.asked.home.where(LEDGER)}{f' but {old} that are older than the last {KEPT} uploads' if old else ''}"
            f". Deployable, but not proven good: {listed}."
        )
        raise Refused(message, next_command=self.asked.again(choice[0].id) if choice else None)

    def chosen(self, deployable: dict[str, Version], releases: Releases) -> str:
        """Return the one deployable release that `--to` means. Raises Refused when there is none or several."""
        to = self.asked.arguments.to
        found = [v.id for v in deployable.values() if v.id.startswith(to) and not v.is_maintenance]
        if len(found) == 1:
            self.refuse_quarantined(found[0], releases)
            return found[0]
        known = ", ".join(v.id for v in deployable.values() if not v.is_maintenance) or "none"
        got = f"{len(found)} of them" if found else "none"
        if UUID.fullmatch(to) and not found and (version := self.cloudflare.version(self.worker, to)) is not None:
            what = version.annotations.message or f"number {version.number}"
            message = (
                f"--to={to}: version “{what}” of {version.metadata.created_on[:16]} is older than the last {KEPT} "
                f"uploads of {self.worker}: Cloudflare gives it no traffic any more. Check that code out and deploy it."
            )
            raise Refused(message, next_command=self.asked.command("deploy"))
        message = f"--to={to}: expected one deployable release of {self.worker}, got {got}. Deployable: {known}."
        raise Refused(message, next_command=self.asked.again())

    def refuse_quarantined(self, version: str, releases: Releases) -> None:
        """Raise Refused for a version that was rolled back from."""
        run = releases.quarantined_by.get(version)
        if run is not None and version != releases.rolled_back_to:
            message = (
                f"--to={self.asked.arguments.to}: version {version} was rolled back from by run {run}: expected one "
                "that was not. Its corrected code is deployed as a new version."
            )
            raise Refused(message, next_command=self.asked.again())

    def refuse_unbound(self, facts: Facts) -> None:
        """Raise Refused when something that the target is bound to is gone: it would start without it, or not at all.

        What it must be the same as before is not looked at: a rollback takes code and bindings back, never data.
        """
        version = self.cloudflare.version(self.worker, facts.target)
        bindings = version.resources.bindings if version else ()
        gone = [f"{b.name} ({b.type})" for b in bindings if self.cloudflare.lacks(b)]
        if gone:
            message = (
                f"Version {facts.target} of {self.worker} is bound to what is no longer there: {', '.join(gone)}. "
                "Expected all that it needs; nothing was done."
            )
            again = self.asked.again(facts.fallback) if facts.fallback else self.asked.command("deploy")
            raise Refused(message, next_command=again)

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure."""
        settings, clock = self.asked.settings, self.asked.clock
        return (
            *(self.quarantined(bad, facts.target) for bad in facts.bad),
            route_traffic(
                self.cloudflare,
                self.worker,
                to=facts.target,
                back_to=facts.live[0],
                what=NAME,
                force=self.asked.arguments.accept_secret_change,
                on_secret_change=self.asked.command(f"{NAME} --to={facts.target} --accept-secret-change"),
            ),
            pin_release(
                settings.file,
                "api",
                version=facts.target,
                reason=self.asked.arguments.reason or f"rolled back from {', '.join(v[:SHORT] for v in facts.live)}",
                clock=clock,
            ),
            *self.proofs(facts),
        )

    def quarantined(self, bad: str, target: str) -> Step:
        """Return the step that keeps later rollbacks away from a live release that is left."""
        name = f"quarantine {bad[:SHORT]}"
        return quarantine(self.asked.home, "api", version=bad, to=target, clock=self.asked.clock, name=name)

    def proofs(self, facts: Facts) -> tuple[Step, ...]:
        """Return the steps that prove the target through the edge and record the proof."""
        api, target, clock = self.asked.settings.stack.api, given(facts.target), self.asked.clock
        otherwise = self.asked.again(facts.fallback) if facts.fallback else None
        return (
            *serves(self.edge, api, version=target, clock=clock, next_command=otherwise),
            record_verified(self.asked.home, "api", version=target, proofs=("health", "smoke"), clock=clock),
        )

    def after_undo(self, facts: Facts) -> tuple[Step, ...]:
        """Return the steps that prove that what was live before serves again."""
        api, clock = self.asked.settings.stack.api, self.asked.clock
        version = given(facts.live[0]) if len(facts.live) == 1 else any_version
        return serves(
            self.edge, api, version=version, clock=clock, next_command=self.asked.again(), prefix="former "
        )  # fmt: skip

    def summary(self, facts: Facts) -> str:
        """Return one line for the operator."""
        live = " + ".join(v[:SHORT] for v in facts.live)
        if facts.live == (facts.target,):
            return f"{self.worker} is on {facts.target} already; make sure that it is pinned and answers"
        host = self.asked.settings.stack.api.host
        return f"{self.worker} at {host}: from {live} back to {facts.target}, pinned there"

    def shows(self, _facts: Facts) -> tuple[str, ...]:
        """Return what the operator must know before."""
        return (SECRETS,)
