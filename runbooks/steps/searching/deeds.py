"""Put what a transaction did, as its WAL tells, into words: a line a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runbooks.clients.selfhosted.records import done_by
from runbooks.model.errors import CheckError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runbooks.clients.postgres import Postgres
    from runbooks.clients.selfhosted.records import File
    from runbooks.clients.selfhosted.wal import Wal

NAMED: Final = """
select n.nspname || '.' || c.relname, n.nspname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = pg_filenode_relation(%s, %s)
"""
CURRENT: Final = "select d.oid::int, d.dattablespace::int from pg_database d where datname = current_database()"
OF_THE_SERVER: Final = ("pg_catalog", "pg_toast", "information_schema")
FILES_DROPPED: Final = "a table or an index was dropped, emptied by truncate, or rewritten"


def deeds(database: Postgres, wal: Wal, since: int, commit: int) -> tuple[str, ...]:
    """Return what the transaction did whose commit is at a position; nothing where its WAL cannot be read."""
    try:
        done = done_by(wal, since, commit)
    except CheckError:
        return ()
    names = _names(database, {file for file, _ in done.rows})
    told: dict[str, int] = {}
    for (file, what), rows in done.rows.items():
        if name := names.get(file, f"a table that cannot be named now (file {file.node})"):
            told[f"{name}: {{}} rows {what}"] = told.get(f"{name}: {{}} rows {what}", 0) + rows
    lines = [line.format(rows) for line, rows in sorted(told.items(), key=lambda item: -item[1])]
    definitions = ["definitions were changed"] if "" in names.values() else []
    return (*lines, *([FILES_DROPPED] if done.dropped else definitions))


def _names(database: Postgres, files: Iterable[File]) -> dict[File, str]:
    """Return what the files are called now; "" for the server's own tables."""
    names: dict[File, str] = {}
    try:
        with database.reading() as session:
            oid, space = session.rows(CURRENT)[0]
            for file in files:
                if file.database != oid:
                    names[file] = f"another database (file {file.node})" if file.database else ""
                    continue
                found = session.rows(NAMED, (0 if file.space == space else file.space, file.node))
                if found:
                    names[file] = "" if found[0][1] in OF_THE_SERVER else found[0][0]
    except Unreachable:
        return names
    return names
