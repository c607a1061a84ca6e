"""The secrets of a Worker over REST: which names the newest version holds, and a version again with other values.

`PUT …/secrets` would be one call, but is refused (10215) unless the newest version has all traffic: after each release
the newest is the maintenance version, after a rollback a bad one. So a version is uploaded again, its code and bindings
as they are, its other secrets inherited from the newest upload (10057 for any other), and then deployed like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from runbooks.model.errors import AnswerLost, CheckError
from runbooks.model.reconciliation import UPLOAD_AGAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runbooks.clients.cloudflare import Cloudflare, Version

ResultT = TypeVar("ResultT")
CODE_OF = "code of "
"""The beginning of the tag of a version that was uploaded again with other secrets."""
HIDDEN = ("secret_text", "secret_key")
"""Types of bindings whose values are never shown."""


class _Envelope(msgspec.Struct, Generic[ResultT], frozen=True):
    result: ResultT


class _Runtime(msgspec.Struct, frozen=True):
    compatibility_date: str
    compatibility_flags: tuple[str, ...] = ()
    limits: dict[str, int] | None = None


class _Resources(msgspec.Struct, frozen=True):
    bindings: tuple[dict[str, Any], ...]
    script_runtime: _Runtime


class _Whole(msgspec.Struct, frozen=True):
    id: str
    resources: _Resources


class _Module(msgspec.Struct, frozen=True):
    name: str
    content_type: str
    content_base64: str


class _Code(msgspec.Struct, frozen=True):
    main_module: str
    modules: tuple[_Module, ...]
    placement: dict[str, Any] | None = None


class _Id(msgspec.Struct, frozen=True):
    id: str


@dataclass(frozen=True)
class WorkerSecrets:
    """The secrets of one Worker. Values go out in one request and are kept nowhere."""

    cloudflare: Cloudflare
    worker: str

    def names(self) -> frozenset[str]:
        """Return the names that the newest uploaded version holds; none when the Worker doesn't exist yet."""
        newest = self._newest()
        return frozenset() if newest is None else _hidden(self._whole(newest.id))

    def upload_again(self, version: str, values: Mapping[str, str], *, message: str) -> str:
        """Upload this version's code and bindings with other secret values, and return the new version's id.

        The tag names the version that the code came with. Raises CheckError where a binding can't be carried over,
        ActRefused, AnswerLost.
        """
        whole, code = self._whole(version), self._code(version)
        first = self.cloudflare.version(self.worker, version)
        code_of = CODE_OF + (root_of(first) if first else version)
        runtime = whole.resources.script_runtime
        body: dict[str, Any] = {
            "main_module": code.main_module,
            "modules": code.modules,
            "compatibility_date": runtime.compatibility_date,
            "compatibility_flags": runtime.compatibility_flags,
            "bindings": self._bindings(whole, values),
            "annotations": {"workers/message": message, "workers/tag": code_of},
        }
        body |= {"limits": runtime.limits} if runtime.limits else {}
        body |= {"placement": code.placement} if code.placement else {}
        answer = self.cloudflare.transport.send(UPLOAD_AGAIN, f"{self._workers}/{self._id()}/versions", json=body)
        try:
            return answer.decode(_Envelope[_Id]).result.id
        except CheckError as error:
            raise AnswerLost(str(error)) from None  # said yes, but not what it did

    def _bindings(self, whole: _Whole, values: Mapping[str, str]) -> list[dict[str, Any]]:
        bindings: list[dict[str, Any]] = [
            {"name": name, "type": "secret_text", "text": text} for name, text in values.items()
        ]
        held = self.names()
        for binding in whole.resources.bindings:
            name, kind = binding["name"], binding["type"]
            if name in values:
                continue
            lost = (kind in HIDDEN and name not in held) or (kind == "plain_text" and "text" not in binding)
            if lost:
                message = f"Version {whole.id} of {self.worker}: its binding {name} ({kind}) can't be carried over."
                raise CheckError(message, next_command="invoke deploy")
            bindings.append({"name": name, "type": "inherit"} if kind in HIDDEN else binding)
        return bindings

    def _newest(self) -> Version | None:
        path = f"{self._scripts}/versions"
        answer = self.cloudflare.transport.get(path, {"deployable": "true"}, accept=(HTTPStatus.NOT_FOUND,))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return max(self.cloudflare.versions(self.worker), key=lambda version: version.number, default=None)

    def _whole(self, version: str) -> _Whole:
        answer = self.cloudflare.transport.get(f"{self._scripts}/versions/{version}")
        return answer.decode(_Envelope[_Whole]).result

    def _code(self, version: str) -> _Code:
        answer = self.cloudflare.transport.get(
            f"{self._workers}/{self._id()}/versions/{version}", {"include": "modules"}
        )
        return answer.decode(_Envelope[_Code]).result

    def _id(self) -> str:
        """Return the Worker's id: not every call takes its name."""
        return self.cloudflare.transport.get(f"{self._workers}/{self.worker}").decode(_Envelope[_Id]).result.id

    @property
    def _scripts(self) -> str:
        return f"/accounts/{self.cloudflare.account}/workers/scripts/{self.worker}"

    @property
    def _workers(self) -> str:
        return f"/accounts/{self.cloudflare.account}/workers/workers"


def root_of(version: Version) -> str:
    """Return the version that this one has its code from: itself, or the one that it repeats with other secrets."""
    tag = version.annotations.tag
    return tag.removeprefix(CODE_OF) if tag.startswith(CODE_OF) else version.id


def _hidden(whole: _Whole) -> frozenset[str]:
    return frozenset(binding["name"] for binding in whole.resources.bindings if binding["type"] in HIDDEN)
