"""Take pictures of tables: fingerprints of every row, the rows themselves, counts. Only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbooks.clients.postgres import identifier, sql
from runbooks.drills.rig.ledger import Snapshot
from runbooks.steps.database.server import tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from infra.drills import Workload
    from runbooks.clients.postgres import Postgres


def fingerprints(postgres: Postgres, workload: Workload) -> dict[str, str]:
    """Return a fingerprint of each row of the workload's table by its key."""
    with postgres.reading() as session:
        query = sql.SQL("select {}::text, md5(t::text) from {} t").format(*_names(workload))
        return dict(session.rows(query))


def snapshot(postgres: Postgres, workload: Workload, *, before: Mapping[str, str]) -> Snapshot:
    """Return the workload's table now: every fingerprint, and the content of rows that were not there `before`."""
    with postgres.reading() as session:
        query = sql.SQL("select {}::text, md5(t::text), to_jsonb(t) from {} t").format(*_names(workload))
        found = session.rows(query)
    rows: dict[str, dict[str, Any]] = {key: row for key, _, row in found if key not in before}
    return Snapshot({key: fingerprint for key, fingerprint, _ in found}, rows)


def row_counts(postgres: Postgres) -> dict[str, int]:
    """Return how many rows each table has that we may read, all on one snapshot."""
    with postgres.reading() as session:
        names = [name for *name, readable in tables(session) if readable]
        count = sql.SQL("select count(*) from {}")
        return {".".join(name): int(session.value(count.format(sql.Identifier(*name)))) for name in names}


def _names(workload: Workload) -> tuple[sql.Identifier, sql.Identifier]:
    return sql.Identifier(workload.key), identifier(workload.table)


def last_change(postgres: Postgres, table: str) -> datetime | None:
    """Return when the table was last truncated, created or altered, by the commit time of its catalog entries.

    None when the table is gone, or the server keeps no commit times. (PostgreSQL 18: a truncate writes a new
    `relfilenode` into pg_class in its own transaction, a renamed column only pg_attribute; vacuum and analyze update
    in place and leave xmin alone.)
    """
    with postgres.reading() as session:
        if session.value("show track_commit_timestamp") != "on":
            return None
        found: datetime | None = session.value(
            "select max(pg_xact_commit_timestamp(xmin)) from (select xmin from pg_class where oid = to_regclass(%s)"
            " union all select xmin from pg_attribute where attrelid = to_regclass(%s)) as entries",
            (table, table),
        )
        return found
