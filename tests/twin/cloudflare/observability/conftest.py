"""A running twin with a Worker that logs, throws, is slow and goes on after its answer; traffic is sent by its edge."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.twin.running import eventually, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.twin.running import Running

HOST, CRON, ZONE = "api.ems.example", "*/30 * * * *", "ems.example"
CODE = """
const log = (fields) => console.info(JSON.stringify(fields));
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
export default {
  async fetch(request, env, context) {
    const url = new URL(request.url);
    console.log("asked", url.pathname, { n: 1 });
    switch (url.pathname) {
      case "/boom": throw new TypeError("boom");
      case "/slow": await wait(200); break;
      case "/busy": { let x = 0; const end = 3e7; for (let i = 0; i < end; i++) x += i; console.debug(x); break; }
      case "/later": context.waitUntil(wait(1400).then(() => console.error("much later"))); break;
      case "/fields": log({ user: { id: Number(url.searchParams.get("id")) }, paid: true }); break;
      case "/missing": return new Response("no", { status: 404 });
      case "/self": return env.SELF.fetch("https://inside/fields?id=1");
    }
    return new Response("x".repeat(100));
  },
  async scheduled(event) { console.warn("beat", event.cron); },
};
"""


@dataclass
class Watched:
    """A twin, its API and its edge, and one Worker with a schedule on a host of the zone."""

    twin: Running
    api: httpx.Client
    edge: httpx.Client
    zone: str

    @property
    def account(self) -> str:
        """Return the account's id."""
        return str(self.twin.line["account"])

    def call(self, method: str, path: str, **body: Any) -> Any:  # noqa: ANN401 - the API's own shapes
        """Call the API below the account, expect success, return the result."""
        answer = self.api.request(method, f"accounts/{self.account}/{path}", **body)
        assert answer.is_success, answer.text
        return answer.json()["result"]

    def refused(self, method: str, path: str, body: Any) -> tuple[int, int, str]:  # noqa: ANN401
        """Call the API below the account, expect a refusal, return status, code and text."""
        answer = self.api.request(method, f"accounts/{self.account}/{path}", json=body)
        error = answer.json()["errors"][0]
        return answer.status_code, error["code"], error["message"]

    def worker(self, name: str, *, tag: str = "", logs: bool = True, rate: float = 1) -> str:
        """Upload the code as a Worker of this name on `NAME.ems.example`; return the version's id."""
        metadata = {
            "main_module": "index.js",
            "compatibility_date": "2026-04-01",
            "bindings": [{"type": "service", "name": "SELF", "service": name}],
            "observability": {"enabled": logs, "head_sampling_rate": rate},
            "annotations": {"workers/tag": tag},
        }
        files = {
            "metadata": (None, json.dumps(metadata), "application/json"),
            "index.js": ("index.js", CODE, "application/javascript+module"),
        }
        self.call("PUT", f"workers/scripts/{name}", files=files)
        host = {"environment": "production", "hostname": f"{name}.{ZONE}", "service": name, "zone_id": self.zone}
        self.call("PUT", "workers/domains", json=host)
        return str(
            self.call("GET", f"workers/scripts/{name}/deployments")["deployments"][0]["versions"][0]["version_id"]
        )

    def visit(self, name: str, *paths: str, method: str = "GET", **headers: str) -> list[int]:
        """Send requests to a Worker, one after the other; return the statuses."""
        with_host = {"host": f"{name}.{ZONE}", **headers}
        return [self.edge.request(method, path, headers=with_host).status_code for path in paths]

    def fire(self, name: str) -> None:
        """Fire the Worker's schedule."""
        answer = httpx.post(f"{self.twin.line['supabase']}/__twin/cron", json={"script": name, "cron": CRON})
        assert answer.is_success, answer.text

    def graphql(self, query: str, **variables: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask GraphQL; the answer's status is 200, also of an error."""
        answer = self.api.post("graphql", json={"query": query, "variables": variables})
        assert answer.status_code == 200
        return answer.json()

    def query(self, **more: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask telemetry about the last minutes."""
        now = int(time.time() * 1000)
        body = {"queryId": "adhoc", "timeframe": {"from": now - 600_000, "to": now + 1000}, **more}
        return self.call("POST", "workers/observability/telemetry/query", json=body)

    def logged(self, name: str) -> int:
        """Return how many events a Worker has logged."""
        return int(self.query(view="events", parameters={"filters": [service(name)]})["events"]["count"])

    def settled(self, name: str, events: int) -> None:
        """Wait until a Worker has logged this many events."""
        assert eventually(lambda: self.logged(name) == events, within=10), (self.logged(name), events)


def service(name: str) -> dict[str, str]:
    """Return the filter of a Worker's events."""
    return {"key": "$metadata.service", "operation": "eq", "type": "string", "value": name}


@pytest.fixture(scope="package")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Give the twin, shared by the tests of this folder: each uses a Worker of its own."""
    state = tmp_path_factory.mktemp("observed") / "state"
    with running(state, "--zone", ZONE) as twin, connected(twin) as watched:
        yield watched


class connected:  # noqa: N801 - used as a function
    """Open the clients of a running twin."""

    def __init__(self, twin: Running) -> None:
        token = {"authorization": f"Bearer {twin.line['tokens']['CLOUDFLARE_API_TOKEN']}"}
        api = httpx.Client(base_url=twin.line["cloudflare"], headers=token, timeout=20)
        self.watched = Watched(twin, api, httpx.Client(base_url=twin.line["edge"]), "")

    def __enter__(self) -> Watched:
        self.watched.zone = str(self.watched.api.get("zones").json()["result"][0]["id"])
        return self.watched

    def __exit__(self, *_: object) -> None:
        self.watched.api.close()
        self.watched.edge.close()
