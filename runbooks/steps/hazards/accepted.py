"""What was accepted after the point and is about to be given up, as one CSV file: people reconcile by it.

`runs/<run>/accepted.csv` of the ops home: rows that the database has from after the point (its commit times know), and
requests that the API answered with 2xx, as far as its log tells. The rows themselves are in the copy of the present.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.clients.postgres import sql
from runbooks.engine.record.home import RUNS
from runbooks.engine.step import Effect, Held, Json, No, NoUndo, Sight, Step, Yes
from runbooks.model.errors import AnswerLost, OpsError
from runbooks.steps.database.server import look_at, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from runbooks.clients.logs.telemetry import Telemetry
    from runbooks.clients.postgres import Postgres, Session
    from runbooks.engine.record.home import Home

FILE: Final = "accepted.csv"
HEADER: Final = ("time", "from", "method", "path", "status", "request_id", "table", "row")
MOST: Final = 100_000
"""Rows of one table that are listed: beyond that nobody reads a list, and the copy of the present has them all."""
KEY: Final = """
select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
 where i.indrelid = to_regclass(%s) and i.indisprimary order by array_position(i.indkey::int2[], a.attnum)
"""


def list_accepted(
    database: Postgres,
    telemetry: Telemetry | None,
    home: Home,
    point: datetime,
    *,
    clock: Callable[[], datetime],
    name: str,
) -> Step:
    """Return the step that lists what was accepted after the point; without the API's log it lists the rows alone."""
    listing = Listing(database, telemetry, home, point, clock)
    return Step(
        name=name,
        title="list what was accepted after the point, to be reconciled by people",
        effect=Effect.WRITE,
        holds=listing.holds,
        act=listing.act,
        undo=NoUndo("the list stays where it is: it says what was"),
        expect=0.5,
        deadline=1800.0,
        attempts=2,
    )


@dataclass(frozen=True)
class Listing:
    """One list."""

    database: Postgres
    telemetry: Telemetry | None
    home: Home
    point: datetime
    clock: Callable[[], datetime]

    def holds(self, sight: Sight) -> Held:
        """Look for the file, and count its lines."""
        name = f"{RUNS}/{sight.run}/{FILE}"
        content = self.home.get(name)
        if content is None:
            return No({}, f"there is no {self.home.where(name)}")
        kinds = [line["from"] for line in csv.DictReader(io.StringIO(content.decode()))]
        counted = {"rows": kinds.count("database"), "requests": kinds.count("api log")}
        return Yes({"to_reconcile": self.home.where(name), **counted})

    def act(self, sight: Sight) -> Json:
        """Write it, whole."""
        not_listed: list[str] = []
        lines = [*self._rows(not_listed), *self._requests(not_listed)]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(sorted(lines))
        name = f"{RUNS}/{sight.run}/{FILE}"
        try:
            self.home.put_new(name, out.getvalue().encode())
        except OSError as error:
            message = f"{self.home.where(name)}: it is not sure that it was written ({error.strerror or error})."
            raise AnswerLost(message) from error
        if not_listed:
            sight.note(f"not listed in {FILE}: {'; '.join(not_listed)}")
        return {"not_listed": list(not_listed)}

    def _rows(self, not_listed: list[str]) -> Iterator[tuple[str, ...]]:
        """Yield a line for each row from after the point."""
        with self.database.reading() as session:
            if not look_at(session).commit_times:
                not_listed.append("rows of the database: it keeps no commit times")
                return
            for schema, table, ours in tables(session):
                label = f"{schema}.{table}"
                found = self._of_table(session, schema, table) if ours else None
                if found is None or len(found) > MOST:
                    not_listed.append(f"{label}, more than {MOST} rows" if found else f"{label}, not to be read")
                for at, key in (found or [])[:MOST]:
                    yield (at, "database", "", "", "", "", label, key)

    def _of_table(self, session: Session, schema: str, table: str) -> list[tuple[str, str]] | None:
        """Return when each row was written and its primary key as JSON; None where that takes too long."""
        quoted = sql.Identifier(schema, table)
        columns = [name for (name,) in session.rows(KEY, (quoted.as_string(None),))]
        key = sql.SQL(", ").join(sql.SQL("{}, {}").format(sql.Literal(one), sql.Identifier(one)) for one in columns)
        query = sql.SQL(
            'select to_char(at, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\'), key from'
            " (select pg_xact_commit_timestamp(xmin) as at, jsonb_build_object({})::text as key from only {}) as rows"
            " where at > %s order by at limit %s"
        ).format(key, quoted)
        try:
            with session.attempt():
                return [(at, row) for at, row in session.rows(query, (self.point, MOST + 1))]
        except OpsError as error:
            if not error.retryable:
                raise
            return None

    def _requests(self, not_listed: list[str]) -> Iterator[tuple[str, ...]]:
        """Yield a line for each request that was accepted after the point."""
        if self.telemetry is None:
            not_listed.append("requests of the API: Cloudflare, which has its log, is not asked")
            return
        try:
            found, whole = self.telemetry.writes(self.point, self.clock())
        except OpsError as error:  # a recovery does not stop at what its provider cannot tell
            not_listed.append(f"requests of the API: {error}")
            return
        if not whole:
            not_listed.append(f"requests of the API before {found[0].at:%H:%M:%S}" if found else "requests of the API")
        for one in found:
            at = f"{one.at:%Y-%m-%dT%H:%M:%S.%f}Z"
            yield (at, "api log", one.method, one.path, str(one.status), one.id, "", "")
