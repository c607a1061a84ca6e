"""What the twin fetches from npm, where it keeps it, and how a Worker is bundled."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.twin.running import ROOT
from twin import packages
from twin.pins import Package
from twin.world import UnableError

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
import postgres from "postgres";
import { answer } from "./answer.js"; // a comment
export default { async fetch() { return answer(typeof postgres); } };
"""


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """Write a Worker of two modules that imports the driver."""
    (tmp_path / "answer.js").write_text("export const answer = (text) => new Response(text);", "utf-8")
    (tmp_path / "index.js").write_text(WORKER, "utf-8")
    return tmp_path / "index.js"


def twin(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the twin with these variables and no others but PATH."""
    return subprocess.run(
        [sys.executable, "-m", "twin", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.twin
def test_a_bundle_is_one_module_without_a_trace_of_the_machine(worker: Path) -> None:
    """The driver and the second module are in it, comments and paths are not; it is the same every time."""
    bundled = packages.bundle(worker)
    assert "postgres" in bundled
    assert '"cloudflare:sockets"' in bundled
    assert "./answer.js" not in bundled
    assert str(packages.cache()) not in bundled
    assert bundled == packages.bundle(worker)


@pytest.mark.twin
def test_source_that_cannot_be_bundled_is_told_with_file_and_line(worker: Path) -> None:
    """The bundler's complaint comes through, exit code 2."""
    worker.write_text('import "./missing.js";', "utf-8")
    cache = str(packages.cache())
    done = twin("bundle", str(worker), EMS_OPS_CACHE=cache)
    assert done.returncode == 2
    assert done.stdout == ""
    assert 'Could not resolve "./missing.js"' in done.stderr
    missing = twin("bundle", "nowhere.js", EMS_OPS_CACHE=cache)
    assert missing.stderr == "twin: there is no file nowhere.js to bundle\n"


def test_without_a_network_the_missing_package_is_named(tmp_path: Path) -> None:
    """One line says what is missing, why, and which command fetches it."""
    done = twin(
        "install",
        EMS_OPS_CACHE=str(tmp_path / "cache"),
        HOME=str(tmp_path),
        npm_config_registry="http://127.0.0.1:9",
        npm_config_fetch_retries="0",
    )
    assert done.returncode == 2
    told = done.stderr.splitlines()[-1]
    assert "@cloudflare/workerd-" in told
    assert f"is not in the cache {tmp_path / 'cache'}" in told
    assert "`python -m twin install`" in told


def test_an_altered_package_is_refused(tmp_path: Path) -> None:
    """An archive whose hash is not the pinned one is never unpacked."""
    package = Package("@scope/name", "1.0.0", "expected")
    (tmp_path / "scope-name-1.0.0.tgz").write_bytes(b"something else")
    with pytest.raises(UnableError, match=r"@scope/name 1\.0\.0 from npm is not what was pinned"):
        packages._unpack(package, tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"EMS_OPS_CACHE": "{tmp}/own"}, "{tmp}/own"),
        ({"XDG_CACHE_HOME": "{tmp}/xdg", "HOME": "{tmp}/home"}, "{tmp}/xdg/ems-ops"),
        ({"HOME": "{tmp}/home"}, "{tmp}/home/.cache/ems-ops"),
        ({"HOME": "", "TMPDIR": "{tmp}"}, "{tmp}/ems-ops-{uid}"),
        ({"HOME": "/proc/nowhere", "TMPDIR": "{tmp}"}, "{tmp}/ems-ops-{uid}"),
    ],
)
def test_where_the_cache_is(tmp_path: Path, variables: dict[str, str], expected: str) -> None:
    """The own variable, else the user's cache folder, else the temporary folder: a home is not needed."""
    given = {name: text.format(tmp=tmp_path) for name, text in variables.items()}
    script = "from twin.packages import cache; print(cache(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == expected.format(tmp=tmp_path, uid=os.geteuid())
