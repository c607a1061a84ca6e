"""`invoke deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import WRITING, Flags, play

if TYPE_CHECKING:
    from invoke import Context


@task(help=WRITING, auto_shortflags=False)
def deploy(
    _context: Context,
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Apply the program (pulumi up), prove that the release works, record it as verified good.

    Changes: everything that infra/ declares and that differs: code, site, records, schedules. Costs: about 10 s on
    the twin and a minute in production; users notice nothing. A pinned release keeps its traffic.
    The plan holds a preview of the changes; with --yes the preview is left out, since nobody would read it.
    """
    flags = Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over)
    play("deploy", {"preview": dry_run or not yes}, flags)
