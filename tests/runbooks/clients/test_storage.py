"""Every kind of ops home keeps the same promises; the object store's against a real S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from runbooks.engine.record.folder import Folder
from runbooks.engine.record.home import RUNS, journal_of
from tests.object_store import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runbooks.clients.storage import Bucket
    from runbooks.engine.record.home import Home
    from tests.object_store import ObjectStore

JOURNAL = journal_of("2026-11-23-2114-tango-7")
LEASE = "leases/prod/00000001.json"
WRITTEN_TO = "another process has written to it"


@dataclass(frozen=True)
class Place:
    """An ops home, and a way to it for one more process."""

    home: Home
    another: Callable[[], Home]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Give an empty ops home of each kind."""
    if request.param == "folder":
        return Place(Folder(tmp_path / "ops"), lambda: Folder(tmp_path / "ops"))
    store: ObjectStore = request.getfixturevalue("object_store")
    name = store.made()
    return Place(store.bucket(name), lambda: store.bucket(name))


@pytest.fixture
def bucket(object_store: ObjectStore) -> Bucket:
    """Give an empty bucket, of which an ops home takes all."""
    return object_store.bucket(prefix="")


def test_what_was_never_put_is_not_there(place: Place) -> None:
    """Nothing is listed, found or read in an empty home."""
    home = place.home
    assert (home.names(RUNS), home.exists(LEASE), home.get(LEASE), home.read_log(JOURNAL)) == ([], False, None, b"")


def test_a_name_is_put_once_and_can_be_replaced(place: Place) -> None:
    """The second put is told that there is one, and changes nothing; a replacement does."""
    home = place.home
    assert home.put_new(LEASE, b"one")
    assert not place.another().put_new(LEASE, b"two")
    assert (home.get(LEASE), home.exists(LEASE)) == (b"one", True)
    home.replace(LEASE, b"three")
    home.replace("leases/prod/00000002.json", b"")
    assert (home.get(LEASE), home.get("leases/prod/00000002.json")) == (b"three", b"")
    assert home.names("leases/prod") == ["00000001.json", "00000002.json"]
    assert home.names("leases") == ["prod"]
    assert home.names("lease") == []


def test_of_many_who_put_at_once_exactly_one_wins(place: Place) -> None:
    """Ten operators take the same fence: one is told that it has it, and its content stands."""
    start = Barrier(10)

    def put(number: int) -> bool:
        home = place.another()
        start.wait()
        return home.put_new(LEASE, str(number).encode())

    with ThreadPoolExecutor(10) as pool:
        won = list(pool.map(put, range(10)))
    assert won.count(True) == 1
    assert place.home.get(LEASE) == str(won.index(True)).encode()


@pytest.mark.parametrize("name", ["a b", "ü✓", "per%cent", "plus+and&", "hash#query?", "quote'\"", "x.y.z", ".hidden"])
def test_odd_names_are_kept_as_they_are(place: Place, name: str) -> None:
    """A name is neither escaped nor cut where it is read or listed again."""
    assert place.home.put_new(f"odd/{name}/{name}", name.encode())
    assert place.home.names("odd") == [name]
    assert place.home.names(f"odd/{name}") == [name]
    assert place.home.get(f"odd/{name}/{name}") == name.encode()


def test_a_run_has_one_place(place: Place) -> None:
    """A log is claimed once; an abandoned one leaves nothing."""
    home = place.home
    assert home.claim_log(JOURNAL)
    assert not place.another().claim_log(JOURNAL)
    assert home.claim_log(journal_of("2026-11-23-2114-tango-8"))
    assert home.names(RUNS) == ["2026-11-23-2114-tango-7", "2026-11-23-2114-tango-8"]
    assert home.read_log(JOURNAL) == b""
    home.abandon_log(JOURNAL)
    assert home.names(RUNS) == ["2026-11-23-2114-tango-8"]


@pytest.mark.parametrize("count", [1, 9, 12, 2 * PAGE + 3])
def test_a_log_is_read_in_the_order_in_which_it_was_written(place: Place, count: int) -> None:
    """Also when it has more entries than one digit, or one page of a list, holds; and it is gone on with."""
    lines = [f"line {number} ü\n".encode() for number in range(count)]
    assert place.home.claim_log(JOURNAL)
    log = place.home.open_log(JOURNAL, size=0)
    for line in lines[:-1]:
        log.append(line, durable=False)
    log.close()
    again = place.another().open_log(JOURNAL, size=len(b"".join(lines[:-1])))
    again.append(lines[-1], durable=True)
    again.close()
    assert place.home.read_log(JOURNAL) == b"".join(lines)


