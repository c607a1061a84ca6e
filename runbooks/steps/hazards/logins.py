"""Logins that a restore brings back to life: all of them end, for nothing tells the revoked ones from the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import identifier, sql
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.reconciliation import END_LOGINS
from runbooks.steps.database.server import may

if TYPE_CHECKING:
    from runbooks.clients.postgres import Postgres, Session

OF_THE_PLATFORM: Final = ("auth.refresh_tokens", "auth.sessions")
"""Supabase's own sign-in. An access token that it gave out before lives on until it expires, an hour by default."""


def end_logins(database: Postgres, tables: tuple[str, ...], *, name: str) -> Step:
    """Return the step after which none of these tables has a row; the platform's own are among them where there are.

    A platform's table that our role may not change is left and named; one of the stack file raises CheckError.
    """
    logins = Logins(database, tables)
    return Step(
        name=name,
        title="end every login: everybody signs in again",
        effect=Effect.DESTROY,
        holds=logins.holds,
        act=logins.act,
        undo=NoUndo("everybody can sign in again"),
        expect=0.1,
        attempts=3,
    )


@dataclass(frozen=True)
class Logins:
    """The tables of logins of one database."""

    database: Postgres
    tables: tuple[str, ...]

    def holds(self, _sight: Sight) -> Held:
        """Count what is there."""
        with self.database.reading() as session:
            found, left = self._look(session)
        seen: dict[str, Json] = {"logins": dict(found), "not_ours": list(left)}
        there = [f"{table} {rows}" for table, rows in found.items() if rows]
        return No(seen, f"logins are there: {', '.join(there)}") if there else Yes(seen)

    def act(self, sight: Sight) -> Json:
        """Delete them, in one transaction."""
        with self.database.writing(END_LOGINS) as session:
            found, left = self._look(session)
            for table in found:
                session.run(sql.SQL("delete from {}").format(identifier(table)))
        if left:
            sight.note(f"logins in {', '.join(left)} were not ended: our role may not delete them")
        return {"ended": dict(found)}

    def _look(self, session: Session) -> tuple[dict[str, int], list[str]]:
        """Return the rows of each table, and the tables that our role may not change."""
        found, left = {}, []
        for table in dict.fromkeys((*self.tables, *OF_THE_PLATFORM)):
            ours = may(session, "delete", table)
            if ours is None:
                continue
            if not ours and table not in self.tables:
                left.append(table)
                continue
            found[table] = int(session.value(sql.SQL("select count(*) from {}").format(identifier(table))))
        return found, left
