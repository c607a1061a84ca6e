"""What `restore.find` does: look into the past, and print the instant to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from runbooks.commands.frame.homes import open_catalog
from runbooks.last_good import Search
from runbooks.model.errors import CheckError, Exit, Refused
from runbooks.model.settings import VARIABLES
from runbooks.render.last_good import lines

if TYPE_CHECKING:
    from runbooks.commands.frame.console import Console
    from runbooks.model.timepoint import Window


def last_good(console: Console, check: str) -> Exit:
    """Search, print what was found, and last the command that goes back there."""
    settings = console.settings

    def window() -> Window | None:
        try:
            backups = console.supabase.backups()
        except (CheckError, Refused):
            return None  # then a backup is gone back to
        return backups.window if backups.pitr_enabled else None

    found = Search(
        settings,
        console.postgres,
        lambda: open_catalog(settings),
        window,
        {name: value for name, value in console.environ.items() if name not in VARIABLES},
        console.show,
        console.clock,
        console.redact(check),
    ).look()
    console.show.end()
    if console.flags.json:
        document = {"stack": settings.name, **msgspec.to_builtins(found), "next_command": found.command}
        document.pop("command")
        console.print_json(document)
    else:
        for line in lines(found, settings.stack.contacts.time_zone):
            print(console.redact(line))  # noqa: T201 - the command's own output
    console.show.next(found.command)
    return Exit.DONE
