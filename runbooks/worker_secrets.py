"""Set the Worker's secrets, from the environment, while it runs.

set (the live version again, with the new values) → move the pin where there is one → prove the health contract → pass
the smoke checks → record it as verified good. The next release inherits the values; nothing of them is in a plan, a
journal, or Pulumi's state.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from infra.shapes import SECRET_PREFIX
from runbooks.clients.cloudflare_secrets import WorkerSecrets
from runbooks.engine.step import Book, Step
from runbooks.model.errors import Refused
from runbooks.steps.cloudflare.edge import serves
from runbooks.steps.cloudflare.secrets import renewed_by, set_secrets
from runbooks.steps.cloudflare.workers import SHORT
from runbooks.steps.pins import pin_release, read_pins
from runbooks.steps.releases import quarantine, read_releases, record_verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.clients.cloudflare import Cloudflare
    from runbooks.clients.edge import Edge
    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings

NAME = "secrets"


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The operator asks for nothing but what the environment holds."""


class Facts(msgspec.Struct, frozen=True):
    """What is live, which names get a value, and the pin's reason where the live version is pinned.

    `left` is the version that a rollback has left for the live one.
    """

    live: str
    names: tuple[str, ...]
    pinned: str | None
    left: str | None


@dataclass(frozen=True)
class Secrets:
    """One change of secrets: what it needs, and its book."""

    settings: Settings
    home: Home
    cloudflare: Cloudflare
    edge: Edge
    clock: Callable[[], datetime]

    @property
    def worker(self) -> str:
        """Return the Worker's name."""
        return self.settings.stack.api.name

    def gather(self) -> Facts:
        """Read what is live and which values there are. Raises Refused when there is nothing to set, or nowhere."""
        declared, given = self.settings.stack.api.secrets, self.settings.worker_secrets()
        if not given:
            variables = ", ".join(SECRET_PREFIX + name for name in declared) or "none: no secret is declared"
            message = (
                f"{self.settings.file.name}: ems-ops:api.secrets: expected a value in the environment ({variables})."
            )
            first = f"export {SECRET_PREFIX}{declared[0]}=…" if declared else f"edit {self.settings.file}"
            raise Refused(message, next_command=first)
        live = self.cloudflare.live(self.worker)
        version = live.version if live else None
        if version is None:
            got = "its traffic is split" if live else "nothing is live; the first deploy sets them"
            message = f"Worker {self.worker}: expected one live version, {got}."
            raise Refused(message, next_command=self.command("deploy"))
        found = self.cloudflare.version(self.worker, version)
        if found is not None and found.is_maintenance:
            message = f"Worker {self.worker}: expected its app to be live, it is stopped (maintenance version)."
            raise Refused(message, next_command=self.command("runs"))
        pin, releases = read_pins(self.settings.file).get("api"), read_releases(self.home, "api")
        return Facts(
            live=version,
            names=tuple(sorted(given)),
            pinned=pin.reason if pin else None,
            left=releases.quarantined[-1] if releases.rolled_back_to == version else None,
        )

    def steps(self, facts: Facts) -> tuple[Step, ...]:
        """Return the procedure."""
        values = {name: value for name, value in self.settings.worker_secrets().items() if name in facts.names}
        made = renewed_by("set")
        secrets = WorkerSecrets(self.cloudflare, self.worker)
        steps = [set_secrets(self.cloudflare, secrets, base=facts.live, names=facts.names, values=values)]
        if facts.pinned is not None:
            pinned = facts.pinned
            steps.append(pin_release(self.settings.file, "api", version=made, reason=pinned, clock=self.clock))
        again = self.command("runs.undo")
        steps += serves(self.edge, self.settings.stack.api, version=made, clock=self.clock, next_command=again)
        proofs, code = ("health", "smoke"), facts.live
        steps.append(record_verified(self.home, "api", version=made, proofs=proofs, clock=self.clock, code_of=code))
        if facts.left is not None:  # so that a further rollback finds that it is where it belongs
            steps.append(quarantine(self.home, "api", version=facts.left, to=made, clock=self.clock))
        return tuple(steps)

    def summary(self, facts: Facts) -> str:
        """Return one line for the operator."""
        text = (
            f"{', '.join(facts.names)} of {self.worker}: {facts.live[:SHORT]} again with the values of the environment"
        )
        return f"{text}, pinned as it was" if facts.pinned is not None else text

    def command(self, words: str) -> str:
        """Return a command line for this stack."""
        return f"invoke {words} --stack {shlex.quote(self.settings.argument)}"


def book(
    settings: Settings, cloudflare: Cloudflare, edge: Edge, *, home: Home, clock: Callable[[], datetime]
) -> Book[Facts]:
    """Return the change of the Worker's secrets to what the environment holds."""
    it = Secrets(settings, home, cloudflare, edge, clock)
    return Book(
        name=NAME,
        facts_type=Facts,
        gather=it.gather,
        steps=it.steps,
        summary=it.summary,
        recheck=("live", "pinned"),
    )
