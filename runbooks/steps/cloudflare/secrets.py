"""Give the live version of a Worker other secret values. No value is in a plan, a journal or a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from infra.shapes import SECRET_PREFIX
from runbooks.clients.cloudflare import Share
from runbooks.clients.cloudflare_secrets import WorkerSecrets
from runbooks.engine.step import Effect, Held, Json, No, Sight, Step, Yes
from runbooks.model.errors import ActRefused, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.model.settings import Settings


def check_secrets(cloudflare: Cloudflare, settings: Settings) -> None:
    """Raise Refused where a declared secret has no value: neither in the newest version nor in the environment."""
    declared, worker = settings.stack.api.secrets, settings.stack.api.name
    if not declared:
        return
    given = settings.worker_secrets()
    missing = [name for name in declared if name not in given]
    held = WorkerSecrets(cloudflare, worker).names() if missing else frozenset()
    missing = [name for name in missing if name not in held]
    if missing:
        variables = ", ".join(SECRET_PREFIX + name for name in missing)
        message = (
            f"Worker {worker}: its secrets {', '.join(missing)} have no value yet. "
            f"Expected in the environment: {variables}. Nothing was done."
        )
        raise Refused(message, next_command=" ".join(f"export {SECRET_PREFIX}{name}=…" for name in missing))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The live version `base` again, with the values of these names, and all traffic on it.

    Going on after a crash needs the values in the environment again; taking it back needs none.
    """

    cloudflare: Cloudflare
    secrets: WorkerSecrets
    base: str
    names: tuple[str, ...]
    values: Mapping[str, str] = field(repr=False)

    @property
    def worker(self) -> str:
        """Return the Worker's name."""
        return self.secrets.worker

    def holds(self, sight: Sight) -> Held:
        """Tell whether the version that this run has uploaded has all traffic: values can't be read."""
        live = self.cloudflare.live(self.worker)
        version = live.version if live else None
        seen: dict[str, Json] = {
            "live": version,
            "deployment": live.id if live else None,
            "split": msgspec.to_builtins(live.versions) if live else [],
        }
        if sight.request and version is not None:
            found = self.cloudflare.version(self.worker, version)
            if found is not None and _mark(sight) in found.annotations.message:
                return Yes(seen)
        return No(seen, f"{self.worker}: expected a version with the values of this run live, got {version}")

    def act(self, sight: Sight) -> Json:
        """Upload it, unless an earlier try has, and send the traffic to it."""
        if missing := [SECRET_PREFIX + name for name in self.names if name not in self.values]:
            message = f"{self.worker}: expected {', '.join(missing)} in the environment, as when this was agreed to."
            raise ActRefused(message, next_command=" ".join(f"export {name}=…" for name in missing))
        live = self.cloudflare.live(self.worker)
        if live is None or live.version != self.base:
            message = f"{self.worker}: somebody else has changed its traffic meanwhile. It was left as it is."
            raise ActRefused(message)
        said = f"secrets {', '.join(self.names)} · {_mark(sight)} request {sight.request}"
        known = [one.id for one in self.cloudflare.versions(self.worker) if _mark(sight) in one.annotations.message]
        made = known[0] if known else self.secrets.upload_again(self.base, self.values, message=said)
        self.cloudflare.deploy(self.worker, (Share(made, 100),), message=said)
        return {"version": made, "names": list[Json](self.names)}

    def undo(self, sight: Sight) -> Json:
        """Send the traffic back to the version with the values before."""
        split = msgspec.convert(sight.before["split"], tuple[Share, ...])
        said = f"undo secrets · request {sight.request}"
        self.cloudflare.deploy(self.worker, split, message=said, force=True)
        return {"split": msgspec.to_builtins(split)}


def _mark(sight: Sight) -> str:
    """Return by what an upload is found again: each try has a request of its own, and the run uploads once.

    Runs of two ops homes may have the same id; what was deployed before tells them apart.
    """
    return f"run {sight.run} after {str(sight.before.get('deployment'))[:8]} ·"


def set_secrets(
    cloudflare: Cloudflare,
    secrets: WorkerSecrets,
    *,
    base: str,
    names: tuple[str, ...],
    values: Mapping[str, str],
    name: str = "set",
) -> Step:
    """Return the step that gives the live version `base` other values; it leaves the new version as `live`."""
    setting = Setting(cloudflare=cloudflare, secrets=secrets, base=base, names=names, values=values)
    return Step(
        name=name,
        title=f"set {', '.join(names)} of {secrets.worker}: {base[:8]} again with these values, all traffic to it",
        effect=Effect.WRITE,
        holds=setting.holds,
        act=setting.act,
        undo=setting.undo,
        expect=1.0,
        attempts=2,
        settle=2.0,
    )


def renewed_by(step: str) -> Callable[[Sight], str]:
    """Return how to read the version that `set_secrets` has brought live."""

    def version(sight: Sight) -> str:
        result = sight.results[step]
        return str(result["live"]) if isinstance(result, dict) else ""

    return version
