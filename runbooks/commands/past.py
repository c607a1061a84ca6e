"""What the commands on past runs do: list, show, go on, take back, prove."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console as Screen
from rich.table import Table

from runbooks.commands.frame.console import account
from runbooks.engine import asking
from runbooks.engine.manual import Answers
from runbooks.engine.record import entry as journal
from runbooks.engine.record.home import RUNS
from runbooks.model.errors import Exit, Refused
from runbooks.render.wording import brief, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runbooks.commands.frame.console import Console
    from runbooks.engine.history import RunSummary
    from runbooks.engine.record.entry import Entry

LONGEST: Final = 300  # characters of a text in the timeline; --json has it whole


def list_runs(console: Console) -> Exit:
    """Print one line a run, oldest first."""
    runs = console.runner.runs()
    if console.flags.json:
        console.print_json({"runs": runs})
        return Exit.DONE
    rows = [
        (run.run, run.book, run.status, f"{run.steps_done}/{run.steps_total}", run.actor, _why(run)) for run in runs
    ]
    _print(console, ("run", "book", "status", "steps", "by", "why"), rows)
    for run in runs:
        if run.unfinished and run.next_command:
            _say(console, f"Next     {run.next_command}")
    if not runs:
        _say(console, f"No run yet in {console.runner.home.where(RUNS)}.")
    return Exit.DONE


def show_run(console: Console, run: str) -> Exit:
    """Print every entry of a run's journal: when, how long after the beginning, what took how long, what was seen."""
    found = _find(console, run)
    entries = journal.entries_of(console.runner.home, found.run)
    if console.flags.json:
        console.print_json({"run": found, "entries": entries})
        return Exit.DONE
    _say(console, f"{found.run}  {found.book}  {found.status}  by {found.actor}: {found.reason or 'no reason given'}")
    began = datetime.fromisoformat(entries[0].at) if entries else None
    rows = [
        (
            str(entry.seq),
            entry.at[11:23],
            _since(entry, began),
            entry.kind,
            entry.step or "",
            _took(entry),
            _seen(entry),
        )
        for entry in entries
    ]
    _print(console, ("#", "at (UTC)", "since", "what", "step", "took", "seen"), rows)
    _say(console, f"Journal  {found.journal}")
    if found.next_command:
        _say(console, f"Next     {found.next_command}")
    return Exit.DONE


def resume(console: Console, run: str, *, replan: bool) -> Exit:
    """Go on with a run; without an id with the newest unfinished one."""
    found = _find(console, run, unfinished=not run)
    book = console.book(found.book, found.arguments)
    outcome = console.runner.resume(found.run, book=book, consent=console.consent(), replan=replan)
    return console.finish(outcome)


def undo(console: Console, run: str) -> Exit:
    """Take back what a run did; without an id, the newest."""
    found = _find(console, run)
    book = console.book(found.book, found.arguments)
    return console.finish(console.runner.undo(found.run, book=book, consent=console.consent()))


def approve(console: Console, run: str, name: str) -> Exit:
    """Approve the plan of a run as a second person; without an id, of the newest unfinished one."""
    found = _find(console, run, unfinished=not run)
    given = asking.approve(
        console.runner.home,
        found.run,
        by=console.redact(name),
        account=account(),
        now=console.clock(),
        seconds=console.settings.stack.approvals.expires_minutes * 60,
    )
    if console.flags.json:
        console.print_json({"run": found.run, "approval": given})
    else:
        _say(console, f"{given.by} approved {found.run}, plan {given.digest[:12]}, until {given.expires}")
        if found.unfinished and found.next_command:
            _say(console, f"Next     {found.next_command}")
    return Exit.DONE


