"""A new release gets its traffic stage by stage, and is watched at each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.clients.cloudflare import Cloudflare, Share
from runbooks.engine.step import ONLY_READS, Effect, Evidence, Held, Json, No, NoUndo, Settling, Sight, Step, Yes
from runbooks.model.errors import NotSo, Unreachable
from runbooks.steps.cloudflare.edge import Clock, Headers, health_faults, of_stage, smoke_faults
from runbooks.steps.cloudflare.workers import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.stack import Api, Release
    from runbooks.clients.edge import Edge

WHOLE: Final = 100  # per cent
DEPLOY: Final = "deploy"
"""By what the provider's list of deployments says that they were made."""
DEADLINE: Final = 30.0  # seconds
LAGS: Final = 1.0  # seconds for which a read may lag behind what the program has just done
PER_SECOND: Final = 5.0  # our own requests while a release is watched: enough to see 1 % in a minute, no load
MOST: Final = 5000  # requests of one watch, however long it is
SHOWN: Final = 3  # faults that the text names


def shift_traffic(
    cloudflare: Cloudflare,
    worker: str,
    *,
    version: Callable[[Sight], str],
    percentage: float,
    beside: str,
    name: str,
) -> Step:
    """Return the step that gives `percentage` of a Worker's traffic to a version that is known once it is uploaded.

    The rest stays on `beside`, which had all of it. Where both are the same version there is nothing to split.
    """

    def traffic(sight: Sight) -> Traffic:
        to = version(sight)
        parts: tuple[Share, ...] = (Share(to, WHOLE),)
        if to != beside and percentage < WHOLE:
            parts = (Share(to, percentage), Share(beside, WHOLE - percentage))
        return Traffic(cloudflare=cloudflare, worker=worker, to=parts, back_to=beside, what=DEPLOY)

    return Step(
        name=name,
        title=f"send {percentage:g} % of {worker} traffic to the new release",
        effect=Effect.WRITE,
        holds=lambda sight: traffic(sight).holds(sight),
        act=lambda sight: traffic(sight).act(sight),
        undo=lambda sight: traffic(sight).undo(sight),
        expect=0.2,
        deadline=DEADLINE,
        attempts=3,
        settle=2.0,
    )


def follow_program(
    cloudflare: Cloudflare, worker: str, *, version: Callable[[Sight], str], way_back: str, name: str
) -> Step:
    """Return the step that makes sure that the traffic is where the program says, which is usually so already.

    Where somebody moved it without the program, the program's state knows nothing of that and changes nothing.
    """

    def traffic(sight: Sight) -> Traffic:
        return Traffic(
            cloudflare=cloudflare, worker=worker, to=(Share(version(sight), WHOLE),), back_to=None, what=DEPLOY
        )

    def holds(sight: Sight) -> Held:
        held = traffic(sight).holds(sight)
        if isinstance(held, No) and not sight.request and sight.deadline - time.monotonic() > DEADLINE - LAGS:
            return Settling(held.evidence, 0.3)
        return held

    return Step(
        name=name,
        title=f"see {worker} traffic where the program says",
        effect=Effect.WRITE,
        holds=holds,
        act=lambda sight: traffic(sight).act(sight),
        undo=NoUndo(way_back),
        expect=0.1,
        deadline=DEADLINE,
        attempts=3,
        settle=2.0,
    )


@dataclass
class Watch:
    """Requests of the health path and the smoke checks for some seconds: what they saw of a release.

    `former` was live before: where the release is that same version there is nothing new to watch.
    """

    edge: Edge
    api: Api
    policy: Release
    version: Callable[[Sight], str]
    former: str | None
    headers: Headers
    clock: Clock
    next_command: str | None

    def act(self, sight: Sight) -> Json:
        """Watch to the end. Raises NotSo as soon as more failed than may fail in all."""
        if self.version(sight) == self.former:
            return {"requests": 0, "failed": 0, "faults": []}
        pause = max(1 / PER_SECOND, self.policy.bake_seconds / MOST)
        planned = max(int(self.policy.bake_seconds / pause), 1 + len(self.api.smoke))
        faults: list[str] = []
        asked, began = 0, time.monotonic()
        while asked < planned:
            faults += self.fault(asked, sight)[:1]
            asked += 1
            sight.report(asked, planned)
            if len(faults) * 100 > self.policy.error_rate_percent * planned:
                raise NotSo(self.told(faults, asked), next_command=self.next_command)
            time.sleep(max(0.0, began + asked * pause - time.monotonic()))
        return {"requests": asked, "failed": len(faults), "faults": [*faults[:SHOWN]]}

    def fault(self, number: int, sight: Sight) -> list[str]:
        """Send one request, the checks in turn, and return what is wrong with its answer."""
        place = number % (1 + len(self.api.smoke))
        headers = self.headers(sight)
        try:
            if place:
                smoke = self.api.smoke[place - 1]
                return smoke_faults(self.edge.get(self.api.host, smoke.path, headers), smoke)
            answer = self.edge.get(self.api.host, self.api.health.path, headers)
        except Unreachable as error:
            return [str(error)]
        faults = health_faults(answer, self.api.health, version=self.version(sight), now=self.clock())
        return [f"{answer.what}: {fault}" for fault in faults]

    def told(self, faults: list[str], asked: int) -> str:
        """Return the verdict in words."""
        most, seconds = self.policy.error_rate_percent, self.policy.bake_seconds
        return (
            f"{len(faults)} of {asked} requests failed, expected at most {most:g} % over {seconds:g} s: "
            f"{'; '.join(faults[:SHOWN])}"
        )


def error_rate_stays_low(watch: Watch, *, name: str) -> Step:
    """Return the step that watches a release for some seconds and proves that few of its answers are wrong."""
    seconds, percent = watch.policy.bake_seconds, watch.policy.error_rate_percent
    seen: Evidence = {"at most per cent": percent, "seconds": seconds}
    return Step(
        name=name,
        title=f"watch for {seconds:g} s that at most {percent:g} % of the answers are wrong{of_stage(name)}",
        effect=Effect.READ,
        holds=lambda _sight: Yes(seen),
        act=watch.act,
        undo=ONLY_READS,
        expect=seconds,
        deadline=seconds * 2 + 60.0,
    )


def see_way_back(
    *,
    version: Callable[[Sight], str],
    back: str | None,
    why_none: str,
    blameless: Callable[[Sight], tuple[str, str] | None],
    next_command: str,
    name: str,
) -> Step:
    """Return the step that proves that taking the release back to `back` is what helps.

    `why_none` says why there is nothing to go back to, `blameless` why it is another system's check that has failed and
    what helps there (None: it is this one's).
    """

    def act(sight: Sight) -> Json:
        why, helps = blameless(sight) or ("", next_command)
        if not why and back is None:
            why = f"there is nothing to go back to: {why_none}. It stays where it is"
        if not why and version(sight) == back:
            why = f"there is nothing to take back: {back} was live before, so it is not this release that fails"
        if why:
            raise NotSo(why, next_command=helps)
        return {"from": version(sight), "to": back}

    return Step(
        name=name,
        title="see what the release is taken back to: " + (back or f"nothing, since {why_none}"),
        effect=Effect.READ,
        holds=lambda _sight: Yes({}),
        act=act,
        undo=ONLY_READS,
        expect=0.01,
    )
