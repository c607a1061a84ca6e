"""What earlier runs of this ops home left behind: the moment of a change, and what an unfinished run had stopped."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

from runbooks.engine.history import Past, past
from runbooks.engine.lease import current, dead
from runbooks.engine.record.entry import Kind, entries_of
from runbooks.engine.record.home import RUNS
from runbooks.engine.step import Effect
from runbooks.model.errors import Refused

if TYPE_CHECKING:
    from runbooks.engine.record.home import Home

FactsT = TypeVar("FactsT")


def first_change(home: Home, run: str) -> datetime:
    """Return when a run's first change began. Raises Refused when it changed nothing or is not there."""
    if run not in home.names(RUNS):
        message = f"before:{run}: there is no run of that id in {home.where(RUNS)}."
        raise Refused(message, next_command="invoke runs")
    for entry in entries_of(home, run):
        if entry.kind is Kind.STEP_STARTED and entry.payload["effect"] != Effect.READ:
            return datetime.fromisoformat(entry.at)
    message = f"before:{run}: that run changed nothing."
    raise Refused(message, next_command="invoke runs")


def left_stopped(home: Home, book: str, stack: str, shape: type[FactsT]) -> FactsT | None:
    """Return the facts of the newest run of this book if it did not end well: what it had found before it stopped it.

    A journal that is damaged, or whose facts have another shape, tells nothing.
    """
    found = unsettled(home, book, stack)
    if found is None:
        return None
    try:
        return msgspec.convert(found[1].plan.facts, shape, str_keys=True)
    except msgspec.ValidationError:
        return None


def unsettled(home: Home, book: str, stack: str) -> tuple[str, Past] | None:
    """Return the newest run of this book if it did not end well, and what its journal says."""
    for run in reversed(home.names(RUNS)):
        try:
            told = past(entries_of(home, run))
        except Refused:
            continue  # `runs.verify` reports it; a recovery must not stop at it
        if told is None or (told.opened["book"], told.opened["stack"]) != (book, stack):
            continue
        return None if told.status in ("done", "already so", "undone") else (run, told)
    return None


def refuse_while_stopped(home: Home, stack: str, argument: str, *, worker: str, now: datetime) -> None:
    """Raise Refused where a restore has stopped the application and is not settled: its database is not proven.

    To be asked while the maintenance version is live. While that restore is at work, its lease tells who is at it.
    """
    found = unsettled(home, "restore", stack)
    if found is None or not found[1].acted:
        return
    run, told = found
    holder = current(home, stack)
    if not told.status and holder is not None and holder.run == run and not dead(holder, now=now):
        return
    of_run = f"--run {run} --stack {shlex.quote(argument)}"
    message = (
        f"{worker} is stopped by restore {run}, which is {told.status or 'unfinished, and its process is gone'}: "
        f"nothing is released before that is settled. Go on with it, or take it back (`invoke runs.undo {of_run}`)."
    )
    raise Refused(message, next_command=f"invoke runs.resume {of_run}")
