"""A server of our own goes back by its base backups and WAL: verified while it serves, exchanged, and taken back."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from benchmarks.databases.selfhosted import SelfHosted, selfhosted
from tests.stories.conftest import Operator, Said, at_work
from tests.stories.test_restore import LATE, LATE_ROWS, ROWS, a_second_passes, health

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.twin


@pytest.fixture(scope="module")
def server() -> Iterator[SelfHosted]:
    """Give a server of our own."""
    with selfhosted() as server:
        yield server


@pytest.fixture(scope="module")
def house(root: Any, tmp_path_factory: pytest.TempPathFactory, server: SelfHosted) -> Iterator[Operator]:  # noqa: ANN401
    """Give an operator of a twin whose database is on that server, with a base backup."""
    with at_work(root, tmp_path_factory.mktemp("house")) as made:
        operator = replace(made, environment={**os.environ, "EMS_DATABASE_URL": server.url})
        operator.edit("ems-ops:database", archive=msgspec.to_builtins(server.told))
        up = operator.types("twin.up")
        assert up.code == 0, up.text
        server.base("first")
        server.archive()
        yield operator


def kept(server: SelfHosted) -> list[str]:
    """Return what recoveries have left beside the data folder."""
    return [path.name for work in server.folder.glob("data.ems-ops-*") for path in sorted(work.iterdir())]


def value(server: SelfHosted, statement: str) -> Any:  # noqa: ANN401 - one value of any type
    """Return what the server answers."""
    return server.run(statement)[0][0]


def step(said: Said, name: str) -> dict[str, Any]:
    """Return what a step of a run saw."""
    result: dict[str, Any] = said.document["results"][name]
    return result


def test_an_accident_is_taken_back_and_the_restore_as_well(house: Operator, server: SelfHosted) -> None:
    """Rows are back, the service answers; undone, the present is as it was; finished, nothing is kept."""
    rows = value(server, ROWS)
    assert rows > 0
    point = a_second_passes()
    server.run(LATE)
    server.run("truncate public.bookings cascade")

    planned = house.types("restore", f"--point={point}", "--dry-run")
    assert planned.code == 0, planned.text
    assert planned.document["plan"]["facts"]["strategy"] == "archive"
    assert "pitr cannot: database.archive is declared" in planned.document["plan"]["summary"]
    assert "public.horses 1 rows" in planned.document["plan"]["losses"][0]
    assert (value(server, ROWS), kept(server)) == (0, [])
    alone = house.consents("restore", f"--point={point}", "--without-cloudflare")
    assert (alone.code, "a server of our own (database.archive) has none that could be set" in alone.text) == (2, True)

    done = house.consents("restore", f"--point={point}")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert (value(server, ROWS), value(server, LATE_ROWS), health(house)) == (rows, 0, 200)
    assert step(done, "look")["rows"]["public.bookings"] == step(done, "verify")["rows"]["public.bookings"] == rows
    assert kept(server) == ["definitions.json", "former", "note.json"]

    undone = house.consents("runs.undo")
    assert (undone.code, undone.document["status"]) == (0, "undone"), undone.text
    assert (value(server, ROWS), value(server, LATE_ROWS), health(house), kept(server)) == (0, 1, 200, [])

    again = house.consents("restore", f"--point={point}", "--strategy=archive")
    assert (again.code, value(server, ROWS), value(server, LATE_ROWS)) == (0, rows, 0), again.text
    later = house.types("restore", "--point=1s ago", "--strategy=archive")
    assert (later.code, "the server went on on timeline " in later.document["text"]) == (2, True), later.text
    assert ": pg_basebackup " in later.document["text"].replace(f"{server.prefix}/bin/", "")
    words = shlex.split(later.document["next_command"])
    assert house.types(words[1], *words[4:], "--dry-run").code == 0
    unbased = house.types("restore.find", "--check=select false")
    assert "base first: it is of timeline 1, the server is on" in unbased.document["text"], unbased.text
    finished = house.consents("restore.finish")
    assert (finished.code, kept(server)) == (0, []), finished.text
    assert "the former data folder, kept by run" in finished.document["plan"]["losses"][0]


def test_a_server_that_is_dead_is_restored_from_what_is_archived(house: Operator, server: SelfHosted) -> None:
    """What is not archived yet is named; once it is there, its last transaction is reached without any after it."""
    server.base("second")
    a_second_passes()
    rows, late = value(server, ROWS), value(server, LATE_ROWS)
    server.run(LATE)
    server.stop("immediate")
    refused = house.consents("restore", "--point=1s ago")
    assert refused.code == 2, refused.text
    reason = "base second: the server does not answer and WAL of it is not archived: 0000000"
    assert reason in refused.document["text"], refused.text
    copied = os.system(refused.document["next_command"])  # noqa: S605 - what the operator is told to type
    assert copied == 0
    done = house.consents("restore", "--point=1s ago")
    assert (done.code, done.document["status"]) == (0, "done"), done.text
    assert (value(server, ROWS), value(server, LATE_ROWS), health(house)) == (rows, late + 1, 200)
    assert kept(server) == ["former", "note.json"]
    assert (based(server, done) / "backup_label").exists()


def test_the_transaction_is_found_and_a_killed_restore_goes_on_without_the_data_folder(
    house: Operator, server: SelfHosted
) -> None:
    """From the base that was taken after the last restore; of the server only that and its WAL are left then."""
    rows = value(server, ROWS)
    server.run(LATE)
    server.run("begin; set local session_replication_role = replica; delete from public.bookings where id <= 9; commit")
    server.run(LATE)
    found = house.types("restore.find", "--check=select exists (select from public.bookings where id = 5)")
    assert (found.code, found.document["exact"]) == (0, True), found.text
    assert found.document["changes"]["newest"][0]["did"] == ["public.bookings: 9 rows deleted"]
    late = value(server, LATE_ROWS)
    server.archive()
    server.stop("immediate")
    shutil.rmtree(server.data)

    words = shlex.split(found.document["next_command"])
    killed_at(house, "recover", words[-1])
    gone = house.consents("runs.resume")
    assert (gone.code, gone.document["status"]) == (0, "done"), gone.text
    assert (value(server, ROWS), value(server, LATE_ROWS), health(house)) == (rows, late - 1, 200)
    assert "pg_basebackup" in gone.document["next_command"]
    assert "the data folder" in gone.document["plan"]["summary"]


def based(server: SelfHosted, done: Said) -> Path:
    """Take the base backup that a restore asks for at its end, as it is typed."""
    typed = f"EMS_DATABASE_URL={shlex.quote(server.url)}; {done.document['next_command']}"
    assert os.system(typed) == 0  # noqa: S605 - what the operator is told to type
    return server.bases / f"after-{done.document['plan']['facts']['reached']['ending']}"


def killed_at(house: Operator, step: str, point: str) -> None:
    """Begin a restore and kill it with -9 once it is at a step."""
    runs = house.stack_file.parent / "ops" / "runs"
    before = set(runs.iterdir())
    words = ["restore", f"--stack={house.stack_file}", point, "--yes", "--reason=a story"]
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", *words], cwd=house.root, env=house.environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None:
        journals = [run / "journal.jsonl" for run in set(runs.iterdir()) - before]
        if any(f'"step":"{step}"' in journal.read_text("utf-8") for journal in journals if journal.exists()):
            process.kill()
    assert process.wait() == -signal.SIGKILL
