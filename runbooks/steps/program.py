"""The Pulumi program: make real what the repository declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes

if TYPE_CHECKING:
    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.pulumi import Change, Pulumi

WAY_BACK: Final = "the release before stays uploaded: `invoke rollback` sends the traffic back to it"


def apply_program(pulumi: Pulumi, cloudflare: Cloudflare, worker: str, *, resources: int, name: str = "apply") -> Step:
    """Return the step that applies the program and leaves the version that is live as `live` in its result.

    Repeating it is safe: the program converges. It counts as held when the traffic stands as the outputs of this run
    say. `resources` is about how many there are, for the progress bar (0: not known).
    """
    made: dict[str, Json] = {}

    def holds(sight: Sight) -> Held:
        live = cloudflare.live(worker)
        version = live.version if live else None
        outputs = made or sight.results.get(name)
        seen: dict[str, Json] = {"live": version}
        if not isinstance(outputs, dict) or "wanted" not in outputs:
            return No(seen, "the program was not applied in this run")
        if outputs["wanted"] == version:
            return Yes(seen)
        return No(seen, f"{worker}: expected {outputs['wanted']} live, got {version}")

    def act(sight: Sight) -> Json:
        done: list[Change] = []

        def report(change: Change) -> None:
            done.append(change)
            if resources:
                sight.report(len(done), max(resources, len(done)))

        applied = pulumi.up(report)
        outputs = msgspec.to_builtins(applied.outputs)
        made.clear()
        made["wanted"] = outputs["api_live_version"]
        made["outputs"] = outputs
        made["changes"] = [f"{change.action} {change.type} {change.name}" for change in applied.changes]
        return made

    return Step(
        name=name,
        title="apply the program: infrastructure, code and site",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo(WAY_BACK),
        expect=8.0,
        deadline=1800.0,
        attempts=1,
    )
