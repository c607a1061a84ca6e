"""People who were erased on request: a ledger outside the database, and their erasure again after a restore.

One line of JSON an erasure in `erasures.jsonl` of the ops home, written before the rows are erased: a ledger inside the
database would go back with it. A restore writes its own line for what it erases again, so that a later restore to a
moment in between erases it once more.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from infra.shapes import SUBJECT
from runbooks.clients.postgres import sql
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import Refused
from runbooks.model.reconciliation import ERASE
from runbooks.steps.lines import add_line, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.shapes import Erasure
    from runbooks.clients.postgres import Postgres, Session
    from runbooks.engine.record.home import Home

LEDGER: Final = "erasures.jsonl"
MARGIN: Final = timedelta(minutes=10)
"""Erasures from shortly before the point are done again as well: clocks differ, and a line is older than its rows' end.
What is gone already stays as it is."""


class Erased(msgspec.Struct, frozen=True):
    """One erasure. `at` is when it was written down (UTC), `kind` names its statements in the stack file, `run` did it.

    `subject` is the key that the statements take; it names nobody by itself (an id, or a digest).
    """

    id: str
    at: datetime
    kind: str
    subject: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:@+/=-]{1,128}$")]
    run: str


def read_erasures(home: Home) -> tuple[Erased, ...]:
    """Return every line of the ledger, oldest first. Raises Refused when it is damaged, Unreachable."""
    return tuple(read_lines(home, LEDGER, Erased, "an erasure"))


def erased_since(home: Home, point: datetime, known: Mapping[str, Erasure], *, file: str) -> tuple[Erased, ...]:
    """Return what a restore to the point must erase again, each person once.

    Raises Refused for a kind that the stack file does not know, Unreachable.
    """
    owed: dict[tuple[str, str], Erased] = {}
    for one in read_erasures(home):
        if one.at <= point - MARGIN:
            continue
        if one.kind not in known:
            message = (
                f"{home.where(LEDGER)}: erasure {one.id} of {one.at:%Y-%m-%d %H:%M} UTC must be done again after this "
                f"restore; expected its kind in ems-ops:hazards.erasures ({', '.join(sorted(known)) or 'none'}), got "
                f"{one.kind}."
            )
            raise Refused(message, next_command=f"edit {file}")
        owed.setdefault((one.kind, one.subject), one)
    return tuple(owed.values())


def note_erasures(home: Home, owed: tuple[Erased, ...], *, clock: Callable[[], datetime], name: str) -> Step:
    """Return the step after which the ledger says that this run erases them: written before it is done."""

    def missing(run: str) -> list[Erased]:
        noted = {(one.kind, one.subject) for one in read_erasures(home) if one.run == run}
        return [one for one in owed if (one.kind, one.subject) not in noted]

    def holds(sight: Sight) -> Held:
        left = missing(sight.run)
        seen: dict[str, Json] = {"erasures": [one.id for one in owed]}
        return No(seen, f"{LEDGER}: {len(left)} erasures are not noted for this run") if left else Yes(seen)

    def act(sight: Sight) -> Json:
        for one in missing(sight.run):
            add_line(home, LEDGER, msgspec.structs.replace(one, at=clock(), run=sight.run))
        return None

    return Step(
        name=name,
        title=f"note {_counted(owed)} in the ledger",
        effect=Effect.WRITE,
        holds=holds,
        act=act,
        undo=NoUndo("the ledger is only appended to; an erasure too many in it erases nobody who is there"),
        expect=0.05,
        attempts=2,
    )


def erase(database: Postgres, owed: tuple[Erased, ...], known: Mapping[str, Erasure], *, name: str) -> Step:
    """Return the step that erases them, one transaction each, and proves by the stack file's own SQL that it is so."""

    def left(session: Session) -> list[Erased]:
        return [one for one in owed if not session.truth(_about(known[one.kind].gone, one))]

    def holds(_sight: Sight) -> Held:
        with database.reading() as session:
            there = left(session)
        seen: dict[str, Json] = {"erasures": [one.id for one in owed], "left": [one.id for one in there]}
        if not there:
            return Yes(seen)
        return No(seen, f"{len(there)} erased people are there, the first is erasure {there[0].id}")

    def act(_sight: Sight) -> Json:
        for one in owed:
            with database.writing(ERASE) as session:
                if not session.truth(_about(known[one.kind].gone, one)):
                    for statement in known[one.kind].statements:
                        session.run(_about(statement, one))
        return None

    return Step(
        name=name,
        title=f"do {_counted(owed)} again, and see that nothing of them is left",
        effect=Effect.DESTROY,
        holds=holds,
        act=act,
        undo=NoUndo("who was erased on request stays erased"),
        expect=0.1 * len(owed),
        deadline=600.0,
        attempts=3,
    )


def _counted(owed: tuple[Erased, ...]) -> str:
    return f"{len(owed)} erasure{'s' if len(owed) > 1 else ''}"


def _about(statement: str, one: Erased) -> str:
    return statement.replace(SUBJECT, sql.Literal(one.subject).as_string(None))
