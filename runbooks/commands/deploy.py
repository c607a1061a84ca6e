"""`invoke deploy` and its kin: make the program real, its secrets too, take over what is there, tell what differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import READING, WRITING, Flags, perform, play

if TYPE_CHECKING:
    from invoke import Context

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit


@task(
    default=True,
    auto_shortflags=False,
    help={**WRITING, "accept_quarantined": "Go on although a rollback has left exactly this content of the API."},
)
def up(
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


@task(help=READING, auto_shortflags=False)
def drift(_context: Context, *, stack: str = "prod", json: bool = False) -> None:
    """List what differs between the program, its state and the account, and who was the last to change it.

    Changes nothing. Compares traffic, versions, schedules, settings, secrets by name, hosts, routes, records, rules,
    the site's content, KV, R2, Hyperdrive, health checks and notification policies: a preview asks nobody for these.
    Exit code 0: no drift; 1: something differs, or a part could not be read. Costs: a preview and some 25 requests.
    """

    def work(console: Console) -> Exit:
        from runbooks.clients.account import Account
        from runbooks.drift import Drift
        from runbooks.model.errors import Exit
        from runbooks.render.drift import lines

        settings = console.settings
        account = Account(console.cloudflare.transport, settings.stack.account, settings.stack.zone)
        found = Drift(settings, console.cloudflare, account, console.pulumi, console.clock).look()
        if console.flags.json:
            console.print_json({"stack": settings.name, "drift": bool(found.differences), **asdict(found)})
        else:
            for line in lines(found.differences, unread=found.unread, notes=found.notes, stack=settings.name):
                print(console.redact(line))  # noqa: T201 - the command's own output
        return Exit.FAILED if found.differences or found.unread else Exit.DONE

    perform(Flags(stack, json=json), work)


@task(
    name="import",
    auto_shortflags=False,
    help={**READING, "file": "Where to write it. Without it: Pulumi.<stack>.import.json beside the stack file."},
)
def import_(_context: Context, *, file: str = "", stack: str = "prod", json: bool = False) -> None:
    """Write down what the account has already of what the program declares, for `pulumi import --file`.

    Changes nothing in the account: it looks for Workers, sites, records, buckets and all the others by name, says what
    it has found and what not, and prints the command that takes it over. A file that exists is left as it is.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import adopting

        return adopting.write_import(console, file=file)

    perform(Flags(stack, json=json), work)
