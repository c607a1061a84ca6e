"""Send a service's traffic back to the last release that was proven good, and pin it there.

quarantine what is live → route the traffic → pin it in the stack file → prove the health contract → pass the smoke
checks → record the proof. "Good" is recorded evidence, never "the one before": doing it twice changes nothing.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from runbooks.clients.cloudflare_secrets import root_of
from runbooks.engine.step import Book, Step
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.edge import any_version, serves
from runbooks.steps.cloudflare.workers import SHORT, given, route_traffic
from runbooks.steps.pins import pin_release, read_pins, unpin_release
from runbooks.steps.releases import LEDGER, Releases, note_unpinned, quarantine, read_releases, record_verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.cloudflare import Cloudflare, Deployment, Version
    from runbooks.clients.edge import Edge
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings

NAME = "rollback"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator asks for. `to` is a version's id or its beginning; "" means the last verified one."""

    service: Literal["api"] = "api"
    to: str = ""
    unpin: bool = False
    accept_secret_change: bool = False
    reason: str = ""


class Facts(msgspec.Struct, frozen=True):
    """What is live, what it shall become. `bad` are the live versions that are rolled back from."""

    live: tuple[str, ...]
    target: str
    bad: tuple[str, ...] = ()
    fallback: str | None = None
    """Where to go if the target is no good either."""


