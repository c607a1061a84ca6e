"""The official Python client can make every call that the twin lists as done, and reads every answer as typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cloudflare import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
)

from tests.twin.official.calls import CASES, LACKING
from tests.twin.official.sdk import CODE, Sdk, serving_sdk
from twin.cloudflare.routes import ROUTES
from twin.coverage import nameless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DONE = {f"{route.method} {route.path}" for route in ROUTES}
NULL = {"POST /pages/assets/upsert-hashes"}
"""Calls whose answer may be null, beside those that delete."""


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sdk]:
    """Serve one control plane to all cases."""
    with serving_sdk(tmp_path_factory.mktemp("sdk")) as sdk:
        yield sdk


def test_every_call_has_a_case() -> None:
    """What COVERAGE.md lists as done has a case, or a reason why the client cannot make it; no case is left over."""
    assert {nameless(call) for call in (*CASES, *LACKING)} == {nameless(call) for call in DONE}
    assert CASES.keys().isdisjoint(LACKING)


@pytest.mark.parametrize("call", sorted(CASES))
def test_a_call_is_made_and_its_answer_is_as_typed(it: Sdk, call: str) -> None:
    """The client makes this very call, the answer passes the client's own model, and there is one."""
    method, path = call.split()
    it.calls.clear()
    told = CASES[call](it)
    pattern = re.compile(re.sub(r"{\w+(:[^}]*)?}", lambda m: ".+" if m[1] else "[^/]+", path))
    assert any(made == method and pattern.fullmatch(at) for made, at in it.calls), it.calls
    assert told not in (None, [], {}) or call.startswith("DELETE ") or call in NULL


def just_now() -> str:
    """Return the time of a moment ago."""
    return (datetime.now(UTC) - timedelta(seconds=2)).isoformat()


PAGED: dict[str, tuple[int, Callable[[Sdk], object], Callable[[Sdk], object]]] = {
    "page and per_page": (3, lambda it: it.record(), lambda it: it.api.dns.records.list(**it.z, per_page=1)),
    "pages of Pages": (3, lambda it: it.project(), lambda it: it.api.pages.projects.list(**it.a, per_page=1)),
    "beta Workers": (3, lambda it: it.worker(), lambda it: it.api.workers.beta.workers.list(**it.a, per_page=1)),
    "namespaces": (
        3,
        lambda it: it.api.kv.namespaces.create(**it.a, title=it.fresh("paged")),
        lambda it: it.api.kv.namespaces.list(**it.a, per_page=1),
    ),
    "zones": (2, CASES["POST /zones"], lambda it: it.api.zones.list(per_page=1)),
    "result.items": (
        3,
        lambda it: it.upload(it.script),
        lambda it: it.api.workers.scripts.versions.list(it.script, **it.a, per_page=1),
    ),
    "cursor of keys": (
        25,
        lambda it: it.api.kv.namespaces.bulk_update(
            it.space, **it.a, body=[{"key": it.fresh("key"), "value": ""} for _ in range(25)]
        ),
        lambda it: it.api.kv.namespaces.keys.list(it.space, **it.a, limit=10),
    ),
    "cursor of objects": (
        3,
        lambda it: it.api.r2.buckets.objects.upload(it.fresh("object"), b"", **it.a, bucket_name=it.bucket),
        lambda it: it.api.r2.buckets.objects.list(it.bucket, **it.a, per_page=1),
    ),
    "cursors.after": (
        3,
        lambda it: it.record(),
        lambda it: it.api.accounts.logs.audit.list(**it.a, since=just_now(), before="2100-01-01", limit=1),
    ),
}
"""For each style of paging: how many more there shall be, what makes one (or all), and the list in small pages."""


@pytest.mark.parametrize("style", PAGED)
def test_a_list_is_read_to_its_end(it: Sdk, style: str) -> None:
    """The client asks page after page by itself, gets everything once, and stops."""
    more, make, listing = PAGED[style]
    for _ in range(1 if style == "cursor of keys" else more):
        make(it)
    it.calls.clear()
    rows = [str(row) for row in listing(it)]  # type: ignore[attr-defined]
    assert len(rows) == len(set(rows)) >= more
    assert len(it.calls) >= more // 10 + 1
    whole = {path for _, path in it.calls}
    assert len(whole) == 1