def test_a_log_that_nobody_claimed_is_made(place: Place) -> None:
    """The ledger of releases is one."""
    log = place.home.open_log("releases.jsonl", size=0)
    log.append(b"one\n", durable=True)
    log.close()
    assert place.home.read_log("releases.jsonl") == b"one\n"


def test_who_writes_after_another_is_refused(place: Place) -> None:
    """A stale writer's line is nowhere, and the next one of the right writer is."""
    stale = place.home.open_log(JOURNAL, size=0)
    stale.append(b"one\n", durable=True)
    log = place.another().open_log(JOURNAL, size=4)
    log.append(b"two\n", durable=True)
    with pytest.raises(OSError, match=WRITTEN_TO):
        stale.append(b"lost\n", durable=True)
    log.append(b"three\n", durable=True)
    stale.close()
    log.close()
    assert place.home.read_log(JOURNAL) == b"one\ntwo\nthree\n"


def test_of_two_writers_at_once_one_wins_each_entry(object_store: ObjectStore) -> None:
    """Every entry is one writer's, whole; who lost once never writes again."""
    name, start = object_store.made(), Barrier(2)

    def write(letter: str) -> int:
        log = object_store.bucket(name).open_log(JOURNAL, size=0)
        start.wait()
        for done in range(20):
            try:
                log.append(f"{letter} {done}\n".encode(), durable=True)
            except OSError as error:
                assert WRITTEN_TO in str(error)  # noqa: PT017 - which of the two it happens to is open
                return done
        return 20

    with ThreadPoolExecutor(2) as pool:
        written = sorted(pool.map(write, "ab"))
    assert written == [0, 20]
    assert len(object_store.bucket(name).read_log(JOURNAL).splitlines()) == 20


def test_a_log_that_others_went_on_with_is_not_opened(bucket: Bucket) -> None:
    """Who knows of fewer bytes than there are must look again."""
    log = bucket.open_log(JOURNAL, size=0)
    log.append(b"one\n", durable=True)
    with pytest.raises(OSError, match=f"{WRITTEN_TO}: s3://ops-[^/]*/{JOURNAL}"):
        bucket.open_log(JOURNAL, size=0)


def test_a_put_whose_answer_was_lost_is_ours(bucket: Bucket) -> None:
    """The same entry twice is one entry: it is told by its content."""
    log = bucket.open_log("one", size=0)
    log.append(b"line\n", durable=True)
    assert bucket.put_new("one/00000001", b"line\n")
    assert not bucket.put_new("one/00000001", b"other\n")
    assert bucket.read_log("one") == b"line\n"


def test_what_lies_beside_the_entries_is_no_entry(bucket: Bucket) -> None:
    """Only what has the name of an entry is read."""
    log = bucket.open_log(JOURNAL, size=0)
    log.append(b"one\n", durable=True)
    bucket.replace(f"{JOURNAL}/00000002 (copy)", b"two\n")
    bucket.replace(f"{JOURNAL}-old/00000002", b"two\n")
    assert bucket.read_log(JOURNAL) == b"one\n"


def test_a_store_that_does_not_answer_is_a_connection_error(object_store: ObjectStore) -> None:
    """Whoever asks can tell it from an answer."""
    nowhere = object_store.bucket("ops", address="http://127.0.0.1:1")
    for ask in (nowhere.names, nowhere.exists, nowhere.get, nowhere.read_log, nowhere.claim_log, nowhere.abandon_log):
        with pytest.raises(ConnectionError, match="error sending request"):
            ask(JOURNAL)


def test_a_bucket_that_is_not_there_is_named(object_store: ObjectStore) -> None:
    """What cannot be written says why, in one line."""
    none = object_store.bucket("there-is-none")
    with pytest.raises(OSError, match="NoSuchBucket") as raised:
        none.put_new(LEASE, b"one")
    assert not isinstance(raised.value, ConnectionError)
    assert "\n" not in str(raised.value)
