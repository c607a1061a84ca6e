"""Own backups: made whole or not at all, kept by rules, listed with what is missing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from runbooks.clients.scratch.folder import PREFIX
from runbooks.steps.backups.sealing import public_of
from tests.runbooks.steps.backups.test_sealing import private_key
from tests.stories.conftest import Operator, at_work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.object_store import ObjectStore

pytestmark = pytest.mark.twin

AGREED = ("--yes", "--reason=a story")


@pytest.fixture(scope="module")
def house(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Give an operator of a twin with data, shared by the stories of this file."""
    with at_work(root, tmp_path_factory.mktemp("house")) as operator:
        assert operator.types("twin.up").code == 0
        yield operator


@pytest.fixture
def operator(house: Operator, tmp_path: Path) -> Operator:
    """Give an operator of the shared twin whose stack file and ops home are their own."""
    file = tmp_path / house.stack_file.name
    home = house.stack_file.parent / "ops"
    file.write_text(house.stack_file.read_text("utf-8").replace(str(home), str(tmp_path / "ops")), "utf-8")
    return replace(house, stack_file=file, environment=dict(house.environment))


def begin(operator: Operator, *words: str) -> subprocess.Popen[str]:
    """Begin a command."""
    line = [sys.executable, "-m", "invoke", *words, "--json", f"--stack={operator.stack_file}"]
    return subprocess.Popen(
        line,
        cwd=operator.root,
        env=operator.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def listed(operator: Operator) -> dict[str, Any]:
    """Return what `backup.list` says."""
    said = operator.types("backup.list")
    assert said.code == 0, said.text
    return said.document


@contextmanager
def locked(operator: Operator, table: str) -> Iterator[None]:
    """Hold a table so that a dump waits for it."""
    with psycopg.connect(operator.addresses.database_url) as connection:
        connection.execute(f"lock table {table} in access exclusive mode")
        yield


def waiting(operator: Operator) -> None:
    """Wait until a dump waits for a lock."""
    with psycopg.connect(operator.addresses.database_url, autocommit=True) as connection:
        query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'ems-ops'"
        until = time.monotonic() + 30
        while connection.execute(query).fetchone() == (0,) and time.monotonic() < until:
            time.sleep(0.02)
        assert connection.execute(query).fetchone() != (0,)


def test_a_backup_is_made_listed_and_pruned(operator: Operator) -> None:
    """What it holds is in its manifest; a switch tells what is missing; what is too old goes, and only that."""
    none = operator.types("backup.list", "--check")
    assert (none.code, none.document["alarms"]) == (5, ["there is no own backup", "no backup was ever proven"])
    planned = operator.types("backup", "--dry-run")
    assert (planned.code, planned.document["status"], listed(operator)["backups"]) == (0, "planned", [])
    for _ in range(2):
        made = operator.consents("backup")
        assert (made.code, made.document["status"]) == (0, "done"), made.text
        time.sleep(1.01)
    found = listed(operator)
    assert [one["stays"] is None for one in found["backups"]] == [True, False]
    assert found["alarms"] == ["no backup was ever proven"]
    place = Path(found["where"]) / found["backups"][1]["id"]
    manifest = json.loads((place / "manifest.json").read_text("utf-8"))
    assert {file["name"] for file in manifest["files"]} >= {"dump/toc.dat"}
    files = {file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()}
    assert files - {"manifest.json"} == {file["name"] for file in manifest["files"]}
    pruned = operator.consents("backup.prune")
    assert (pruned.code, pruned.document["plan"]["losses"][0][:20]) == (0, found["backups"][0]["id"]), pruned.text
    assert [one["id"] for one in listed(operator)["backups"]] == [found["backups"][1]["id"]]
    again = operator.consents("backup.prune")
    assert (again.code, again.document["plan"]["steps"]) == (0, []), again.text


def test_a_killed_backup_is_none_and_can_be_finished(operator: Operator) -> None:
    """While one is at work a second one is held off; killed it leaves nothing that looks like a backup."""
    with locked(operator, "public.bookings"):
        first = begin(operator, "backup", *AGREED)
        waiting(operator)
        second = operator.consents("backup")
        assert (second.code, "held by" in second.document["text"]) == (4, True), second.text
        rollback = operator.types("rollback", "--dry-run")
        assert "held by" not in rollback.text
        first.kill()
        first.communicate()
    assert listed(operator)["backups"] == []
    finished = operator.consents("runs.resume")
    assert (finished.code, finished.document["status"]) == (0, "done"), finished.text
    found = listed(operator)
    assert [one["id"] for one in found["backups"]] == [finished.document["plan"]["facts"]["backup"]]
    assert [path.name for path in Path(found["where"]).iterdir()] == [found["backups"][0]["id"]]


def test_a_book_with_a_dot_waits_for_people_too(operator: Operator) -> None:
    """Named by its command in the stack file, a book waits for a second person, and asks what is done by hand."""
    operator.edit("ems-ops:approvals", books=["backup", "backup.verify"])
    told = operator.stack_file.read_text("utf-8")
    by_hand = [{"book": "backup.verify", "title": "note the proof", "evidence": "its number", "when": "last"}]
    operator.stack_file.write_text(f"{told.rstrip()}\n  ems-ops:manual: {json.dumps(by_hand)}\n", "utf-8")
    for command in ("backup", "backup.verify"):
        waits = operator.consents(command)
        assert (waits.code, waits.document["status"]) == (3, "paused"), waits.text
        assert "first: invoke runs.approve --run" in waits.document["text"]
        assert operator.types("runs.approve", "--as=somebody else").code == 0
        goes_on = operator.consents("runs.resume")
    assert (goes_on.code, "note the proof: nobody has answered" in goes_on.document["text"]) == (3, True)
    assert operator.types("runs.answer", goes_on.document["run"], "17").code == 0
    done = operator.consents("runs.resume")
    assert (done.code, done.document["results"]["manual-1-note-the-proof"]["text"]) == (0, "17"), done.text


def test_rows_that_a_dump_would_miss_are_refused(operator: Operator) -> None:
    """A role that may not read all is refused before anything is begun, with the tables and what an owner runs."""
    address = operator.addresses.database_url
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create role narrow login password 'narrow-password'")
        connection.execute("grant usage on schema public to narrow")
        connection.execute("grant select on all tables in schema public to narrow")
    operator.environment["EMS_DATABASE_URL"] = address.replace(
        address.partition("//")[2].partition("@")[0], "narrow:narrow-password"
    )
    refused = operator.consents("backup")
    assert refused.code == 2, refused.text
    text = refused.document["text"]
    assert 'role "narrow" cannot read every row of' in text
    assert 'GRANT USAGE ON SCHEMA "ops" TO "narrow"; GRANT SELECT ON "ops"."heartbeat" TO "narrow";' in text
    assert 'ALTER ROLE "narrow" BYPASSRLS;' in text
    assert "narrow-password" not in refused.text + text
    assert not (operator.stack_file.parent / "ops" / "dumps").exists()


def expect_other_rows(place: Path) -> None:
    """Let a backup say that a table had other rows, in files that are whole by their digests."""
    contents, manifest = place / "contents.json", place / "manifest.json"
    told = json.loads(contents.read_text("utf-8"))
    told["tables"]["public.horses"]["digest"] = "0" * 32
    contents.write_text(json.dumps(told), "utf-8")
    said = json.loads(manifest.read_text("utf-8"))
    for file in said["files"]:
        if file["name"] == "contents.json":
            file.update(bytes=contents.stat().st_size, sha256=hashlib.sha256(contents.read_bytes()).hexdigest())
    manifest.write_text(json.dumps(said), "utf-8")


def test_a_backup_is_proven_by_restoring_it(operator: Operator) -> None:
    """A good one silences the switch; one whose rows are not those is told, and never the one that stays alone."""
    assert operator.consents("backup").code == 0
    proven = operator.consents("backup.verify")
    assert (proven.code, proven.document["status"]) == (0, "done"), proven.text
    tried = proven.document["results"]["restore and compare"]
    assert (tried["good"], tried["faults"], tried["tables"] > 15, tried["rows"] > 20_000) == (True, [], True, True)
    assert operator.types("backup.list", "--check").code == 0
    time.sleep(1.01)
    assert operator.consents("backup").code == 0
    found = listed(operator)
    older, newer = (Path(found["where"]) / one["id"] for one in found["backups"])
    expect_other_rows(newer)
    bad = operator.consents("backup.verify", newer.name[-6:])
    assert (bad.code, bad.document["status"]) == (5, "unproven"), bad.text
    reason = "000000000000, got"
    assert "is not good: rows of table public.horses: expected" in bad.document["text"]
    assert reason in bad.document["text"]
    checked = operator.types("backup.list", "--check")
    assert (checked.code, [reason in alarm for alarm in checked.document["alarms"]]) == (5, [True])
    assert checked.document["backups"][0]["stays"] == "proven last"
    assert operator.consents("backup.prune").document["plan"]["steps"] == []
    assert older.is_dir()


def test_a_backup_that_cannot_be_loaded_is_not_good(operator: Operator) -> None:
    """A row that its table takes no more makes the whole backup useless: that is told, without the row."""
    with psycopg.connect(operator.addresses.database_url, autocommit=True) as connection:
        connection.execute("create table public.soon (who text, at timestamptz check (at > now() - interval '1 s'))")
        connection.execute("insert into public.soon values ('somebody in person', clock_timestamp())")
    assert operator.consents("backup").code == 0
    bad = operator.consents("backup.verify")
    assert (bad.code, bad.document["status"]) == (5, "unproven"), bad.text
    assert "is not good: it cannot be loaded:" in bad.document["text"]
    assert 'new row for relation "soon" violates check constraint "soon_at_check"' in bad.document["text"]
    assert "somebody in person" not in bad.text + json.dumps(bad.document)
    assert operator.types("backup.list", "--check").code == 5
    with psycopg.connect(operator.addresses.database_url, autocommit=True) as connection:
        connection.execute("drop table public.soon")


def test_a_backup_in_a_bucket_is_encrypted(operator: Operator, object_store: ObjectStore) -> None:
    """The machine that writes holds no key that reads; with the key it is proven, and leaves nothing in plain."""
    bucket, key = object_store.bucket(name := object_store.made(), prefix="own"), private_key()
    operator.edit(
        "ems-ops:backups",
        store=f"s3://{name}/own?endpoint={object_store.address}",
        encryption=public_of(key),
    )
    operator.environment.update(AWS_ACCESS_KEY_ID="id", AWS_SECRET_ACCESS_KEY="planted/secret+key")
    made = operator.consents("backup")
    assert (made.code, made.document["status"]) == (0, "done"), made.text
    (backup,) = bucket.names("")
    files = bucket.names(f"{backup}/dump")
    assert "toc.dat" in files
    assert not [
        file for file in files if (bucket.get(f"{backup}/dump/{file}") or b"").startswith((b"PGDMP", b"\x1f\x8b"))
    ]
    assert bucket.exists(f"{backup}/manifest.json")
    local = operator.stack_file.parent / "ops" / "dumps"
    assert [path for path in local.rglob("*") if path.is_file()] == []
    assert "planted" not in made.text + json.dumps(made.document)
    assert listed(operator)["backups"][0]["id"] == backup
    shut = operator.consents("backup.verify")
    assert (shut.code, "EMS_BACKUP_KEY is not set" in shut.document["text"]) == (2, True), shut.text
    operator.environment.update(EMS_BACKUP_KEY=key)
    proven = operator.consents("backup.verify")
    assert (proven.code, key in proven.text + json.dumps(proven.document)) == (0, False), proven.text
    assert [path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if any(path.rglob("*.dat.gz"))] == []
    operator.environment.pop("AWS_SECRET_ACCESS_KEY")
    without = operator.types("backup.list")
    assert (without.code, without.document["next_command"]) == (2, "export AWS_SECRET_ACCESS_KEY=…")


def claim(place: Path, *, database: int, files: int) -> None:
    """Let a backup say how large its database was, and how large its files are."""
    told = json.loads((place / "manifest.json").read_text("utf-8"))
    told["server"]["bytes"], told["files"][0]["bytes"] = database, files
    (place / "manifest.json").write_text(json.dumps(told), "utf-8")


def test_what_would_fill_a_disk_is_refused_before_anything(operator: Operator) -> None:
    """A backup, its proof and a restore from it say what is needed and what is free, and begin nothing."""
    assert operator.consents("backup").code == 0
    found = listed(operator)
    place = Path(found["where"]) / found["backups"][0]["id"]
    size = json.loads((place / "manifest.json").read_text("utf-8"))["files"][0]["bytes"]
    claim(place, database=10**16, files=size)
    writes = len([call for call in operator.control.calls() if call.effect])
    verify = operator.consents("backup.verify")
    assert (verify.code, verify.document["next_command"]) == (2, "export TMPDIR=…"), verify.text
    needed = "Not enough free disk on this machine: needed 12500000.0 GB in "
    assert verify.document["text"].startswith(needed)
    assert "for the database that is restored there, free " in verify.document["text"]
    restore = operator.consents("restore", f"--point=backup:{place.name}")
    assert restore.code == 2, restore.text
    needed = "Not enough free disk on the database server: needed 12500000."
    assert restore.document["text"].startswith(needed)
    assert restore.document["next_command"].startswith("invoke restore.finish --stack ")
    claim(place, database=10**7, files=10**16)
    again = operator.consents("backup")
    assert (again.code, "for the dump, free " in again.document["text"]) == (2, True), again.text
    assert again.document["next_command"].startswith("invoke backup.prune --stack ")
    assert len([call for call in operator.control.calls() if call.effect]) == writes
    assert [one["id"] for one in listed(operator)["backups"]] == [place.name]


def test_a_store_that_is_full_or_away_says_so(operator: Operator) -> None:
    """What cannot be stored fails with where and why, and the command that goes on."""
    place = operator.stack_file.parent / "not-a-folder"
    place.write_text("", "utf-8")
    operator.edit("ems-ops:backups", store=str(place))
    failed = operator.consents("backup")
    assert failed.code == 1, failed.text
    assert f"{place}/draft-" in failed.document["text"]
    assert "the dump could not be written there: [Errno 20] Not a directory" in failed.document["text"]
    assert failed.document["next_command"].startswith("invoke runs.resume")
    operator.edit("ems-ops:backups", store="gs://bucket")
    refused = operator.types("backup.list")
    assert (refused.code, "ems-ops:backups.store is not right: expected a folder, or an" in refused.text) == (2, True)
