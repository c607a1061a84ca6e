"""Rows of a dump are loaded whole and once, by several connections where one table outweighs the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from benchmarks.databases.server import Server, serving
from benchmarks.databases.subjects import DEPOT, load_depot
from runbooks.clients.postgres_programs import Programs
from runbooks.clients.stores.files import FolderFiles
from runbooks.engine.step import Sight
from runbooks.model.errors import ActError
from runbooks.steps.backups.beside import Beside, find_equal, load_beside
from runbooks.steps.backups.catalog import Catalog
from runbooks.steps.backups.dumping import Dump
from runbooks.steps.backups.storing import publish, store
from runbooks.steps.backups.tables.rows import END, PIECE, Rows
from tests.runbooks.steps.backups.acts import ID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRESH = "fresh"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a server with a database of every kind of object."""
    with serving() as server:
        load_depot(server)
        yield server


def backed_up(server: Server, database: str, folder: Path) -> Beside:
    """Make a backup, and return it on its way into a new database."""
    programs, catalog = Programs(server.door(database), folder), Catalog(FolderFiles(folder / "backups"))
    dump = Dump(programs, folder / "backups", ID, (), None, 0, 18)
    dump.make(Sight(run="r"))
    store(catalog, dump.draft, ID, name="store").act(Sight())
    publish(catalog, dump.draft, ID, name="publish").act(Sight())
    return Beside(programs, catalog, catalog.get(ID), folder, None, database, FRESH)


def rows(folder: Path, content: bytes) -> Rows:
    """Return the rows of a table whose file holds this."""
    file = folder / "1.dat"
    file.write_bytes(content)
    return Rows(b'COPY public."a (b"" c" (d) FROM stdin;', file)


def test_every_row_is_given_once_and_whole(tmp_path: Path) -> None:
    """Wherever the end of the file lies in what is read at once, the threads together get all rows and no end mark."""
    for more in range(-len(END) - 1, 2):
        lines = [b"%07d\t%s\n" % (number, b"\\\\." * (number % 5)) for number in range(PIECE // 10)]
        lines.append(b"x" * (3 * PIECE + more - sum(map(len, lines)) - 1) + b"\n")
        one = rows(tmp_path, b"".join(lines) + END)
        with ThreadPoolExecutor(4) as pool:
            given = list(pool.map(lambda _: b"".join(one.pieces()), range(4)))  # noqa: B023 - it is over by then
        assert all(part.endswith(b"\n") or not part for part in given)
        assert sorted(b"".join(given).splitlines(keepends=True)) == sorted(lines)
        assert (one.left, one.table) == (0, 'public."a (b"" c"')
    assert list(rows(tmp_path, END).pieces()) == []


def test_a_file_that_is_cut_is_no_table(tmp_path: Path) -> None:
    """Rows without the last line, or with half a row before it, are refused: nobody knows how many are missing."""
    for content in (b"", b"1\n2\n", b"1\n2\n\\.\n", b"1\n2" + END):
        with pytest.raises(ActError, match=r"1\.dat: expected rows and a last line “\\\.”, its end is missing"):
            list(rows(tmp_path, content).pieces())
    zipped = rows(tmp_path, b"\x1f\x8b\x08cut")
    zipped.file = zipped.file.rename(tmp_path / "1.dat.gz")
    with pytest.raises(ActError, match=r"1\.dat\.gz: cannot be read: "):
        list(zipped.pieces())


@pytest.mark.twin
def test_every_kind_of_table_comes_back(server: Server, tmp_path: Path) -> None:
    """Odd names, enums, composites, partitions, unlogged tables, large objects: loaded, all of it is equal."""
    beside = backed_up(server, DEPOT, tmp_path)
    load_beside(beside, name="load").act(Sight())
    find_equal(beside, (), after_failure=lambda _sight: ("", ""), name="verify").act(Sight())
    never = "select count(*) from pg_stat_all_tables where schemaname in ('depot', 'ledger') and analyze_count = 0"
    assert server.run(never, FRESH) == [(0,)]


@pytest.mark.twin
def test_one_large_table_is_loaded_by_several(server: Server, tmp_path: Path) -> None:
    """Who has nothing left helps with it, so its rows are of several transactions; a row that does not fit is told."""
    server.run("create database large template template0 encoding 'UTF8'")
    server.run(
        "create function fits(word text) returns bool return true;"
        " create table one (id bigint primary key, word text check (public.fits(word)));"
        " insert into one select n, md5(n::text) || sha256(n::text::bytea) from generate_series(1, 200000) n",
        "large",
    )
    beside = backed_up(server, "large", tmp_path)
    load_beside(beside, name="load").act(Sight())
    find_equal(beside, (), after_failure=lambda _sight: ("", ""), name="verify").act(Sight())
    assert server.run("select count(distinct xmin::text) > 1 from one", FRESH) == [(True,)]

    server.run("create or replace function fits(word text) returns bool return word !~ '^8f14e45f'", "large")
    again = tmp_path / "again"
    again.mkdir()
    with pytest.raises(ActError) as caught:
        load_beside(backed_up(server, "large", again), name="load").act(Sight())
    said = 'Loading the rows of public.one failed: Database 127.0.0.1:{}/fresh: new row for relation "one" violates'
    assert str(caught.value).startswith(said.format(server.port))
