"""Which database the Worker's connections go to: Hyperdrive's origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import ActRefused, CheckError, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from runbooks.clients.cloudflare import Cloudflare, Hyperdrive, Origin


def find(cloudflare: Cloudflare, name: str) -> Hyperdrive:
    """Return the config of this name. Raises CheckError where there is none."""
    found = [one for one in cloudflare.hyperdrives() if one.name == name]
    if not found:
        message = f"Hyperdrive {name} in account {cloudflare.account}: expected a config of that name, there is none."
        raise CheckError(message, next_command="invoke deploy")
    return found[0]


def origin_now(cloudflare: Callable[[], Cloudflare], name: str) -> tuple[Origin | None, str]:
    """Return where the API's connections go; or None and why that is not known: no token, no answer, no such config."""
    try:
        return find(cloudflare(), name).origin, ""
    except (Refused, CheckError) as error:
        return None, str(error)


@dataclass(frozen=True)
class Moving:
    """Hyperdrive's connections on their way to another database. `password` gives that of the new one."""

    cloudflare: Cloudflare
    name: str
    to: Origin
    back_to: Origin
    password: Callable[[], str]

    @property
    def for_good(self) -> str:
        """Return why they cannot be moved back, "" where they can: to the same server with the same password."""
        same = replace(self.to, database=self.back_to.database) == self.back_to
        return "" if same else "the password of the former server or user is not known here"

    def holds(self, sight: Sight) -> Held:
        """Ask where they go."""
        origin = find(self.cloudflare, self.name).origin
        overtaken = bool(sight.request) and origin not in (self.to, self.back_to)
        seen: dict[str, Json] = {"origin": str(origin), "overtaken": overtaken}
        return Yes(seen) if origin == self.to else No(seen, f"{self.name} goes to {origin}, not to {self.to}")

    def act(self, _sight: Sight) -> Json:
        """Move them. Raises ActRefused where somebody else has moved them meanwhile."""
        config = find(self.cloudflare, self.name)
        if config.origin not in (self.to, self.back_to):
            message = f"Hyperdrive {self.name} goes to {config.origin} meanwhile. It was left as it is."
            raise ActRefused(message)
        return {"origin": str(self.cloudflare.move(config, self.to, password=self.password()).origin)}

    def undo(self, _sight: Sight) -> Json:
        """Move them back."""
        config = find(self.cloudflare, self.name)
        return {"origin": str(self.cloudflare.move(config, self.back_to, password=self.password()).origin)}


def move_connection(moving: Moving, *, name: str) -> Step:
    """Return the step that sends the Worker's connections to another database, also of another server."""
    return Step(
        name=name,
        title=f"send the connections of {moving.name} from {moving.back_to} to {moving.to}",
        effect=Effect.WRITE,
        holds=moving.holds,
        act=moving.act,
        undo=NoUndo(moving.for_good) if moving.for_good else moving.undo,
        expect=1.0,
        deadline=120.0,
        attempts=3,
    )
