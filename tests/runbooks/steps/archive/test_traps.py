"""What PostgreSQL would do silently, or only say after the stop, is told before anything is stopped."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.databases.selfhosted import SelfHosted, selfhosted
from runbooks.clients.selfhosted.paused import Target
from runbooks.engine.step import Sight
from runbooks.model.errors import ActError, CheckError, Refused
from runbooks.steps.archive.finding import Typed, choose
from runbooks.steps.archive.recovering import end_the_recovery, find_whole, recover_beside
from tests.runbooks.steps.archive.acts import own_of, recovery_to, sight_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runbooks.steps.archive.recovering import Recovery

pytestmark = pytest.mark.twin


@pytest.fixture(scope="module")
def server() -> Iterator[SelfHosted]:
    """Give a server of our own: bases `first` and, incremental on it, `more`; six segments of rows, then idle."""
    with selfhosted() as server:
        server.run("create table rows (id int primary key, at timestamptz default clock_timestamp())")
        server.base("first")
        for number in range(6):
            server.run(f"insert into rows values ({number})")  # noqa: S608 - numbers
            server.archive()
            if number == 2:
                server.base("more", on="first")
        yield server


def points(server: SelfHosted) -> list[datetime]:
    """Return when each row was committed."""
    found = server.run("select pg_xact_commit_timestamp(xmin) from rows order by id")
    return [at.astimezone(UTC) for (at,) in found]


TYPED = Typed("invoke restore --point=", "pg_basebackup -D bases/now", "invoke backup.list --stack own")


def refusal(server: SelfHosted, point: datetime, *, timeline: int | None = 1) -> tuple[str, str]:
    """Return why no base reaches a point, and what to type then."""
    with pytest.raises(Refused) as refused:
        choose(own_of(server), point, timeline=timeline, typed=TYPED)
    return str(refused.value), refused.value.next_command or ""


def reaches(server: SelfHosted, typed: str, *, timeline: int = 1) -> str:
    """Return the base that reaches the point of a command which a refusal named: it is not refused in its turn."""
    _, point, strategy = typed.split('"')
    assert (typed.startswith(TYPED.again), strategy) == (True, " --strategy=archive")
    return choose(own_of(server), datetime.fromisoformat(point), timeline=timeline).base.name


def archived(server: SelfHosted) -> list[Path]:
    """Return the archived segments, the oldest first."""
    return sorted(path for path in server.wal.iterdir() if len(path.name) == len("000000010000000000000001"))


@contextmanager
def without(path: Path) -> Iterator[bytes]:
    """Have a file gone for a while, or whatever else is made of it; give its content."""
    content, status = path.read_bytes(), path.stat()
    try:
        yield content
    finally:
        path.write_bytes(content)
        path.chmod(status.st_mode)
        os.chown(path, status.st_uid, status.st_gid)


@contextmanager
def recovered(recovery: Recovery) -> Iterator[list[int]]:
    """Recover a copy; give the rows that are in it."""
    try:
        recover_beside(recovery, name="recover").act(sight_of(recovery))
        with recovery.copy.door.reading() as session:
            yield [number for (number,) in session.rows("select id from rows order by id")]
    finally:
        recovery.copy.stop()
        recovery.work.remove()


def test_exactly_on_a_commit_it_is_kept_and_just_before_it_is_not(server: SelfHosted) -> None:
    """A point is inclusive to the microsecond, in whatever zone the server thinks; the incremental base is combined."""
    at = points(server)[4]
    with recovered(recovery_to(server, at)) as rows:
        assert rows == [0, 1, 2, 3, 4]
    with recovered(recovery_to(server, at - timedelta(microseconds=1), base="more")) as rows:
        assert rows == [0, 1, 2, 3]


def test_a_point_before_a_bases_end_needs_an_older_base(server: SelfHosted) -> None:
    """The newest base whose end is not after the point is taken; before the first one nothing is reached."""
    at = points(server)
    chosen = choose(own_of(server), at[5], timeline=1)
    assert (chosen.base.name, chosen.passed_over) == ("more", ())
    older = choose(own_of(server), at[1], timeline=1)
    assert older.base.name == "first"
    assert older.passed_over[0].startswith("base more: it began after the point")
    said, typed = refusal(server, at[0] - timedelta(hours=1))
    assert ("base first: it began after the point" in said, typed) == (True, TYPED.others)


def test_wal_that_is_missing_is_named_with_the_last_point_before(server: SelfHosted) -> None:
    """A server without a target would end silently at the gap; here the gap is named, before anything is stopped."""
    at, third = points(server), archived(server)[-3]
    with without(third):
        third.unlink()
        said, typed = refusal(server, at[5])
        assert reaches(server, typed) == "first"
        assert f"base first: WAL segment {third.name} is missing in {server.wal}" in said
        assert "the last transaction before it ended at " in said
        assert choose(own_of(server), at[1], timeline=1).base.name == "first"


def test_wal_that_is_damaged_cut_or_of_another_is_named(server: SelfHosted) -> None:
    """A flipped byte, a file that is cut, a foreign system, another place: each with PostgreSQL's own word for it."""
    at, third = points(server), archived(server)[-3]
    with without(third) as content:
        for wrong, reason in {
            "damaged": (
                content[:300] + bytes([content[300] ^ 1]) + content[301:],
                ("checksum", "invalid", "incorrect"),
            ),
            "cut": (b"", ("has wrong size: 0 instead of 1048576",)),
            "foreign": (content[:24] + bytes(8) + content[32:], ("is from different database system: 0 instead of",)),
            "elsewhere": (archived(server)[0].read_bytes(), ("is not what its name says",)),
        }.values():
            third.write_bytes(wrong)
            said, _ = refusal(server, at[5])
            assert any(word in said for word in reason), said


