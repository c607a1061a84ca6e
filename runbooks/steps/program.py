"""The Pulumi program: make real what the repository declares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.clients.cloudflare_secrets import root_of
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.pulumi import Change, Pulumi

WAY_BACK: Final = "the release before stays uploaded: `invoke rollback` sends the traffic back to it"


@dataclass
class Program:
    """The program as applied by this run: `made` is what the act has left, for the proof right after it."""

    pulumi: Pulumi
    cloudflare: Cloudflare
    worker: str
    resources: int
    name: str
    live: Callable[[Sight], str] | None = None
    made: dict[str, Json] = field(default_factory=dict)

    def holds(self, sight: Sight) -> Held:
        """Tell whether this run has applied it: its outputs are there. Where the traffic is, another step proves."""
        live = self.cloudflare.live(self.worker)
        seen: dict[str, Json] = {"live": live.version if live else None}
        made = self.made or sight.results.get(self.name)
        if not isinstance(made, dict) or "wanted" not in made:
            return No(seen, "the program was not applied in this run")
        return Yes(seen)

    def act(self, sight: Sight) -> Json:
        """Apply it."""
        done: list[Change] = []

        def report(change: Change) -> None:
            done.append(change)
            if self.resources:
                sight.report(len(done), max(self.resources, len(done)))

        held = declared_as(self.cloudflare, self.worker, self.live(sight)) if self.live else None
        applied = self.pulumi.holding(held).up(report)
        outputs = self._with_repetition(msgspec.to_builtins(applied.outputs))
        changes = [f"{change.action} {change.type} {change.name}" for change in applied.changes]
        self.made = {
            "wanted": outputs["api_live_version"],
            "outputs": outputs,
            "changes": [*changes],
            "ids": [*applied.ids],
        }
        return self.made

    def _with_repetition(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """Put in place of a version the one that repeats it and is live (`invoke deploy.secrets`)."""
        live = self.cloudflare.live(self.worker)
        if live is None or live.version is None:
            return outputs
        code = declared_as(self.cloudflare, self.worker, live.version)
        return {name: live.version if value == code else value for name, value in outputs.items()}


def declared_as(cloudflare: Cloudflare, worker: str, version: str) -> str:
    """Return the version as the program knows it: what was uploaded again with other secrets is known by its first."""
    found = cloudflare.version(worker, version)
    return root_of(found) if found else version


def preview_program(pulumi: Pulumi, cloudflare: Cloudflare, worker: str, live: str | None) -> tuple[str, ...]:
    """Tell what applying the program would change, a line each, while `live` keeps the traffic (None: none)."""
    held = declared_as(cloudflare, worker, live) if live else None
    return tuple(f"{c.action} {c.type} {c.name}" for c in pulumi.holding(held).preview().changes)


def apply_program(
    pulumi: Pulumi,
    cloudflare: Cloudflare,
    worker: str,
    *,
    resources: int,
    live: Callable[[Sight], str] | None = None,
    title: str = "apply the program: infrastructure, code and site",
    name: str = "apply",
) -> Step:
    """Return the step that applies the program; its result holds the outputs, and what shall be live as `wanted`.

    Repeating it is safe: the program converges. `resources` is about how many there are, for the progress bar
    (0: not known). `live` is the version that has the traffic afterwards; without it the new one, or the pinned one.
    """
    program = Program(pulumi, cloudflare, worker, resources, name, live)
    return Step(
        name=name,
        title=title,
        effect=Effect.WRITE,
        holds=program.holds,
        act=program.act,
        undo=NoUndo(WAY_BACK),
        expect=8.0,
        deadline=1800.0,
        attempts=1,
    )
