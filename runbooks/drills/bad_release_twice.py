"""Drill: two operators take a bad release back at the same time, and a deploy brings it again.

The second operator is told who is at it, and does nothing; the deploy of what was quarantined is refused.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runbooks.clients import child, twin
from runbooks.clients.twin import Do, Fault
from runbooks.drills.rig import faulty
from runbooks.drills.rig.scenario import Repaired
from runbooks.drills.rig.stage import release
from runbooks.engine.outcome import Outcome, Status
from runbooks.engine.plan import Plan
from runbooks.model.errors import Exit, HeldByOther, NotSo, OpsError, Refused

if TYPE_CHECKING:
    from runbooks.drills.rig.scenario import Broken, Scene
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage

SLOW: Final = Fault(provider="cloudflare", method="POST", path="/deployments$", do=Do(delay=3.0), times=1)
"""The call that routes the traffic takes so long that the second operator comes in between."""
LONGEST: Final = 60.0  # seconds that the first operator's command may take
LOOK: Final = 0.05  # seconds between looks at whether that call has come


@dataclass(frozen=True)
class BadReleaseTwice:
    """The scenario."""

    name: str = "bad-release-twice"
    what: str = "two operators take a bad release back at once, and a deploy brings it again: done once, and refused"
    warm_seconds: float = 0.5

    def break_it(self, scene: Scene) -> Broken:
        """Deploy the bad release by the real book, which must notice it, and look for ourselves."""
        return faulty.goes_live(scene, self.name)

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Run the command twice at once; when it is over, let the same code be deployed again."""
        stage = scene.stage
        site, reason = stage.site, f"drill {self.name}: {broken.noticed_by[0]}"
        with stage.phases.measured(f"{self.name}: rollback"):
            outcome, problems = _both(site, reason)
        live = site.cloudflare.live(site.settings.stack.api.name)
        with stage.phases.measured(f"{self.name}: deploy again"):
            problems += _refused(stage, self.name)
        if site.cloudflare.live(site.settings.stack.api.name) != live:
            problems.append("the deploy of what was rolled back from has moved the traffic")
        return Repaired(outcome=outcome, problems=tuple(problems))


def _both(site: Site, reason: str) -> tuple[Outcome, list[str]]:
    """Let one operator type the command and another one run the book meanwhile; return how the first one's ended."""
    words = [sys.executable, "-m", "invoke", "rollback", "--json", "--yes", f"--stack={site.settings.file}"]
    control = twin.control(site.settings.stack.base_url)
    try:
        control.fault(SLOW)
        first = child.start(
            [*words, f"--reason={reason}"], folder=site.settings.root, environment=site.environ, stderr=None
        )
        try:
            until = time.monotonic() + LONGEST
            while first.poll() is None and time.monotonic() < until and not any(f.seen for f in control.struck()):
                time.sleep(LOOK)
            problems = _held(site, reason)
            printed = b"\n".join(child.lines(first, seconds=LONGEST))
        except TimeoutError:
            message = f"invoke rollback: expected its end within {LONGEST:.0f} s, got none"
            raise NotSo(message) from None
        finally:
            child.stop(first)
    finally:
        control.clear_faults()
        control.transport.close()
    return outcome_of(printed), problems


def _held(site: Site, reason: str) -> list[str]:
    """Roll back as the second operator; return what is wrong unless that is refused, since the first one is at it."""
    try:
        outcome = faulty.taken_back(site, reason=reason)
    except HeldByOther:
        return []
    except OpsError as error:
        return [f"the second operator was not told that the first one is at it, but: {error}"]
    return [f"the second operator was let in beside the first one: {outcome.status}"]


def _refused(stage: Stage, drill: str) -> list[str]:
    """Deploy the same bad code once more, as a pipeline does that knows of nothing; return why it was not refused."""
    bad = stage.site_of(faulty.stack_file_of(stage, drill))
    try:
        outcome = release(bad, reason=f"drill {drill}: the pipeline runs again")
    except Refused as error:
        return [] if "quarantined" in str(error) else [f"the deploy was refused for another reason: {error}"]
    finally:
        bad.close()
    return [f"the deploy of what was rolled back from was not refused: {outcome.status}"]


def outcome_of(printed: bytes) -> Outcome:
    """Return how a command ended, from the JSON that it printed."""
    try:
        said: dict[str, Any] = msgspec.json.decode(printed)
        return Outcome(
            run=said["run"],
            status=Status(said["status"]),
            exit=Exit(said["exit"]),
            journal=said["journal"],
            results=said["results"],
            seconds=said["seconds"],
            next_command=said["next_command"],
            plan=msgspec.convert(said["plan"], Plan),
            text=said["text"],
        )
    except (msgspec.MsgspecError, KeyError, ValueError) as error:
        message = f"invoke rollback --json: expected one run, got {printed[:200]!r} ({error})"
        raise NotSo(message) from None
