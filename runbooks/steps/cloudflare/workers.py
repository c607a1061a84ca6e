"""A Worker's traffic: which version answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.clients.cloudflare import CHANGED_SINCE, Cloudflare, Deployment, Share
from runbooks.engine.step import Effect, Evidence, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActRefused

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT: Final = 8  # characters of a version id that the operator reads


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """A Worker's traffic split as `to`, planned while `back_to` had all of it.

    `what` and the request id stay in the deployment's message, by which a deployment whose answer was lost is found
    again. `force` accepts that secrets changed since those were live; without it Cloudflare refuses with 10220, and
    `on_secret_change` is the command to type then.
    """

    cloudflare: Cloudflare
    worker: str
    to: tuple[Share, ...]
    back_to: str | None
    what: str
    force: bool = False
    on_secret_change: str | None = None

    def holds(self, sight: Sight) -> Held:
        """Tell whether the live deployment is that split."""
        live = self.cloudflare.live(self.worker)
        if self.is_so(live) and self.to != (Share(self.back_to or "", 100),) and not sight.request:
            live = self.cloudflare.live(self.worker)  # against the plan: one stale read must not skip the act
        seen = _evidence(live, sight)
        if self.is_so(live):
            return Yes(seen)
        return No(seen, f"{self.worker}: expected {_shares(self.to)}, got {_split(live)}")

    def is_so(self, live: Deployment | None) -> bool:
        """Tell whether this deployment is that split, in whatever order it lists its parts."""
        return live is not None and sorted(live.versions, key=_by_version) == sorted(self.to, key=_by_version)

    def act(self, sight: Sight) -> Json:
        """Deploy it. Raises ActRefused where somebody else has deployed since this step began."""
        if sight.before.get("overtaken"):
            raise self.overtaken(self.cloudflare.live(self.worker))
        try:
            made = self.deploy(self.to, self.what, sight, force=self.force)
        except ActRefused as error:
            if error.code != CHANGED_SINCE:
                raise
            message = f"{error} Version {self.to[0].version_id} would run with secrets that it was not tested with."
            raise ActRefused(message, next_command=self.on_secret_change, code=error.code) from None
        return {"deployment": made.id, "version": self.to[0].version_id}

    def undo(self, sight: Sight) -> Json:
        """Go back to the split that was seen right before the act.

        Raises ActRefused where the traffic is no longer where this step sent it: that was somebody else.
        """
        split = msgspec.convert(sight.before["split"], tuple[Share, ...])
        live = self.cloudflare.live(self.worker)
        if live is not None and live.versions == split:
            return {"deployment": live.id, "split": msgspec.to_builtins(split)}  # somebody has done it already
        if not self.is_so(live):
            raise self.overtaken(live)
        made = self.deploy(split, f"undo {self.what}", sight, force=True)
        return {"deployment": made.id, "split": msgspec.to_builtins(split)}

    def overtaken(self, live: Deployment | None) -> ActRefused:
        """Return the refusal to send traffic away from where somebody else has sent it meanwhile."""
        said = f", deployment {live.id} of {live.created_on}: {live.annotations.message!r}" if live else ""
        return ActRefused(
            f"{self.worker}: somebody else has changed its traffic meanwhile (now {_split(live)}{said}). "
            "It was left as it is."
        )

    def deploy(self, split: tuple[Share, ...], what: str, sight: Sight, *, force: bool) -> Deployment:
        """Send one deployment that can be found again by its request id."""
        return self.cloudflare.deploy(self.worker, split, message=f"{what} · request {sight.request}", force=force)


def route_traffic(
    cloudflare: Cloudflare,
    worker: str,
    *,
    to: str,
    back_to: str | None,
    what: str = "runbook",
    force: bool = False,
    on_secret_change: str | None = None,
    name: str = "route traffic",
    title: str | None = None,
) -> Step:
    """Return the step that sends all of a Worker's traffic to version `to`, by one REST call; see `Traffic`.

    `back_to` is the version that had it when the plan was made (None: nothing was live).
    """
    traffic = Traffic(
        cloudflare=cloudflare,
        worker=worker,
        to=(Share(to, 100),),
        back_to=back_to,
        what=what,
        force=force,
        on_secret_change=on_secret_change,
    )
    return Step(
        name=name,
        title=title or f"send {worker} traffic to {to[:SHORT]}",
        effect=Effect.WRITE,
        holds=traffic.holds,
        act=traffic.act,
        undo=traffic.undo if back_to else NoUndo("nothing was live before: there is no version to go back to"),
        expect=0.2,
        deadline=30.0,
        attempts=3,
        settle=2.0,
    )


def released_by(step: str) -> Callable[[Sight], str]:
    """Return how to read the version that shall be live after an earlier step (`apply_program`)."""
    return lambda sight: str(_object(sight.results[step])["wanted"])


def uploaded_by(step: str) -> Callable[[Sight], str]:
    """Return how to read the version that an earlier step (`apply_program`) has uploaded, live or not."""
    return lambda sight: str(_object(_object(sight.results[step])["outputs"])["api_version"])


def given(version: str) -> Callable[[Sight], str]:
    """Return how to read a version that was known when the plan was made."""
    return lambda _sight: version


def _evidence(live: Deployment | None, sight: Sight) -> Evidence:
    """Return what is live as evidence.

    `ours` tells whether this very act made it, `overtaken` that somebody else did after this step had begun.
    """
    if live is None:
        return {"deployment": None, "split": []}
    ours = bool(sight.request) and sight.request in live.annotations.message
    overtaken = bool(sight.request) and not ours and live.id != sight.before.get("deployment")
    return {
        "deployment": live.id,
        "since": live.created_on,
        "split": msgspec.to_builtins(live.versions),
        "ours": ours,
        "overtaken": overtaken,
    }


def _by_version(share: Share) -> str:
    return share.version_id


def _split(live: Deployment | None) -> str:
    return _shares(live.versions) if live else "nothing"


def _shares(split: tuple[Share, ...]) -> str:
    return ", ".join(f"{share.version_id[:SHORT]} {share.percentage:g} %" for share in split)


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