def answer(console: Console, words: Sequence[str]) -> Exit:
    """Answer what a run asks: the run, then the answer."""
    if len(words) < 2:  # noqa: PLR2004 - a run and at least one word
        message = f"expected a run and an answer, got {len(words)} words"
        raise Refused(message, next_command="invoke --help runs.answer")
    run, *text = words
    found = _find(console, run)
    answers = Answers(console.runner.home, by=account(), clock=console.clock)
    given = answers.give(found.run, console.redact(" ".join(text)))
    if console.flags.json:
        console.print_json({"run": found.run, "answer": given})
    else:
        _say(console, f"{given.by} answered {found.run}, {given.step}: {given.text}")
        if found.unfinished and found.next_command:
            _say(console, f"Next     {found.next_command}")
    return Exit.DONE


def verify_runs(console: Console, run: str, path: str) -> Exit:
    """Prove the journal of one run or of all, in the ops home or below a path. Raises Refused naming every bad one."""
    from runbooks.engine.record import verdict  # loads what checks signatures

    home, signers = console.runner.home if not path else None, console.settings.stack.signers
    if home is None:
        copies = [folder for folder in verdict.copied(Path(path)) if folder.resolve().name.endswith(run)]
        proofs = [partial(verdict.verify, folder, signers=signers) for folder in copies]
    else:
        chosen = [_find(console, run)] if run else console.runner.runs()
        begun = [one.run for one in chosen if one.status != "not begun"]
        proofs = [partial(verdict.verify_run, home, one, signers=signers) for one in begun]
    verdicts, wrong = [], []
    for prove in proofs:
        try:
            verdicts.append(prove())
        except Refused as error:
            wrong.append(str(error))
    if not console.flags.json:
        rows = [
            (one.journal, str(one.entries), one.head[:12], "whole" if one.complete else "not closed", one.signed_by)
            for one in verdicts
        ]
        _print(console, ("journal", "entries", "head", "chain", "signed by"), rows)
    if wrong:
        raise Refused("\n".join(wrong))
    if console.flags.json:
        console.print_json({"journals": verdicts})
    return Exit.DONE


def _find(console: Console, run: str, *, unfinished: bool = False) -> RunSummary:
    """Return the run of this id or of an id that ends like it; without one, the newest. Raises Refused."""
    runs = console.runner.runs()
    found = [one for one in runs if one.run == run] or [one for one in runs if one.run.endswith(run)]
    if unfinished:
        found = [one for one in found if one.unfinished or one.status in ("failed", "unproven")]
    if not found:
        kind = "an unfinished run" if unfinished else f"run {run}" if run else "a run"
        message = f"{console.runner.home.where(RUNS)}: expected {kind}, got none of {len(runs)}."
        raise Refused(message, next_command=f"invoke runs --stack {shlex.quote(console.settings.argument)}")
    return found[-1]


def _why(run: RunSummary) -> str:
    """Return for whom or what a run waits, or why it was begun."""
    waits = run.text if run.status in ("running", "paused") else ""
    return waits or run.reason or run.text


def _since(entry: Entry, began: datetime | None) -> str:
    """Return how long after the run's beginning it was written."""
    return f"+{span((datetime.fromisoformat(entry.at) - began).total_seconds())}" if began else ""


def _took(entry: Entry) -> str:
    """Return how long a step took, or at the end the whole run."""
    return span(entry.payload["seconds"]) if "seconds" in entry.payload else ""


def _seen(entry: Entry) -> str:
    """Return in one line what matters of an entry."""
    payload = entry.payload
    if payload.get("text"):
        text = " ".join(str(payload["text"]).split())
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    for name in ("evidence", "answer"):
        if isinstance(payload.get(name), dict):
            return brief(payload[name])
    return ", ".join(str(payload[name]) for name in ("title", "reason", "status", "actor") if payload.get(name))


def _print(console: Console, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on a terminal, and lines of the same columns elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            _say(console, "  ".join(cell for cell in row if cell))
        return
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(console.redact(cell) for cell in row))
    Screen(_environ=console.environ, highlight=False).print(table)


def _say(console: Console, text: str) -> None:
    print(console.redact(text))  # noqa: T201 - the command's own output
