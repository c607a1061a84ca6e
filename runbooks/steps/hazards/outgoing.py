"""What leaves a database by itself: calls that wait (pg_net), mails in tables of its product.

What waited to leave at the point has mostly left since: it stays held until a person lets it go
(`invoke restore.release`), and calls in pg_net's queue, which nobody could look at, are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import CheckError
from runbooks.model.reconciliation import HOLD_OUTGOING
from runbooks.steps.database.server import may

if TYPE_CHECKING:
    from infra.shapes import Outgoing
    from runbooks.clients.postgres import Postgres, Session

QUEUE: Final = "net.http_request_queue"


def hold_outgoing(database: Postgres, told: tuple[Outgoing, ...], *, name: str) -> Step:
    """Return the step after which nothing waits to leave: what the stack file names is held, pg_net's queue empty."""
    waiting = Waiting(database, told)
    return Step(
        name=name,
        title="hold what waits to leave the database (mails, calls)",
        effect=Effect.WRITE,
        holds=waiting.holds,
        act=waiting.act,
        undo=waiting.undo,
        expect=0.1,
        attempts=3,
    )


@dataclass(frozen=True)
class Waiting:
    """What waits to leave one database."""

    database: Postgres
    told: tuple[Outgoing, ...]

    def holds(self, _sight: Sight) -> Held:
        """Count what waits."""
        with self.database.reading() as session:
            found = self._look(session)
        left = [f"{what} {rows}" for what, rows in found.items() if rows]
        seen: dict[str, Json] = {"waiting": dict(found)}
        return No(seen, f"it waits to leave: {', '.join(left)}") if left else Yes(seen)

    def act(self, _sight: Sight) -> Json:
        """Hold it, in one transaction."""
        with self.database.writing(HOLD_OUTGOING) as session:
            found = self._look(session)
            for one in self.told:
                session.run(one.hold)
            if QUEUE in found:
                session.run("delete from net.http_request_queue")
        return {"kept_back": dict(found)}

    def undo(self, _sight: Sight) -> Json:
        """Let it go again, but what was in the queue."""
        with self.database.writing(HOLD_OUTGOING) as session:
            for one in self.told:
                session.run(one.release)
        return None

    def _look(self, session: Session) -> dict[str, int]:
        found = {one.name: counted(session, one.waiting) for one in self.told}
        if may(session, "delete", QUEUE):
            found[QUEUE] = int(session.value("select count(*) from net.http_request_queue"))
        return found


def release_outgoing(database: Postgres, one: Outgoing, *, rows: int, name: str) -> Step:
    """Return the step that lets go what was held of one kind."""

    def holds(_sight: Sight) -> Held:
        with database.reading() as session:
            held = counted(session, one.held)
        return No({"held": held}, f"{one.name}: {held} are held") if held else Yes({"held": 0})

    def act(_sight: Sight) -> Json:
        with database.writing(HOLD_OUTGOING) as session:
            session.run(one.release)
        return None

    return Step(
        name=name,
        title=f"let {rows} of {one.name} leave",
        effect=Effect.DESTROY,
        holds=holds,
        act=act,
        undo=NoUndo("what has left cannot be called back"),
        expect=0.1,
    )


def counted(session: Session, statement: str) -> int:
    """Return the number that a statement of the stack file gives. Raises CheckError for anything else."""
    found = session.value(statement)
    if not isinstance(found, int) or isinstance(found, bool):
        message = f"ems-ops:hazards.outgoing: expected `{statement}` to return a number, got {found!r}"
        raise CheckError(message)
    return found
