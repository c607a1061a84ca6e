"""Held to the provider's own description: every call that the twin serves, and every call that the product makes."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # its stubs are a package of their own

from runbooks.clients.supabase import Cidrs, Supabase, explain
from runbooks.clients.transport import Transport
from tests.twin.serving import PROJECT, TOKENS
from tests.twin.supabase.excerpt import FILE, nameless
from twin.supabase.routes import ROUTES

if TYPE_CHECKING:
    import httpx

    from tests.twin.supabase.conftest import Plane

OPERATIONS: Final[dict[str, dict[str, Any]]] = json.loads(FILE.read_text("utf-8"))
SERVED: Final = [nameless(f"{route.method} {route.path}") for route in ROUTES]
OPERATION: Final = "/v1/projects/{}"
QUERY: Final = f"POST {OPERATION}/database/query"
NEED_A_DATABASE: Final = (QUERY, f"{QUERY}/read-only")
"""Their answers are rows: test_query.py asks a real database."""
ASKED: Final[dict[str, dict[str, Any]]] = {
    f"GET {OPERATION}/health": {"params": {"services": ["db", "auth", "rest", "pooler"]}},
    f"PUT {OPERATION}/ssl-enforcement": {"json": {"requestedConfig": {"database": True}}},
    f"PATCH {OPERATION}/billing/addons": {"json": {"addon_type": "pitr", "addon_variant": "pitr_14"}},
    f"POST {OPERATION}/database/backups/restore-pitr": {"json": {"recovery_time_target_unix": 1_750_000_000}},
    f"PUT {OPERATION}/config/database/postgres": {"json": {"work_mem": "8MB", "track_commit_timestamp": True}},
    f"POST {OPERATION}/network-restrictions/apply": {
        "json": {"dbAllowedCidrs": ["192.0.2.1/32"], "dbAllowedCidrsV6": ["2001:db8::/32"]}
    },
    f"PATCH {OPERATION}/network-restrictions": {"json": {"add": {"dbAllowedCidrs": ["192.0.2.0/24"]}}},
    f"DELETE {OPERATION}/network-bans": {"json": {"ipv4_addresses": ["192.0.2.7"], "requester_ip": True}},
    QUERY: {"json": {"query": "select 1", "parameters": [], "read_only": True}},
    f"{QUERY}/read-only": {"json": {"query": "select 1"}},
}
"""What is sent with a call, where anything must be."""
OTHERWISE: Final = {
    f"GET {OPERATION}/restore": [
        "$.available_versions[0].postgres_engine: '18' is not one of ['13', '14', '15', '17', '17-oriole']"
    ],
}
"""Where the twin says something else on purpose: its server really is of a version that the provider has not yet."""
USED: Final[dict[str, tuple[Any, ...]]] = {
    "project": (),
    "health": ("db", "auth", "rest"),
    "backups": (),
    "disk_free": (),
    "restrictions": (),
    "restrict": (Cidrs(("192.0.2.1/32",), ("2001:db8::/32",)),),
    "restore_pitr": (datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC),),
}
"""What the product asks of Supabase: every method of its client, with arguments."""


def wrong(shape: Any, told: object) -> list[str]:  # noqa: ANN401 - a JSON schema
    """Return what of an answer or a body does not fit the provider's schema."""
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(shape).iter_errors(told)]


@pytest.mark.parametrize("call", SERVED)
def test_a_served_call_is_the_providers(plane: Plane, call: str) -> None:
    """Status and answer of each call are those that the provider declares, and so is what the test sends."""
    assert call in OPERATIONS, f"{call}: there is no such operation, run python -m tests.twin.supabase.excerpt"
    told, sent = OPERATIONS[call], ASKED.get(call, {})
    if told["body"] is not None:
        assert wrong(told["body"], sent["json"]) == []
    method, path = call.split()
    last = {"addons": "pitr_7"}.get(path.split("/")[-2], "")
    answer = plane.http.request(method, path.replace("{}", PROJECT, 1).replace("{}", last), **sent)
    if call in NEED_A_DATABASE:
        assert answer.status_code == 544
    elif path == f"{OPERATION}/restore" and method == "POST":
        assert answer.json() == {"message": "project is no longer in a paused state"}
    else:
        fits(call, answer)


def fits(call: str, answer: httpx.Response) -> None:
    """Assert that an answer is one that the provider declares as a success."""
    answers = OPERATIONS[call]["answers"]
    assert answer.is_success, answer.text
    assert str(answer.status_code) in answers
    shape = answers[str(answer.status_code)]
    assert answer.content == b"" if shape is None else wrong(shape, answer.json()) == OTHERWISE.get(call, [])


@pytest.mark.parametrize("call", [call for call in SERVED if OPERATIONS.get(call, {}).get("body")])
def test_a_body_that_is_none_is_refused(plane: Plane, call: str) -> None:
    """JSON that is no object gets 400 and a message from every call that takes one."""
    method, path = call.split()
    answer = plane.http.request(method, path.replace("{}", PROJECT, 1), content=b"[")
    assert (answer.status_code, list(answer.json())) == (400, ["message"])


def test_every_setting_of_the_provider_is_taken(plane: Plane) -> None:
    """Each setting that the API declares can be overridden here too."""
    declared = OPERATIONS[f"PUT {OPERATION}/config/database/postgres"]["body"]["properties"]
    values: dict[str, Any] = {"boolean": True, "integer": 10, "number": 10, "string": "10"}
    sent = {name: values[shape["type"]] for name, shape in declared.items() if name != "restart_database"}
    assert plane.ask("PUT", "/config/database/postgres", json=sent) == sent


def test_what_the_product_asks_is_declared_and_served(plane: Plane) -> None:
    """Each method of the product's client makes one call, which the provider declares and the twin serves."""
    methods = [name for name, _ in inspect.getmembers(Supabase, inspect.isfunction) if not name.startswith("_")]
    assert sorted(methods) == sorted(USED), "a new call: say here what it is asked with"
    made: list[str] = []
    bodies: list[object] = []

    def note(request: httpx.Request) -> None:
        made.append(nameless(f"{request.method} {request.url.path.replace(PROJECT, '{}')}"))
        bodies.append(json.loads(request.content) if request.content else None)

    transport = Transport("Supabase", str(plane.http.base_url), TOKENS["SUPABASE_ACCESS_TOKEN"], explain=explain)
    transport._client.event_hooks = {"request": [note], "response": []}
    for name, arguments in USED.items():
        getattr(Supabase(transport, PROJECT), name)(*arguments)
    transport.close()
    assert len(made) == len(USED)
    for call, body in zip(made, bodies, strict=True):
        assert (call in OPERATIONS, call in SERVED) == (True, True), call
        shape = OPERATIONS[call]["body"]
        assert body is None if shape is None else wrong(shape, body) == []
