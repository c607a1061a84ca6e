"""A Pages site: which of its deployments is live, and what the edge keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActRefused
from runbooks.steps.cloudflare.workers import SHORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.pages import Deployment, Pages
    from runbooks.clients.zone.records import Zone


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """The deployment `to` as the live one of a site, planned while `back_to` was it.

    A rollback at Pages makes nothing new that could carry our request id: the project says what is live.
    """

    pages: Pages
    project: str
    to: str
    back_to: str

    def holds(self, sight: Sight) -> Held:
        """Tell whether it is the live one."""
        live = self.live()
        if live == self.to != self.back_to and not sight.request:
            live = self.live()  # against the plan: one stale read must not skip the act
        seen: dict[str, Json] = {"deployment": live}
        if live == self.to:
            return Yes(seen)
        return No(seen, f"{self.project}: expected {self.to[:SHORT]} live, got {(live or 'nothing')[:SHORT]}")

    def act(self, _sight: Sight) -> Json:
        """Make it the live one. Raises ActRefused where somebody else has deployed since the plan was made."""
        live = self.live()
        if live != self.back_to:
            raise self.overtaken(live)
        return {"deployment": self.pages.make_live(self.project, self.to).id}

    def undo(self, sight: Sight) -> Json:
        """Make the one live again that was before. Raises ActRefused where it is no longer ours to take back."""
        before, live = str(sight.before["deployment"]), self.live()
        if live == before:
            return {"deployment": before}  # somebody has done it already
        if live != self.to:
            raise self.overtaken(live)
        return {"deployment": self.pages.make_live(self.project, before).id}

    def live(self) -> str | None:
        """Return what is live now."""
        return _id(self.pages.project(self.project).canonical_deployment)

    def overtaken(self, live: str | None) -> ActRefused:
        """Return the refusal to replace what somebody else has made live meanwhile."""
        return ActRefused(
            f"{self.project}: somebody else has changed what is live meanwhile (now {live}). It was left as it is."
        )


def make_live(pages: Pages, project: str, *, to: str, back_to: str, name: str = "make live") -> Step:
    """Return the step that makes the deployment `to` the live one of a site, by one REST call; see `Canonical`."""
    canonical = Canonical(pages=pages, project=project, to=to, back_to=back_to)
    return Step(
        name=name,
        title=f"make deployment {to[:SHORT]} of {project} the live one",
        effect=Effect.WRITE,
        holds=canonical.holds,
        act=canonical.act,
        undo=canonical.undo,
        expect=0.3,
        deadline=30.0,
        attempts=3,
        settle=2.0,
    )


@dataclass
class Purge:
    """The cache of the edge, emptied of a host's answers once in a run: what it holds cannot be asked for.

    Where it is refused (a token without that right), what is served is judged by the proof that follows.
    """

    zone: Zone
    host: str
    name: str
    done: bool = False

    def holds(self, sight: Sight) -> Held:
        """Tell whether this run has done it."""
        if self.done or self.name in sight.results:
            return Yes({"host": self.host})
        return No({}, f"{self.host}: its answers in the cache may be those of another deployment")

    def act(self, _sight: Sight) -> Json:
        """Do it, or note why it was refused. Without a clear answer it is done again: twice is as good as once."""
        try:
            self.zone.purge(self.host)
        except ActRefused as error:
            said: Json = {"refused": str(error)}
        else:
            said = {"purged": True}
        self.done = True
        return said


def purge_cache(zone: Zone, host: str, *, name: str = "purge") -> Step:
    """Return the step that lets the edge forget what it keeps of a host; see `Purge`."""
    purge = Purge(zone, host, name)
    return Step(
        name=name,
        title=f"let the edge forget what it keeps of {host}",
        effect=Effect.WRITE,
        holds=purge.holds,
        act=purge.act,
        undo=NoUndo("what is gone from the cache is fetched again"),
        expect=0.3,
        attempts=3,
    )


def deployed_by(step: str) -> Callable[[Sight], str]:
    """Return how to read the deployment that an earlier step (`apply_program`) left live."""

    def read(sight: Sight) -> str:
        made = sight.results[step]
        outputs = made.get("outputs") if isinstance(made, dict) else None
        return str(outputs["web_deployment"]) if isinstance(outputs, dict) else ""

    return read


def _id(deployment: Deployment | None) -> str | None:
    return deployment.id if deployment else None
