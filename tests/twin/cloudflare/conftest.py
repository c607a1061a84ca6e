"""The Cloudflare plane, served in process, and a client of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.twin import serving
from twin import cloudflare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiohttp import web

    from twin.world import Routing

SOURCE = b"export default { async fetch() { return new Response('ok') }, async scheduled() {} }"


@dataclass
class Plane:
    """A client of the plane, with what its engines noted and what the edge would be told."""

    http: httpx.Client
    noted: serving.Noted
    routing: Routing
    app: web.Application
    folder: Path
    account: str = f"accounts/{serving.ACCOUNT}"

    def ask(self, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401 - the provider's JSON
        """Send a call below the account, expect success, return the result."""
        answer = self.http.request(method, f"{self.account}/{path}", **more)
        assert answer.is_success, answer.text
        assert answer.json()["success"] is True
        return answer.json()["result"]

    def refused(self, method: str, path: str, **more: Any) -> tuple[int, int, str]:  # noqa: ANN401
        """Send a call below the account, expect a refusal in the envelope, return status, code and text."""
        answer = self.http.request(method, f"{self.account}/{path}", **more)
        body = answer.json()
        assert (body["success"], body["result"], body["messages"]) == (False, None, [])
        return answer.status_code, body["errors"][0]["code"], body["errors"][0]["message"]

    @property
    def zone(self) -> str:
        """Return the id of the one zone."""
        return str(self.http.get("zones", params={"name": serving.ZONE}).json()["result"][0]["id"])

    def worker(self, name: str = "api") -> str:
        """Create a Worker and return its id."""
        return str(self.ask("POST", "workers/workers", json={"name": name})["id"])

    def version(self, worker: str, *bindings: dict[str, Any], message: str = "", source: bytes = SOURCE) -> str:
        """Upload a version by JSON and return its id."""
        return str(self.ask("POST", f"workers/workers/{worker}/versions", json=body(bindings, message, source))["id"])

    def deploy(self, script: str, *versions: str, query: str = "") -> Any:  # noqa: ANN401
        """Send all traffic to one version, or halves to two."""
        parts = [{"version_id": version, "percentage": 100 / len(versions)} for version in versions]
        sent = {"strategy": "percentage", "versions": parts}
        return self.ask("POST", f"workers/scripts/{script}/deployments{query}", json=sent)


def body(bindings: tuple[dict[str, Any], ...], message: str, source: bytes) -> dict[str, Any]:
    """Return the JSON of a version upload."""
    return {
        "main_module": "index.js",
        "compatibility_date": "2026-04-01",
        "compatibility_flags": ["nodejs_compat"],
        "modules": [
            {
                "name": "index.js",
                "content_type": "application/javascript+module",
                "content_base64": base64.b64encode(source).decode(),
            }
        ],
        "bindings": list(bindings),
        "annotations": {"workers/message": message} if message else {},
    }


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """Give a fresh plane with one account and the zone example.com."""
    noted = serving.Noted()
    made: list[tuple[web.Application, Routing]] = []

    def make() -> web.Application:
        made.append(cloudflare.app(serving.home(tmp_path), noted.engines()))
        return made[0][0]

    token = serving.TOKENS["CLOUDFLARE_API_TOKEN"]
    with (
        serving.served(make) as address,
        httpx.Client(base_url=f"{address}/client/v4/", headers={"Authorization": f"Bearer {token}"}) as http,
    ):
        app, routing = made[0]
        yield Plane(http, noted, routing, app, tmp_path)