def test_a_base_that_is_not_as_written_is_found(server: SelfHosted) -> None:
    """A missing file is found by its name at once, a flipped byte by its checksum before anything is stopped."""
    at = points(server)[5]
    file = server.bases / "more" / "PG_VERSION"
    with without(file):
        file.unlink()
        chosen = choose(own_of(server), at, timeline=1)
        assert chosen.base.name == "first"
        assert '"PG_VERSION" is present in the manifest but not on disk' in chosen.passed_over[0] or (
            "more: " in chosen.passed_over[0]
        )
    file = max((server.bases / "first" / "base" / "5").iterdir(), key=lambda path: path.stat().st_size)
    with without(file) as content:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(CheckError, match=f'checksum mismatch for file "base/5/{file.name}"'):
            find_whole(recovery_to(server, at)).act(Sight())


def test_an_idle_server_that_is_dead_is_recovered_to_its_last_transaction(server: SelfHosted) -> None:
    """Nothing was committed after the point: PostgreSQL would fail at a time; the last transaction is the target."""
    own = own_of(server)
    chosen = choose(own, datetime.now(UTC) + timedelta(seconds=5), timeline=None)
    assert (chosen.waits, chosen.target and chosen.target.inclusive) == (False, True)
    alive = choose(own, datetime.now(UTC) + timedelta(seconds=5), timeline=1)
    assert alive.waits


def test_a_server_on_a_later_timeline_needs_a_base_of_it(server: SelfHosted) -> None:
    """A drill's branch in the same archive is never followed; what is only on it is refused by name."""
    archived(server)[-1].with_name("00000002.history").write_text("1\t0/3000000\tno recovery target specified\n")
    try:
        with recovered(recovery_to(server, points(server)[4])) as rows:
            assert rows == [0, 1, 2, 3, 4]
        said, typed = refusal(server, datetime.now(UTC), timeline=2)
        assert "its timeline 1 ended before the point, the server went on on timeline 2" in said
        assert f"what is written from now on: {TYPED.base}." in said
        assert reaches(server, typed, timeline=2) == "more"
    finally:
        (server.wal / "00000002.history").unlink()


def test_a_target_that_never_comes_is_an_error_and_no_end(server: SelfHosted) -> None:
    """What PostgreSQL says when it does not meet its target, or its limits are too low, reaches the operator."""
    recovery = recovery_to(server, points(server)[4])
    try:
        recover_beside(recovery, name="recover").act(sight_of(recovery))
        with pytest.raises(ActError, match="recovery ended before configured recovery target was reached"):
            recovery.copy.start(Target(1 << 40, inclusive=True))
        recovery.copy.settings = {**recovery.copy.settings, "max_connections": "10"}
        with pytest.raises(ActError, match="recovery aborted because of insufficient parameter settings"):
            recovery.copy.start(Target(1 << 40, inclusive=True))
    finally:
        recovery.copy.stop()
        recovery.work.remove()


def test_tables_that_an_open_transaction_held_can_be_read(server: SelfHosted) -> None:
    """A paused recovery keeps the locks of what was under way; it is ended for them, and the copy is as it was."""
    import psycopg  # noqa: PLC0415 - this test alone needs an open transaction

    with psycopg.connect(server.url) as held:
        held.execute("lock table rows in access exclusive mode")
        held.execute("select pg_current_xact_id()")
        server.run("create table elsewhere (id int)")
        server.archive()
        at = server.at()
        held.rollback()
    server.archive()
    recovery = recovery_to(server, at)
    try:
        recover_beside(recovery, name="recover").act(sight_of(recovery))
        assert recovery.copy.free_tables() == ["rows"]
        with recovery.copy.door.reading() as session:
            assert session.value("select count(*) from rows") == len(points(server))
        end_the_recovery(recovery, name="prepare").act(sight_of(recovery))
        assert recovery.work.note is not None
        assert recovery.work.note.timeline == 2
    finally:
        recovery.copy.stop()
        recovery.work.remove()


def test_folders_that_cannot_be_exchanged_are_refused(server: SelfHosted, tmp_path: Path) -> None:
    """Tablespaces, WAL on another disk, no room, the folder of another server: refused by name."""
    own = own_of(server)
    with pytest.raises(Refused, match="GB for the copy"):
        own.check_place(1 << 60)
    with pytest.raises(Refused, match="expected that of the server which answers"):
        own.check_is("1")
    for name, make, reason in (
        ("space", _with_tablespace, "has tablespaces outside its folder"),
        ("linked", _with_linked_wal, "pg_wal is a link to"),
    ):
        folder = tmp_path / name
        make(folder)
        other = own_of(server)
        other.__dict__["data"] = folder
        with pytest.raises(Refused, match=reason):
            other.check_place(0)
    shutil.rmtree(tmp_path)


def _with_tablespace(folder: Path) -> Any:  # noqa: ANN401 - nothing
    (folder / "pg_tblspc").mkdir(parents=True)
    (folder / "pg_tblspc" / "16400").symlink_to("/")


def _with_linked_wal(folder: Path) -> Any:  # noqa: ANN401 - nothing
    folder.mkdir()
    (folder / "pg_wal").symlink_to("/")
