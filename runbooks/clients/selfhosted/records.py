"""What one transaction did, as its WAL tells: how many rows of which file, also of what left no row behind."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runbooks.clients.selfhosted.wal import DROPPED, PARTS, spoken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbooks.clients.selfhosted.wal import Wal

MOST_PARTS: Final = 20
TRANSACTION: Final = re.compile(rb"tx: +(\d+), ")
RECORD: Final = re.compile(
    rb"desc: (INSERT|MULTI_INSERT|DELETE|UPDATE|HOT_UPDATE)\b.*?(?:ntuples: (\d+).*?)?rel (\d+)/(\d+)/(\d+) "
)
DOES: Final = {
    "INSERT": "inserted",
    "MULTI_INSERT": "inserted",
    "DELETE": "deleted",
    "UPDATE": "replaced",
    "HOT_UPDATE": "replaced",
}


@dataclass(frozen=True)
class File:
    """A table's file, as WAL names it: tablespace, database, number."""

    space: int
    database: int
    node: int


@dataclass(frozen=True)
class Done:
    """What a transaction did: rows by file and what became of them, and whether it dropped files."""

    rows: Mapping[tuple[File, str], int]
    dropped: bool


def done_by(wal: Wal, since: int, commit: int) -> Done:
    """Return what the transaction did whose commit record is at a position. Raises CheckError."""
    told = ("-p", str(wal.folder), "-t", str(wal.timeline))
    end = wal.installed.printed("pg_waldump", *told, "-s", spoken(commit), "-n", "1").encode()
    found, parts = TRANSACTION.search(end), PARTS.search(end)
    numbers = [*([found[1]] if found else []), *(parts[1].split() if parts else [])]
    rows: Counter[tuple[File, str]] = Counter()
    for number in numbers[:MOST_PARTS]:
        span = ("-s", spoken(since), "-e", spoken(commit), "-x", number.decode(), "-r", "Heap", "-r", "Heap2")
        for line in wal.installed.printed("pg_waldump", *told, *span).encode().splitlines():
            if (record := RECORD.search(line)) is not None:
                file = File(int(record[3]), int(record[4]), int(record[5]))
                rows[file, DOES[record[1].decode()]] += int(record[2] or 1)
    return Done(rows, DROPPED in end)
