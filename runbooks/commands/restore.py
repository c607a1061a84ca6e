"""`invoke restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import READING, WRITING, Flags, perform, play

if TYPE_CHECKING:
    from invoke import Context

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit
    from runbooks.model.timepoint import Window


@task(
    name="to",
    default=True,
    help={
        **WRITING,
        "point": (
            "When to go back to: 2026-11-20T10:15:00Z, '2026-11-20 11:15 Europe/Paris', '15m ago', backup:<id>, "
            "before:<id> of a run, of a deployment or version of the Worker, of a deployment of the site."
        ),
        "strategy": (
            "How: auto, pitr (the provider's recovery), archive (base backups and WAL of a server of our own), dump "
            "(the newest own backup)."
        ),
        "version": "Restart on this version of the Worker (its id, or the beginning), also where it does not fit.",
        "without_copy": "Go on although the database does not answer and its present cannot be copied.",
        "without_cloudflare": (
            "Do not ask Cloudflare, whose API is down: the application is not stopped there but shut out of the "
            "database, so users get its own errors, not 503."
        ),
    },
    auto_shortflags=False,
)
def restore(
    _context: Context,
    *,
    point: str = "",
    strategy: str = "auto",
    without_copy: bool = False,
    without_cloudflare: bool = False,
    version: str = "",
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Take the database back to a point in time, and prove it before anybody is served again.

    Copies the present, stops the application (users get 503), recovers the whole database in place, verifies it
    inside, and restarts the application. From an own backup (dump) the database is loaded and verified beside the
    present one and then takes its place; of a server of our own (archive) a copy is, while it goes on serving. The
    former one stays until `invoke restore.finish`; where it cannot be renamed the API moves to the new one, which is
    then pinned in the stack file. Changes: everything written after the point is lost; the plan names what is seen of
    it. A failed proof says what to do. Costs: minutes without service.
    """
    flags = Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over)
    way = {"strategy": strategy, "version": version}
    without = {"without_copy": without_copy, "without_cloudflare": without_cloudflare}
    play("restore", {"point": point, **way, **without}, flags)


@task(help=WRITING, auto_shortflags=False)
def finish(
    _context: Context,
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Drop the former databases and data folders that restores have kept, after showing what is only in them.

    Changes: what it names is gone for good, and those restores can no longer be taken back. Costs: a scan of each.
    """
    play("restore-finish", {}, Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over))


@task(help=WRITING, auto_shortflags=False)
def release(
    _context: Context,
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Let go what a restore has held back in the database: mails and calls that waited at its point.

    What they are is declared in ems-ops:hazards.outgoing. Changes: they leave, and what had left before the restore
    leaves a second time: look at them first. Costs: nothing.
    """
    play("restore-release", {}, Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over))


@task(
    auto_shortflags=False,
    help={**READING, "check": "A query for one boolean that is false now: 'select count(*) > 0 from public.orders'."},
)
def find(_context: Context, *, check: str = "", stack: str = "prod", json: bool = False) -> None:
    """Find the last instant at which a check still held, and the command that goes back to it.

    Changes nothing. Of a server of our own (archive), base backups are copied and led along its WAL, to the one
    transaction after which it failed: the commit that deleted or replaced most rows is asked first, then by halving. Of
    a database at the provider own backups are restored one by one, by halving, into a PostgreSQL of this machine (16 at
    most); then the database's commit times narrow it. The provider's recovery is never used to look: it only goes back
    in place. A table or column that the check names and that is not there counts as "does not hold"; after any other
    error that copy is passed over. Assumes that the check held without a break until it failed. Costs: disk for twice
    the database on this machine and a restore's time for each look; the database itself is read once.
    """
    perform(Flags(stack, json=json), lambda console: _find(console, check))


def _find(console: Console, check: str) -> Exit:
    """Search, print what was found, and last the command that goes back there."""
    import msgspec

    from runbooks.commands.frame.homes import open_catalog
    from runbooks.last_good import Search
    from runbooks.model.errors import CheckError, Exit, Refused
    from runbooks.model.settings import VARIABLES
    from runbooks.render.last_good import lines
    from runbooks.steps.archive.own import own_of
    from runbooks.steps.cloudflare.hyperdrive import origin_now
    from runbooks.steps.database.replaced import refuse_replaced

    def window() -> Window | None:
        try:
            backups = console.supabase.backups()
        except (CheckError, Refused):
            return None  # then a backup is gone back to
        return backups.window if backups.pitr_enabled else None

    settings, hyperdrive = console.settings, console.settings.stack.database.hyperdrive
    refuse_replaced(console.postgres, origin_now(lambda: console.cloudflare, hyperdrive)[0], hyperdrive=hyperdrive)
    environment = {name: value for name, value in console.environ.items() if name not in VARIABLES}
    found = Search(
        settings, console.postgres, lambda: open_catalog(settings), window, environment, console.show, console.clock,
        console.redact(check), own_of(settings, console.programs),
    ).look()  # fmt: skip
    console.show.end()
    if console.flags.json:
        console.print_json({"stack": settings.name, **msgspec.to_builtins(found)})
    else:
        for line in lines(found, settings.stack.contacts.time_zone):
            print(console.redact(line))  # noqa: T201 - the command's own output
    console.show.next(found.next_command)
    return Exit.DONE
