"""Stand in for Pulumi's engine: what the program registers becomes real, what it asks is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf import empty_pb2, struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto import resource_pb2

from twin.apply.deployment import Deployment, Registration
from twin.apply.errors import ApplyError
from twin.apply.masking import veil

if TYPE_CHECKING:
    from collections.abc import Callable

Answer: TypeAlias = "Callable[[str, dict[str, Any]], dict[str, Any]]"
STACK: Final = "pulumi:pulumi:Stack"
UNHEEDED: Final = (
    "ignoreChanges",
    "replaceOnChanges",
    "importId",
    "deleteBeforeReplace",
    "provider",
)
"""Options that would change what happens, and that nothing here acts upon."""


class Calls(Mocks):
    """Answer look-ups by `call`; resources never come this way."""

    def __init__(self, answer: Answer) -> None:
        """Take what answers (token, arguments)."""
        self._answer = answer

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer one look-up."""
        return self._answer(args.token, dict(args.args)), []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Never called: the monitor registers resources itself."""
        raise NotImplementedError(args.typ)


class Monitor(MockMonitor):
    """The SDK's mock monitor with a deployment behind it. `failures` holds what went wrong, first thing first."""

    def __init__(self, deployment: Deployment, answer: Answer, *, stack: str, project: str) -> None:
        """Start with no outputs. `stack` and `project` go into every URN."""
        super().__init__(Calls(self._kept(answer)))
        self._deployment = deployment
        self._prefix = f"urn:pulumi:{stack}::{project}::"
        self._stack = ""
        self.outputs: dict[str, Any] = {}
        self.failures: list[ApplyError] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802, ANN401 - the SDK's name and types
        """Make a custom resource real; components and the stack only get a name."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == STACK:
            self._stack = urn
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        made = self._kept(self._make)(urn, request)
        answer = struct_pb2.Struct()
        answer.CopyFrom(request.object)
        if made is not None:
            answer.update(made.outputs)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=made.id if made else "", object=answer)

    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:  # noqa: N802, ANN401 - the SDK's name and types
        """Keep the stack's outputs."""
        if request.urn == self._stack:
            self.outputs = veil(rpc.deserialize_properties(request.outputs))
        return empty_pb2.Empty()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN as the engine builds it: the stack itself is nobody's parent in it."""
        kinds = parent.split("::")[2] if parent and parent != self._stack else ""
        return f"{self._prefix}{kinds}${type_}::{name}" if kinds else f"{self._prefix}{type_}::{name}"

    def _make(self, urn: str, request: Any) -> Any:  # noqa: ANN401 - the SDK's types
        for option in UNHEEDED:
            if getattr(request, option):
                message = f"{request.type} {request.name}: the option {option} is not applied here"
                raise ApplyError(message)
        inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
        registration = Registration(
            urn=urn,
            type=request.type,
            name=request.name,
            inputs=inputs,
            protect=request.protect,
            retain=request.retainOnDelete,
        )
        return self._deployment.register(registration)

    def _kept(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Remember what fails: the SDK wraps it in text of its own on the way out."""

        def call(*arguments: Any) -> Any:  # noqa: ANN401 - passes anything on
            try:
                return function(*arguments)
            except ApplyError as error:
                self.failures.append(error)
                raise

        return call
