"""Cloudflare's REST API, as typed calls: only what the books need.

Shapes and codes: Cloudflare's OpenAPI and wrangler 4.86's own requests, read 2026-11.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from runbooks.clients.transport import Answer, Explanation, Transport, excerpt
from runbooks.model.errors import AnswerLost, CheckError
from runbooks.model.reconciliation import DEPLOY, MOVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ResultT = TypeVar("ResultT")

CHANGED_SINCE: Final = "10220"
"""Code of a refused deployment: a secret has changed since that version was active."""
MAINTENANCE: Final = "maintenance"
"""The message of the version that answers 503 and does nothing: every stack has one beside its app."""
HISTORY_PAGE: Final = 50  # deployments of one page
MESSAGE_LIMIT: Final = 1000  # bytes of `workers/message`


class Annotations(msgspec.Struct, frozen=True):
    """What was said about a version or a deployment when it was made."""

    message: str = msgspec.field(default="", name="workers/message")
    tag: str = msgspec.field(default="", name="workers/tag")
    triggered_by: str = msgspec.field(default="", name="workers/triggered_by")


class Metadata(msgspec.Struct, frozen=True):
    """When a version was uploaded (RFC 3339) and from where."""

    created_on: str
    source: str = ""


class Binding(msgspec.Struct, frozen=True):
    """What a version reaches by `name`: of the other fields one says which, by the binding's type."""

    name: str
    type: str
    namespace_id: str = ""
    bucket_name: str = ""
    id: str = ""


class Resources(msgspec.Struct, frozen=True):
    """What a version consists of; an entry of a list does not say."""

    bindings: tuple[Binding, ...] = ()


class Version(msgspec.Struct, frozen=True):
    """An uploaded version of a Worker: `id` is a UUID, `number` counts up within the Worker."""

    id: str
    number: int
    metadata: Metadata
    annotations: Annotations = Annotations()
    resources: Resources = Resources()

    @property
    def is_maintenance(self) -> bool:
        """Tell whether this is the version that answers 503, not the app."""
        return self.annotations.message == MAINTENANCE


class Share(msgspec.Struct, frozen=True):
    """A version's part of the traffic, in per cent."""

    version_id: str
    percentage: float


class Deployment(msgspec.Struct, frozen=True):
    """Which versions got traffic since `created_on` (RFC 3339)."""

    id: str
    created_on: str
    versions: tuple[Share, ...]
    annotations: Annotations = Annotations()

    @property
    def version(self) -> str | None:
        """Return the one version that has all traffic, or None while traffic is split."""
        whole = [share.version_id for share in self.versions if share.percentage == 100]  # noqa: PLR2004 - per cent
        return whole[0] if whole else None


class Origin(msgspec.Struct, frozen=True):
    """Where Hyperdrive connects to; the API never says the password."""

    host: str
    port: int
    database: str
    user: str

    def __str__(self) -> str:
        """Return it as it is said."""
        return f"{self.host}:{self.port}/{self.database}"


class Hyperdrive(msgspec.Struct, frozen=True):
    """One Hyperdrive config."""

    id: str
    name: str
    origin: Origin
    caching: dict[str, bool | int | float] = {}


class _Envelope(msgspec.Struct, Generic[ResultT], frozen=True):
    result: ResultT


class _Versions(msgspec.Struct, frozen=True):
    items: tuple[Version, ...]


class _Deployments(msgspec.Struct, frozen=True):
    deployments: tuple[Deployment, ...]


class _Problem(msgspec.Struct, frozen=True):
    code: int
    message: str


class _Problems(msgspec.Struct, frozen=True):
    errors: tuple[_Problem, ...]


def explain(body: bytes) -> Explanation:
    """Return Cloudflare's own code and text of a refusal; the beginning of the body where it isn't an envelope."""
    try:
        problems = msgspec.json.decode(body, type=_Problems).errors
    except msgspec.MsgspecError:
        return excerpt(body)
    if not problems:
        return excerpt(body)
    return Explanation(str(problems[0].code), "; ".join(problem.message for problem in problems))


