"""Drill: a bad release is live while Cloudflare's API is down; it is taken back as soon as that answers, and once only.

The edge serves all the time. First nothing answers: the operator is told so, and what is left. Then the API takes the
one call that matters, loses its answer and is down again for a while: the book must find out that it happened.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.clients import twin
from runbooks.clients.twin import Do, Fault
from runbooks.drills.rig import faulty
from runbooks.drills.rig.scenario import Repaired
from runbooks.model.errors import OpsError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runbooks.clients.twin import Call, TwinControl
    from runbooks.drills.rig.scenario import Broken, Scene
    from runbooks.drills.rig.site import Site

DOWN: Final = Fault(
    provider="cloudflare", method="", path="^/client/v4/", do=Do(status=503, message="no healthy upstream"), times=None
)
"""The whole control plane of Cloudflare; Supabase's and the edge answer."""
LOST: Final = Fault(
    provider="cloudflare", method="POST", path="/deployments$", do=Do(delay=1.0, status=503, applied=True), times=1
)
"""The call that routes the traffic takes a while, has its effect, and its answer is lost."""
AGAIN: Final = 4.0  # seconds for which nothing answers after that: longer than one read is patient
LOOK: Final = 0.05  # seconds between looks at whether that call has come
PATIENCE: Final = 30.0  # seconds in which it must have come
SAYS: Final = ("Nothing was changed.", "answers", "Network Restrictions")
"""What the operator must be told."""


@dataclass(frozen=True)
class ControlPlaneDown:
    """The scenario."""

    name: str = "control-plane-down"
    what: str = "a bad release is live while Cloudflare's API is down; it is taken back once, when the API answers"
    warm_seconds: float = 0.5

    def break_it(self, scene: Scene) -> Broken:
        """Deploy a bad release by the real book; then let the API of Cloudflare answer nothing but 503."""
        broken = faulty.goes_live(scene, self.name)
        with _control(scene.stage.site) as control:
            control.fault(DOWN)
        return broken

    def repair(self, scene: Scene, broken: Broken) -> Repaired:
        """Roll back while nothing answers, and again when it does; the answer that matters is lost."""
        site, phases = scene.stage.site, scene.stage.phases
        reason = f"drill {self.name}: {broken.noticed_by[0]}"
        with _control(site) as control:
            since = len(control.calls())
            try:
                with phases.measured(f"{self.name}: rollback, API down"):
                    problems = _told(site, reason)
                if any(call.effect for call in control.calls()[since:]):
                    problems.append("something was changed although the API was down")
                with phases.measured(f"{self.name}: rollback"), _coming_back(control):
                    outcome = faulty.taken_back(site, reason=reason)
            finally:
                control.clear_faults()
            problems += once(control.calls()[since:])
        return Repaired(outcome=outcome, problems=tuple(problems))


def once(calls: tuple[Call, ...]) -> list[str]:
    """Return what is wrong with how the traffic was routed: once, its answer lost, and nothing answering after it."""
    routed = [call for call in calls if call.method == "POST" and call.path.endswith("/deployments") and call.effect]
    if len(routed) != 1:
        return [f"the traffic was routed {len(routed)} times, expected once"]
    down = LOST.do.status
    if routed[0].status != down:
        return ["the answer of the call that routes the traffic was not lost: nothing is proven of that"]
    if not any(call.status == down and call.seq > routed[0].seq for call in calls):
        return ["the API was not down after the call that routes the traffic: nothing is proven of that"]
    return []


def _told(site: Site, reason: str) -> list[str]:
    """Roll back while the API is down; return what was wrong with what the operator is told."""
    try:
        outcome = faulty.taken_back(site, reason=reason)
    except Unreachable as error:
        text = str(error)
        return [
            f"while the API is down, the rollback does not say “{word}”: {text}" for word in SAYS if word not in text
        ]
    except OpsError as error:
        return [f"while the API is down, the rollback ended with {type(error).__name__}: {error}"]
    return [f"while the API was down, the rollback ended as {outcome.status}"]


@contextmanager
def _coming_back(control: TwinControl) -> Iterator[None]:
    """Let the API answer again; after the call that routes the traffic nothing, for a while."""
    control.clear_faults()
    control.fault(LOST)
    over = threading.Event()
    shadow = threading.Thread(target=_down_again, args=(control, over))
    shadow.start()
    try:
        yield
    finally:
        over.set()
        shadow.join()


def _down_again(control: TwinControl, over: threading.Event) -> None:
    """Wait for the call; let nothing answer after it until `AGAIN` is over."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not over.is_set():
        if any(fault.seen for fault in control.struck()):
            control.fault(DOWN)
            over.wait(AGAIN)
            control.clear_faults()
            return
        over.wait(LOOK)


@contextmanager
def _control(site: Site) -> Iterator[TwinControl]:
    control = twin.control(site.settings.stack.base_url)
    try:
        yield control
    finally:
        control.transport.close()
