"""What the records of the zone were, and when: snapshots in the ops home, taken by whoever changes them.

One line of JSON a snapshot in `records.jsonl`, only ever appended, and only when the records say something new: every
deploy looks before and after, every rollback of records as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.records import Record, state_of
from runbooks.steps.lines import add_line, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runbooks.engine.record.home import Home

JOURNAL: Final = "records.jsonl"
APPEND_ONLY: Final = "the journal of records is only appended to: what is in it was so"


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """The records that were ours at `at` (RFC 3339 UTC). `state` is their digest: the same records have the same.

    `declared` is the digest of what the stack file declared then; "" where the program had not been applied.
    """

    state: str
    at: str
    run: str
    records: tuple[Record, ...]
    declared: str = ""


def read_snapshots(home: Home) -> tuple[Snapshot, ...]:
    """Return every snapshot, oldest first. Raises Refused when the journal is damaged, Unreachable."""
    return tuple(read_lines(home, JOURNAL, Snapshot, "a snapshot of records"))


def keep_records(
    home: Home,
    records: Callable[[], tuple[Record, ...]],
    *,
    declared: str = "",
    clock: Callable[[], datetime],
    name: str = "records",
    title: str = "keep what the records are",
) -> Step:
    """Return the step that adds a snapshot of `records` unless the last one says the same; leaves `state`."""

    def holds(_sight: Sight) -> Held:
        now = records()
        state = state_of(now)
        last = read_snapshots(home)[-1:]
        same = bool(last) and last[0].state == state and declared in ("", last[0].declared)
        seen: dict[str, Json] = {"state": state, "records": len(now)}
        return Yes(seen) if same else No(seen, f"{JOURNAL}: its last snapshot is not of {state}")

    def act(sight: Sight) -> Json:
        now = records()
        snapshot = Snapshot(state_of(now), clock().isoformat(), sight.run, now, declared)
        add_line(home, JOURNAL, snapshot)
        return {"state": snapshot.state, "records": len(now)}

    return Step(
        name=name, title=title, effect=Effect.WRITE, holds=holds, act=act, undo=NoUndo(APPEND_ONLY), expect=0.05
    )


def kept_by(step: str) -> Callable[[Sight], str]:
    """Return how to read the state that an earlier step (`keep_records`) has kept."""

    def read(sight: Sight) -> str:
        kept = sight.results[step]
        return str(kept["state"]) if isinstance(kept, dict) else ""

    return read
