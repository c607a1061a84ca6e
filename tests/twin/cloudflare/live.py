"""A whole twin with a zone and Workers in it, for tests that need its edge."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.twin.cloudflare.conftest import body
from tests.twin.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE = "ems.example"


@dataclass
class Live:
    """Clients of a running twin's API and of its edge."""

    api: httpx.Client
    edge: httpx.Client
    account: str
    zone: str
    state: Path

    def ask(self, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401 - the provider's JSON
        """Make a call, expect success, return the result; `A` and `Z` stand for account and zone."""
        path = path.replace("A/", f"accounts/{self.account}/", 1).replace("Z/", f"zones/{self.zone}/", 1)
        answer = self.api.request(method, path, **more)
        assert answer.is_success, answer.text
        return answer.json()["result"] if answer.content else None

    def worker(self, name: str, *sources: str) -> list[str]:
        """Upload versions of a Worker, deploy the first at `<name>.ems.example`, return their ids."""
        made = self.ask("POST", "A/workers/workers", json={"name": name})["id"]
        versions: list[str] = []
        for source in sources:
            sent = body((), "", source.encode())
            versions.append(self.ask("POST", f"A/workers/workers/{made}/versions", json=sent)["id"])
        self.deploy(name, versions[0])
        domain = {"hostname": f"{name}.{ZONE}", "service": name, "zone_id": self.zone}
        self.ask("PUT", "A/workers/domains", json=domain)
        return versions

    def deploy(self, name: str, version: str) -> None:
        """Send all traffic of a Worker to a version."""
        whole = [{"version_id": version, "percentage": 100}]
        deployment = {"strategy": "percentage", "versions": whole}
        self.ask("POST", f"A/workers/scripts/{name}/deployments", json=deployment)

    def get(self, host: str, path: str = "/", **more: Any) -> httpx.Response:  # noqa: ANN401
        """Ask the edge for a host below the zone."""
        headers = {"host": f"{host}.{ZONE}", **more.pop("headers", {})}
        return self.edge.request(more.pop("method", "GET"), path, headers=headers, **more)


@contextmanager
def live(state: Path) -> Iterator[Live]:
    """Run a twin until the block ends."""
    with running(state, "--zone", ZONE, "--project", "p" * 20) as twin:
        headers = {"Authorization": f"Bearer {twin.line['tokens']['CLOUDFLARE_API_TOKEN']}"}
        with (
            httpx.Client(base_url=twin.line["cloudflare"], headers=headers, timeout=20) as api,
            httpx.Client(base_url=twin.line["edge"], timeout=20) as edge,
        ):
            zone = api.get("zones").json()["result"][0]["id"]
            yield Live(api, edge, twin.line["account"], zone, state)
