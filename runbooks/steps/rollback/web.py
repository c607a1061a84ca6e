"""The site's way back: quarantine what is live → make the verified one live → pin → purge → fetch it all → record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.pages import LOOK_BACK
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.edge import smoke_passes
from runbooks.steps.cloudflare.pages import make_live, purge_cache
from runbooks.steps.cloudflare.site import digests_in, site_serves
from runbooks.steps.cloudflare.workers import SHORT, given
from runbooks.steps.pins import pin_release
from runbooks.steps.releases import LEDGER, quarantine, read_releases, record_verified
from runbooks.steps.rollback.asked import UUID

if TYPE_CHECKING:
    from infra.stack import Web
    from runbooks.clients.edge import Edge
    from runbooks.clients.pages import Deployment, Pages
    from runbooks.clients.zone.records import Zone
    from runbooks.engine.step import Step
    from runbooks.steps.releases import Releases
    from runbooks.steps.rollback.asked import Asked

SERVICE: Final = "web"
CHOICE: Final = 5  # deployments that a refusal names


class Facts(msgspec.Struct, frozen=True):
    """What is live, and what shall be. `known` and `former` are digests by path of when each was verified."""

    live: str
    target: str
    bad: str | None = None
    fallback: str | None = None
    """Where to go if the target is no good either."""
    known: dict[str, str] = {}
    former: dict[str, str] = {}


@dataclass(frozen=True)
class WebRollback:
    """One rollback of the site."""

    asked: Asked
    web: Web
    pages: Pages
    zone: Zone
    edge: Edge

    facts_type = Facts
    recheck = ("live", "target")

    @property
    def project(self) -> str:
        """Return the Pages project's name."""
        return self.web.name

    def gather(self) -> Facts:
        """Read what is live and what is known of it. Raises Refused when there is no target."""
        live = self.pages.project(self.project).canonical_deployment
        if live is None:
            message = f"Pages project {self.project}: expected a live deployment to go back from, there was never any."
            raise Refused(message, next_command=self.asked.command("deploy"))
        releases = read_releases(self.asked.home, SERVICE)
        target = self.chosen(releases) if self.asked.arguments.to else self.last_good(live.id, releases)
        others = [v for v in releases.good if v not in (live.id, target)]
        return Facts(
            live=live.id,
            target=target,
            bad=live.id if live.id != target else None,
            fallback=others[-1] if others else None,
            known=digests_in(releases.proofs.get(target, {})),
            former=digests_in(releases.proofs.get(live.id, {})),
        )

    def last_good(self, live: str, releases: Releases) -> str:
        """Return the last verified deployment that isn't live and is still there, or the live one after a rollback."""
        if live == releases.rolled_back_to:
            return live
        for version in reversed(releases.good):
            if version == live:
                continue
            found = self.pages.deployment(self.project, version)
            if found is not None and found.can_be_live:
                return version
        choice = [d.id for d in self.pages.deployments(self.project) if d.can_be_live and d.id != live]
        choice = [one for one in choice if one not in releases.quarantined]
        message = (
            f"Pages project {self.project}: expected a verified deployment beside the live one, got none in "
            f"{self.asked.home.where(LEDGER)}. Could be live, but not proven good: "
            f"{', '.join(choice[:CHOICE]) or 'none'}."
        )
        raise Refused(message, next_command=self.asked.again(choice[0]) if choice else None)

    def chosen(self, releases: Releases) -> str:
        """Return the one deployment that `--to` means. Raises Refused where Pages could not make it live."""
        to = self.asked.arguments.to
        whole = self.pages.deployment(self.project, to) if UUID.fullmatch(to) else None
        found = [whole] if whole else [d for d in self.pages.deployments(self.project) if d.id.startswith(to)]
        if len(found) != 1:
            got = f"{len(found)} of them" if found else "none"
            message = f"--to={to}: expected one deployment of {self.project} among the last {LOOK_BACK}, got {got}."
            raise Refused(message, next_command=self.asked.again())
        self.refuse(found[0], releases)
        return found[0].id

    def refuse(self, deployment: Deployment, releases: Releases) -> None:
        """Raise Refused for a preview, for one that did not succeed, and for one that was rolled back from."""
        why = ""
        run = releases.quarantined_by.get(deployment.id)
        if deployment.environment != "production":
            branch = deployment.deployment_trigger.metadata.branch
            why = f"is a {deployment.environment} (branch {branch}): only production deployments can be live"
        elif not deployment.succeeded:
            stage = deployment.latest_stage
            why = f"did not succeed: {stage.name} is {stage.status}"
        elif run is not None and deployment.id != releases.rolled_back_to:
            why = f"was rolled back from by run {run}"
        if why:
            message = f"--to={self.asked.arguments.to}: deployment {deployment.id} of {self.project} {why}."
            raise Refused(message, next_command=self.asked.again())

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure."""
        home, clock = self.asked.home, self.asked.clock
        left = (quarantine(home, SERVICE, version=facts.bad, to=facts.target, clock=clock),) if facts.bad else ()
        return (
            *left,
            make_live(self.pages, self.project, to=facts.target, back_to=facts.live),
            pin_release(
                self.asked.settings.file,
                SERVICE,
                version=facts.target,
                reason=self.asked.arguments.reason or f"rolled back from {facts.live[:SHORT]}",
                clock=clock,
            ),
            *((purge_cache(self.zone, self.web.host),) if self.cached(facts) else ()),
            *self.proofs(facts),
            record_verified(home, SERVICE, version=given(facts.target), proofs=("content", "smoke"), clock=clock),
        )

    def cached(self, facts: Facts) -> bool:
        """Tell whether the edge may keep answers of the deployment that is left, by the rules of the stack file."""
        return facts.bad is not None and bool(self.asked.settings.stack.protection.cache)

    def proofs(self, facts: Facts) -> tuple[Step, ...]:
        """Return the steps that prove that the target's own content is served, whole."""
        otherwise = self.asked.again(facts.fallback) if facts.fallback else None
        return self.served(facts.known, otherwise, "")

    def served(self, known: dict[str, str], otherwise: str | None, prefix: str) -> tuple[Step, ...]:
        """Return the steps that fetch the site, and pass its smoke checks."""
        checks = tuple((self.web.host, smoke) for smoke in self.web.smoke)
        return (
            site_serves(self.edge, self.web, known=known, next_command=otherwise, name=f"{prefix}content"),
            smoke_passes(self.edge, checks, next_command=otherwise, name=f"{prefix}smoke"),
        )

    def after_undo(self, facts: Facts) -> tuple[Step, ...]:
        """Return the steps that prove that what was live before is served again."""
        return self.served(facts.former, self.asked.again(), "former ")

    def summary(self, facts: Facts) -> str:
        """Return one line for the operator."""
        if facts.live == facts.target:
            return f"{self.project} is on {facts.target} already; make sure that it is pinned and served whole"
        return f"{self.project} at {self.web.host}: from {facts.live[:SHORT]} back to {facts.target}, pinned there"

    def shows(self, facts: Facts) -> tuple[str, ...]:
        """Return what the operator must know before."""
        if facts.known:
            return ()
        return (f"Nothing is known of the content of {facts.target[:SHORT]}: it was never verified.",)
