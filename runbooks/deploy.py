"""Apply the program, prove that the release works, and record it as verified good.

apply → prove the health contract with the new version → pass the smoke checks → record the proof, which is what makes
the release a target of a later rollback. A pinned release keeps its traffic: the new code is only uploaded.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from runbooks.engine.step import Book, Step
from runbooks.steps.cloudflare.edge import serves
from runbooks.steps.cloudflare.workers import SHORT, released_by
from runbooks.steps.pins import read_pins
from runbooks.steps.program import apply_program
from runbooks.steps.releases import record_verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.clients.pulumi import Pulumi
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings

NAME = "deploy"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator asks for. `preview` reads what would change, which takes as long as importing the program."""

    preview: bool = True


class Facts(msgspec.Struct, frozen=True):
    """What is live and pinned, and what would change: None when no preview was asked for."""

    live: tuple[str, ...]
    pinned: str | None
    changes: tuple[str, ...] | None


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

    def gather(self) -> Facts:
        """Read what is live and pinned, and what the program would change."""
        live = self.cloudflare.live(self.settings.stack.api.name)
        pin = read_pins(self.settings.file).get("api")
        changes = None
        if self.arguments.preview:
            changes = tuple(f"{c.action} {c.type} {c.name}" for c in self.pulumi.preview().changes)
        return Facts(
            live=tuple(share.version_id for share in live.versions) if live else (),
            pinned=pin.version if pin else None,
            changes=changes,
        )

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure."""
        stack = self.settings.stack
        released = released_by("apply")
        web = tuple((stack.web.host, smoke) for smoke in stack.web.smoke)
        otherwise = f"invoke rollback --stack {shlex.quote(self.settings.argument)}" if facts.live else None
        return (
            apply_program(self.pulumi, self.cloudflare, stack.api.name, resources=len(facts.changes or ())),
            *serves(
                self.edge,
                stack.api,
                version=released,
                clock=self.clock,
                next_command=otherwise,
                others=web,
            ),
            record_verified(self.home, "api", version=released, proofs=("health", "smoke"), clock=self.clock),
        )

    def summary(self, facts: Facts) -> str:
        """Return one line for the operator."""
        count = "what has changed" if facts.changes is None else f"{len(facts.changes)} changes"
        now = " + ".join(v[:SHORT] for v in facts.live) or "nothing yet"
        text = f"{count} to {self.settings.name} ({self.settings.stack.api.host}); live now: {now}"
        if facts.pinned:
            text += f". Traffic stays on {facts.pinned[:SHORT]}, which is pinned, until `invoke rollback --unpin`"
        return text


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
    )
