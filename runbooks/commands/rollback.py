"""`invoke rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import WRITING, Flags, play

if TYPE_CHECKING:
    from invoke import Context


@task(
    auto_shortflags=False,
    help={
        **WRITING,
        "service": "What to roll back: api.",
        "to": "Id of a version, or its beginning. Without it: the last release that was verified good.",
        "unpin": "Only take the pin away: the next deploy sends the traffic to what the repository holds.",
        "accept_secret_change": "Go on although a secret has changed since that version was live.",
    },
)
def rollback(
    _context: Context,
    *,
    service: str = "api",
    to: str = "",
    unpin: bool = False,
    accept_secret_change: bool = False,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Send the traffic back to the last verified release and pin it there.

    Changes: which version answers (within a second), and the pin in the stack file, so that the next deploy uploads
    new code without sending traffic to it. Not changed: data, secrets, records. Doing it twice changes nothing more;
    to go further back name the version with --to. Costs: nothing; requests in flight end on the old version.
    """
    flags = Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over)
    arguments: dict[str, object] = {
        "service": service,
        "to": to,
        "unpin": unpin,
        "accept_secret_change": accept_secret_change,
        "reason": reason,
    }
    play("rollback", arguments, flags)
