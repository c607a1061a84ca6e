"""`invoke backup` and its kin: own backups made, listed, taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import READING, WRITING, Flags, perform, play
from runbooks.commands.frame.words import WordsTask, one

if TYPE_CHECKING:
    from invoke import Context

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit


@task(default=True, help=WRITING, auto_shortflags=False)
def make(
    _context: Context,
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Back the database up: one snapshot, every file with its digest, encrypted where the stack file says for whom.

    Changes: a new backup where ems-ops:backups.store says (a folder, S3, R2); nothing in the database. Refused before
    it begins where our role cannot read every row. Killed, it leaves nothing that looks like a backup; `runs.resume`
    goes on. Costs: the database is read once, with two connections; disk for one dump on this machine.
    """
    play("backup", {}, Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over))


@task(
    name="list",
    auto_shortflags=False,
    help={
        **READING,
        "check": "Fail (exit 5) when the newest backup or the newest proof is too old, or a day has none.",
    },
)
def list_backups(_context: Context, *, check: bool = False, stack: str = "prod", json: bool = False) -> None:
    """List the backups, own and the provider's: when, how large, when last proven, which days have none.

    Changes nothing. With --check it is the dead man's switch: run it from somewhere else than what makes the backups.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import keeping

        return keeping.listed(console, check=check)

    perform(Flags(stack, json=json), work)


@task(
    klass=WordsTask,
    positional=["backup"],
    auto_shortflags=False,
    help={**WRITING, "backup": "Id of the backup, or its end. Without it: the newest one."},
)
def verify(
    _context: Context,
    backup: list[str],
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Prove a backup: restore it into a PostgreSQL of our own and compare every table with what it was made from.

    Changes: nothing but the ops home, where the proof is written down. Exit 5 when the backup is not good, with every
    difference. Costs: disk for the whole database on this machine, and about as long as a restore.
    """

    def work(console: Console) -> Exit:
        return console.play("backup-verify", {"backup": one(backup)})

    perform(Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over), work)


@task(help=WRITING, auto_shortflags=False)
def prune(
    _context: Context,
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Delete own backups that are old enough by ems-ops:backups.keep; never the newest, nor the one proven last.

    Changes: deletes what the plan names, for good. Costs: a few calls a backup.
    """
    play("backup-prune", {}, Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over))
