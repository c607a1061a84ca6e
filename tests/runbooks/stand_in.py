"""A provider and its edge in one small HTTP server: state that tests read, answers that tests choose."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

GONE = 0
"""Instead of a status: cut the connection before anything is done."""
LOST = -1
"""Instead of a status: do it, then cut the connection."""


@dataclass
class StandIn:
    """One Worker at Cloudflare and its edge. `next` holds answers that are given before the real ones."""

    address: str = ""
    origin: dict[str, Any] = field(
        default_factory=lambda: {"host": "db.example.com", "port": 5432, "database": "postgres", "user": "postgres"}
    )
    versions: list[dict[str, Any]] = field(default_factory=list)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    next: deque[tuple[int, dict[str, str], Any]] = field(default_factory=deque)
    seen: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    sick: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By version: fields of its health answer that are wrong, or `status_code`."""
    failing_paths: dict[str, int] = field(default_factory=dict)
    bad_paths: dict[str, dict[str, int]] = field(default_factory=dict)
    """By version: paths that it answers with another status."""
    bad_after: dict[str, int] = field(default_factory=dict)
    """By version: how many requests it answers well before every one fails."""
    older: list[dict[str, Any]] = field(default_factory=list)
    """Versions that can no longer get traffic."""
    bound: dict[str, int] = field(default_factory=dict)
    """By id of what versions may be bound to: the status of its answer. What is not named is gone."""
    lose_next_write: bool = False
    """Whether the next write is done and its answer never comes."""

    def upload(self, *, message: str = "app 0123456789ab", bindings: tuple[dict[str, str], ...] = ()) -> str:
        """Add a version, newest first, and return its id."""
        version = str(uuid.uuid4())
        entry = {
            "id": version,
            "number": len(self.versions) + 1,
            "metadata": {"created_on": datetime.now(UTC).isoformat(), "source": "api"},
            "annotations": {"workers/message": message},
            "bindings": bindings,
        }
        self.versions.insert(0, entry)
        return version

    def deploy(self, *versions: str, message: str = "") -> dict[str, Any]:
        """Give the versions equal parts of the traffic."""
        share = 100 / len(versions)
        return self.split([{"version_id": version, "percentage": share} for version in versions], message)

    def split(self, shares: list[dict[str, Any]], message: str) -> dict[str, Any]:
        """Give each version its part of the traffic."""
        deployment = {
            "id": str(uuid.uuid4()),
            "created_on": datetime.now(UTC).isoformat(),
            "strategy": "percentage",
            "versions": shares,
            "annotations": {"workers/message": message},
        }
        self.deployments.insert(0, deployment)
        return deployment

    @property
    def live(self) -> str:
        """Return the version that has the traffic."""
        return str(self.deployments[0]["versions"][0]["version_id"]) if self.deployments else ""

    @property
    def writes(self) -> list[Any]:
        """Return the bodies of everything but GET, as they arrived."""
        return [body for method, _, _, body in self.seen if method != "GET"]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON; one a route
        """Do what the provider or the edge does."""
        route = path.partition("?")[0]
        if route.endswith("/deployments") and method == "POST":
            made = self.split(body["versions"], body["annotations"]["workers/message"])
            return 200, {"success": True, "result": made}
        if route.endswith("/deployments"):
            if not self.deployments:
                return 404, {"success": False, "errors": [{"code": 10007, "message": "not found"}]}
            return 200, {"success": True, "result": {"deployments": self.deployments[:10]}}
        if route.endswith(("/hyperdrive/configs", "/hyperdrive/configs/h1")):
            return self.connections(method, body)
        if "/workers/workers/" in route or "/versions" in route:
            found = self.resource(method, route, body)
            return (200, {"success": True, "result": found}) if found else (404, {"success": False, "errors": []})
        return self.health() if route == "/api/health" else self.beside(route) or self.serve(route)

    def beside(self, route: str) -> tuple[int, Any] | None:
        """Answer what stands beside the traffic: what versions are bound to, and a zone without records."""
        before, _, last = route.rpartition("/")
        if before.endswith(("/namespaces", "/buckets", "/configs")):
            status = self.bound.get(last, 404)
            return status, {"success": status == 200, "result": {}, "errors": []}
        if last in ("zones", "dns_records", "projects"):
            return 200, {
                "success": True,
                "result": [{"id": "z" * 32, "name": "ems.example"}] if last == "zones" else [],
            }
        return None

    def resource(self, method: str, route: str, body: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Answer for a Worker or its versions, which have the same code and bindings; nothing for a missing one."""
        if route.endswith("/versions") and method == "GET":
            return {"items": self.versions}
        if method == "POST":
            made = self.upload(message=body["annotations"]["workers/message"])
            return {"id": made, "bindings": body["bindings"]}
        if route.endswith("/workers/workers/ems-api"):
            return {"id": "w" * 32}
        known = next((dict(one) for one in self.versions + self.older if route.endswith(one["id"])), {})
        if not known:
            return {}
        bindings = [
            {"name": "KEY", "type": "secret_text"},
            {"name": "MODE", "type": "plain_text", "text": "safe"},
            *known.pop("bindings", ()),
        ]
        module = {"name": "i.js", "content_type": "application/javascript+module", "content_base64": "Ly8="}
        runtime = {"compatibility_date": "2026-04-01"}
        whole = {"resources": {"bindings": bindings, "script_runtime": runtime}}
        return {**known, **whole, "main_module": "i.js", "modules": [module]}

    def connections(self, method: str, body: Any) -> tuple[int, Any]:  # noqa: ANN401 - JSON
        """Answer as Hyperdrive's API does for its only config."""
        if method == "PATCH":
            self.origin = body["origin"]
        shown = {"id": "h1", "name": "db", "origin": self.origin}
        return 200, {"success": True, "result": shown if method == "PATCH" else [shown]}

    def serve(self, route: str) -> tuple[int, Any]:
        """Answer as any other route of the service does."""
        usual = 404 if route == "/api/nothing-here" else 200
        live = self.live if self.deployments else ""
        if live in self.bad_after:
            self.bad_after[live] -= 1
            usual = usual if self.bad_after[live] >= 0 else 500
        return self.bad_paths.get(live, self.failing_paths).get(route, usual), {"path": route}

    def health(self) -> tuple[int, Any]:
        """Answer as the live version does."""
        sick = dict(self.sick.get(self.live, {}))
        status = sick.pop("status_code", 200)
        body = {
            "status": "ok",
            "message": "API opérationnelle",
            "timestamp": datetime.now(UTC).isoformat(),
            "version": self.live,
        }
        return status, {**body, **sick}


@contextmanager
def serving() -> Iterator[StandIn]:
    """Serve a stand-in on a free port of this machine."""
    state = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = True
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(state: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.seen.append((self.command, self.path, headers, body))
            extra: dict[str, str] = {}
            if state.next:
                status, extra, answer = state.next.popleft()
                time.sleep(float(extra.pop("sleep", 0)))
                if status == LOST:
                    state.answer(self.command, self.path, body)
                if status in (GONE, LOST):
                    self.close_connection = True
                    return
            else:
                status, answer = state.answer(self.command, self.path, body)
                if state.lose_next_write and self.command != "GET":
                    state.lose_next_write, self.close_connection = False, True
                    return
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(data)), **extra}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = handle_one  # noqa: N815 - names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler
