"""A release with a fault: the product's own, but one route throws. It goes live by a deploy, and is taken back."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Final

from runbooks import rollback
from runbooks.clients.child import printed
from runbooks.drills.rig.scenario import Broken
from runbooks.drills.rig.site import utc_now
from runbooks.drills.rig.stage import release, write_stack
from runbooks.engine.record.entry import Kind, read
from runbooks.model.errors import Exit, NotSo
from runbooks.steps.pins import read_pins

if TYPE_CHECKING:
    from pathlib import Path

    from runbooks.drills.rig.scenario import Scene
    from runbooks.drills.rig.site import Site
    from runbooks.drills.rig.stage import Stage
    from runbooks.engine.runner import Outcome

NOTICE: Final = 5.0  # seconds for our own look to see it; a deployment reaches the twin's edge at once
WRAPPER: Final = """\
// The product's own release, but one route throws.
import app from "./app.js";
export * from "./app.js";

function refuse(request) {
  if (new URL(request.url).pathname === PATH) throw new Error("drill NAME: " + PATH + " throws");
}

export default typeof app === "function"
  ? class extends app {
      fetch(request) {
        refuse(request);
        return super.fetch(request);
      }
    }
  : {
      ...app,
      fetch(request, env, context) {
        refuse(request);
        return app.fetch(request, env, context);
      },
    };
"""


def goes_live(scene: Scene, drill: str) -> Broken:
    """Deploy the bad release by the real book, which must notice it, and look for ourselves."""
    stage = scene.stage
    stack = stage.site.settings.stack
    _unpinned(stage.site, drill)
    with stage.phases.measured(f"{drill}: build"):
        stack_file = _stack_file(stage, drill)
    bad = stage.site_of(stack_file)
    try:
        with stage.phases.measured(f"{drill}: deploy"):
            outcome = release(bad, reason=f"drill {drill}: a release with a fault that nobody saw")
        live = bad.cloudflare.live(stack.api.name)
    finally:
        bad.close()
    if live is None:
        message = f"Worker {stack.api.name}: expected a live release after the deploy, got none"
        raise NotSo(message)
    look = scene.watch.until_faulty(NOTICE)
    said, said_at = _said(outcome)
    seen_at = said_at or (look.ended if look else None)
    return Broken(
        trigger=f"a release that throws on {stack.drill.bad_release.path} went live by a normal deploy",
        at=datetime.fromisoformat(live.created_on),
        noticed_at=seen_at if look else None,
        noticed_by=(*said, *(look.faults if look else ())),
        around=(outcome,),
        problems=() if said else ("the deploy book did not notice that the release is bad",),
    )


def stack_file_of(stage: Stage, drill: str) -> Path:
    """Return the stack file by which a drill's bad release went live: it knows of no pin that came later."""
    return stage.folder / drill / stage.site.settings.file.name


def taken_back(site: Site, *, reason: str, unpin: bool = False) -> Outcome:
    """Run the rollback book as the operator does, or with `unpin` end a rollback. Raises what the book raises."""
    arguments = rollback.Arguments(reason=reason, unpin=unpin)
    book = rollback.book(
        site.settings, site.cloudflare, site.edge, home=site.runner.home, arguments=arguments, clock=utc_now
    )
    return site.run(book, arguments, reason=reason)


def _unpinned(site: Site, drill: str) -> None:
    """End the rollback of an earlier drill: while its pin stands, a deploy sends no traffic to what is new."""
    if "api" in read_pins(site.settings.file):
        taken_back(site, reason=f"drill {drill}: what was rolled back from before is over", unpin=True)


def _stack_file(stage: Stage, drill: str) -> Path:
    """Build the product's release, wrap it, and return a stack file that builds the wrapped one."""
    folder = stage.folder / drill
    folder.mkdir()
    return write_stack(stage.site.settings, folder, stage.addresses, build=wrapped(stage.site, folder, drill))


def wrapped(site: Site, folder: Path, drill: str) -> list[str]:
    """Build the product's release and wrap it, in `folder`; return the command that builds the wrapped one."""
    words = site.settings.stack.api.build
    (folder / "app.js").write_bytes(printed(words, folder=site.settings.root, environment=site.environ))
    wrapper = folder / "wrapper.js"
    path = json.dumps(site.settings.stack.drill.bad_release.path)
    wrapper.write_text(WRAPPER.replace("PATH", path).replace("NAME", drill), "utf-8")
    return ["python", "-m", "twin", "bundle", str(wrapper)]


def _said(outcome: Outcome) -> tuple[tuple[str, ...], datetime | None]:
    """Return what the deploy book said against the release, and when; nothing when it found it good."""
    if outcome.exit is Exit.DONE or outcome.journal is None:
        return (), None
    failed = [entry for entry in read(outcome.journal) if entry.kind is Kind.FAILED]
    if not failed:
        return (), None
    return (f"deploy: {failed[0].payload['text']}",), datetime.fromisoformat(failed[0].at)
