"""`invoke runs` and its kin: the journal, read, gone on with, taken back, proven."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import task

from runbooks.commands.frame import READING, WRITING, Flags, perform
from runbooks.commands.frame.words import WordsTask, one

if TYPE_CHECKING:
    from invoke import Context

    from runbooks.commands.frame.console import Console
    from runbooks.model.errors import Exit


@task(default=True, name="list", help=READING, auto_shortflags=False)
def list_runs(_context: Context, *, stack: str = "prod", json: bool = False) -> None:
    """List the runs of a stack: what was done, how it ended, what is unfinished.

    Changes nothing. The newest stands last; an unfinished one with the command that goes on with it.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import past

        return past.list_runs(console)

    perform(Flags(stack, json=json), work)


@task(
    klass=WordsTask,
    positional=["run"],
    auto_shortflags=False,
    help={**READING, "run": "Id of the run, or its end. Without it: the newest one."},
)
def show(_context: Context, run: list[str], *, stack: str = "prod", json: bool = False) -> None:
    """Show the timeline of a run: every entry of its journal, with what was seen.

    Changes nothing. --json gives the entries as they are in the journal.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import past

        return past.show_run(console, one(run))

    perform(Flags(stack, json=json), work)


@task(
    klass=WordsTask,
    positional=["run"],
    auto_shortflags=False,
    help={
        **WRITING,
        "run": "Id of the run, or its end. Without it: the newest one that is unfinished.",
        "replan": "Agree to a new plan where the code or the facts no longer give the old one.",
    },
)
def resume(
    _context: Context,
    run: list[str],
    *,
    replan: bool = False,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Go on with a run that was interrupted, paused or failed.

    Changes what the rest of its plan says. Finished steps are looked at again, never repeated; of an act whose end is
    unknown it is first found out whether it took effect. Asks before it goes on.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import past

        return past.resume(console, one(run), replan=replan)

    flags = Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over)
    perform(flags, work)


@task(
    klass=WordsTask,
    positional=["run"],
    auto_shortflags=False,
    help={**WRITING, "run": "Id of the run, or its end. Without it: the newest one."},
)
def undo(
    _context: Context,
    run: list[str],
    *,
    stack: str = "prod",
    json: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    reason: str = "",
    take_over: bool = False,
) -> None:
    """Take back exactly what a run did, the newest step first.

    Changes back to the state that was seen before each step. What has no way back is named in the plan, with what to
    do instead. Asks before it begins.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import past

        return past.undo(console, one(run))

    flags = Flags(stack, json=json, dry_run=dry_run, yes=yes, reason=reason, take_over=take_over)
    perform(flags, work)


@task(
    klass=WordsTask,
    positional=["run"],
    auto_shortflags=False,
    help={
        **READING,
        "run": "Id of the run, or its end. Without it: the newest one that is unfinished.",
        "as": "Who approves: never who runs it.",
    },
)
def approve(_context: Context, run: list[str], *, as_: str, stack: str = "prod", json: bool = False) -> None:
    """Approve the plan of a run that waits for a second person.

    Changes nothing outside the ops home. The approval counts for this plan, once, and expires; whoever runs the plan
    cannot give it. Read the plan first: invoke runs.show.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import past

        return past.approve(console, one(run), as_)

    perform(Flags(stack, json=json), work)


@task(
    klass=WordsTask,
    positional=["words"],
    auto_shortflags=False,
    help={**READING, "words": "Id of the run, or its end, then the answer."},
)
def answer(_context: Context, words: list[str], *, stack: str = "prod", json: bool = False) -> None:
    """Answer what a run asks of a person: `invoke runs.answer tango-7 "notice 4711"`.

    Changes nothing outside the ops home. An answer is given once and kept in the journal, with who gave it.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import past

        return past.answer(console, words)

    perform(Flags(stack, json=json), work)


@task(
    klass=WordsTask,
    positional=["run"],
    auto_shortflags=False,
    help={
        **READING,
        "run": "Id of the run, or its end. Without it: every run.",
        "path": "A copied journal, its run's folder, or any folder with such in it, instead of the ops home.",
    },
)
def verify(_context: Context, run: list[str], *, path: str = "", stack: str = "prod", json: bool = False) -> None:
    """Prove that journals are whole and were not altered, and show who signed them.

    Changes nothing; a folder or a copy needs no network: each entry holds the hash of the one before. Exit code 2
    names every journal and the first line of it that is not as it was written.
    """

    def work(console: Console) -> Exit:
        from runbooks.commands import past

        return past.verify_runs(console, one(run), path)

    perform(Flags(stack, json=json), work)
