"""A whole manifest (count and digest of every table, every definition) against `pg_dump | sha256sum` of the same data.

Both read every row once, in turns, from a warm cache. The peer's sum can only be compared with itself, and not even
after a restore: the order of rows and a random key stand in a dump.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

from benchmarks.databases.server import serving
from benchmarks.pairs import alternate
from runbooks.steps.database.proof.reading import read_manifest

if TYPE_CHECKING:
    from benchmarks.databases.server import Server

LIMIT: Final = 0.4
ROWS: Final = 11_300_000
"""Rows of each gigabyte, in all: what a booking system has most of. Narrow rows, some text, some JSON."""
TABLES: Final = """
create type state as enum ('booked', 'attended', 'cancelled');
create table bookings (id bigint primary key, lesson_id bigint not null, rider_id bigint not null,
  status state not null, note text, created_at timestamptz not null, updated_at timestamptz not null);
create table audit (id bigint primary key, at timestamptz not null, actor text not null, action text not null,
  row_id text, request_id uuid not null);
create table payments (id bigint primary key, invoice_id bigint not null, method text not null,
  amount numeric(12, 2) not null, paid_at timestamptz not null, answer jsonb not null);
insert into bookings select n, n % 5000, n % 777, (enum_range(null::state))[1 + n % 3], case when n % 4 = 0
  then md5(n::text) end,
  timestamptz '2026-01-01' + n * interval '1 s', timestamptz '2026-01-02' + n * interval '1 s'
    from generate_series(1, {rows} * 4 / 10) n;
insert into audit select n, timestamptz '2026-01-01' + n * interval '1 s', 'user' || n % 1000, 'update', n::text,
  gen_random_uuid()
  from generate_series(1, {rows} * 4 / 10) n;
insert into payments select n, n / 2, (array['card', 'transfer', 'cash'])[1 + n % 3], n * 0.01,
  timestamptz '2026-01-01' + n * interval '1 s',
  jsonb_build_object('id', n, 'ok', true, 'code', md5(n::text)) from generate_series(1, {rows} * 2 / 10) n;
vacuum analyze;
"""


def measure(runs: int, *, gigabytes: float = 0.3) -> dict[str, Any]:
    """Return seconds of both on so many gigabytes of tables."""
    with serving() as server:
        for statement in TABLES.format(rows=int(ROWS * gigabytes)).split(";\n")[:-1]:
            server.run(statement)
        size = server.run("select sum(pg_table_size(oid)) from pg_class where relkind = 'r' and oid >= 16384")[0][0]
        manifest = read_manifest(server.door())
        result = alternate(lambda: _ours(server), lambda: _peer(server), runs)
    return {
        "name": "digest",
        **result,
        "limit": LIMIT,
        "table_bytes": int(size),
        "rows": manifest.rows,
        "unchecked": list(manifest.unchecked),
        "peer_is": "pg_dump | sha256sum",
    }


def _ours(server: Server) -> float:
    began = time.perf_counter()
    read_manifest(server.door())
    return time.perf_counter() - began


def _peer(server: Server) -> float:
    began = time.perf_counter()
    words = [str(server.program("pg_dump")), f"--dbname={server.url()}"]
    dump = subprocess.Popen(words, stdout=subprocess.PIPE)
    subprocess.run([shutil.which("sha256sum") or "sha256sum"], stdin=dump.stdout, capture_output=True, check=True)
    if dump.stdout is not None:
        dump.stdout.close()
    if dump.wait():
        message = "pg_dump failed"
        raise ChildProcessError(message)
    return time.perf_counter() - began