def test_where_the_client_itself_is_wrong(it: Sdk) -> None:
    """Facts worth keeping: it reads no deployments, and asks for ever for all that can be deployed."""
    deployments = it.lax.workers.scripts.deployments.list(it.script, **it.a)
    assert list(deployments) == []
    assert it.deployment(it.script)
    versions = it.lax.workers.scripts.versions.list(it.script, **it.a, deployable=True)
    first, again = versions, versions.get_next_page()
    assert [row.id for row in first.result.items] == [row.id for row in again.result.items]


def deploy(it: Sdk, version: str, percentage: int = 100) -> object:
    """Send so much traffic to a version."""
    split = [{"version_id": version, "percentage": percentage}]
    return it.api.workers.scripts.deployments.create(it.script, **it.a, strategy="percentage", versions=split)


def secret_when_not_live(it: Sdk) -> object:
    """Set a secret while the newest version has no traffic."""
    script = it.script_with()
    it.upload(script)
    return it.api.workers.scripts.secrets.update(script, **it.a, name="A", text="1", type="secret_text")


def inherited(it: Sdk) -> object:
    """Inherit a binding that the version before has not."""
    sent = it.metadata({"type": "inherit", "name": "NONE"})
    return it.api.workers.scripts.update(it.fresh("s"), **it.a, metadata=sent, files=[CODE], bindings_inherit="strict")


REFUSED: dict[str, tuple[type[APIStatusError], int, Callable[[Sdk], object]]] = {
    "no such script": (NotFoundError, 10007, lambda it: it.api.workers.scripts.settings.get("none", **it.a)),
    "no such version": (BadRequestError, 10025, lambda it: deploy(it, "0" * 8)),
    "too much traffic": (BadRequestError, 10021, lambda it: deploy(it, it.newest(it.script), 60)),
    "not live": (BadRequestError, 10215, secret_when_not_live),
    "no text": (BadRequestError, 10021, lambda it: it.script_with({"type": "secret_text", "name": "A"})),
    "nothing to inherit": (BadRequestError, 10057, inherited),
    "title taken": (BadRequestError, 10014, lambda it: [it.api.kv.namespaces.create(**it.a, title="t") for _ in "ab"]),
    "bucket taken": (ConflictError, 10004, lambda it: it.api.r2.buckets.create(**it.a, name=it.bucket)),
    "bucket not empty": (ConflictError, 10008, lambda it: it.api.r2.buckets.delete(it.bucket, **it.a)),
    "no such key": (
        NotFoundError,
        10009,
        lambda it: it.api.kv.namespaces.values.get("none", **it.a, namespace_id=it.space),
    ),
    "no such object": (
        NotFoundError,
        10007,
        lambda it: it.api.r2.buckets.objects.get("none", **it.a, bucket_name=it.bucket),
    ),
    "no such project": (NotFoundError, 8000007, lambda it: it.api.pages.projects.get("none", **it.a)),
    "page too long": (BadRequestError, 8000024, lambda it: it.api.pages.projects.list(**it.a, per_page=26)),
    "identical record": (BadRequestError, 81058, lambda it: [it.record(name="twice.example.com") for _ in "ab"]),
    "another account": (PermissionDeniedError, 10000, lambda it: it.api.workers.scripts.list(account_id="f" * 32)),
    "no such zone": (PermissionDeniedError, 9109, lambda it: it.api.zones.get(zone_id="f" * 32)),
    "not there yet": (InternalServerError, 7003, lambda it: it.api.zones.holds.get(**it.z)),
}
"""What is wrong, the client's class for it, and the provider's code."""


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_has_the_right_class_and_code(it: Sdk, what: str) -> None:
    """The client raises by the status, and finds the provider's code."""
    kind, code, call = REFUSED[what]
    with pytest.raises(kind) as raised:
        call(it)
    assert [error.code for error in raised.value.errors][:1] == [code]


def test_a_wrong_token_is_told(it: Sdk) -> None:
    """What the client takes for a missing permission is a token that there is not; a malformed one is a bad request."""
    wrong = Sdk(it.address, it.listener, token="x" * 40)
    with pytest.raises(PermissionDeniedError, match="10000"):
        wrong.api.workers.scripts.list(**it.a)
    with pytest.raises(AuthenticationError, match="1000"):
        wrong.api.user.tokens.verify()
    malformed = Sdk(it.address, it.listener, token="short")
    with pytest.raises(BadRequestError, match="6003"):
        malformed.api.workers.scripts.list(**it.a)
    for sdk in (wrong, malformed):
        sdk.close()
