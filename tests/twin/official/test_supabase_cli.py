"""Supabase's own command line works on the twin as on Supabase: it exits well, and the twin has what it did."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.twin.official import supabase_cli
from tests.twin.official.supabase_cli import Cli
from tests.twin.running import eventually, running
from twin.world import UnableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.twin
PROJECT = "abcdefghijklmnopqrst"
KEYS = ["anon", "service_role", "default", "default"]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """Start a twin, and give somebody who types."""
    try:
        program = supabase_cli.install()
    except UnableError as error:
        pytest.skip(f"the Supabase CLI is not here: {error}")
    folder: Path = tmp_path_factory.mktemp("supabase")
    with running(folder / "state", "--project", PROJECT) as twin:
        yield Cli(twin, folder, program, PROJECT)


def test_it_reads_what_the_project_is(cli: Cli) -> None:
    """The project, its keys, its settings and who is banned are understood as the provider's are."""
    assert [project["ref"] for project in cli.types("projects", "list")] == [PROJECT]
    assert [key["name"] for key in cli.types("projects", "api-keys")] == KEYS
    assert cli.types("postgres-config", "get") == {}
    assert cli.types("network-bans", "get") == []


def test_who_may_connect_is_changed_and_told(cli: Cli) -> None:
    """The lists are replaced, then added to; what the twin holds to is what the client asked for."""
    assert cli.types("network-restrictions", "get")["status"] == "applied"
    flags = ("--bypass-cidr-checks", "--db-allow-cidr")
    stored = cli.types("network-restrictions", "update", *flags, "127.0.0.1/32")
    assert (stored["status"], stored["config"]["dbAllowedCidrs"]) == ("stored", ["127.0.0.1/32"])
    cli.types("network-restrictions", "update", "--append", *flags, "192.0.2.0/24")
    allowed = ["127.0.0.1/32", "192.0.2.0/24"]
    assert cli.sees("/network-restrictions")["config"]["dbAllowedCidrs"] == allowed
    assert eventually(lambda: bool(cli.sees("/network-restrictions")["status"] == "applied"), within=10)


def test_settings_are_changed_and_told(cli: Cli) -> None:
    """Settings of the server, TLS and bans are written as the client writes them."""
    cli.types("postgres-config", "update", "--config", "work_mem=8MB")
    assert cli.types("postgres-config", "get")["work_mem"] == "8MB"
    cli.types("ssl-enforcement", "update", "--enable-db-ssl-enforcement")
    assert cli.types("ssl-enforcement", "get")["currentConfig"] == {"database": True}
    cli.types("network-bans", "remove", "--db-unban-ip", "192.0.2.7")


def test_it_takes_the_database_back(cli: Cli) -> None:
    """`supabase backups restore` brings back what was dropped; what cannot be is refused with the provider's text."""
    with psycopg.connect(cli.twin.line["database_url"], autocommit=True) as session:
        session.execute("create table kept (n int)")
        time.sleep(1.1)
        point = int(time.time())
        time.sleep(1.1)
        session.execute("drop table kept")
    assert cli.types("backups", "list")["pitr_enabled"] is True
    refused = cli.run("backups", "restore", "--timestamp", "1")
    assert (refused.returncode, "recovery time target is out of range" in refused.stderr + refused.stdout) == (1, True)
    cli.types("backups", "restore", "--timestamp", str(point))
    assert eventually(lambda: bool(cli.sees("")["status"] != "ACTIVE_HEALTHY"), within=10)
    assert eventually(lambda: bool(cli.sees("")["status"] == "ACTIVE_HEALTHY"), within=30)
    with psycopg.connect(cli.twin.line["database_url"]) as session:
        assert session.execute("select count(*) from kept").fetchall() == [(0,)]


def test_a_wrong_token_is_told(cli: Cli) -> None:
    """The client names the provider's refusal."""
    done = cli.run("backups", "list", token=f"sbp_{'1' * 40}")
    assert done.returncode == 1
    assert "Unauthorized" in done.stderr + done.stdout


def test_the_twin_knew_every_call(cli: Cli) -> None:
    """No call of the client was answered 501."""
    assert [call["path"] for call in cli.calls() if call["status"] == 501] == []
