"""What the operator asks a rollback for, and what every service's way back needs to know."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.model.errors import Refused
from runbooks.steps.releases import Service  # noqa: TC001 - the shape of the arguments, at run time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.engine.record.home import Home
    from runbooks.model.settings import Settings

NAME: Final = "rollback"
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A whole id of a version or a deployment: it is asked for, where its beginning is looked for in a list."""


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator asks for.

    `to` is a version's or deployment's id or its beginning; for dns a snapshot's, or a point in time. "" means the
    last verified one.
    """

    service: Service = "api"
    to: str = ""
    unpin: bool = False
    accept_secret_change: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Asked:
    """One rollback that was asked for, of which stack, and where operations are remembered."""

    settings: Settings
    home: Home
    arguments: Arguments
    clock: Callable[[], datetime]

    def refuse_absent(self) -> None:
        """Raise Refused for the site of a product that has none."""
        if self.arguments.service == "web" and not self.settings.stack.sites:
            file = self.settings.file.name
            message = f"--service=web: {file} declares no site (ems-ops:web is null); expected api or dns."
            raise Refused(message, next_command=self.command(NAME))

    def command(self, words: str) -> str:
        """Return a command line for this stack."""
        return f"invoke {words} --stack {shlex.quote(self.settings.argument)}"

    def again(self, to: str = "") -> str:
        """Return the command of a rollback of the same service, to something else."""
        service = self.arguments.service
        words = [NAME, *([f"--service={service}"] if service != "api" else []), *([f"--to={to}"] if to else [])]
        return self.command(" ".join(words))
