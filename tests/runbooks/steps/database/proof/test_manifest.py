"""A manifest says what a database holds: the same for equal ones, another for any difference, and what it left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from benchmarks.databases.subjects import DEPOT, copy, dump_and_load
from runbooks.clients.postgres import Postgres
from runbooks.steps.database.proof.comparing import Weight, compare
from runbooks.steps.database.proof.manifest import EVERYTHING, FROM_A_DUMP, Aspect, Form, Kind, Manifest
from runbooks.steps.database.proof.reading import held, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.databases.server import Server

pytestmark = pytest.mark.twin


def test_a_dump_that_was_loaded_is_equal(server: Server, tmp_path: Path) -> None:
    """A database with every kind of object is equal to what its dump gives elsewhere, in both forms."""
    dump_and_load(server, DEPOT, "loaded", dump=tmp_path / "dump")
    for form in Form:
        before = read_manifest(server.door(DEPOT), form=form)
        assert before.unchecked == ()
        assert before.rows > 8000
        assert compare(before, read_manifest(server.door("loaded"), form=form), aspects=FROM_A_DUMP) == []


def test_how_it_is_read_does_not_matter(server: Server) -> None:
    """One connection or several, once or again, from JSON or not: the same digests; and progress reaches the end."""
    seen: list[tuple[int, int]] = []
    one = read_manifest(server.door(DEPOT), jobs=1, report=lambda done, total: seen.append((done, total)))
    several = read_manifest(server.door(DEPOT), jobs=5)
    assert one.tables == several.tables
    assert msgspec.json.decode(msgspec.json.encode(one), type=Manifest) == one
    assert seen[-1][0] == seen[-1][1] > 0
    assert seen == sorted(seen)


def test_every_kind_of_object_is_seen(server: Server) -> None:
    """The depot has each kind at least once, but for what few databases have."""
    objects = read_manifest(server.door(DEPOT), contents=False).objects
    rare = {Kind.REPLICATION, Kind.PREPARED}
    elsewhere = {Kind.TABLE_ROWS, Kind.LARGE_OBJECTS, Kind.SEQUENCE_VALUE}
    assert {kind for kind in Kind if not objects.get(kind)} == rare | elsewhere


def test_a_manifest_holds_no_secret(server: Server) -> None:
    """Arguments of triggers, passwords, rows and settings of the application are digests in it."""
    server.run("alter database depot set \"app.key\" = 'hidden-setting'")
    text = msgspec.json.encode(read_manifest(server.door(DEPOT))).decode()
    assert [word for word in ("a token", "hidden-setting", "SCRAM-SHA-256", "groß") if word in text] == []
    assert '"app.key for everybody here"' in text


def test_a_held_snapshot_is_what_is_read(server: Server) -> None:
    """What is written while a snapshot is held is not in its manifest; sequences are from before."""
    copy(server, DEPOT, "held")
    before = read_manifest(server.door("held"))
    with held(server.door("held")) as snapshot:
        server.run("delete from depot.moves; select nextval('depot.label_seq')", "held")
        assert compare(before, read_manifest(server.door("held"), snapshot=snapshot)) == []
    after = read_manifest(server.door("held"))
    assert {(finding.what, finding.where) for finding in compare(before, after)} == {
        (Kind.TABLE_ROWS, "depot.moves_2025"),
        (Kind.TABLE_ROWS, "depot.moves_2026"),
    }


def test_what_was_not_read_is_said(server: Server) -> None:
    """No rights, no time, only definitions: each is named, and a comparison says that it did not compare."""
    server.run("create role stranger login", DEPOT)
    everything = read_manifest(server.door(DEPOT))
    stranger = Postgres(server.url(DEPOT).replace("postgres@", "stranger@"))
    blind = read_manifest(stranger)
    assert "depot.parcels: our role may not read it" in blind.unchecked
    assert "every password of role: permission denied for table pg_authid (SQLSTATE 42501)" in blind.unchecked
    late = read_manifest(server.door(DEPOT), seconds=0)
    assert "depot.parcels: there was no time left for it" in late.unchecked
    schema = read_manifest(server.door(DEPOT), contents=False)
    for partly in (late, schema):
        found = compare(everything, partly)
        assert {finding.weight for finding in found} == {Weight.UNCHECKED}
        assert "rows of table depot.parcels: not compared, it was not read now" in map(str, found)


def test_forms_are_not_mixed(server: Server) -> None:
    """Digests of different forms or major versions are not compared, but counts are; identity only where asked."""
    hashed, text = (read_manifest(server.door(DEPOT), form=form) for form in Form)
    found = compare(hashed, text)
    assert {finding.weight for finding in found} == {Weight.UNCHECKED}
    assert "different forms or versions" in str(found[0])
    older = msgspec.structs.replace(hashed, server=msgspec.structs.replace(hashed.server, major=17))
    assert {finding.weight for finding in compare(older, hashed)} == {Weight.UNCHECKED}
    moved = msgspec.structs.replace(hashed, objects={**hashed.objects, Kind.IDENTITY: {"system": "1"}})
    assert [str(finding) for finding in compare(moved, hashed)][1] == (
        f"identity system: expected 1, got {hashed.objects[Kind.IDENTITY]['system']}"
    )
    assert compare(moved, hashed, aspects=EVERYTHING - {Aspect.IDENTITY}) == []
