"""What earlier runs of this ops home left behind: the moment of a change, and what an unfinished run had stopped."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

from runbooks.engine.history import past
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
    for run in reversed(home.names(RUNS)):
        try:
            told = past(entries_of(home, run))
        except Refused:
            continue  # `runs.verify` reports it; a recovery must not stop at it
        if told is None or (told.opened["book"], told.opened["stack"]) != (book, stack):
            continue
        if told.status in ("done", "already so", "undone"):
            return None
        try:
            return msgspec.convert(told.plan.facts, shape, str_keys=True)
        except msgspec.ValidationError:
            return None
    return None
