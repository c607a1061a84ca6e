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
        "service": "What to roll back: api (the Worker), web (the site), dns (the zone's records).",
        "to": "Id of a version or deployment, or its beginning; for dns a snapshot's id or a point in time. "
        "Without it: the last one that was verified good.",
        "unpin": "Only take the pin away: the next deploy makes live what the repository holds.",
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
    """Send a service back to the last verified release and pin it there.

    Changes: for api which version answers, for web which deployment is live, both within a second; for dns the records
    that differ from the snapshot, all or none, as the plan lists them. And the pin in the stack file: the next deploy
    uploads new code and files without making them live, and refuses other records. Not changed: data, secrets, records
    of other products. Doing it twice changes nothing more; to go further back use --to. Costs: nothing.
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
