"""Apply the program, give the new release its traffic, prove that it works, and record it as verified good.

apply → (stage by stage, while the release before keeps the rest of the traffic) → prove the health contract with the
new version → pass the smoke checks → watch it for a while → record the proof, which is what makes the release a target
of a later rollback. The site is proven whole, the zone's records at the name servers. A check that fails takes the
release back by itself: traffic to the release before, the bad one quarantined, the good one pinned and proven. What is
pinned stays live: new code and files are only uploaded, other records are refused.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.account import Account
from runbooks.clients.edge import asking_for
from runbooks.engine.step import Book, NoUndo, Step
from runbooks.steps.beside import Beside
from runbooks.steps.cloudflare.edge import any_version, plainly, serves
from runbooks.steps.cloudflare.secrets import check_secrets
from runbooks.steps.cloudflare.stages import (
    WHOLE,
    Watch,
    error_rate_stays_low,
    follow_program,
    see_way_back,
    shift_traffic,
)
from runbooks.steps.cloudflare.workers import SHORT, given, released_by, route_traffic, uploaded_by
from runbooks.steps.drift.doubles import see_doubles
from runbooks.steps.pins import pin_release, read_pins
from runbooks.steps.program import WAY_BACK, apply_program, preview_program
from runbooks.steps.releases import quarantine, read_releases
from runbooks.steps.standing import refuse_quarantined, standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from infra.stack import Release
    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.clients.pulumi import Pulumi
    from runbooks.engine.record.home import Home
    from runbooks.engine.step import Sight
    from runbooks.model.settings import Settings

NAME: Final = "deploy"
NOT_AGAIN: Final = "what failed its checks gets no traffic again by an undo: `invoke rollback --to=…` sends it there"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator asks for. `preview` reads what would change, which takes as long as importing the program."""

    preview: bool = True
    accept_quarantined: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What is live and pinned, and what would change: None when no preview was asked for.

    `held` keeps the traffic while the program is applied (None: the new release gets all of it at once), `back` is
    where a release that fails goes back to; None, and then `why_none` says why.
    """

    live: tuple[str, ...]
    pinned: str | None
    changes: tuple[str, ...] | None
    held: str | None = None
    back: str | None = None
    why_none: str = ""


@dataclass(frozen=True)
class Deploy:
    """One deployment of the whole product: what it needs, and its book."""

    settings: Settings
    home: Home
    cloudflare: Cloudflare
    edge: Edge
    pulumi: Pulumi
    arguments: Arguments
    clock: Callable[[], datetime]

    @property
    def worker(self) -> str:
        """Return the Worker's name."""
        return self.settings.stack.api.name

    @property
    def policy(self) -> Release:
        """Return how a release gets its traffic."""
        return self.settings.stack.release

    @cached_property
    def message(self) -> str:
        """Return how the version is called that the repository holds now; builds it."""
        api = self.settings.stack.api
        return api.message(self.pulumi.module(api.build))

    def gather(self) -> Facts:
        """Read what is live and pinned, and what would change. Refuses what was quarantined, a secret without value."""
        check_secrets(self.cloudflare, self.settings)
        self.beside.refuse_what_goes_back()
        live, releases = self.cloudflare.live(self.worker), read_releases(self.home, "api")
        pin = read_pins(self.settings.file).get("api")
        now = standing(self.cloudflare, self.worker, live, releases)
        if now.serving not in releases.good:
            self.beside.refuse_while_stopped(now.serving)
        if pin is None and not self.arguments.accept_quarantined:
            override = self.command("deploy --accept-quarantined")
            refuse_quarantined(self.cloudflare, self.worker, releases, lambda: self.message, override=override)
        held = now.serving if pin is None and self.policy.traffic != (WHOLE,) else None
        program = (self.pulumi, self.cloudflare, self.worker)
        return Facts(
            live=tuple(share.version_id for share in live.versions) if live else (),
            pinned=pin.version if pin else None,
            changes=preview_program(*program, held) if self.arguments.preview else None,
            held=held,
            back=now.back,
            why_none=now.why_none,
        )

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure."""
        way = self.at_once(facts) if facts.held is None else self.in_stages(facts, facts.held)
        stack, proofs = self.settings.stack, tuple(step.name for step in way if is_check(step.name))
        account = Account(self.cloudflare.transport, stack.account, stack.zone)
        return (
            self.beside.records_before(),
            *way,
            see_doubles(account, stack, after="apply", name="doubles"),
            self.beside.recorded(self.released(facts), proofs, pinned=facts.pinned is not None),
            *self.beside.records_after(back=bool(facts.live)),
        )

    def at_once(self, facts: Facts) -> tuple[Step, ...]:
        """Return how all traffic goes to the new release, or stays on the pinned one, as the program says."""
        cloudflare, worker = self.cloudflare, self.worker
        return (
            apply_program(self.pulumi, cloudflare, worker, resources=len(facts.changes or ())),
            follow_program(cloudflare, worker, version=self.released(facts), way_back=WAY_BACK, name="traffic"),
            *self.checks(facts, WHOLE),
            *self.beside.site(back=bool(facts.live)),
        )

    def in_stages(self, facts: Facts, held: str) -> tuple[Step, ...]:
        """Return how the new release gets its traffic while `held` keeps the rest; the program learns of it at last."""
        cloudflare, worker, new = self.cloudflare, self.worker, self.released(facts)
        way: list[Step] = []
        if facts.live != (held,):  # an earlier run has left a split
            way.append(route_traffic(cloudflare, worker, to=held, back_to=None, what=NAME, name="end the split"))
        resources = len(facts.changes or ())
        way.append(apply_program(self.pulumi, cloudflare, worker, resources=resources, live=given(held)))
        way += self.beside.site(back=bool(facts.live))
        for stage in self.policy.traffic:
            name = "traffic" + suffix(stage)
            way.append(shift_traffic(cloudflare, worker, version=new, percentage=stage, beside=held, name=name))
            way += self.checks(facts, stage)
        title = "let the program declare the new release as live"
        way.append(apply_program(self.pulumi, cloudflare, worker, resources=0, live=new, title=title, name="declare"))
        return tuple(way)

    def released(self, facts: Facts) -> Callable[[Sight], str]:
        """Return how to read the version that this run brings live."""
        return released_by("apply") if facts.held is None else uploaded_by("apply")

    def checks(self, facts: Facts, stage: float) -> tuple[Step, ...]:
        """Return what proves the new release at this part of the traffic."""
        api, version, failed = self.settings.stack.api, self.released(facts), self.after_failure(facts)

        def headers(sight: Sight) -> Mapping[str, str]:
            return asking_for(api.name, version(sight))

        asked, told = headers if stage < WHOLE else plainly, suffix(stage)
        proofs = serves(
            self.edge, api, version=version, clock=self.clock, next_command=failed, headers=asked, suffix=told
        )
        if not self.policy.bake_seconds:
            return proofs
        watch = Watch(
            edge=self.edge,
            api=api,
            policy=self.policy,
            version=version,
            former=facts.held or facts.back,
            headers=asked,
            clock=self.clock,
            next_command=failed,
        )
        return (*proofs, error_rate_stays_low(watch, name="watch" + told))

    @cached_property
    def beside(self) -> Beside:
        """Return what is proven and remembered beside the API."""
        return Beside(self.settings, self.home, self.cloudflare, self.edge, self.clock, self.command)

    def after_failure(self, facts: Facts) -> str | None:
        """Return what to type after a check that failed."""
        if self.rolls_back(facts):
            return self.command("rollback --unpin")
        return self.command("rollback") if facts.live else None

    def rolls_back(self, facts: Facts) -> bool:
        """Tell whether a check that fails takes the release back: not where a pin has kept the traffic anyway."""
        return self.policy.on_failure == "rollback" and facts.pinned is None

    def on_failure(self, facts: Facts) -> tuple[Step, ...]:
        """Return what takes the release back."""
        if not self.rolls_back(facts):
            return ()
        version, back, again = self.released(facts), facts.back, self.command("rollback")
        look = see_way_back(
            version=version,
            back=back,
            why_none=facts.why_none,
            blameless=self.blameless(facts),
            next_command=self.command("deploy"),
            name="way back",
        )
        if back is None:
            return (look,)
        api = self.settings.stack.api
        route = route_traffic(self.cloudflare, self.worker, to=back, back_to=None, what="taken back", force=True)
        reason = "a check failed after the deploy of another release"
        return (
            look,
            quarantine(self.home, "api", version=version, to=back, clock=self.clock),
            replace(route, undo=NoUndo(NOT_AGAIN)),
            pin_release(self.settings.file, "api", version=back, reason=reason, clock=self.clock),
            *serves(self.edge, api, version=given(back), clock=self.clock, next_command=again, prefix="old "),
        )

    def blameless(self, facts: Facts) -> Callable[[Sight], tuple[str, str] | None]:
        """Return how to tell that it is the site or the records whose check failed, not the API."""
        steps = [step.name for step in self.steps(facts)]
        names = [name for name in steps if is_check(name) or name.startswith("traffic")]
        beside, back, before = self.beside, bool(facts.live), steps[steps.index(names[0]) - 1]
        return lambda sight: (
            None if before in sight.results and names[-1] not in sight.results else beside.fails(sight, back=back)
        )

    def after_undo(self, facts: Facts) -> tuple[Step, ...]:
        """Return the steps that prove that what was live before serves again."""
        version, again = given(facts.live[0]) if len(facts.live) == 1 else any_version, self.command("rollback")
        api = self.settings.stack.api
        return serves(self.edge, api, version=version, clock=self.clock, next_command=again, prefix="former ")

    def summary(self, facts: Facts) -> str:
        """Return one line for the operator."""
        count = "what has changed" if facts.changes is None else f"{len(facts.changes)} changes"
        now, host = " + ".join(v[:SHORT] for v in facts.live) or "nothing yet", self.settings.stack.api.host
        text = f"{count} to {self.settings.name} ({host}); live now: {now}"
        if facts.pinned:
            text += f". Traffic stays on {facts.pinned[:SHORT]}, which is pinned, until `invoke rollback --unpin`"
        return text

    def command(self, words: str) -> str:
        """Return a command line for this stack."""
        return f"invoke {words} --stack {shlex.quote(self.settings.argument)}"


def is_check(name: str) -> bool:
    """Tell whether a step of this name proves the new release of the API."""
    return name.startswith(("health", "smoke", "watch"))


def suffix(stage: float) -> str:
    """Return what tells the steps of one stage from those of another; the last one's have their plain names."""
    return f" at {stage:g} %" if stage < WHOLE else ""


def book(
    settings: Settings,
    cloudflare: Cloudflare,
    edge: Edge,
    pulumi: Pulumi,
    *,
    home: Home,
    arguments: Arguments,
    clock: Callable[[], datetime],
) -> Book[Facts]:
    """Return the deployment of everything that the program declares."""
    it = Deploy(settings, home, cloudflare, edge, pulumi, arguments, clock)
    return Book(
        name=NAME,
        facts_type=Facts,
        gather=it.gather,
        steps=it.steps,
        summary=it.summary,
        recheck=("live", "pinned"),
        after_undo=it.after_undo,
        on_failure=it.on_failure,
    )