@dataclass(frozen=True)
class Cloudflare:
    """One account. Reads are retried; `deploy` is sent once."""

    transport: Transport
    account: str

    def versions(self, script: str) -> tuple[Version, ...]:
        """Return the versions that can still get traffic, newest first: up to the last 100 uploaded.

        With `deployable=true` the API ignores paging (seen 2026-09), so this is one request.
        """
        answer = self.transport.get(f"{self._script(script)}/versions", {"deployable": "true"})
        return result_of(answer, _Versions).items

    def version(self, script: str, version: str) -> Version | None:
        """Return one version by its id, or None when the Worker has none of that id."""
        absent = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST)
        answer = self.transport.get(f"{self._script(script)}/versions/{version}", accept=absent)
        return None if answer.status in absent else result_of(answer, Version)

    def lacks(self, binding: Binding) -> bool:
        """Tell whether what a binding leads to is gone. What the token may not see is not said to be gone."""
        places = {
            "kv_namespace": f"storage/kv/namespaces/{binding.namespace_id}",
            "r2_bucket": f"r2/buckets/{binding.bucket_name}",
            "hyperdrive": f"hyperdrive/configs/{binding.id}",
        }
        if binding.type not in places:
            return False
        unclear = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED)
        answer = self.transport.get(f"/accounts/{self.account}/{places[binding.type]}", accept=unclear)
        return answer.status == HTTPStatus.NOT_FOUND

    def deployments(self, script: str) -> tuple[Deployment, ...]:
        """Return the latest deployments, the live one first; none when the Worker doesn't exist yet."""
        answer = self.transport.get(f"{self._script(script)}/deployments", accept=(HTTPStatus.NOT_FOUND,))
        return () if answer.status == HTTPStatus.NOT_FOUND else result_of(answer, _Deployments).deployments

    def history(self, script: str) -> Iterator[Deployment]:
        """Yield every deployment that the provider still lists, newest first; it lists 100 at most (docs, 2026-09)."""
        seen: set[str] = set()
        for page in count(1):
            asked = {"page": str(page), "per_page": str(HISTORY_PAGE)}
            answer = self.transport.get(f"{self._script(script)}/deployments", asked, accept=(HTTPStatus.NOT_FOUND,))
            rows = () if answer.status == HTTPStatus.NOT_FOUND else result_of(answer, _Deployments).deployments
            fresh = [row for row in rows if row.id not in seen]  # where paging is ignored, pages repeat themselves
            yield from fresh
            seen |= {row.id for row in rows}
            if len(rows) < HISTORY_PAGE or not fresh:
                return

    def live(self, script: str) -> Deployment | None:
        """Return the deployment that has the traffic now, or None when nothing was ever deployed."""
        found = self.deployments(script)
        return found[0] if found else None

    def maintenance(self, script: str) -> Version:
        """Return the newest version that answers 503 in place of the app, or raise CheckError."""
        found = [version for version in self.versions(script) if version.is_maintenance]
        if not found:
            message = (
                f"Worker {script} in account {self.account}: expected a version with the message "
                f"{MAINTENANCE!r}, got none among the deployable ones."
            )
            raise CheckError(message, next_command="invoke deploy")
        return max(found, key=lambda version: version.number)

    def deploy(self, script: str, shares: tuple[Share, ...], *, message: str, force: bool = False) -> Deployment:
        """Send the script's traffic to these versions. Sent once: the API can't tell a repetition.

        `message` is kept by Cloudflare (cut to 1000 bytes); put the request id into it. `force` accepts that secrets
        changed since; without it the API refuses with code 10220. Raises ActRefused, AnswerLost.
        """
        text = message.encode()[:MESSAGE_LIMIT].decode("utf-8", "ignore")
        body = {"strategy": "percentage", "versions": shares, "annotations": {"workers/message": text}}
        params = {"force": "true"} if force else None
        answer = self.transport.send(DEPLOY, f"{self._script(script)}/deployments", json=body, params=params)
        try:
            return result_of(answer, Deployment)
        except CheckError as error:
            raise AnswerLost(str(error)) from None  # said yes, but not what it did

    def hyperdrives(self) -> tuple[Hyperdrive, ...]:
        """Return the first 100 Hyperdrive configs of the account (the API's largest page)."""
        answer = self.transport.get(f"/accounts/{self.account}/hyperdrive/configs", {"per_page": "100"})
        return result_of(answer, tuple[Hyperdrive, ...])

    def move(self, config: Hyperdrive, origin: Origin, *, password: str) -> Hyperdrive:
        """Let a Hyperdrive config connect to another database, cached as before.

        Sent once. Raises ActRefused, AnswerLost.
        """
        there = {"scheme": "postgres", **msgspec.to_builtins(origin), "password": password}
        path = f"/accounts/{self.account}/hyperdrive/configs/{config.id}"
        body = {"origin": there, "caching": config.caching}
        answer = self.transport.send(MOVE, path, json=body)
        try:
            return result_of(answer, Hyperdrive)
        except CheckError as error:
            raise AnswerLost(str(error)) from None

    def _script(self, script: str) -> str:
        return f"/accounts/{self.account}/workers/scripts/{script}"


def result_of(answer: Answer, shape: type[ResultT]) -> ResultT:
    """Return the `result` of an answer as typed data. Raises CheckError."""
    return answer.decode(_Envelope[shape]).result  # type: ignore[valid-type] # the shape is a value here


def paged(
    transport: Transport, path: str, shape: type[ResultT], *, per_page: int, params: Mapping[str, str] | None = None
) -> Iterator[ResultT]:
    """Yield the entries of a list, asking for a page when it is needed, until a short one."""
    for page in count(1):
        asked = {**(params or {}), "page": str(page), "per_page": str(per_page)}
        rows = result_of(transport.get(path, asked), tuple[shape, ...])  # type: ignore[valid-type] # a value here
        yield from rows
        if len(rows) < per_page:
            return
