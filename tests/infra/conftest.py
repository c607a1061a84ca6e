"""The program under the SDK's mocks: what it registers, with the marks of secrets still on."""

from __future__ import annotations

import asyncio
import json
import runpy
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]
from pulumi import runtime
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockSettings
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_in_stack
from ruamel.yaml import YAML

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # resources that the SDK itself has renamed
    import pulumi_cloudflare  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSWORD: Final = "hush-hush/hush"
DATABASE: Final = "postgresql://owner:hush-hush%2Fhush@db.example.com:6543/main"
ZONE_ID: Final = "f" * 32
STACKS: Final = ("twin", "prod")
BUILD: Final = ["python", "-c", "print('export default {}')"]
Config = dict[str, Any]


@dataclass
class Registered:
    """A custom resource as the program registers it; `inputs` is Pulumi's wire format as JSON."""

    type: str
    name: str
    inputs: dict[str, Any]
    protect: bool
    retain: bool
    dependencies: list[str]

    @property
    def kind(self) -> str:
        """Return the last part of the type's token."""
        return self.type.rpartition(":")[2]


@dataclass
class Declared:
    """What a whole program declares."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Registered]:
        """Return the resources of one type."""
        return [resource for resource in self.resources if resource.kind == kind]

    def one(self, name: str) -> Registered:
        """Return the resource of a name."""
        return next(resource for resource in self.resources if resource.name == name)


class Collector(MockMonitor):
    """Registers everything under an id made of its name, and finds one zone."""

    def __init__(self, declared: Declared) -> None:
        """Start with nothing declared."""
        self.declared = declared

    def make_urn(self, _parent: str, type_: str, name: str) -> str:
        """Return a URN without the parent's types."""
        return f"urn:pulumi:test::ems-ops::{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802, ANN401 - the SDK's name and types
        """Keep a resource, answer with its inputs."""
        urn = self.make_urn("", request.type, request.name)
        if request.custom:
            inputs = json_format.MessageToDict(request.object)
            found = Registered(
                request.type, request.name, inputs, request.protect, request.retainOnDelete, list(request.dependencies)
            )
            self.declared.resources.append(found)
        answer = resource_pb2.RegisterResourceResponse(urn=urn, id=f"id of {request.name}", object=request.object)
        answer.object.update({"subdomain": f"{request.name}.pages.dev", "deployment": "d1"})
        return answer

    def RegisterResourceOutputs(self, request: Any) -> None:  # noqa: N802, ANN401 - the SDK's name and types
        """Keep the stack's outputs."""
        if "pulumi:pulumi:Stack" in request.urn:
            self.declared.outputs = json_format.MessageToDict(request.outputs)

    def Invoke(self, request: Any) -> Any:  # noqa: N802, ANN401 - the SDK's name and types
        """Find the zone."""
        assert request.tok == "cloudflare:index/getZone:getZone"
        answer = resource_pb2.ResourceInvokeResponse()
        getattr(answer, "return").update({"id": ZONE_ID})
        return answer


def read(root: Path, stack: str) -> Config:
    """Return the configuration of a stack file."""
    config: Config = YAML(typ="safe", pure=True).load((root / f"Pulumi.{stack}.yaml").read_text("utf-8"))["config"]
    return config


@pytest.fixture
def declare(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Config], Declared]:
    """Give a function that runs the program with a configuration."""
    monkeypatch.setenv("EMS_DATABASE_URL", DATABASE)
    monkeypatch.chdir(root / "infra")  # where Pulumi runs it

    def run(config: Config) -> Declared:
        declared = Declared()

        async def program() -> None:
            monitor = Collector(declared)
            texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
            runtime.set_all_config(texts, [])
            features = set(monitor.GetDeploymentInfo(None).supportedFeatures)  # type: ignore[no-untyped-call]
            settings = {"monitor": monitor, "monitor_features": features, "engine": MockEngine(None)}
            named = {"project": "ems-ops", "stack": "test", "dry_run": False, "organization": "o"}
            runtime.configure(MockSettings(**settings, **named))  # type: ignore[no-untyped-call]
            await run_in_stack(lambda: _execute(root / "infra" / "__main__.py"))

        asyncio.run(program())
        return declared

    return run


def _execute(file: Path) -> None:
    runpy.run_path(str(file), run_name="__main__")


@pytest.fixture(params=STACKS)
def config(request: pytest.FixtureRequest, root: Path) -> Config:
    """Give the configuration of each stack file, with a build that needs no network."""
    config = read(root, request.param)
    config["ems-ops:api"] = {**config["ems-ops:api"], "build": BUILD}
    return config
