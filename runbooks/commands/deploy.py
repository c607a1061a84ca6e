"""`invoke deploy`, `deploy.secrets`: what the repository declares, and the values that it does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import WRITING, Flags, play

if TYPE_CHECKING:
    from invoke import Context


@task(
    default=True,
    auto_shortflags=False,
    help={**WRITING, "accept_quarantined": "Go on although a rollback has left exactly this content of the API."},
)
def deploy(
    _context: Context,
    *,
    accept_quarantined: bool = False,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Apply the program (pulumi up), prove that the release works, record it as verified good.

    Changes: everything that infra/ declares and that differs: code, site, records, schedules. ems-ops:release says how
    the API's new version gets its traffic, and for how long it is watched; a check that fails takes it back by itself
    (exit code 5), to the release before, and pins that. A pinned release keeps its traffic.
    Costs: about 10 s on the twin, in production a minute and the watching; users notice nothing.
    The plan holds a preview of the changes; with --yes the preview is left out, since nobody would read it.
    """
    flags = Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over)
    play("deploy", {"preview": dry_run or not yes, "accept_quarantined": accept_quarantined}, flags)


@task(help=WRITING, auto_shortflags=False)
def secrets(
    _context: Context,
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Set the Worker's secrets to what the environment holds (EMS_SECRET_NAME), while it runs.

    Changes: the live version is uploaded again with the new values and gets all traffic; a pin moves with it. Names
    that are not in the environment keep their values. Works after a rollback too. Costs: a second or two; users notice
    nothing. First values are set by `invoke deploy`, which refuses when they are not in the environment.
    """
    flags = Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over)
    play("secrets", {}, flags)
