"""Cloudflare's own Python client, unmodified, at a served control plane: it remembers which calls it made."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx
from aiohttp import web
from cloudflare import APIResponseValidationError, Cloudflare
from cloudflare._models import construct_type
from pydantic import ValidationError

from tests.twin import serving
from twin import cloudflare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCE = b"export default { async fetch() { return new Response('ok') }, async scheduled() {} }"
CODE = ("index.js", SOURCE, "application/javascript+module")
DATE = "2026-04-01"
PHASE = "http_request_firewall_custom"


KNOWN = {
    "location": "the client knows R2's locations in lower case; the provider answers in upper case, as wrangler shows",
    "source": "the client asks for it; a project without git, and its deployments, have none",
}
"""Where the client's models differ from the provider, by field, and why the twin sides with the provider."""


class Strict(Cloudflare):
    """The client, told to hold every answer against its model; only what is `KNOWN` may differ."""

    def _process_response_data(self, *, data: object, cast_to: Any, response: httpx.Response) -> Any:  # noqa: ANN401
        try:
            return super()._process_response_data(data=data, cast_to=cast_to, response=response)
        except APIResponseValidationError as error:
            cause = error.__cause__
            fields = [one["loc"][-1] for one in cause.errors()] if isinstance(cause, ValidationError) else [""]
            if not KNOWN.keys() >= set(fields):
                raise
            return construct_type(type_=cast_to, value=data)


