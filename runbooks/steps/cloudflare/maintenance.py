"""The application while it is stopped, as its users see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import ONLY_READS, Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge

UNAVAILABLE: Final = 503
IN_A_ROW: Final = 3  # one answer may come from an edge that lags
WITHIN: Final = 60.0  # seconds


class Stopped(msgspec.Struct, frozen=True):
    """What the maintenance version answers to anything."""

    status: str
    version: str


def serving_release(cloudflare: Cloudflare, worker: str) -> str | None:
    """Return the release that serves users, or served them before it was stopped; the larger part of a split.

    None when nothing but the maintenance version was ever live, as far as the provider remembers (10 deployments).
    """
    maintenance = {version.id for version in cloudflare.versions(worker) if version.is_maintenance}
    for deployment in cloudflare.deployments(worker):
        largest = max(deployment.versions, key=lambda share: share.percentage, default=None)
        if largest is not None and largest.version_id not in maintenance:
            return largest.version_id
    return None


def release_to_restart(cloudflare: Cloudflare, worker: str, former: str | None) -> str:
    """Return the release that serves, or the one that did before an earlier run stopped it. Raises Refused."""
    live = serving_release(cloudflare, worker) or former
    if live is None:
        message = f"Worker {worker}: expected a release to go back to after the restore, none was ever live."
        raise Refused(message, next_command="invoke deploy")
    return live


def edge_is_stopped(edge: Edge, host: str, path: str, *, version: str, name: str) -> Step:
    """Return the step that proves that users get the maintenance version: 503 from exactly this version."""

    def fault() -> str:
        answer = edge.get(host, path)
        if answer.status != UNAVAILABLE:
            return f"{answer.what}: expected {UNAVAILABLE}, got {answer.status}"
        try:
            said = msgspec.json.decode(answer.body, type=Stopped)
        except msgspec.MsgspecError:
            return f"{answer.what}: expected the maintenance version's JSON, got something else with {answer.status}"
        return "" if said.version == version else f"{answer.what}: expected version {version}, got {said.version}"

    def holds(_sight: Sight) -> Held:
        for _ in range(IN_A_ROW):
            if wrong := fault():
                return No({"fault": wrong}, wrong)
        return Yes({"status": UNAVAILABLE, "version": version, "answers": IN_A_ROW})

    def act(_sight: Sight) -> Json:
        return None  # `holds` looks until the deadline

    return Step(
        name=name,
        title=f"see that {host} answers {UNAVAILABLE} to everyone",
        effect=Effect.READ,
        holds=holds,
        act=act,
        undo=ONLY_READS,
        expect=0.1,
        deadline=WITHIN,
    )