@dataclass(frozen=True)
class Rollback:
    """One rollback of the API: what it needs, and its book."""

    settings: Settings
    home: Home
    cloudflare: Cloudflare
    edge: Edge
    arguments: Arguments
    clock: Callable[[], datetime]

    @property
    def worker(self) -> str:
        """Return the Worker's name."""
        return self.settings.stack.api.name

    def gather(self) -> Facts:
        """Read what is live, what could be live, and what is known of it. Raises Refused when there is no target."""
        live = self.cloudflare.live(self.worker)
        if live is None:
            message = f"Worker {self.worker}: expected a live release to go back from, nothing was ever deployed."
            raise Refused(message, next_command=self.command("deploy"))
        deployable = {version.id: version for version in self.cloudflare.versions(self.worker)}
        releases = read_releases(self.home, "api")
        target = self.chosen(deployable) if self.arguments.to else self.last_good(live, deployable, releases)
        now = tuple(share.version_id for share in live.versions)
        bad = tuple(v for v in now if v != target and not (v in deployable and deployable[v].is_maintenance))
        others = [v for v in releases.good if v not in (*bad, target) and v in deployable]
        return Facts(live=now, target=target, bad=bad, fallback=others[-1] if others else None)

    def last_good(self, live: Deployment, deployable: dict[str, Version], releases: Releases) -> str:
        """Return the last verified release that isn't live, or the live one when a rollback has just chosen it."""
        if live.version is not None and live.version == releases.rolled_back_to:
            return live.version
        code = {version.id: root_of(version) for version in deployable.values()}  # other secrets are no way back
        known = [v for v in releases.good if v in code and code[v] != code.get(str(live.version), live.version)]
        if known:
            return known[-1]
        choice = [v for v in deployable.values() if not v.is_maintenance and v.id != live.version]
        choice = sorted((v for v in choice if v.id not in releases.quarantined), key=lambda v: -v.number)
        listed = "; ".join(f"{v.id} of {v.metadata.created_on[:16]}" for v in choice[:5]) or "none"
        message = (
            f"Worker {self.worker}: expected a verified release beside the live one, got none in "
            f"{self.home.where(LEDGER)}. Deployable, but not proven good: {listed}."
        )
        raise Refused(message, next_command=self.command(f"rollback --to={choice[0].id}") if choice else None)

    def chosen(self, deployable: dict[str, Version]) -> str:
        """Return the one deployable release that `--to` means. Raises Refused when there is none or several."""
        to = self.arguments.to
        found = [v.id for v in deployable.values() if v.id.startswith(to) and not v.is_maintenance]
        if len(found) != 1:
            known = ", ".join(v.id for v in deployable.values() if not v.is_maintenance) or "none"
            got = f"{len(found)} of them" if found else "none"
            message = f"--to={to}: expected one deployable release of {self.worker}, got {got}. Deployable: {known}."
            raise Refused(message)
        return found[0]

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure."""
        return (
            *(self.quarantined(bad, facts.target) for bad in facts.bad),
            route_traffic(
                self.cloudflare,
                self.worker,
                to=facts.target,
                back_to=facts.live[0],
                what=NAME,
                force=self.arguments.accept_secret_change,
                on_secret_change=self.command(f"rollback --to={facts.target} --accept-secret-change"),
            ),
            pin_release(
                self.settings.file,
                "api",
                version=facts.target,
                reason=self.arguments.reason or f"rolled back from {', '.join(v[:SHORT] for v in facts.live)}",
                clock=self.clock,
            ),
            *self.proofs(facts),
        )

    def quarantined(self, bad: str, target: str) -> Step:
        """Return the step that keeps later rollbacks away from a live release that is left."""
        name = f"quarantine {bad[:SHORT]}"
        return quarantine(self.home, "api", version=bad, to=target, clock=self.clock, name=name)

    def proofs(self, facts: Facts) -> tuple[Step, ...]:
        """Return the steps that prove the target through the edge and record the proof."""
        api, target = self.settings.stack.api, given(facts.target)
        otherwise = self.command(f"rollback --to={facts.fallback}") if facts.fallback else None
        return (
            *serves(self.edge, api, version=target, clock=self.clock, next_command=otherwise),
            record_verified(self.home, "api", version=target, proofs=("health", "smoke"), clock=self.clock),
        )

    def after_undo(self, facts: Facts) -> tuple[Step, ...]:
        """Return the steps that prove that what was live before serves again."""
        api = self.settings.stack.api
        version = given(facts.live[0]) if len(facts.live) == 1 else any_version
        again = self.command("rollback")
        return serves(self.edge, api, version=version, clock=self.clock, next_command=again, prefix="former ")

    def summary(self, facts: Facts) -> str:
        """Return one line for the operator."""
        live = " + ".join(v[:SHORT] for v in facts.live)
        if facts.live == (facts.target,):
            return f"{self.worker} is on {facts.target} already; make sure that it is pinned and answers"
        return f"{self.worker} at {self.settings.stack.api.host}: from {live} back to {facts.target}, pinned there"

    def gather_pin(self) -> Facts:
        """Read which release is pinned. Nothing pinned is fine: then there is nothing to do."""
        pin = read_pins(self.settings.file).get("api")
        target = pin.version if pin else ""
        return Facts(live=(target,), target=target)

    def unpin_steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return what takes the pin away: the traffic stays where it is until the next deploy."""
        return (
            unpin_release(self.settings.file, "api"),
            note_unpinned(self.home, "api", version=facts.target, clock=self.clock),
        )

    def command(self, words: str) -> str:
        """Return a command line for this stack."""
        return f"invoke {words} --stack {shlex.quote(self.settings.argument)}"


def book(
    settings: Settings,
    cloudflare: Cloudflare,
    edge: Edge,
    *,
    home: Home,
    arguments: Arguments,
    clock: Callable[[], datetime],
) -> Book[Facts]:
    """Return the rollback of the API's traffic, or with `unpin` the release of its pin."""
    it = Rollback(settings, home, cloudflare, edge, arguments, clock)
    if arguments.unpin:
        return Book(
            name=NAME,
            facts_type=Facts,
            gather=it.gather_pin,
            steps=it.unpin_steps,
            summary=lambda _: f"{it.worker}: let the next deploy send traffic to what the repository holds again",
        )
    return Book(
        name=NAME,
        facts_type=Facts,
        gather=it.gather,
        steps=it.steps,
        summary=it.summary,
        recheck=("live", "target"),
        after_undo=it.after_undo,
    )
