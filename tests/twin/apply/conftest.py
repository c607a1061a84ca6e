"""A Pulumi program in a folder of its own, applied by the command, against the twin's Cloudflare plane."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from tests.twin import serving
from twin import cloudflare

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PROGRAM = """
import pulumi
import pulumi.dynamic

made = {}


def resolved(value):
    if isinstance(value, list):
        return [resolved(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "$id" in value:
        return made[value["$id"]].id
    if "$secret" in value:
        return pulumi.Output.secret(value["$secret"])
    if "$zone" in value:
        asked = {"filter": {"name": value["$zone"], "account": {"id": "%s"}, "match": "all"}}
        found = pulumi.runtime.invoke_output("cloudflare:index/getZone:getZone", asked)
        return found.apply(lambda zone: zone["id"])
    return {key: resolved(each) for key, each in value.items()}


print("programs may print")
for name, (kind, props, options) in pulumi.Config().require_object("resources").items():
    if "depends_on" in options:
        options["depends_on"] = [made[each] for each in options["depends_on"]]
    in_zone = kind in ("DnsRecord", "Ruleset", "WorkersRoute", "ZoneDnssec")
    props = props if in_zone else {"accountId": "%s", **props}
    token = f"cloudflare:index/{kind[0].lower()}{kind[1:]}:{kind}"
    made[name] = pulumi.CustomResource(token, name, resolved(props), pulumi.ResourceOptions(**options))
for name, value in pulumi.Config().require_object("outputs").items():
    pulumi.export(name, resolved(value))
""".replace("%s", serving.ACCOUNT)

Declared = tuple[str, dict[str, Any], dict[str, Any]]
"""Type, inputs, options."""
Resources = dict[str, Declared]


@dataclass
class Cut:
    """Lose the answer of calls: the effect happens, the connection ends. With a `status`, refuse them instead."""

    method: str
    path: str
    times: int = 1
    applied: bool = True
    status: int = 0


@dataclass
class Api:
    """The plane with a recorder and a saboteur in front of it: (method, path, body) of each call."""

    address: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Return what `cloudflare:baseUrl` must be."""
        return f"{self.address}/client/v4"

    def sent(self, *methods: str) -> list[tuple[str, str]]:
        """Return method and path below the account or zone of the calls, those that change something by default."""
        wanted = methods or ("POST", "PUT", "PATCH", "DELETE")
        strip = re.compile(rf"^/client/v4/(accounts/{serving.ACCOUNT}/)?")
        return [(method, strip.sub("", path)) for method, path, _ in self.calls if method in wanted]

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record a call and cut it when told so."""
        body = await request.text()
        self.calls.append((request.method, request.path_qs, json.loads(body) if body[:1] in ("{", "[") else body))
        cut = next((each for each in self.cuts if self._hits(each, request)), None)
        if cut is None:
            return await handler(request)
        cut.times -= 1
        if cut.status:
            return web.json_response({"errors": [{"code": 10000, "message": "not now"}]}, status=cut.status)
        if cut.applied:
            await handler(request)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    @staticmethod
    def _hits(cut: Cut, request: web.Request) -> bool:
        return cut.times > 0 and cut.method == request.method and cut.path in request.path


@dataclass
class Applied:
    """What one apply did: exit code, the action on each resource by name, the last line, what it said."""

    code: int
    actions: dict[str, str]
    ids: dict[str, str | None]
    summary: dict[str, Any]
    error: str


@dataclass
class Project:
    """A project with one program and one stack file."""

    folder: Path
    api: Api

    @property
    def state(self) -> Path:
        """Return the folder of the state."""
        return self.folder / "state"

    def write(self, resources: dict[str, Any], outputs: dict[str, Any] | None = None, **config: Any) -> list[str]:  # noqa: ANN401 - YAML of any shape
        """Declare these resources, and return the command that applies them."""
        values = {"cloudflare:baseUrl": self.api.base_url, "probe:resources": resources, "probe:outputs": outputs or {}}
        stack = self.folder / "Pulumi.test.yaml"
        stack.write_text(json.dumps({"config": {**values, **config}}))
        arguments = ["apply", "--program", str(self.folder / "program" / "main.py"), "--stack-file", str(stack)]
        return [sys.executable, "-m", "twin", *arguments, "--state", str(self.state)]

    def apply(
        self,
        resources: Resources,
        *flags: str,
        outputs: dict[str, Any] | None = None,
        token: str = "",
        **config: object,
    ) -> Applied:
        """Declare these resources and apply them; calls are counted anew."""
        self.api.calls.clear()
        environment = {"CLOUDFLARE_API_TOKEN": token or serving.TOKENS["CLOUDFLARE_API_TOKEN"], "PATH": ""}
        command = [*self.write(resources, outputs, **config), *flags]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
        assert "Traceback" not in done.stderr, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        told = [event for event in events if "urn" in event]
        return Applied(
            code=done.returncode,
            actions={event["name"]: event["action"] for event in told},
            ids={event["name"]: event["id"] for event in told},
            summary=events[-1] if events and "changes" in events[-1] else {},
            error=done.stderr,
        )


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Serve a fresh plane with the zone example.com."""
    api = Api()

    def make() -> web.Application:
        app, _ = cloudflare.app(serving.home(tmp_path / "twin"), serving.Noted().engines())
        app.middlewares.insert(0, api.watch)
        return app

    (tmp_path / "twin").mkdir()
    with serving.served(make) as api.address:
        yield api


@pytest.fixture
def project(tmp_path: Path, api: Api) -> Project:
    """Give a project whose program declares what its stack file says."""
    (tmp_path / "program").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: probe\nruntime: python\nmain: program/main.py\n")
    (tmp_path / "program" / "main.py").write_text(PROGRAM)
    return Project(tmp_path, api)