class Sdk:
    """The client, and objects to try it on, each made by it when it is first asked for.

    `api` is not typed: cases send plain dictionaries, as programs do; it validates every answer, `lax` none.
    """

    def __init__(self, address: str, listener: str, *, token: str = serving.TOKENS["CLOUDFLARE_API_TOKEN"]) -> None:
        self.calls: list[tuple[str, str]] = []
        self.listener = listener
        self.account = serving.ACCOUNT
        self.address = address
        self._numbers = itertools.count(1)
        http = httpx.Client(event_hooks={"request": [self._remember]})
        options: dict[str, Any] = {"api_token": token, "base_url": f"{address}/client/v4", "http_client": http}
        self.api: Any = Strict(**options, max_retries=0, _strict_response_validation=True)
        self.lax: Any = Cloudflare(**options, max_retries=0)

    def close(self) -> None:
        """Close the client's connections."""
        self.api.close()

    def _remember(self, request: httpx.Request) -> None:
        self.calls.append((request.method, request.url.path.removeprefix("/client/v4")))

    @property
    def a(self) -> dict[str, str]:
        """Return the account as the client's argument."""
        return {"account_id": self.account}

    @cached_property
    def zone(self) -> str:
        """Return the id of the zone that there is from the start."""
        return str(next(iter(self.api.zones.list(name=serving.ZONE))).id)

    @property
    def z(self) -> dict[str, str]:
        """Return the zone as the client's argument."""
        return {"zone_id": self.zone}

    def fresh(self, word: str = "thing") -> str:
        """Return a name that nothing has yet."""
        return f"{word}-{next(self._numbers)}"

    def metadata(self, *bindings: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - the provider's own
        """Return the metadata of an upload, placed: of an empty placement the client's model knows nothing."""
        fixed = {"main_module": "index.js", "compatibility_date": DATE, "placement": {"mode": "smart"}}
        return {**fixed, "bindings": list(bindings), **more}

    def script_with(self, *bindings: dict[str, Any]) -> str:
        """Upload and deploy a new script and return its name."""
        name = self.fresh("script")
        self.api.workers.scripts.update(name, **self.a, metadata=self.metadata(*bindings), files=[CODE])
        return name

    @cached_property
    def script(self) -> str:
        """Return a deployed script with a secret."""
        return self.script_with({"type": "secret_text", "name": "TOKEN", "text": "hidden"})

    def newest(self, script: str) -> str:
        """Return the id of a script's newest version."""
        return str(next(iter(self.api.workers.scripts.versions.list(script, **self.a))).id)

    def upload(self, script: str) -> str:
        """Upload a version without deploying it and return its id."""
        raw = self.api.workers.scripts.versions.with_raw_response
        made = raw.create(script, **self.a, metadata=self.metadata(), files=[CODE])
        return str(made.http_response.json()["result"]["id"])

    def deployment(self, script: str) -> Any:  # noqa: ANN401 - the client's model
        """Deploy a script's newest version anew."""
        whole = [{"version_id": self.newest(script), "percentage": 100}]
        return self.api.workers.scripts.deployments.create(script, **self.a, strategy="percentage", versions=whole)

    def worker(self) -> Any:  # noqa: ANN401 - the client's model
        """Create a Worker without code."""
        return self.api.workers.beta.workers.create(**self.a, name=self.fresh("worker"))

    def version(self, worker: str) -> Any:  # noqa: ANN401 - the client's model
        """Make a version from JSON."""
        module = {"name": CODE[0], "content_type": CODE[2], "content_base64": "ZXhwb3J0IGRlZmF1bHQge30="}
        sent = {"main_module": "index.js", "modules": [module], "compatibility_date": DATE}
        return self.api.workers.beta.workers.versions.create(worker, **self.a, **sent)

    @cached_property
    def space(self) -> str:
        """Return a KV namespace with one key."""
        space = str(self.api.kv.namespaces.create(**self.a, title=self.fresh("space")).id)
        self.api.kv.namespaces.values.update(
            "a/key", **self.a, namespace_id=space, value=b"text", metadata={"by": "me"}
        )
        return space

    @cached_property
    def bucket(self) -> str:
        """Return a bucket with one object."""
        name = self.new_bucket()
        self.api.r2.buckets.objects.upload("a/file", b"bytes", **self.a, bucket_name=name)
        return name

    def new_bucket(self) -> str:
        """Create a bucket and return its name."""
        return str(self.api.r2.buckets.create(**self.a, name=self.fresh("bucket")).name)

    def config(self) -> str:
        """Create a Hyperdrive config and return its id."""
        origin = {
            "scheme": "postgres",
            "host": "127.0.0.1",
            "port": 5432,
            "database": "d",
            "user": "u",
            "password": "p",
        }
        return str(self.api.hyperdrive.configs.create(**self.a, name=self.fresh("config"), origin=origin).id)

    def project(self) -> str:
        """Create a Pages project and return its name."""
        made = self.api.pages.projects.create(**self.a, name=self.fresh("project"), production_branch="main")
        return str(made.name)

    def site(self, project: str, branch: str = "main") -> str:
        """Deploy an empty site and return the deployment's id."""
        made = self.api.pages.projects.deployments.create(project, **self.a, manifest="{}", branch=branch)
        return str(made.id)

    @cached_property
    def uploads(self) -> dict[str, Any]:
        """Return the header by which files of Pages are uploaded."""
        token = self.api.pages.projects.get_upload_token(self.project(), **self.a).jwt
        return {"extra_headers": {"Authorization": f"Bearer {token}"}}

    def record(self, **more: Any) -> Any:  # noqa: ANN401 - the client's model
        """Create a DNS record."""
        sent = {"name": f"{self.fresh('host')}.{serving.ZONE}", "type": "A", "content": "192.0.2.1", "ttl": 300, **more}
        return self.api.dns.records.create(**self.z, **sent)

    def policies(self, scope: str = "com.cloudflare.api.account") -> list[dict[str, Any]]:
        """Return what a token may do: read Workers of the account, or the user's own details."""
        word, target = ("User Details Read", "*") if scope.endswith("user") else ("Workers Scripts Read", self.account)
        groups = self.api.user.tokens.permission_groups.list()
        group = next(one for one in groups if one.name == word)
        target = self.api.user.get().id if scope.endswith("user") else target
        return [{"effect": "allow", "permission_groups": [{"id": group.id}], "resources": {f"{scope}.{target}": "*"}}]


@contextmanager
def serving_sdk(folder: Path) -> Iterator[Sdk]:
    """Serve a control plane, and something that takes notifications, for a client."""

    async def taken(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    def listening() -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", taken)
        return app

    noted = serving.Noted()

    def plane() -> web.Application:
        return cloudflare.app(serving.home(folder), noted.engines())[0]

    with serving.served(plane) as address, serving.served(listening) as listener:
        sdk = Sdk(address, listener)
        yield sdk
        sdk.close()
