"""`python -m twin serve`: one line when ready, one twin a state, nothing left behind."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.twin.running import ROOT, SERVE, alive, answers, eventually, kill, running

pytestmark = pytest.mark.twin


def _others_may_run() -> bool:
    """Say whether another user could execute our interpreter."""
    try:
        subprocess.run([sys.executable, "-c", "pass"], user="nobody", check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_the_line_tells_everything_and_is_kept_private(tmp_path: Path) -> None:
    """The line on stdout has addresses, tokens and ids; twin.json holds the same, for its owner only."""
    given = ("--account", "a" * 32, "--zone", "stable.example", "--project", "p" * 20)
    with running(tmp_path / "state", *given) as twin:
        file = tmp_path / "state" / "twin.json"
        assert json.loads(file.read_text("utf-8")) == twin.line
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert twin.line["pid"] == twin.process.pid
        assert twin.line["account"] == "a" * 32
        assert len(twin.line["tokens"]["CLOUDFLARE_API_TOKEN"]) >= 40
        assert all(answers(port) for port in twin.ports())


def test_state_survives_a_second_start(tmp_path: Path) -> None:
    """A second start on the same state has the same data, tokens and password (`twin_start` measures how long)."""
    state = tmp_path / "état avec espaces"
    with running(state) as first, psycopg.connect(first.line["database_url"], autocommit=True) as session:
        session.execute("create table kept as select 42 as answer")
    with running(state) as second:
        assert second.line["tokens"] == first.line["tokens"]
        with psycopg.connect(second.line["database_url"]) as session:
            assert session.execute("select answer from kept").fetchone() == (42,)


@linux
def test_a_signal_stops_it_cleanly(tmp_path: Path) -> None:
    """SIGTERM ends the twin with exit code 0, its programs with it, and its sockets are gone."""
    with running(tmp_path / "state") as twin:
        programs = twin.programs()
        sockets = json.loads((tmp_path / "state" / "processes.json").read_text("utf-8"))["sockets"]
        twin.process.send_signal(signal.SIGTERM)
        assert twin.process.wait(10) == 0
        assert programs
        assert not any(alive(pid) for pid in programs)
        assert not Path(sockets).exists()
        assert not (tmp_path / "state" / "twin.json").exists()


@linux
def test_a_killed_twin_leaves_nothing_and_starts_again(tmp_path: Path) -> None:
    """After kill -9 every commit is there at the next start, even at once; later no process and no port is left."""
    state = tmp_path / "state"
    with running(state) as first, psycopg.connect(first.line["database_url"], autocommit=True) as session:
        session.execute("create table kept as select generate_series(1, 1000) as n")
        old = first.programs()
        kill(first.process.pid)
    with running(state) as again:
        with psycopg.connect(again.line["database_url"]) as session:
            assert session.execute("select count(*) from kept").fetchone() == (1000,)
        assert not any(alive(pid) for pid in old)
        programs = again.programs()
        kill(again.process.pid)
        assert programs
        assert eventually(lambda: not any(alive(pid) for pid in programs), within=5)
        assert eventually(lambda: not any(answers(port) for port in again.ports()), within=5)


@linux
def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """When the process that started it dies, the twin and its programs are gone within five seconds."""
    script = (
        "import subprocess, sys, time\n"
        "twin = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)\n"
        "print(twin.pid, twin.stdout.readline().decode() != '', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, *SERVE, "--state", str(tmp_path / "state")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, ready = parent.stdout.readline().split()
        assert ready == "True"
        parent.kill()
    assert eventually(lambda: not alive(int(pid)), within=5)


def test_a_second_twin_on_the_same_state_is_refused(tmp_path: Path) -> None:
    """The refusal names the running process and exits with 2; the first twin goes on."""
    with running(tmp_path / "state") as first:
        second = refused("--state", str(tmp_path / "state"))
        assert second == f"twin: a twin already runs on {tmp_path / 'state'} (process {first.process.pid})\n"
        assert all(answers(port) for port in first.ports())


def test_two_twins_on_two_states_run_side_by_side(tmp_path: Path) -> None:
    """Each has its own ports and its own database."""
    with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        assert not set(one.ports()) & set(two.ports())


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """A port that another program holds is refused with its number, exit 2, before anything is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = refused("--state", str(tmp_path / "state"), "--edge-port", str(port))
        assert told == f"twin: port {port} for edge is taken by another program\n"


def test_a_state_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A file where the state folder should be is told in one line."""
    (tmp_path / "state").write_text("not a folder", "utf-8")
    assert "twin: the state folder cannot be used" in refused("--state", str(tmp_path / "state"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(os.geteuid() == 0 and not _others_may_run(), reason="this Python lies where other users cannot go")
def test_it_runs_as_an_ordinary_user_without_a_home() -> None:
    """A user with no home folder and a long state path gets a twin whose database answers."""
    user = pwd.getpwnam("nobody")
    folder = Path("/tmp") / f"twin-user-{os.getpid()}" / ("d" * 100)  # noqa: S108 - pytest's own folder is root's alone
    folder.mkdir(parents=True)
    os.chown(folder, user.pw_uid, user.pw_gid)
    cache = os.environ.get("EMS_OPS_CACHE") or f"{os.environ.get('HOME', '/root')}/.cache/ems-ops"
    shared = folder / "cache"
    shutil.copytree(cache, shared)
    for path in (shared, *shared.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    environment = {"PATH": os.environ["PATH"], "HOME": "", "EMS_OPS_CACHE": str(shared)}
    try:
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "env": environment}
        with running(folder / "state", **options) as twin, psycopg.connect(twin.line["database_url"]) as session:
            assert session.execute("select current_user").fetchone() == ("postgres",)
    finally:
        shutil.rmtree(folder.parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a place that the server's user cannot reach")
def test_root_may_keep_its_state_where_others_cannot_look(tmp_path: Path) -> None:
    """The data then lies in a folder that PostgreSQL's user can reach, and is found again at the next start."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with running(closed / "state") as first, psycopg.connect(first.line["database_url"]) as session:
        session.execute("create table kept ()")
    folder = Path(json.loads((closed / "state" / "postgres.json").read_text("utf-8"))["folder"])
    try:
        assert not folder.is_relative_to(closed)
        with running(closed / "state") as again, psycopg.connect(again.line["database_url"]) as session:
            session.execute("select * from kept")
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(folder)


def refused(*arguments: str) -> str:
    """Start a twin that must not start; return its complaint."""
    done = subprocess.run([*SERVE, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    return done.stderr
