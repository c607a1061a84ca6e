"""What a new release stands against: what serves now, what it could be taken back to, what must not come again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbooks.clients.cloudflare_secrets import root_of
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.workers import SHORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.cloudflare import Cloudflare, Deployment
    from runbooks.steps.releases import Releases


@dataclass(frozen=True)
class Standing:
    """What serves users (None: nothing was ever deployed), and where a release that fails goes back to.

    `back` is None where there is nothing, and then `why_none` says why.
    """

    serving: str | None
    back: str | None
    why_none: str = ""


def standing(cloudflare: Cloudflare, worker: str, live: Deployment | None, releases: Releases) -> Standing:
    """Tell what a new release stands against.

    It goes back to what serves now; where that was rolled back from or never verified, to the last that was.
    """
    if live is None:
        return Standing(None, None, "nothing was live before")
    # Where traffic is split: what was verified, or has the larger part.
    now = max(live.versions, key=lambda share: (share.version_id in releases.good, share.percentage)).version_id
    if now in releases.good:
        return Standing(now, now)
    deployable = {version.id: version for version in cloudflare.versions(worker)}
    others = [version for version in releases.good if version in deployable]
    if others:
        return Standing(now, others[-1])
    if now in releases.quarantined or (now in deployable and deployable[now].is_maintenance):
        why = f"{now[:SHORT]} was live before, which is no release to go back to, and no other was verified"
        return Standing(now, None, why)
    return Standing(now, now)


def refuse_quarantined(
    cloudflare: Cloudflare, worker: str, releases: Releases, message: Callable[[], str], *, override: str
) -> None:
    """Raise Refused when a version of this message (the same content) is what a rollback has left.

    `message` is asked only where something is quarantined: telling it takes a build. `override` is the command by which
    it goes live all the same.
    """
    for version, run in releases.quarantined_by.items():
        seen = cloudflare.version(worker, version)
        if seen is not None and root_of(seen) != version:  # it was uploaded again with other secrets
            seen = cloudflare.version(worker, root_of(seen))
        if seen is not None and seen.annotations.message == message():
            text = (
                f"{worker}: expected code that was not rolled back from, got that of version {version} "
                f"({message()}), which run {run} quarantined. Nothing was done. Change it, or say that it is good."
            )
            raise Refused(text, next_command=override)
