"""Tell what the program registers for a stack file, as JSON: `python -m infra.registrations Pulumi.prod.yaml`.

The program runs under the SDK's mock monitor: nothing is made, nothing is asked, no secret is needed. What an existing
account must be searched for follows from it, and so do the names under which Pulumi must know what was found.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Final

import pulumi
from google.protobuf import json_format  # type: ignore[import-untyped]
from pulumi import runtime
from pulumi.runtime.mocks import MockEngine, MockMonitor, MockSettings
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_in_stack
from ruamel.yaml import YAML

from infra.settings import PROJECT, ROOT

STACK: Final = "pulumi:pulumi:Stack"
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a secret on the wire."""
BUILD: Final = ["python", "-c", "print('export default {}')"]
"""In place of the app's build: its code is looked for by nobody."""
STAND_INS: Final = {
    "EMS_DATABASE_URL": "postgresql://nobody:nothing@localhost/none",
    "EMS_WEBHOOK_SECRET": "-",
    "EMS_LOGPUSH_ACCESS_KEY_ID": "-",
    "EMS_LOGPUSH_SECRET_ACCESS_KEY": "-",
}
"""What the program wants from the environment, and nothing here depends on."""
ZONE: Final = "zone"
"""What stands for the id of the zone, which the program looks up."""


class Collector(MockMonitor):
    """Keep what is registered. The id of each resource is its URN, so that inputs tell whom they refer to."""

    def __init__(self, stack: str) -> None:
        """Start with nothing."""
        self.registered: list[dict[str, Any]] = []
        self._prefix = f"urn:pulumi:{stack}::{PROJECT}::"
        self._stack = ""

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN as Pulumi's engine builds it: the stack itself is nobody's parent in it."""
        kinds = parent.split("::")[2] if parent and parent != self._stack else ""
        return f"{self._prefix}{kinds}${type_}::{name}" if kinds else f"{self._prefix}{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802, ANN401 - the SDK's name and types
        """Keep a resource, answer with its inputs."""
        urn = self.make_urn(request.parent, request.type, request.name)
        inputs = _plain(json_format.MessageToDict(request.object))
        if request.type == STACK:
            self._stack = urn
        else:
            parent = "" if request.parent == self._stack else request.parent
            told = {"urn": urn, "type": request.type, "name": request.name, "custom": request.custom, "parent": parent}
            self.registered.append({**told, "inputs": inputs if request.custom else {}})
        answer = resource_pb2.RegisterResourceResponse(urn=urn, id=urn, object=request.object)
        answer.object.update({"subdomain": f"{inputs.get('name')}.pages.dev", "deployment": "-"})
        return answer

    def RegisterResourceOutputs(self, request: Any) -> None:  # noqa: N802, ANN401 - the SDK's name and types
        """Keep no outputs."""

    def Invoke(self, _request: Any) -> Any:  # noqa: N802, ANN401 - the SDK's name and types
        """Find the zone."""
        answer = resource_pb2.ResourceInvokeResponse()
        getattr(answer, "return").update({"id": ZONE})
        return answer


def collect(stack_file: Path) -> list[dict[str, Any]]:
    """Run the program with a stack file's values and return what it registers; raise RunError as the program does."""
    config = YAML(typ="safe").load(stack_file.read_text("utf-8"))["config"]
    config["ems-ops:api"]["build"] = BUILD
    os.environ |= STAND_INS
    stack = stack_file.stem.removeprefix("Pulumi.")
    monitor = Collector(stack)
    texts = {key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in config.items()}
    runtime.set_all_config(texts, [])
    features = set(monitor.GetDeploymentInfo(None).supportedFeatures)  # type: ignore[no-untyped-call]
    named = {"project": PROJECT, "stack": stack, "organization": "organization"}
    engine = MockEngine(logging.getLogger("pulumi"))
    runtime.configure(
        MockSettings(monitor=monitor, monitor_features=features, engine=engine, dry_run=False, **named)  # type: ignore[no-untyped-call]
    )
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the SDK leaves the futures of a failed program behind
    os.chdir(ROOT / "infra")
    with redirect_stdout(sys.stderr):
        asyncio.run(run_in_stack(lambda: _execute(ROOT / "infra" / "__main__.py")))
    return monitor.registered


def _execute(file: Path) -> None:
    runpy.run_path(str(file), run_name="__main__")


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return a value without secrets."""
    if isinstance(value, dict):
        return None if SIGNATURE in value else {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def main() -> int:
    """Print them as one JSON document and return the exit code."""
    try:
        resources = collect(Path(sys.argv[1]).resolve())
    except pulumi.RunError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps({"resources": resources}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
